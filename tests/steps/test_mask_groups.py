"""MaskGroupsStep: the ramp that is compared, the place of the star, groups chosen by hand, the target's files."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.errors import ParameterError
from detectorist.stage_1 import MaskGroupsStep
from detectorist.stage_1.mask_groups import median_ramp, star_position

DNU, JUMP = 1, 4
N_INTS, N_GROUPS, NY, NX = 2, 6, 70, 74
STAR = (35, 37)


@pytest.fixture
def make_ramp():
    """Return a function that makes a ramp of a star that collects `rate` DN per group in its middle."""

    def make(rate=1000.0, name="ref"):
        y, x = np.indices((NY, NX))
        light = rate * np.exp(-0.5 * ((y - STAR[0]) ** 2 + (x - STAR[1]) ** 2) / 9.0**2)
        data = np.tile(light * np.arange(1, N_GROUPS + 1)[:, None, None], (N_INTS, 1, 1, 1))
        model = RampModel(data=data.astype(np.float32))
        model.groupdq, model.pixeldq = np.zeros(data.shape, np.uint8), np.zeros((NY, NX), np.uint32)
        meta = model.meta
        meta.instrument.name, meta.exposure.type = "NIRCAM", "NRC_CORON"
        meta.wcsinfo.crpix1, meta.wcsinfo.crpix2 = STAR[1] + 1, STAR[0] + 1
        meta.filename = f"jw1_{name}_nrcalong_ramp.fits"
        return model

    return make


def masked(model, place=STAR):
    return list((model.groupdq[0, :, *place] & DNU) != 0)


def test_the_median_leaves_out_bad_samples(make_ramp):
    ramp = make_ramp()
    ramp.data = np.stack([ramp.data[0], ramp.data[0] + 10, ramp.data[0] + 500])
    ramp.groupdq = np.zeros(ramp.data.shape, np.uint8)
    ramp.groupdq[2, 1, 4, 4] = DNU | JUMP  # of three values the two low ones are left
    ramp.groupdq[2, 2, 4, 4] = JUMP  # a jump may be compared
    ramp.groupdq[:, 3, 4, 4] = DNU
    first = ramp.data[0, :, 4, 4].astype(float)
    got = median_ramp(ramp)
    assert got.shape == (N_GROUPS, NY, NX)
    assert got[:3, 4, 4] == pytest.approx([first[0] + 10, first[1] + 5, first[2] + 10])
    assert_array_equal(np.argwhere(np.isnan(got)), [[3, 4, 4]])
    assert ramp.groupdq[2, 1, 4, 4] == DNU | JUMP


def test_the_star_is_on_the_reference_pixel_or_in_the_middle(make_ramp):
    ramp = make_ramp()
    assert star_position(ramp) == (35, 37)
    ramp.meta.wcsinfo.crpix1 = None
    assert star_position(ramp) == (34.5, 36.5)


def test_groups_with_more_light_than_the_target_are_left_out(make_ramp, tmp_path):
    """A third of the rate: the target ends with the charge of the second group."""
    make_ramp(1000.0 / 3, "sci").save(str(tmp_path / "sci_ramp.fits"))
    result = MaskGroupsStep.call(make_ramp(), science_files=str(tmp_path / "sci_ramp.fits"))
    record = models.records(result)["mask_groups"]
    assert (record["last_group_faint"], record["last_group_bright"]) == (1, 1)
    assert masked(result) == [False, False, True, True, True, True]
    assert not masked(result, (2, 2))[-1]
    assert record["pixels_masked"] == ((result.groupdq[0, -1] & DNU) != 0).sum()


def test_chosen_groups_are_left_out_where_it_is_bright(make_ramp):
    ramp = make_ramp()
    result = MaskGroupsStep.call(ramp, mask_method="custom", mask_array=[1, -1])
    assert masked(result) == [False, True, False, False, False, True]
    assert not any(masked(result, (2, 2)))
    assert not ramp.groupdq.any()
    after = MaskGroupsStep.call(ramp, mask_method="custom", custom_group=3)
    assert masked(after) == [False] * 4 + [True] * 2
    assert_array_equal(after.groupdq[0], after.groupdq[1])


def test_flags_that_are_there_stay(make_ramp):
    ramp = make_ramp()
    ramp.groupdq[0, 5, *STAR] = JUMP
    result = MaskGroupsStep.call(ramp, mask_method="custom", custom_group=3)
    assert result.groupdq[0, 5, *STAR] == JUMP | DNU


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"custom_group": 6}, r"jw1_ref_nrcalong_ramp.fits: custom_group is 6; 0 to 5 are possible \(6 groups\)"),
        ({"mask_array": [6]}, r"jw1_ref_nrcalong_ramp.fits.*mask_array.*6"),
        ({"mask_array": "first"}, "mask_array"),
        ({}, "custom_group, the last group that is kept, or mask_array"),
    ],
)
def test_groups_that_are_not_there_are_named_with_the_file(make_ramp, options, message):
    with pytest.raises(ParameterError, match=message):
        MaskGroupsStep.call(make_ramp(), mask_method="custom", **options)


def test_a_star_outside_the_image_is_named_with_the_file(make_ramp, tmp_path):
    ramp = make_ramp()
    make_ramp(300.0, "sci").save(str(tmp_path / "sci_ramp.fits"))
    ramp.meta.wcsinfo.crpix1 = 500.0
    with pytest.raises(ParameterError, match=r"jw1_ref_nrcalong_ramp.fits: .*star at row .* outside the image"):
        MaskGroupsStep.call(ramp, science_files=str(tmp_path / "sci_ramp.fits"))
