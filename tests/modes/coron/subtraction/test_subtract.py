"""Exposures of a target together: north up, companions on which they agree, images that do not belong together."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from detectorist.errors import InputError
from detectorist.modes.coron.subtraction.settings import SubtractionSettings
from detectorist.modes.coron.subtraction.subtract import _agree, _north_place, _north_up, subtract_from_target

MIDDLE = (15.0, 15.0)


def spot(place):
    y, x = np.indices((31, 31))
    return np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 2)


def centroid(image):
    y, x = np.indices(image.shape)
    light = np.nan_to_num(image)
    return float((x * light).sum() / light.sum()), float((y * light).sum() / light.sum())


def test_north_is_up_and_east_left():
    assert _north_place(5.0, 0.0, MIDDLE) == pytest.approx((15, 20))
    assert _north_place(5.0, 90.0, MIDDLE) == pytest.approx((10, 15))


@pytest.mark.parametrize("angle", [0.0, 25.0, 90.0, -130.0])
def test_light_is_turned_to_its_place_on_the_sky(make_exposure, angle):
    """A source at 8 pixels and 40 degrees is there in the image with north up, however the detector lay."""
    exposure = make_exposure(angle=angle)
    image = spot(exposure.image.place(8 * 0.063, 40.0))
    turned = _north_up([image], [exposure])
    assert turned.shape == (31, 31)
    assert centroid(turned) == pytest.approx(_north_place(8.0, 40.0, MIDDLE), abs=0.05)


def test_the_mean_is_weighted_by_the_noise(make_exposure):
    """Noise of 1 and 2: weights of 4/5 and 1/5."""
    exposures = [make_exposure("a", noise=1.0), make_exposure("b", noise=2.0)]
    mean = _north_up([np.full((31, 31), 10.0), np.full((31, 31), 20.0)], exposures)
    assert_allclose(mean[15, 21], 12.0)
    assert np.isnan(mean[15, 15])  # nearer to the star than the first ring, where no noise is known
    assert np.isnan(mean[0, 0])


def test_a_pixel_that_one_exposure_lacks_comes_from_the_other(make_exposure):
    holed = np.full((31, 31), 10.0)
    holed[15, 21] = np.nan
    mean = _north_up([holed, np.full((31, 31), 20.0)], [make_exposure("a"), make_exposure("b")])
    assert_allclose([mean[15, 21], mean[15, 24]], [20.0, 15.0])


def rolls(make_exposure, *companions, angles=(0.0, 10.0)):
    return [
        make_exposure(f"t{k}", angle, companions=[one])
        for k, (angle, one) in enumerate(zip(angles, companions, strict=True))
    ]


GOOD = (0.7, 40.0, 20.0, 1.0)


@pytest.mark.parametrize(
    ("other", "agreed"),
    [
        (GOOD, True),
        ((0.7, 40.0, 24.0, 1.0), True),
        ((0.7, 40.0, 40.0, 1.0), False),  # twice as bright
        ((0.7, 51.0, 20.0, 1.0), False),  # 11 degrees of 11 pixels: 2 pixels away
        ((0.7, 30.0, 20.0, 1.0), False),  # where it was on the detector: it turned with it
        ((0.8, 40.0, 20.0, 1.0), False),  # 1.6 pixels further out
        (None, False),  # nothing to agree with
    ],
)
def test_exposures_agree_on_a_companion_or_do_not(make_exposure, other, agreed):
    assert _agree(rolls(make_exposure, GOOD, other), 0) is agreed


def test_a_faint_companion_is_none(make_exposure):
    """Two fluxes of 3 sigma make 4.2 sigma; two of 4 make 5.7."""
    for flux, agreed in ((3.0, False), (4.0, True)):
        assert _agree(rolls(make_exposure, (0.7, 40.0, flux, 1.0), (0.7, 40.0, flux, 1.0)), 0) is agreed


@pytest.mark.parametrize("angles", [(20.0, 20.2), (359.9, 0.1), (-0.1, 359.9)])
def test_one_roll_need_not_move_a_companion(make_exposure, angles):
    """Also where its angle passes 360 degrees."""
    assert _agree(rolls(make_exposure, GOOD, GOOD, angles=angles), 0)


def test_between_rolls_a_companion_near_the_star_has_to_move(make_exposure):
    """At 4 pixels 5 degrees are 0.35 pixels: a speckle could be there as well."""
    near = (4 * 0.063, 40.0, 20.0, 1.0)
    assert not _agree(rolls(make_exposure, near, near, angles=(0.0, 5.0)), 0)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unit": "DN/s"}, "/data/x_cal.fits: unit is DN/s, that of /data/t1_cal.fits is MJy/sr"),
        ({"filter": "F444W"}, "/data/x_cal.fits: filter is F444W, that of /data/t1_cal.fits is F335M"),
        ({"data": np.zeros((9, 31))}, r"/data/x_cal.fits: shape is \(9, 31\), that of /data/t1_cal.fits is \(31, 31\)"),
        ({"pixel_arcsec": 0.031}, '/data/x_cal.fits: pixel is 0.0310", that of /data/t1_cal.fits is 0.0630"'),
    ],
)
@pytest.mark.parametrize("as_target", [True, False])
def test_images_that_do_not_belong_together_are_named(make_image, changed, message, as_target):
    other = make_image("x", **changed)
    targets, references = ([make_image(), other], [make_image("r")]) if as_target else ([make_image()], [other])
    with pytest.raises(InputError, match=message):
        subtract_from_target(targets, references, SubtractionSettings())


def test_a_missing_star_is_named(make_image):
    with pytest.raises(InputError, match="no exposure of a science target"):
        subtract_from_target([], [make_image()], SubtractionSettings())
    with pytest.raises(InputError, match="/data/t1_cal.fits: no exposure of a reference star .*IS_PSF"):
        subtract_from_target([make_image()], [], SubtractionSettings())
