"""Which exposures need attention, in which order, and why."""

from pathlib import Path

import pytest

from detectorist.modes.exposure import Exposure
from detectorist.modes.lrs.report import LrsSections
from detectorist.modes.quality import Check, Column, good_in_words, is_number
from detectorist.report.quality_checks import find_suspects

COLUMN = Column("noise", "noise", "ppm")
HIGH = Check("noise", "noise is {value:.1f} (up to {high:g} is usual)", high=2.0)


def exposure(name, state="done", message="", **numbers):
    return Exposure(name, "lrs", state, Path(name), message=message, numbers=numbers)


def test_most_urgent_first():
    exposures = [
        exposure("fine", noise=1.0),
        exposure("worse", noise=16.0),
        exposure("bad", noise=3.0),
        exposure("refused", "unprocessable", "refused: no data are in it\nmore"),
        exposure("broken", "crashed", "unforeseen"),
    ]
    suspects = find_suspects(exposures, [COLUMN], [HIGH])
    assert [suspect.exposure.name for suspect in suspects] == ["broken", "refused", "worse", "bad"]
    assert suspects[1].concerns[0].words == "cannot be processed: refused: no data are in it"
    assert suspects[2].concerns[0].words == "noise is 16.0 (up to 2 is usual)"


def test_limits_are_inclusive_and_both_sides_count():
    low = Check("noise", "{value} below {low}", low=0.5)
    assert HIGH.apply(2.0) is None
    assert low.apply(0.5) is None
    # An octave further out is one more.
    assert HIGH.apply(8.0).urgency - HIGH.apply(4.0).urgency == pytest.approx(1)
    assert low.apply(0.125).urgency - low.apply(0.25).urgency == pytest.approx(1)


def test_values_unlike_the_others_are_found():
    exposures = [exposure(f"e{i}", noise=1.0 + 0.05 * (i % 5)) for i in range(20)]
    assert find_suspects(exposures, [COLUMN], []) == []
    exposures.append(exposure("odd", noise=1.8))
    (suspect,) = find_suspects(exposures, [COLUMN], [])
    assert suspect.exposure.name == "odd"
    assert "unlike the others of this run, which lie about 1.1 ppm" in suspect.concerns[0].words


def test_few_exposures_do_not_make_a_rule():
    exposures = [exposure(f"e{i}", noise=1.0) for i in range(3)] + [exposure("odd", noise=100.0)]
    assert find_suspects(exposures, [COLUMN], []) == []


def test_values_that_hardly_differ_are_no_news():
    exposures = [exposure(f"e{i}", noise=1.0) for i in range(20)] + [exposure("rounded", noise=1.0001)]
    assert find_suspects(exposures, [COLUMN], []) == []


@pytest.mark.parametrize("value", [None, "text", float("nan"), float("inf"), True])
def test_what_is_no_number_is_not_compared(value):
    assert not is_number(value)
    assert find_suspects([exposure("e", noise=value)], [COLUMN], [HIGH]) == []


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"pull_width": 1.2}, "errors are too small"),
        ({"pull_width": 0.8}, "errors are too large"),
        ({"replaced_pct": 30.0}, "30.0 % of the spectral elements have a replaced pixel"),
        ({"motion_pix": 0.5}, "moved by 0.500 pixel"),
        ({"times_computed": 1}, "computed from the start of the exposure"),
        ({"white_ratio_at_least": 2.14}, "at least 2.14 times"),
        ({"red_ratio_at_least": 1.5}, "bins of the white light scatter at least 1.50 times"),
        (
            {"depth_shift_sigma": 3.0, "depth_shift_by": "width"},
            "changes by 3.0 of its errors (up to 2 is usual) when the",
        ),
        ({"aperture_offset_pix": 4.0}, "4.0 pixels from the middle of the aperture"),
        ({"background_error_pct": 3.0}, "may be off by 3.00 %"),
        ({"spikes_ppm": 2000.0}, "2000 in a million spectral elements"),
        ({"no_trace": "nothing stands out"}, "no trace was found: nothing stands out"),
        ({"no_white_light": "no flux"}, "there is no white light curve: no flux"),
    ],
)
def test_lrs_says_what_is_the_matter(numbers, words):
    sections = LrsSections()
    (suspect,) = find_suspects([exposure("e", **numbers)], sections.columns, sections.checks)
    assert words in suspect.concerns[0].words


def test_a_text_is_a_concern_where_none_should_be():
    check = Check("why", "it failed: {value}", urgency=5)
    assert check.apply("no light").words == "it failed: no light"
    assert check.apply("no light").urgency == 5
    assert check.apply("") is None
    assert check.apply(None) is None
    assert check.apply(3.0) is None


def test_reasons_name_other_numbers_of_the_exposure():
    check = Check("shift", "moved by {value:g} with {name}", high=1.0)
    assert check.apply(2.0, {"name": "the width"}).words == "moved by 2 with the width"


def test_what_is_good_follows_from_the_checks():
    column = Column("noise", "noise", "ppm", form=".1f")
    low = Check("noise", "", low=0.5)
    assert good_in_words(column, [HIGH]) == "good up to 2"
    assert good_in_words(column, [low]) == "good from 0.5"
    assert good_in_words(column, [HIGH, low, Check("other", "", high=9)]) == "good between 0.5 and 2"
    assert good_in_words(column, [Check("noise_at_least", "", high=3.0, of="noise")]) == "good up to 3"
    assert good_in_words(column, []) == ""


def test_values_are_shown_with_error_and_unit():
    column = Column("depth", "depth", "%", form=".2f", error="depth_error")
    assert column.told({"depth": 1.234, "depth_error": 0.02}) == "1.23 ± 0.02 %"
    assert column.told({"depth": 1.234}) == "1.23 %"
    assert column.text("none") == "none"
    assert Column("n", "n", form="d").text(3) == "3"
