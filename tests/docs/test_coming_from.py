"""Every name on the pages for those who come from elsewhere exists here."""

import inspect
import re
from importlib import import_module
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs" / "coming_from"


def table(page, heading):
    """Return the rows of the first table under a heading, as lists of cells."""
    text = (DOCS / f"{page}.md").read_text()
    part = text.split(f"## {heading}\n", 1)[1].split("\n## ")[0]
    rows = [line for line in part.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def in_backticks(cell):
    return re.findall(r"`([^`]+)`", cell)


def own_parameters(step):
    return set(step.load_spec_file().scalars)


def steps_of(*modules):
    found = {}
    for module in modules:
        loaded = import_module(module)
        found.update({name: getattr(loaded, name) for name in loaded.__all__})
    return found


@pytest.fixture(scope="module")
def lrs_steps():
    return steps_of("detectorist.reference", "detectorist.stage_1", "detectorist.stage_2")


def test_calls_of_exotic_miri_have_their_classes(lrs_steps):
    named = set()
    for row in table("exotic_miri", "Calls"):
        for code in in_backticks(row[0]):
            named |= set(re.findall(r"\b([A-Z]\w+?(?:Step|Gain|Linearity|Map|Times|ReadNoise))\b", code))
    asked = {
        *("GetIntegrationTimes", "SetCustomGain", "SetCustomLinearity", "GetWavelengthMap", "GetDefaultGain"),
        *("GetDefaultReadNoise", "DropGroupsStep", "ReferencePixelStep", "GroupBackgroundSubtractStep"),
        *("DropIntegrationsStep", "RegroupStep", "InspectDQFlagsStep", "CleanOutliersStep", "BackgroundSubtractStep"),
        *("Extract1DBoxStep", "Extract1DOptimalStep", "AlignSpectraStep"),
    }
    assert named == asked
    assert named <= set(lrs_steps)


def test_options_of_exotic_miri_are_parameters_here(lrs_steps):
    known = set().union(*(own_parameters(step) for step in lrs_steps.values()), {"P", "readnoise"})
    for row in table("exotic_miri", "Options"):
        for name in in_backticks(row[0]):
            if re.fullmatch(r"[a-z_0-9]+", name):
                assert name in known, name
    documented = {name for row in table("exotic_miri", "Options") for name in in_backticks(row[0])}
    of_theirs = [name for name in lrs_steps if name not in ("SnowballsStep",)]
    asked = {
        name
        for step in ("CleanOutliersStep", "BackgroundSubtractStep", "Extract1DBoxStep", "AlignSpectraStep")
        for name in own_parameters(lrs_steps[step])
        if name.startswith(("draw_", "bkg_", "aperture_", "spatial_", "outlier_", "poly_"))
    } - {"draw_background"}
    assert of_theirs
    assert asked <= documented


def test_steps_and_options_of_spaceklip_exist():
    from detectorist import run_obs
    from detectorist.modes.coron.keywords import OPTIONS, SKIPS
    from detectorist.pipelines import Coron1Pipeline

    known = set(Coron1Pipeline.step_defs)
    keywords = set(inspect.signature(run_obs).parameters) | set(SKIPS) | set(OPTIONS)
    pipeline = own_parameters(Coron1Pipeline)
    seen = set()
    for row in table("spaceklip", "Steps and options, in their order"):
        names = [name for name in re.split(r"[,;]\s*", re.sub(r"\([^)]*\)", "", row[0])) if name]
        steps = [name.strip() for name in names if re.fullmatch(r"[a-z0-9_]+", name.strip())]
        assert set(steps) <= known, row[0]
        seen |= set(steps)
        allowed = keywords | pipeline | set().union(*(own_parameters(Coron1Pipeline.step_defs[name]) for name in steps))
        for cell in row if steps else row[:1]:
            for name in in_backticks(cell):
                if re.fullmatch(r"[a-z0-9]+_[a-z0-9_]+|n(?:lower|upper|left|right)", name) and name != "run_obs":
                    assert name in allowed, f"{row[0]}: {name}"
    # Steps of the standard pipeline that do nothing here unless asked for are not on their page.
    asked = {
        *("group_scale", "dq_init", "saturation", "ipc", "firstframe", "lastframe", "reset", "superbias", "refpix"),
        *("linearity", "rscd", "dark_current", "charge_migration", "jump", "subtract_ktc", "subtract_1overf"),
        *("ramp_fit", "apply_rateints_outliers", "gain_scale", "mask_groups"),
    }
    assert asked == seen


def test_keywords_of_run_obs_are_accepted():
    from detectorist.modes.coron.keywords import settings_of

    rows = table("spaceklip", "Steps and options, in their order")
    names = [name for row in rows for name in in_backticks(row[0])]
    assert {"skip_ktc", "skip_persistence", "save_intermediates", "save_calibrated_ramp"} <= set(names)
    for name in names:
        settings_of({name: True}, {})  # refuses what it does not know


def test_settings_of_the_ceers_scripts_are_options_here():
    import click
    import typer

    from detectorist.cli.app import app

    group = typer.main.get_command(app)
    options = set()
    for path in (("run", "imaging"), ("snowballs",), ("wisps",), ("destripe",)):
        command = group
        for word in path:
            command = command.get_command(click.Context(command), word)
        for one in (command, *getattr(command, "commands", {}).values()):
            options |= {name for parameter in one.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for heading in ("Calls", "Settings at the top of the scripts"):
        for row in table("ceers", heading):
            for code in in_backticks(row[1]):
                for option in re.findall(r"--[a-z0-9_-]+", code):
                    assert option in options, option
    for spelled in ("--fit_scaling", "--save_patterns", "--fit-scaling", "--save-patterns", "--scale", "--thresh"):
        assert spelled in options


def test_files_of_the_ceers_scripts_have_their_rows():
    named = " ".join(row[0] for row in table("ceers", "Files"))
    for file in ("rate.fits", "1fmask", "horiz", "vert", "prewisp", "pre1f", "wisp.pdf", "segm_cold"):
        assert file in named
