"""Who needs eyes, in which order, and why."""

from pathlib import Path

import pytest

from detectorist.modes.lrs.report import LrsSections
from detectorist.report.concerns import Check, Column, find_suspects, is_number
from detectorist.report.gather import Exposure

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
        ({"x_rms_pix": 0.3, "y_rms_pix": 0.4}, "moved by 0.500 pixel"),
        ({"times_from_header": True}, "computed from the start of the exposure"),
        ({"white_ratio": 3.0, "n_integrations": 100}, "at least 2.14 times"),
    ],
)
def test_lrs_says_what_is_the_matter(numbers, words):
    sections = LrsSections()
    one = exposure("e", **numbers)
    sections.complete(one)
    (suspect,) = find_suspects([one], sections.columns, sections.checks)
    assert words in suspect.concerns[0].words


def test_a_scatter_from_few_integrations_accuses_nobody():
    sections = LrsSections()
    one = exposure("e", white_ratio=2.0, n_integrations=12, pull_width=1.05)
    sections.complete(one)
    assert find_suspects([one], sections.columns, sections.checks) == []


def test_jumps_are_counted_over_all_segments():
    one = exposure("e")
    one.steps = {f"seg{i}": {"inspect_dq_flags": {"counts": {"JUMP_DET": i}, "n_pixels": 100}} for i in (1, 3)}
    LrsSections().complete(one)
    assert one.numbers["jumps_pct"] == 2.0
