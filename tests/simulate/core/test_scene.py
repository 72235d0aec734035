"""What scenes of all modes can do, on a scene of two components."""

from dataclasses import dataclass, field

import pytest

from detectorist.errors import ParameterError
from detectorist.simulate.core.scene import Scene, require_known


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
