"""Values of records as people read them."""

import pytest

from detectorist.report.environment import _value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0154321, "0.015432"),
        (None, "none"),
        ([1, 2.5, "a"], "[1, 2.5, a]"),
        (list(range(30)), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, …, 30 in all]"),
        ([[1, 2]] * 50, "[[1, 2], [1, 2], [1, 2], …, 50 in all]"),
        ({"HOT": 3, "DEAD": 0.25}, "HOT 3; DEAD 0.25"),
    ],
)
def test_long_lists_are_cut_and_tables_have_no_braces(value, text):
    assert _value(value) == text
