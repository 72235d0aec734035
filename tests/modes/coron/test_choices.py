"""What follows for each coronagraphic exposure from what it is and from the others: settings, one list each."""

from pathlib import Path

import pytest

from detectorist.errors import ParameterError
from detectorist.modes.coron.choices import matched_groups, settings_by_type
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.exposure_table import COLUMNS, concatenation_of, make_table


def row(number, kind, *, raw=True, **changes):
    """Return the row of an exposure."""
    base = dict.fromkeys(COLUMNS, "NONE") | {name: 0 for name, column in COLUMNS.items() if column.dtype[0] in "if"}
    path = f"/raw/jw1_{number:05d}_nrcalong_uncal.fits"
    told = {"TYPE": kind, "INSTRUME": "NIRCAM", "SUBARRAY": "SUB320A335R", "FITSFILE": path}
    return {**base, **told, "UNCALFILE": path if raw else "", **changes}


def database(*rows):
    made = Database("out")
    made.obs[concatenation_of(rows[0])] = make_table(list(rows))
    return made


def stem(number):
    return f"jw1_{number:05d}_nrcalong"


def test_no_dark_for_subarrays_and_single_groups_of_nircam_are_fitted():
    found = settings_by_type(database(row(1, "SCI"), row(2, "REF", SUBARRAY="FULL")), {})
    assert found[stem(1)] == ("dark_current.skip=true", "ramp_fit.suppress_one_group=false")
    assert found[stem(2)] == ("dark_current.skip=false", "ramp_fit.suppress_one_group=false")


def test_miri_keeps_single_groups_out():
    found = settings_by_type(database(row(1, "SCI", INSTRUME="MIRI", SUBARRAY="MASK1140")), {})
    assert found[stem(1)] == ("dark_current.skip=true",)


def test_what_is_said_otherwise_stands():
    steps = {"dark_current": {"skip": False}, "ramp_fit": {"suppress_one_group": True}}
    assert settings_by_type(database(row(1, "SCI")), steps) == {stem(1): ()}


def test_groups_are_matched_only_where_that_is_asked_for():
    assert matched_groups(database(row(1, "SCI"), row(2, "REF")), {}) == {}


def test_reference_stars_are_compared_with_the_target_and_fields_with_fields():
    steps = {"mask_groups": {"skip": False}}
    rows = [row(1, "SCI"), row(2, "REF"), row(3, "SCI_BG"), row(4, "REF_BG")]
    found = matched_groups(database(*rows), steps)
    assert found[stem(1)] == found[stem(3)] == ("mask_groups.skip=true",)
    files = {number: f'mask_groups.science_files=[ "{rows[number - 1]["UNCALFILE"]}", ]' for number in (1, 3)}
    assert found[stem(2)][0] == "mask_groups.skip=false"
    assert found[stem(2)][1].replace(" ", "").replace(",]", "]") == files[1].replace(" ", "").replace(",]", "]")
    assert Path(rows[2]["UNCALFILE"]).name in found[stem(4)][1]


def test_without_a_field_of_the_target_its_own_exposures_are_taken():
    found = matched_groups(database(row(1, "SCI"), row(4, "REF_BG")), {"mask_groups": {"skip": False}})
    assert "jw1_00001" in found[stem(4)][1]


def test_files_named_by_hand_stand():
    steps = {"mask_groups": {"skip": False, "science_files": ["x_uncal.fits"]}}
    assert matched_groups(database(row(1, "SCI"), row(2, "REF")), steps)[stem(2)] == ("mask_groups.skip=false",)


@pytest.mark.parametrize("rows", [[row(2, "REF")], [row(1, "SCI", raw=False), row(2, "REF")]], ids=["none", "no raw"])
def test_without_raw_data_of_the_target_it_is_refused(rows):
    with pytest.raises(ParameterError, match="no raw file of TYPE SCI is there"):
        matched_groups(database(*rows), {"mask_groups": {"skip": False}})
    custom = {"mask_groups": {"skip": False, "mask_method": "custom"}}
    assert matched_groups(database(*rows), custom)[stem(2)] == ("mask_groups.skip=false",)
