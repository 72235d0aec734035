"""Templates of filters in the pupil wheel, which lie within the filter in front of them."""

import pytest

from detectorist.errors import ReferenceMissing
from detectorist.stage_1.wisp_files import band_of, template_paths


@pytest.mark.parametrize(
    ("wheel", "pupil", "band"),
    [
        ("F150W2", "F162M", "F162M"),
        ("F150W", "CLEAR", "F150W"),
        ("F200W", None, "F200W"),
        ("F322W2", "F323N", "F323N"),
        ("F335M", "MASKRND", "F335M"),
        (None, None, ""),
    ],
)
def test_the_band_is_that_of_the_pupil_wheel_where_it_holds_a_filter(wheel, pupil, band):
    assert band_of(wheel, pupil) == band


def test_a_template_of_a_filter_in_the_pupil_wheel_is_found_by_both_names(tmp_path):
    (tmp_path / "WISP_NRCB4_F150W2_CLEAR.fits").touch()
    with pytest.raises(ReferenceMissing, match="NRCB4 in F162M"):
        template_paths(str(tmp_path), "NRCB4", "F162M", "x")
    (tmp_path / "WISP_NRCB4_F150W2_F162M.fits").touch()
    assert [path.name for path in template_paths(str(tmp_path), "NRCB4", "F162M", "x")] == [
        "WISP_NRCB4_F150W2_F162M.fits"
    ]
    assert [path.name for path in template_paths(str(tmp_path), "NRCB4", "F150W2", "x")] == [
        "WISP_NRCB4_F150W2_CLEAR.fits"
    ]
