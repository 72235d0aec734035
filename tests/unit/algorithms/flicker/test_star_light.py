"""Light of a star and slow 1/f noise in one image: each gets its own."""

import numpy as np
import pytest
from scipy import ndimage

from detectorist.algorithms.flicker import star_light
from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations
from detectorist.algorithms.flicker.smoother import alternating_readout
from detectorist.algorithms.flicker.stack import StackNoise
from detectorist.algorithms.flicker.star_light import fit_light, light_fit
from detectorist.algorithms.stars.halo import Rings, even_weight

NY, NX = 120, 120
WHITE = 0.1
CENTRE = (57.0, 62.0)
SCALES = np.array([6.0, 60.0, 600.0, 6000.0])
POWERS = np.array([0.0, 0.0, 0.02, 0.04])


@pytest.fixture
def noise():
    return StackNoise(WHITE**2, SCALES, np.zeros(4), POWERS)


def stripes(rng):
    """Ornstein-Uhlenbeck processes on the readout time line, 12 pixel times between rows."""
    total = np.zeros(NY * (NX + 12))
    for scale, power in zip(SCALES, POWERS, strict=True):
        decay, kicks = np.exp(-1 / scale), rng.normal(size=total.size)
        value = np.sqrt(power) * kicks[0]
        for k, kick in enumerate(kicks):
            value = decay * value + np.sqrt(power * (1 - decay**2)) * kick
            total[k] += value
    return total.reshape(NY, NX + 12)[:, :NX]


def halo(elongation):
    yy, xx = np.mgrid[:NY, :NX] - np.array(CENTRE)[:, None, None]
    radius, angle = np.hypot(yy, xx), np.arctan2(yy, xx)
    return radius, 40 / (1 + radius / 4) ** 2 * (1 + elongation * np.cos(2 * angle))


@pytest.mark.parametrize("elongation", [0.0, 0.3])
def test_faint_light_is_no_stripe(rng, noise, elongation):
    radius, light = halo(elongation)
    weight = (radius > 15).astype(np.float32)
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    readout = alternating_readout(NX)
    left = []
    for _ in range(4):
        image = light + stripes(rng) + WHITE * rng.normal(size=light.shape)
        found = fit_light(image - rings.image(image.shape), weight, rings, noise, readout=readout)
        error = rings.image(image.shape) + found - light
        # The level of the sky is nobody's: what the halo's side of it holds counts, in DN/s.
        left.append(error[(radius > 15) & (radius < 30)].mean() - error[radius > 40].mean())
    assert abs(np.mean(left)) < 0.03  # of 0.6 to 1.8 of light


def test_a_spike_along_the_rows_is_light(rng, noise):
    """What 1/f noise alone would be blamed for: light in a few rows that falls slowly with the distance."""
    radius, light = halo(0.0)
    y = np.arange(NY)[:, None] - CENTRE[0]
    spike = 1.5 * (np.maximum(radius, 10) / 10) ** -1.5 * np.exp(-0.5 * (y / 4) ** 2)
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    weight, readout = (radius > 15).astype(np.float32), alternating_readout(NX)
    left = []
    for _ in range(6):
        image = light + spike + stripes(rng) + WHITE * rng.normal(size=light.shape)
        found = fit_light(image - rings.image(image.shape), weight, rings, noise, readout=readout)
        rest = light + spike - rings.image(image.shape) - found
        rows = np.average(rest, axis=1, weights=weight)
        left.append(rows[54:61].mean() - rows[:40].mean())
    here = np.average(spike, axis=1, weights=weight)[54:61].mean()
    assert abs(np.mean(left)) < 0.3 * here


def test_wings_of_a_spike_are_light(rng, noise):
    """Rows beside a spike hold light as well, that falls with a power of the distance from it: no bell tells it."""
    radius, light = halo(0.0)
    y = np.arange(NY)[:, None] - CENTRE[0]
    spike = 12 * (np.maximum(radius, 10) / 10) ** -1.5 / (1 + y**2)
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    weight, readout = (radius > 15).astype(np.float32), alternating_readout(NX)
    beside, away = [((np.abs(y) >= near) & (np.abs(y) < far))[:, 0] for near, far in ((3, 10), (30, 90))]
    left = []
    for _ in range(6):
        image = light + spike + stripes(rng) + WHITE * rng.normal(size=light.shape)
        found = fit_light(image - rings.image(image.shape), weight, rings, noise, readout=readout)
        rows = np.average(light + spike - rings.image(image.shape) - found, axis=1, weights=weight)
        left.append(rows[beside].mean() - rows[away].mean())
    assert abs(np.mean(left)) < 0.09  # DN/s; 0.13 with bells


