"""What steps on rate images share: which pixels count, what is refused, masks, planes beside the products."""

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import FlatModel, ImageModel

from detectorist.algorithms import dq
from detectorist.errors import AlreadyCorrected, InputError, OutputError, ParameterError, TooFewPixels
from detectorist.stage_1 import rate_images
from detectorist.step import DetectoristStep

pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def image(rng):
    model = ImageModel(data=rng.normal(size=(6, 8)).astype(np.float32))
    model.dq = np.zeros((6, 8), np.uint32)
    model.err = np.ones((6, 8), np.float32)
    model.meta.subarray.xsize, model.meta.subarray.ysize = 8, 6
    model.meta.filename = "x_rate.fits"
    return model


@pytest.fixture
def step(tmp_path):
    return DetectoristStep(output_dir=str(tmp_path / "out"))


def test_flags_reference_pixels_and_missing_values_do_not_count(image):
    image.dq[0, 0], image.dq[1, 1], image.dq[2, 2] = dq.DO_NOT_USE, dq.REFERENCE_PIXEL, dq.JUMP_DET
    image.data[3, 3], image.data[4, 4] = np.nan, np.inf
    assert np.argwhere(rate_images.unusable_pixels(image)).tolist() == [[0, 0], [1, 1], [3, 3], [4, 4]]


def test_errors_are_told_with_the_file_once(image):
    with pytest.raises(TooFewPixels, match=r"^x_rate\.fits: none left$") as caught, rate_images.naming(image):
        raise TooFewPixels("none left", n_usable=3)
    assert caught.value.numbers == {"n_usable": 3}
    with pytest.raises(InputError, match=r"^x_rate\.fits: bad$"), rate_images.naming(image):
        raise InputError("x_rate.fits: bad")


def test_a_size_that_is_not_that_of_the_array_is_refused(image):
    rate_images.require_honest_size(image)
    image.meta.subarray.ysize = 7
    with pytest.raises(InputError, match="SCI has 6 rows and 8 columns, the header says 7 and 8"):
        rate_images.require_honest_size(image)


def test_masks_are_read_from_the_first_image_whatever_its_name(image, tmp_path):
    mask = np.zeros((6, 8), np.float32)
    mask[1, 2], mask[3, 4], mask[5, 6] = 1, 2, np.nan
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(mask, name="TIERS")]).writeto(tmp_path / "m.fits")
    found = rate_images.read_mask(str(tmp_path / "m.fits"), image)
    assert np.argwhere(found).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("shape", [(8, 6), (6, 9)])
def test_masks_of_another_shape_are_refused(image, tmp_path, shape):
    fits.PrimaryHDU(np.zeros(shape)).writeto(tmp_path / "m.fits")
    with pytest.raises(InputError, match=r"m\.fits: source mask is .*; \(6, 8\) is needed for x_rate\.fits"):
        rate_images.read_mask(str(tmp_path / "m.fits"), image)


def test_planes_lie_beside_the_products_and_the_step_knows_them(image, step, tmp_path):
    plane = np.arange(48.0).reshape(6, 8)
    rate_images.write_plane(step, image, "1fmask", plane)
    target = tmp_path / "out" / "x_rate_1fmask.fits"
    np.testing.assert_array_equal(fits.getdata(target), plane)
    assert step.written == [target]
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_plane_that_cannot_be_written_is_an_error_with_its_name(image, step, tmp_path):
    (tmp_path / "out").write_text("a file stands there")
    with pytest.raises(OutputError, match=r"x_rate_1fmask\.fits: cannot be written"):
        rate_images.write_plane(step, image, "1fmask", np.zeros((6, 8)))
    assert step.written == []


def test_a_plane_for_which_there_is_no_room_leaves_nothing(image, step, tmp_path, monkeypatch):
    def fill_up(hdu, path):
        path.write_bytes(b"half of it")
        raise OSError("no room")

    monkeypatch.setattr(fits.PrimaryHDU, "writeto", fill_up)
    with pytest.raises(OutputError, match=r"x_rate_1fmask\.fits: cannot be written \(no room\)"):
        rate_images.write_plane(step, image, "1fmask", np.zeros((6, 8)))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("scale", [-0.1, np.nan, np.inf, 1e300])
def test_strengths_that_make_no_sense_are_refused(scale):
    with pytest.raises(ParameterError, match="a number from 0 to 1000 is needed"):
        rate_images.require_scale(scale)
    for good in (None, 0, 0.8):
        rate_images.require_scale(good)


def test_what_another_program_has_corrected_is_refused(image):
    rate_images.refuse_corrected(image, "remstriping.py", "clean_flicker_noise")
    image.meta.cal_step.clean_flicker_noise = "COMPLETE"
    with pytest.raises(AlreadyCorrected, match="clean_flicker_noise has been run"):
        rate_images.refuse_corrected(image, "remstriping.py", "clean_flicker_noise")


def test_without_a_flat_the_image_is_taken_as_it_is(image, monkeypatch, step):
    monkeypatch.setattr(Step, "get_reference_file", lambda *_: "N/A")
    assert rate_images.flat_under(step, image) is None


def test_steps_of_a_pipeline_read_a_flat_once(image, tmp_path):
    reference = FlatModel(data=np.full(image.data.shape, 1.1, np.float32))
    reference.dq = np.zeros(image.data.shape, np.uint32)
    reference.save(str(tmp_path / "flat.fits"))
    pipeline = SimpleNamespace(flats={})
    steps = [
        SimpleNamespace(get_reference_file=lambda model, kind: str(tmp_path / "flat.fits"), parent=parent)
        for parent in (pipeline, pipeline, None)
    ]
    first, second, alone = (rate_images.flat_under(step, image) for step in steps)
    assert second is first
    assert alone is not first
    np.testing.assert_array_equal(alone, first)
