"""Which parameters are marked."""

from pathlib import Path

from detectorist.report.gather import Exposure
from detectorist.report.parameters import Parameter, find_changed, find_varying, in_force


def exposure(name="e", settings=(), **steps):
    resolved = {"recipe": "best", "extraction": "box", "output_dir": name, "steps": steps}
    return Exposure(name, "lrs", "done", Path(name), resolved=resolved, settings=settings)


DEFAULTS = in_force(
    {"extraction": "box", "steps": {"jump": {"threshold": 4.0, "grow": None}, "clean": {"order": 4, "output_dir": ""}}}
)


def test_only_what_differs_is_marked():
    one = exposure(jump={"threshold": 15, "grow": 2}, clean={"order": 4.0, "output_dir": "/x"})
    found = {parameter.path: (parameter.value, parameter.default) for parameter in find_changed(one, DEFAULTS, set())}
    assert found == {"jump.threshold": (15, 4.0), "jump.grow": (2, None)}


def test_where_a_value_comes_from():
    one = exposure(settings=("steps.jump.threshold = 15",), jump={"threshold": 15}, clean={"order": 2})
    found = {parameter.path: parameter.source for parameter in find_changed(one, DEFAULTS, set())}
    assert found == {"jump.threshold": "setting", "clean.order": "recipe"}


def test_whoever_asks_is_told_what_a_source_is():
    """A mode chooses some parameters by the kind of exposure; nobody has typed these."""
    assert "by the mode for this kind of exposure" in Parameter("a", "b", 1, 2, "setting", False).meaning
    assert Parameter("a", "b", 1, 2, "recipe", False).meaning == "given by the recipe"
    assert Parameter("a", "b", 1, 2, "", True).meaning == ""


def test_what_varies_is_marked_even_at_its_default():
    exposures = [
        exposure("a", clean={"order": 4}),
        exposure("b", clean={"order": 2}),
        exposure("c", clean={"order": 4}),
    ]
    varying = find_varying(exposures)
    assert varying == {("clean", "order")}
    (parameter,) = find_changed(exposures[0], DEFAULTS, varying)
    assert parameter.varies
    assert parameter.source == ""


def test_folders_are_no_parameters():
    assert find_varying([exposure("a"), exposure("b")]) == set()


def test_defaults_of_the_pipeline_are_those_of_its_steps():
    from detectorist.modes.lrs.report import LrsSections

    defaults = LrsSections().defaults()
    assert defaults["clean_outliers", "outlier_threshold"] == 4.0
    assert defaults["", "extraction"] == "box"
    assert ("clean_outliers", "output_dir") not in defaults
