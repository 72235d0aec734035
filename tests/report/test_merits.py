"""The numbers that open the report: value with error, what is good, whether it is, and the truth."""

from pathlib import Path

from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, Column
from detectorist.modes.section import Section
from detectorist.report.group import Group, section_of
from detectorist.report.merits import merits_of, numbers_of


class Sections(Section):
    columns = (
        Column("depth", "depth", "ppm", form=".0f", error="depth_error"),
        Column("scatter", "scatter", "x"),
        Column("name", "name", indexed=False),
    )
    checks = (Check("scatter", "{value}", low=0.5, high=1.5),)
    merits = ("depth", "scatter")


def group_of(*exposures):
    return Group("lrs", Sections(), list(exposures), [], {}, set())


def exposure(state="done", truth=None, **numbers):
    return Exposure("a", "lrs", state, Path("a"), numbers=numbers, truth=truth or {})


def test_merits_tell_value_error_goodness_and_truth():
    one = exposure(depth=10010.4, depth_error=12.2, scatter=1.6, truth={"depth": 10000.0})
    depth, scatter = merits_of(group_of(one), one)
    assert depth["value"] == "10010 ± 12 ppm"
    assert (depth["good"], depth["state"], depth["truth"]) == ("", "", "10000 ppm")
    assert scatter["value"] == "1.6 x"
    assert (scatter["good"], scatter["state"], scatter["truth"]) == ("good between 0.5 and 1.5", "look", "")


def test_a_value_within_its_limits_is_fine_and_a_missing_one_is_left_out():
    one = exposure(scatter=1.0)
    (scatter,) = merits_of(group_of(one), one)
    assert scatter["state"] == "fine"


def test_all_numbers_of_an_exposure_stand_with_it():
    one = exposure(scatter=1.0, name="x")
    assert [entry["value"] for entry in numbers_of(group_of(one), one)] == ["1 x", "x"]


def test_the_table_has_columns_that_any_exposure_has_and_that_belong_there():
    group = group_of(exposure(scatter=1.0), exposure("crashed", name="x"))
    assert [column.key for column in group.columns] == ["scatter", "name"]
    assert [column.key for column in group.indexed] == ["scatter"]
    assert len(group.done) == 1


def test_a_mode_whose_package_is_gone_has_the_plain_section():
    assert type(section_of("nowhere")) is Section
