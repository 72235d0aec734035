"""Fluxes, limits and companions against injected truth, in units of the stated errors."""

import dataclasses

import numpy as np
import pytest
from scipy import special, stats
from tests.unit.algorithms.stars.coronagraph_scene import CENTRE, FWHM, SHAPE, halo, noisy, point

from detectorist.algorithms.stars import contrast
from detectorist.algorithms.stars.contrast import PointSource
from detectorist.algorithms.stars.star_subtraction import subtract_star

SOURCE = PointSource.of(point(15.0, 15.0, shape=(31, 31)))


def subtracted(rng, light, serial=1, change=0.08):
    """A target and three references whose speckles differ by a part."""
    speckles = halo(serial=serial)
    image, variance = noisy(speckles + light, rng)
    others = []
    for k, (x, y) in enumerate(((0.0, 0.0), (0.2, -0.2), (-0.2, -0.2))):
        moved = CENTRE[0] + x, CENTRE[1] + y
        own = halo(*moved, serial=serial) + change * (
            halo(*moved, serial=1000 + serial) - halo(*moved, serial=2000 + k)
        )
        others.append(noisy(1.8 * own, rng))
    data, variances = zip(*others, strict=True)
    return subtract_star(image, data, centre=CENTRE, variance=variance, reference_variances=variances)


def measured(star):
    throughput = contrast.measure_throughput(star, SOURCE)
    fluxes = contrast.corrected_fluxes(star, SOURCE, throughput)
    return throughput, fluxes


def test_the_width_of_a_point_source():
    # A Gaussian of 2.2 pixels over pixels of 1.
    assert SOURCE.fwhm_pix == pytest.approx(np.hypot(FWHM, 2.3548 / np.sqrt(12)), rel=0.03)
    with pytest.raises(ValueError, match="peak"):
        PointSource.of(np.zeros((11, 11)))


def test_a_source_lies_where_it_is_asked_for():
    light = SOURCE.at((70.4, 33.7), SHAPE)
    yy, xx = np.indices(SHAPE)
    assert (light * xx).sum() / light.sum() == pytest.approx(70.4, abs=0.01)
    assert (light * yy).sum() / light.sum() == pytest.approx(33.7, abs=0.01)
    assert light.sum() == pytest.approx(1.0, abs=0.01)
    assert SOURCE.at((1.0, 1.0), SHAPE).sum() > 0.5  # cut off by the edge


def airy(x, y, width_pix, n=41, oversampling=15):
    """Return the image of a point source by a round mirror, lambda/D in pixels, integrated over pixels."""
    fine = (np.arange(n * oversampling) + 0.5) / oversampling - 0.5
    r = np.pi * np.hypot(*np.meshgrid(fine - y, fine - x, indexing="ij")) / width_pix + 1e-9
    light = (2 * special.j1(r) / r) ** 2 * np.pi / 4 / (width_pix * oversampling) ** 2
    return light.reshape(n, oversampling, n, oversampling).sum(axis=(1, 3))


@pytest.mark.parametrize(("width_pix", "error"), [(1.69, 0.003), (1.87, 0.0005), (3.3, 0.0005)])
def test_a_narrow_source_between_pixels_keeps_its_flux(width_pix, error):
    """From NIRCam at 3.35 um, sampled a little too coarsely, to MIRI; a spline misses 2.5 % at the first."""
    narrow, place = PointSource.of(airy(20, 20, width_pix)), (20.5, 20.4)
    disk = np.hypot(*(np.indices((41, 41)) - 20)) <= 3 * narrow.fwhm_pix
    flux, _ = contrast._fit_flux(airy(*place, width_pix)[disk], narrow.at(place, (41, 41))[disk])
    assert flux == pytest.approx(1.0, abs=error)


def test_errors_of_one_roll_hold_for_speckles_under_a_companion(rng):
    """Companions injected all around at the same distance deviate by their stated errors, whatever lies under them."""
    star = subtracted(rng, np.zeros(SHAPE))
    _, fluxes = measured(star)
    curve = contrast.measure_noise(fluxes, CENTRE, SOURCE.fwhm_pix)
    pulls = []
    for radius in (15.0, 25.0, 35.0):
        for angle in np.arange(8) * np.pi / 4 + radius:
            place = CENTRE[0] + radius * np.cos(angle), CENTRE[1] + radius * np.sin(angle)
            light = point(*place, 30.0)
            with_it = dataclasses.replace(star, image=star.image + star.passed(light))
            got = contrast.fit_companion(with_it, SOURCE, tuple(np.round(place)), curve)
            pulls.append((got.flux - 30.0) / got.flux_error)
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.3
    assert np.abs(pulls).max() < 3.5