def test_the_foot_of_a_spike_is_light(monkeypatch):
    """Nothing within a row tells it from 1/f noise; that a spike shows in its midst, or a bright halo, does."""
    monkeypatch.setattr(star_light, "HALO_PIX", 30.0)  # of a small image
    noise = StackNoise(WHITE**2, SCALES, np.zeros(4), 0.02 * POWERS)
    radius, light = halo(0.0)
    y = np.abs(np.arange(NY)[:, None] - CENTRE[0]) + 0 * radius
    foot = 0.08 * np.exp(-0.5 * (y / 12) ** 2)
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    weight = ((radius > 15) & (y > 7)).astype(np.float32)
    beside, away = [((y > near) & (y < far))[:, 0] for near, far in ((7, 15), (40, 90))]

    def foot_left(core, brighter=1.0):
        left, rng = [], np.random.default_rng(5)
        star = rings._replace(light=brighter * rings.light)
        for _ in range(6):
            image = core * np.exp(-0.5 * (y / 2) ** 2) + foot + WHITE * rng.normal(size=light.shape)
            image += brighter * light - star.image(image.shape) + np.sqrt(0.02) * stripes(rng)
            found = fit_light(image, weight, star, noise, readout=alternating_readout(NX))
            rest = brighter * light + foot - star.image(image.shape) - found
            rows = np.average(rest, axis=1, weights=weight + 1e-9)
            left.append(rows[beside].mean() - rows[away].mean())
        return np.mean(left)

    here = foot.mean(axis=1)[beside].mean() - foot.mean(axis=1)[away].mean()
    assert foot_left(core=0.8) < 0.4 * here
    assert foot_left(core=0.0) > 0.6 * here  # nothing says that it is light
    told = foot_left(core=0.0, brighter=5.0)
    monkeypatch.setattr(star_light, "FOOT_OF_HALO", 0.0)
    assert told < foot_left(core=0.0, brighter=5.0) - 0.1 * here


def test_a_lane_behind_a_bar_is_no_stripe(rng, noise):
    """The bar of a mask hides the halo in its rows, as far as they reach: they are no darker by noise."""
    radius, light = halo(0.0)
    y = np.arange(NY)[:, None] - CENTRE[0]
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    hidden = (light - rings.light.min()) * (1 - (1 - np.exp(-((y / 5) ** 2))) ** 2)
    weight, readout = (radius > 15).astype(np.float32), alternating_readout(NX)
    left = []
    for _ in range(6):
        image = light - hidden + stripes(rng) + WHITE * rng.normal(size=light.shape)
        found = fit_light(image - rings.image(image.shape), weight, rings, noise, readout=readout)
        rows = np.average(light - hidden - rings.image(image.shape) - found, axis=1, weights=weight)
        left.append(rows[54:61].mean() - rows[:35].mean())
    here = np.average(hidden, axis=1, weights=weight)[54:61].mean()
    assert abs(np.mean(left)) < 0.1 * here  # without lanes 0.4


def test_a_spike_shows_against_the_rows_beside_it(rng):
    image = 0.1 * rng.normal(size=(100, 300))
    assert star_light.spike_core(image, (50.0, 150.0)) < 0.02
    image[48:53] += 0.5
    image[50, :50] = np.nan
    assert 0.3 < star_light.spike_core(image, (50.0, 150.0)) < 0.6
    image[48:53] -= 1.0
    assert star_light.spike_core(image, (50.0, 150.0)) == 0
    assert star_light.spike_core(image[:, 120:180], (50.0, 30.0)) == 0  # too small to tell


def test_waves_that_are_not_there_are_not_found(rng, noise):
    radius, light = halo(0.0)
    radii = np.geomspace(3, 90, 14)
    rings = Rings(CENTRE, radii, 40 / (1 + radii / 4) ** 2)
    image = light + stripes(rng) + WHITE * rng.normal(size=light.shape) - rings.image(light.shape)
    found = fit_light(image, (radius > 15).astype(np.float32), rings, noise, readout=alternating_readout(NX))
    ring = (radius > 30) & (radius < 50)
    yy, xx = np.mgrid[:NY, :NX] - np.array(CENTRE)[:, None, None]
    second = np.cos(2 * np.arctan2(yy, xx))[ring]
    assert abs((found[ring] * second).sum() / (second**2).sum()) < 0.02


def test_without_a_spectrum_there_is_no_fit(noise):
    readout = alternating_readout(NX)
    assert light_fit(None, readout) is None
    assert light_fit(StackNoise(1.0, SCALES, np.zeros(4), np.zeros(4)), readout) is None
    assert light_fit(noise, alternating_readout(NX, 4)) is None
    assert light_fit(noise, readout) is not None


def test_lumps_count_for_less(rng):
    residual, usable = rng.normal(size=(100, 200)), np.ones((100, 200), bool)
    calm = even_weight(residual, usable)
    assert (calm > 0.7).mean() > 0.95
    residual[50:52, 60:140] += 1.0  # a sigma of a pixel, 160 of them
    weight = even_weight(residual, usable)
    assert weight[50:52, 70:130].max() < 0.5
    assert np.median(weight[:30]) == 1
    assert (even_weight(residual, ~usable) == 1).all()


