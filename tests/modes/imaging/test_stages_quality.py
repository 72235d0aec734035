"""Depth, noise and level of calibrated images and mosaics, on white noise whose depth is known."""

import numpy as np
import pytest
from astropy.io import fits

from detectorist.errors import InputError
from detectorist.modes.imaging.stages_quality import (
    APERTURE_ARCSEC,
    SkyImage,
    measure_calibrated,
    measure_mosaic,
    read_image,
    summarise_calibrated,
    summarise_mosaic,
)

SIGMA, SKY, SCALE = 0.02, 0.5, 0.031
PIXEL_SR = (SCALE * np.pi / 648_000) ** 2


@pytest.fixture
def image(rng):
    data = SKY + SIGMA * rng.normal(size=(160, 160))
    return SkyImage(data, np.full(data.shape, SIGMA), PIXEL_SR)


def test_the_depth_of_white_noise(image):
    """The sum of n pixels has sqrt(n) times their noise: 5 of these as magnitudes, but for the level that is fitted."""
    numbers = measure_calibrated(image)
    n_pix = np.pi * (APERTURE_ARCSEC / SCALE) ** 2
    depth = -2.5 * np.log10(5 * SIGMA * np.sqrt(n_pix) * PIXEL_SR * 1e6 / 3631)
    assert depth - 0.25 < numbers["depth_ab"] < depth + 0.08
    assert numbers["noise_ratio"] == pytest.approx(1.0, abs=0.08)
    assert numbers["sky"] == pytest.approx(SKY, abs=4 * 1.25 * SIGMA / 160)
    assert numbers["scale_arcsec"] == pytest.approx(SCALE)
    assert numbers["unusable_pct"] == 0


def test_half_the_noise_is_three_quarters_of_a_magnitude(image):
    half = SkyImage(SKY + (image.data - SKY) / 2, image.error, PIXEL_SR)
    deeper, numbers = measure_calibrated(half), measure_calibrated(image)
    assert deeper["depth_ab"] - numbers["depth_ab"] == pytest.approx(2.5 * np.log10(2), abs=0.02)
    assert deeper["noise_ratio"] == pytest.approx(numbers["noise_ratio"] / 2, rel=0.02)


def test_without_the_pixel_s_solid_angle_only_the_level_is_told(image):
    numbers = measure_calibrated(SkyImage(image.data, image.error, np.nan))
    assert set(numbers) == {"sky", "unusable_pct"}


def test_an_image_in_another_unit_has_neither_depth_nor_level(image):
    """As without photom: DN/s are no magnitudes."""
    numbers = measure_calibrated(SkyImage(image.data, image.error, PIXEL_SR, unit="DN/s"))
    assert set(numbers) == {"scale_arcsec", "unusable_pct", "noise_ratio"}


def test_an_image_without_a_value_has_no_numbers_but_says_so():
    nothing = np.full((40, 40), np.nan)
    assert measure_calibrated(SkyImage(nothing, nothing, PIXEL_SR)) == {
        "scale_arcsec": pytest.approx(SCALE),
        "unusable_pct": 100.0,
    }


def test_what_no_image_covers_is_not_lost(image):
    data, weight = image.data.copy(), np.ones(image.data.shape)
    data[:40], weight[:40] = np.nan, 0  # a quarter is not covered
    data[100:103] = np.nan  # 3 of 120 rows are lost
    mosaic = SkyImage(data, image.error, PIXEL_SR, weight=weight)
    assert measure_mosaic(mosaic)["unusable_pct"] == pytest.approx(2.5)
    assert measure_calibrated(mosaic)["unusable_pct"] == pytest.approx(100 * 43 / 160)
    assert measure_mosaic(SkyImage(data, image.error, PIXEL_SR, weight=0 * weight))["unusable_pct"] == 100


def test_images_are_read_with_their_unit_flags_and_weight(tmp_path):
    path = tmp_path / "a_cal.fits"
    sci = fits.ImageHDU(np.full((3, 4), 2.0), name="SCI")
    sci.header["BUNIT"], sci.header["PIXAR_SR"] = "MJy/sr", 1e-14
    err, flags = fits.ImageHDU(np.ones((3, 4)), name="ERR"), fits.ImageHDU(np.ones((3, 4), np.int32), name="DQ")
    fits.HDUList([fits.PrimaryHDU(), sci, err, flags]).writeto(path)
    image = read_image(path)
    assert (image.unit, image.pixel_sr, image.weight) == ("MJy/sr", 1e-14, None)
    assert image.flags.dtype == np.uint32
    fits.HDUList([fits.PrimaryHDU(), sci]).writeto(path, overwrite=True)
    with pytest.raises(InputError, match="a_cal.fits.*ERR"):
        read_image(path)


def test_numbers_in_words():
    assert summarise_calibrated({"sky": 0.1}) == []
    (line,) = summarise_calibrated({"depth_ab": 28.456})
    assert line == "depth 28.46 mag AB (5 sigma, radius 0.1 arcsec)"
    assert summarise_mosaic({"images": 3, "missing": 0, "sources": 12}) == ["3 images; 12 sources"]
    assert summarise_mosaic({"images": 2, "missing": 1, "sources": 1}) == ["2 images (1 missing); 1 source"]
    assert summarise_mosaic({"images": 1, "sources": 0, "depth_ab": 27.0})[0].startswith("1 image; 0 sources; depth")
