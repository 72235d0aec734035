"""What scenes of all modes can do, on a scene of two components."""

from dataclasses import dataclass, field

import pytest

from detectorist.errors import ParameterError
from detectorist.simulate.core.scene import Scene, require_known
from detectorist.simulate.coron.scene import CoronScene
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.lrs.scene import LrsScene


@dataclass(frozen=True)
class Glow:
    level: float = 1.0
    slope: float = 0.0


@dataclass(frozen=True)
class Camera:
    gain: float = 2.0


@dataclass(frozen=True)
class TinyScene(Scene):
    glow: Glow = field(default_factory=Glow)
    stripes: Glow = field(default_factory=Glow)
    detector: Camera = field(default_factory=Camera)
    left_out: frozenset[str] = frozenset()


def test_the_detector_is_no_component():
    assert TinyScene.components() == ("glow", "stripes")
    assert not TinyScene().has("detector")
    with pytest.raises(ParameterError, match="no component"):
        TinyScene().without("detector")


def test_the_detector_can_be_changed():
    assert TinyScene().with_("detector", gain=3.0).detector.gain == 3.0


def test_a_change_keeps_the_other_parameters_and_components():
    changed = TinyScene().without("stripes").with_("glow", slope=2.0)
    assert changed.glow == Glow(level=1.0, slope=2.0)
    assert [name for name in changed.components() if changed.has(name)] == ["glow"]


def test_a_subclass_stays_what_it_is():
    class Observable(TinyScene):
        pass

    assert type(Observable().without("glow").with_("stripes", level=3.0)) is Observable


@pytest.mark.parametrize(("name", "said"), [("stripe", 'did you mean "stripes"'), ("qqq", "known are glow, stripes")])
def test_an_unknown_name_is_answered_with_the_known_ones(name, said):
    with pytest.raises(ParameterError, match=said):
        require_known(name, TinyScene.components(), "component")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(ParameterError, match=f"slope of glow is {value}: a finite number is needed"):
        TinyScene().with_("glow", slope=value)


@pytest.mark.parametrize(
    ("scene", "component", "change", "words"),
    [
        (LrsScene, "star", {"mag": -99.0}, "mag of star is -99.0, but must be between -10 and 40"),
        (LrsScene, "star", {"trace_column": 500.0}, "trace_column of star is 500.0, but must be between 0 and 71"),
        (LrsScene, "transit", {"depth": -1.0}, "depth of transit is -1.0, but must be between 0 and 1"),
        (LrsScene, "transit", {"depth": 2}, "depth of transit is 2, but must be between 0 and 1"),
        (LrsScene, "detector", {"gain": 0.0}, "gain of detector is 0.0, but must be between 0.01 and 1000"),
        (
            CoronScene,
            "companion",
            {"rate_dn_s": 1e30},
            r"rate_dn_s of companion is 1e\+30, but must be between 0 and 1e\+09",
        ),
        (ImagingScene, "sky", {"level_dn_s": -5.0}, "level_dn_s of sky is -5.0"),
        (ImagingScene, "wisps", {"strengths": (0.8, -1.0)}, "strengths of wisps is"),
        (ImagingScene, "wisps", {"strengths": (0.8, float("nan"))}, "a finite number is needed"),
    ],
)
def test_values_that_no_exposure_has(scene, component, change, words):
    with pytest.raises(ParameterError, match=words):
        scene().with_(component, **change)
