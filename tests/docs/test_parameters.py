"""Every step.parameter=value that a page recommends is one that a recipe of its mode accepts."""

import re
from pathlib import Path

import pytest

from detectorist.modes import load_mode, mode_names
from detectorist.pipelines import Coron1Pipeline, ImagingPipeline, LrsPipeline
from detectorist.reduction.recipes.recipe_files import load_recipe

ROOT = Path(__file__).parents[2]
PIPELINES = {"lrs": LrsPipeline, "imaging": ImagingPipeline, "coron": Coron1Pipeline}
SETTING = re.compile(r"`([a-z0-9_]+(?:\.[a-z0-9_]+)?=[^`{}]+)`")
#: Headings of docs/symptoms.md and the mode that each speaks of.
HEADINGS = {"MIRI LRS": "lrs", "NIRCam imaging": "imaging", "Coronagraphy": "coron"}


def symptoms():
    """Yield (mode, setting) of the page of symptoms."""
    parts = re.split(r"^## (.+)$", (ROOT / "docs" / "symptoms.md").read_text(), flags=re.MULTILINE)
    for heading, text in zip(parts[1::2], parts[2::2], strict=True):
        for setting in SETTING.findall(text):
            yield HEADINGS[heading], setting


def on_command_lines():
    """Yield (mode, setting) of every --set in a command of the pages."""
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for mode, rest in re.findall(r"detectorist run (lrs|imaging|coron) ([^\n`]+)", page.read_text()):
            for setting in re.findall(r"--set ([^\s`]+)", rest):
                yield mode, setting


@pytest.mark.parametrize(("mode", "setting"), sorted({*symptoms(), *on_command_lines()}))
def test_recommended_settings_are_accepted(mode, setting):
    load_recipe(mode, None).with_settings([setting]).check(PIPELINES[mode])


def test_parameters_that_pages_name_exist():
    named = re.findall(r"`([a-z0-9_]+)\.([a-z0-9_]+)`", (ROOT / "docs" / "symptoms.md").read_text())
    known = {name: step for kind in PIPELINES.values() for name, step in kind.step_defs.items()}
    assert len(named) > 5
    for step, parameter in named:
        assert parameter in known[step].load_spec_file().scalars, f"{step}.{parameter}"


@pytest.mark.parametrize("mode", sorted(PIPELINES))
def test_parameters_that_notes_of_the_report_name_do_what_they_say(mode):
    """What a figure's note says to change is there, in the recipe's words; a threshold of medians masks nothing."""
    known = {name: step for kind in PIPELINES.values() for name, step in kind.step_defs.items()}
    notes = load_mode(mode).section().notes()
    advice = " ".join(note["then"] for note in notes.values())
    for step, parameter in re.findall(r"(?<!stage\d\.)\b([a-z_\d]+)\.([a-z_]+)\b(?!\*)", advice):
        if step in known:
            assert parameter in known[step].load_spec_file().scalars, f"{step}.{parameter}"
    assert "stripes.thresh" not in advice


def test_a_wrong_setting_is_found():
    with pytest.raises(Exception, match="parameter"):
        load_recipe("lrs", None).with_settings(["jump.no_such=1"]).check(LrsPipeline)


def test_every_mode_has_its_recipes_on_the_first_page():
    page = (ROOT / "docs" / "getting_started.md").read_text()
    from detectorist.reduction.recipes.recipe_files import builtin_recipes

    for mode in mode_names():
        assert load_mode(mode)
        for recipe in builtin_recipes(mode):
            assert f"`{recipe}`" in page
