"""Two runs side by side: changes in percent where they mean something, parameters that differ."""

from pathlib import Path

import pytest

from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Column
from detectorist.modes.section import Section
from detectorist.report.compare import compare
from detectorist.report.gather import Run
from detectorist.report.group import Group

COLUMNS = (Column("noise", "noise"), Column("star", "star"), Column("zero", "zero"))


class Sections(Section):
    columns = COLUMNS


def exposure(name, resolved=None, **numbers):
    return Exposure(name, "lrs", "done", Path(name), numbers=numbers, resolved=resolved or {})


def compared(this, other):
    group = Group("lrs", Sections(), [this], [], {}, set())
    (found,) = compare([group], Run(Path("other"), [other]))
    return found


def test_numbers_change_in_percent():
    found = compared(exposure("a", noise=110.0, star="x", zero=1), exposure("a", noise=100.0, star="y", zero=0))
    changes = {one.column.key: one.change for one in found.differences}
    assert changes["noise"] == pytest.approx(10.0)
    # Words have no ratio, and nothing is a percentage of zero.
    assert changes["star"] is changes["zero"] is None


def test_numbers_that_only_one_run_has_are_shown_and_those_of_none_are_not():
    found = compared(exposure("a", noise=1.0), exposure("a", star=2.0))
    assert [(one.column.key, one.this, one.other) for one in found.differences] == [
        ("noise", 1.0, None),
        ("star", None, 2.0),
    ]


def test_parameters_that_differ_and_no_folders():
    here = {"recipe": "a", "output_dir": "/x", "steps": {"jump": {"skip": False, "rejection_threshold": 4.0}}}
    there = {"recipe": "b", "output_dir": "/y", "steps": {"jump": {"skip": False, "rejection_threshold": 5.0}}}
    found = compared(exposure("a", here), exposure("a", there))
    assert found.parameters == [("jump.rejection_threshold", 4.0, 5.0)]


def test_true_is_not_one():
    found = compared(exposure("a", {"steps": {"s": {"p": True}}}), exposure("a", {"steps": {"s": {"p": 1}}}))
    assert found.parameters == [("s.p", True, 1)]


def test_an_exposure_without_counterpart_stands_alone():
    found = compared(exposure("a", noise=1.0), exposure("b", noise=1.0))
    assert found.other is None
    assert found.differences == found.parameters == []
