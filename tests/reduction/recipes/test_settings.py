"""Settings as text: what `setting` writes, a recipe reads back as the same value."""

import tomllib

import numpy as np
import pytest

from detectorist.errors import ParameterError
from detectorist.reduction.recipes.settings import setting


@pytest.mark.parametrize(
    ("value", "back"),
    [
        (True, True),
        (4, 4),
        (0.1, 0.1),
        ("a 'b' \"c\" \\d", "a 'b' \"c\" \\d"),
        ([1, 2, 3], [1, 2, 3]),
        (range(3), [0, 1, 2]),
        ((1.5, 2.5), [1.5, 2.5]),
        (np.arange(3), [0, 1, 2]),
        (np.float32(0.5), 0.5),
        (["/a b/c.fits", "/d.fits"], ["/a b/c.fits", "/d.fits"]),
    ],
    ids=repr,
)
def test_values_come_back(value, back):
    text = setting("step.parameter", value)
    assert "\n" not in text
    name, _, written = text.partition("=")
    assert name == "step.parameter"
    assert tomllib.loads(f"v={written}")["v"] == back


@pytest.mark.parametrize("value", [None, object(), {1: None}])
def test_what_a_recipe_cannot_say_is_refused(value):
    with pytest.raises(ParameterError, match=r"^jump\.skip is .*: a number, string, true, false or a list is needed"):
        setting("jump.skip", value)
