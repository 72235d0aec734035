"""Images for star subtraction: places on the sky, what headers tell or do not, pixels that cannot be used."""

import numpy as np
import pytest
from astropy.io import fits
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.errors import InputError
from detectorist.modes.coron.subtraction import images
from detectorist.modes.coron.subtraction.images import point_source, read_coron_image

DNU, SATURATED = 1, 2
HEADER = {"CHANNEL": "LONG", "FILTER": "F335M", "BUNIT": "DN/s", "CRPIX1": 11.5, "CRPIX2": 9.0}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes an image of 20 x 24 pixels with a halo at column 14, row 8."""

    def write(header=None, *, drop=(), **arrays):
        y, x = np.indices((20, 24))
        data = {"SCI": 50 * np.exp(-np.hypot(x - 14, y - 8) / 3), "ERR": np.full((20, 24), 2.0)}
        data["DQ"] = np.zeros((20, 24), np.uint32)
        data |= arrays
        cards = {**HEADER, **(header or {})}
        hdus = [fits.ImageHDU(array, name=name) for name, array in data.items() if name not in drop]
        hdus[0].header.update({name: value for name, value in cards.items() if value is not None})
        path = tmp_path / "jw1_nrcalong_rate.fits"
        fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path, overwrite=True)
        return path

    return write


def test_a_place_on_the_sky_by_hand(make_image):
    """Columns point north: north is up and east is left. Turned by 90 degrees, east is up."""
    distance = 5 * 0.063
    assert make_image().place(distance, 0) == pytest.approx((15, 20))
    assert make_image().place(distance, 90) == pytest.approx((10, 15))
    assert make_image(angle=90.0).place(distance, 90) == pytest.approx((15, 20))
    assert make_image(angle=90.0).place(distance, 0) == pytest.approx((20, 15))


@pytest.mark.parametrize("angle", [0.0, 37.0, -120.0, 359.9])
@pytest.mark.parametrize("place", [(0.4, 3.0), (1.2, 181.5), (0.1, 359.99)])
def test_places_come_back(make_image, angle, place):
    image = make_image(angle=angle)
    assert image.on_sky(image.place(*place)) == pytest.approx(place)


def test_the_star_itself_is_at_separation_0(make_image):
    assert make_image().on_sky((15.0, 15.0))[0] == 0


@pytest.mark.parametrize(("name", "um"), [("F335M", 3.35), ("F1140C", 11.4), ("F070W", 0.7)])
def test_the_filter_tells_the_wavelength(make_image, name, um):
    assert make_image(filter=name).wavelength_um == pytest.approx(um)


@pytest.mark.parametrize("name", ["", "WLP4", "FND"])
def test_a_filter_without_a_wavelength_is_named(make_image, name):
    with pytest.raises(InputError, match=f"/data/t1_cal.fits: FILTER is '{name}', .* give --psf"):
        point_source(make_image(filter=name), None)


def test_numbers_of_the_header(write):
    area = 0.004
    header = {"PIXAR_A2": area, "BUNIT": "MJy/sr", "ROLL_REF": 100.0, "V3I_YANG": -0.5}
    image = read_coron_image(write(header))
    assert image.centre == (10.5, 8.0)
    assert image.pixel_arcsec == pytest.approx(np.sqrt(area))
    assert image.column_angle_deg == 99.5
    assert (image.unit, image.filter, image.name) == ("MJy/sr", "F335M", "jw1_nrcalong")
    # 1 MJy/sr on a square arcsec is 2.350443e-5 Jy.
    assert image.jy_per_flux == pytest.approx(area * 2.350443e-5, rel=1e-6)


@pytest.mark.parametrize(("channel", "arcsec"), [("SHORT", 0.031), ("LONG", 0.063), (None, 0.11), ("long", 0.063)])
def test_without_its_area_a_pixel_is_as_large_as_those_of_its_channel(write, channel, arcsec):
    image = read_coron_image(write({"CHANNEL": channel}))
    assert image.pixel_arcsec == pytest.approx(arcsec, abs=0.001)
    assert np.isnan(image.jy_per_flux)


def test_an_unknown_channel_is_named(write):
    with pytest.raises(InputError, match=r"rate.fits: CHANNEL is 'MEDIUM'; SHORT or LONG is needed, or PIXAR_A2"):
        read_coron_image(write({"CHANNEL": "MEDIUM"}))


@pytest.mark.parametrize("x", [None, 0.0, 24.5, -3.0])
def test_without_a_reference_pixel_the_halo_tells_the_star(write, x):
    assert read_coron_image(write({"CRPIX1": x})).centre == pytest.approx((14, 8), abs=1.5)


def test_bad_pixels_have_no_value_and_no_variance(write):
    flags, data, error = np.zeros((20, 24), np.uint32), np.ones((20, 24)), np.full((20, 24), 2.0)
    flags[2, 3] = DNU
    flags[10, 10], flags[10, 11], flags[17, 17] = DNU | SATURATED, SATURATED, SATURATED
    flags[5, 5] = 4  # JUMP_DET: the fit has left the jump out
    data[12, 2], error[13, 2] = np.nan, np.inf
    image = read_coron_image(write(SCI=data, ERR=error, DQ=flags))
    bad = {(2, 3), (10, 10), (10, 11), (12, 2), (13, 2)}
    assert set(zip(*np.nonzero(np.isnan(image.data)), strict=True)) == bad
    assert_array_equal(np.isnan(image.variance), np.isnan(image.data))
    assert_allclose(image.variance[~np.isnan(image.data)], 4.0)


def test_images_that_are_none_are_named(write):
    with pytest.raises(InputError, match=r"rate.fits: no usable pixel"):
        read_coron_image(write(DQ=np.ones((20, 24), np.uint32)))
    with pytest.raises(InputError, match=r"rate.fits: extensions are .*SCI, DQ; ERR with data is needed"):
        read_coron_image(write(drop=["ERR"]))
    with pytest.raises(
        InputError, match=r"rate.fits: SCI of shape \(3, 20, 24\) .*; one image \(rate\) with 2 dimensions is needed"
    ):
        read_coron_image(write(SCI=np.ones((3, 20, 24))))


@pytest.mark.parametrize("name", ["ERR", "DQ"])
def test_arrays_of_different_shapes_are_named(write, name):
    message = rf"rate.fits: {name} has shape \(10, 24\), SCI has \(20, 24\)"
    with pytest.raises(InputError, match=message):
        read_coron_image(write(**{name: np.zeros((10, 24), np.uint32)}))


def test_the_point_source_is_the_file_or_the_mirror_s(make_image, tmp_path, monkeypatch):
    image, asked = make_image(), []
    monkeypatch.setattr(images, "mirror_psf", lambda *of: asked.append(of) or np.eye(5)[:, [2]] * np.eye(5)[2])
    assert point_source(image, None).image.sum() == 1
    assert asked == [(3.35, 0.063)]
    y, x = np.indices((41, 41)) - 20
    gauss = np.exp(-4 * np.log(2) * (x**2 + y**2) / 3.0**2)
    fits.PrimaryHDU(gauss).writeto(tmp_path / "psf.fits")
    assert point_source(image, str(tmp_path / "psf.fits")).fwhm_pix == pytest.approx(3.0, abs=0.05)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.ones((4, 5)), r"psf.fits: an array of shape \(4, 5\); a square image with odd sides is needed"),
        (np.ones((4, 4)), r"psf.fits: an array of shape \(4, 4\); a square image with odd sides is needed"),
        (-np.ones((5, 5)), "psf.fits: .*no peak in its middle"),
        (np.ones(5), "psf.fits: contains no image; an image of a point source is needed"),
    ],
)
def test_a_file_that_is_no_point_source_is_named(make_image, tmp_path, array, message):
    fits.PrimaryHDU(array).writeto(tmp_path / "psf.fits")
    with pytest.raises(InputError, match=message):
        point_source(make_image(), str(tmp_path / "psf.fits"))