def one_over_f(rng, rms, shape):
    """1/f noise on the time line of one output, 12 pixel times between rows."""
    n = shape[0] * (shape[1] + 12)
    amplitude = np.r_[0.0, np.fft.rfftfreq(n)[1:] ** -0.5]
    line = np.fft.irfft(amplitude * (rng.normal(size=(2, amplitude.size)) * [[1], [1j]]).sum(axis=0), n)
    return (rms * line / line.std()).reshape(shape[0], -1)[:, : shape[1]]


def speckled_halo(rng, ny=160, nx=160):
    """Light about a star with bright lanes every 60 degrees and speckles whose brightness is exponential."""
    yy, xx = np.mgrid[:ny, :nx] - 79.5
    radius, angle = np.hypot(yy, xx), np.arctan2(yy, xx)
    speckles = ndimage.gaussian_filter(rng.standard_normal((2, ny, nx)), (0, 1.2, 1.2))
    speckles = (speckles**2).sum(axis=0) / (speckles**2).sum(axis=0).mean()
    return 300 / (1 + (radius / 5) ** 2.6) * (0.3 + 0.7 * np.abs(np.cos(3 * angle)) ** 6 / 0.3) * speckles


def test_rows_through_a_halo_of_speckles_keep_its_light():
    loss = []
    for seed in range(3):
        rng = np.random.default_rng([seed, 17])
        light, readout = speckled_halo(rng), alternating_readout(160)
        stripes = np.stack([one_over_f(rng, 0.1, light.shape) for _ in range(8)])
        cube = light + stripes + 0.25 * rng.standard_normal(stripes.shape)
        found = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=readout)
        left = (stripes - found.stripes).mean(axis=0)
        yy, xx = np.mgrid[:160, :160] - 79.5
        radius = np.hypot(yy, xx)
        loss.append((left[radius < 20].mean() - np.median(left[radius > 50])) / 0.1 * np.sqrt(8))
    # In units of what 1/f noise itself adds to a pixel of the mean.
    assert np.mean(loss) == pytest.approx(0, abs=0.25)


def test_a_spike_leaves_the_rows_beside_it_their_stripes():
    """A few rows of light do not keep the rings that cross them, most of the image, from telling stripes."""
    left = []
    for seed in range(2):
        rng = np.random.default_rng([seed, 23])
        yy, xx = np.mgrid[:240, :240] - 119.5
        light = 300 / (1 + (np.hypot(yy, xx) / 5) ** 4)
        light += 40 * (np.maximum(np.abs(xx), 8) / 8) ** -1.3 * np.exp(-0.5 * (yy / 2.5) ** 2)
        stripes = np.stack([one_over_f(rng, 0.3, light.shape) for _ in range(3)])
        cube = light + stripes + 0.1 * rng.standard_normal(stripes.shape)
        found = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=alternating_readout(240))
        rows = (stripes - found.stripes).mean(axis=0)[:, np.abs(xx[0]) > 40].mean(axis=1)
        left.append(rows[np.abs(yy[:, 0]) > 15].std() * np.sqrt(3) / 0.3)
    # Of the noise of a pixel.
    assert np.mean(left) < 0.12


def test_the_light_of_a_single_image_is_fitted_with_its_stripes():
    """Faint light that is no function of the distance alone: rows that hold more of it have no higher stripes."""
    left = []
    for seed in range(5):
        rng = np.random.default_rng([seed, 29])
        yy, xx = np.mgrid[:240, :240] - 119.5
        radius, angle = np.hypot(yy, xx), np.arctan2(yy, xx)
        light = 20 / (1 + (radius / 12) ** 3) * (1 + 0.25 * np.cos(6 * angle + 1) + 0.3 * np.cos(angle + 2))
        stripes = one_over_f(rng, 0.3, light.shape)
        cube = (light + stripes + 0.25 * rng.standard_normal(light.shape))[None]
        found = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=alternating_readout(240))
        error = stripes - found.stripes[0]
        left.append((error[radius < 35].mean() - np.median(error[radius > 60])) / 0.3)
    # In units of what 1/f noise adds to a pixel.
    assert np.sqrt(np.mean(np.square(left))) < 0.09


def test_the_light_left_of_a_single_image_is_no_noise_of_its_background():
    """Speckles that no shape describes are not what the noise leaves unresolved far from the star."""
    widths = []
    for seed in range(3):
        rng = np.random.default_rng([seed, 31])
        light = speckled_halo(rng, 240, 240)
        stripes = one_over_f(rng, 0.3, light.shape)
        cube = (light + stripes + 0.25 * rng.standard_normal(light.shape))[None]
        found = stripes_of_integrations(cube, np.zeros(cube.shape, bool), readout=alternating_readout(240))
        radius = np.hypot(*(np.mgrid[:240, :240] - 79.5))
        pull = ((cube - found.stripes - light) / np.sqrt(0.25**2 + found.variance))[0][radius > 80]
        widths.append(1.4826 * np.median(np.abs(pull - np.median(pull))))
    assert 0.95 < np.mean(widths) < 1.05