def test_flux_of_a_companion_over_many_scenes(rng):
    """Fluxes within their errors: 16 scenes with speckles, noise and places of their own."""
    pulls, places = [], []
    for serial in range(16):
        angle, radius = rng.uniform(0, 2 * np.pi), rng.uniform(18, 42)
        place = CENTRE[0] + radius * np.cos(angle), CENTRE[1] + radius * np.sin(angle)
        star = subtracted(rng, point(*place, 25.0), serial=serial)
        _, fluxes = measured(star)
        (found, *_) = contrast.find_companions(fluxes, CENTRE, SOURCE.fwhm_pix)
        assert np.hypot(found[0] - place[0], found[1] - place[1]) < 1.5
        curve = contrast.measure_noise(fluxes, CENTRE, SOURCE.fwhm_pix, [found])
        got = contrast.fit_companion(star, SOURCE, found, curve)
        pulls.append((got.flux - 25.0) / got.flux_error)
        places.append((np.array(got.place) - place) / got.place_error_pix)
    pulls, places = np.array(pulls), np.array(places)
    assert np.abs(pulls).max() < 3
    assert (np.abs(pulls) < 2).sum() >= 14
    assert abs(pulls.mean()) < 3 / np.sqrt(pulls.size)
    assert 0.5 < pulls.std() < 1.5
    assert np.sqrt((places**2).mean()) < 1.5


def test_noise_is_that_of_fluxes_without_a_companion(rng):
    """White noise alone: the curve is the error that least squares states, and says nothing of the companion."""
    star = subtracted(rng, point(90.0, 80.0, 60.0), change=0.0)
    throughput, fluxes = measured(star)
    assert np.all((throughput[1] > 0.85) & (throughput[1] < 1.02))
    with_it = contrast.measure_noise(fluxes, CENTRE, SOURCE.fwhm_pix, [(90.0, 80.0)])
    alone = subtracted(rng, np.zeros(SHAPE), change=0.0)
    without = contrast.measure_noise(measured(alone)[1], CENTRE, SOURCE.fwhm_pix)
    far = np.linspace(35, 52, 9)
    assert np.mean(with_it.noise_at(far) / without.noise_at(far)) == pytest.approx(1, abs=0.12)
    stamp = SOURCE.image[SOURCE.stamp]
    white = np.sqrt(np.nanmedian(star.variance) / ((stamp - stamp.mean()) ** 2).sum())
    assert np.mean(without.noise_at(far)) == pytest.approx(white, rel=0.2)


def test_limits_know_that_small_rings_hold_few_places(rng):
    curve = contrast.measure_noise(rng.normal(size=(201, 201)), (100.0, 100.0), 2.5)
    near, far = (
        curve.limit[0] / curve.noise[0],
        float(curve.limit_at(90.0) / np.interp(90, curve.radius_pix, curve.noise)),
    )
    assert far == pytest.approx(5.0, abs=0.2)
    n = curve.n_places[0]
    assert near == pytest.approx(stats.t.isf(contrast.FALSE_ALARM, n - 1) * np.sqrt(1 + 1 / n))
    assert near > 1.2 * far


def test_false_companions_are_rare(rng):
    found = [
        contrast.find_companions(measured(subtracted(rng, np.zeros(SHAPE), serial=serial))[1], CENTRE, SOURCE.fwhm_pix)
        for serial in range(30, 36)
    ]
    assert sum(map(len, found)) == 0


def test_bad_pixels_under_the_peak_are_no_measurement(rng):
    star = subtracted(rng, point(90.0, 80.0, 60.0))
    image = star.image.copy()
    image[78:83, 88:93] = np.nan
    fluxes = contrast.flux_map(image, SOURCE)
    assert np.isnan(fluxes[80, 90])
    assert np.isfinite(fluxes[60, 100])
    curve = contrast.measure_noise(fluxes, CENTRE, SOURCE.fwhm_pix)
    for place in ((90.0, 80.0), (0.2, 60.0), (400.0, 60.0)):
        star = dataclasses.replace(star, image=image)
        with pytest.raises(ValueError, match="too few|not in the image"):
            contrast.fit_companion(star, SOURCE, place, curve)


def test_limits_are_those_of_the_distributions_of_scipy(rng):
    """Their package takes as long to import as all contrast to be measured."""
    assert stats.norm.sf(5.0) == contrast.FALSE_ALARM
    fluxes = rng.normal(size=(80, 80))
    curve = contrast.measure_noise(fluxes, (40.0, 40.0), 2.3)
    wanted = stats.t.isf(contrast.FALSE_ALARM, curve.n_places - 1) * np.sqrt(1 + 1 / curve.n_places)
    np.testing.assert_allclose(curve.limit / curve.noise, wanted, rtol=1e-12)


@pytest.mark.parametrize("fwhm", [2.0, 2.37, 5.0])
def test_rings_hold_the_pixels_within_half_a_width_of_their_middle(rng, fwhm):
    """With widths of whole pixels, many pixels lie on the very limits of rings."""
    fluxes = rng.normal(size=(61, 77))
    fluxes[rng.random(fluxes.shape) < 0.1] = np.nan
    centre, known = (40.0, 28.0), np.isfinite(fluxes)
    yy, xx = np.indices(fluxes.shape)
    radius = np.hypot(xx - centre[0], yy - centre[1])
    curve = contrast.measure_noise(fluxes, centre, fwhm)
    assert curve.radius_pix.size > 10
    for middle, noise, n_places in zip(curve.radius_pix, curve.noise, curve.n_places, strict=True):
        values = fluxes[known & (np.abs(radius - middle) <= fwhm / 2)]
        assert n_places == pytest.approx(values.size / fwhm**2)
        assert noise == pytest.approx(values.std(ddof=1), rel=1e-12)
