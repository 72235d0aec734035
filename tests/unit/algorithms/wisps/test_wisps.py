"""Strengths of wisps: unbiased, with errors that are true."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import ndimage

from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.wisps import masked_wisps, wisps
from detectorist.errors import ParameterError, TooFewPixels

NY = NX = 512
N_OUT = 4
WHITE, TEMPLATE_NOISE = 0.02, 0.004
READOUT = alternating_readout(NX, N_OUT)


NOTHING = np.zeros((NY, NX), bool)


def filament(x, y, width, length, angle, peak):
    yy, xx = np.mgrid[:NY, :NX]
    u = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
    v = -(xx - x) * np.sin(angle) + (yy - y) * np.cos(angle)
    return peak * np.exp(-0.5 * ((u + 6e-4 * v * v) / width) ** 2 - 0.5 * (v / length) ** 2)


FIRST = filament(180, 350, 18, 120, 0.9, 0.10) + filament(220, 420, 15, 100, 1.1, 0.08)
SECOND = filament(320, 330, 14, 90, 0.7, 0.09) + filament(150, 460, 20, 60, 1.3, 0.05)


def pink_rows(rng, rms):
    """Noise ~ 1/f in readout time of four outputs that scan in alternating directions."""
    n = NY * (NX // N_OUT + 12)
    frequency = np.fft.rfftfreq(n)
    frequency[0] = np.inf
    parts = []
    for k in range(N_OUT):
        waves = rng.normal(size=frequency.size) + 1j * rng.normal(size=frequency.size)
        line = np.fft.irfft(waves / np.sqrt(frequency), n)
        part = (rms * line / line.std()).reshape(NY, -1)[:, : NX // N_OUT]
        parts.append(part[:, ::-1] if k % 2 else part)
    return np.hstack(parts)


def make_image(rng, templates, scale, *, stripes=0.012):
    image = 0.3 + np.tensordot(scale, templates, 1) + WHITE * rng.normal(size=(NY, NX))
    if stripes:
        image += pink_rows(rng, stripes) + 0.004 * rng.normal(size=NX)
    return image


def noisy(rng, templates):
    return templates + TEMPLATE_NOISE * rng.normal(size=templates.shape) * (templates > 1e-4)


def recover(rng, templates, scale, stripes, n):
    """Return pulls and errors of `n` realisations, (n, n_components) each."""
    found = []
    for _ in range(n):
        image = make_image(rng, templates, scale, stripes=stripes)
        got = masked_wisps.fit_wisps(image, rng.random(image.shape) < 0.1, noisy(rng, templates), readout=READOUT)
        found.append(((got.scale - scale) / got.error, got.error))
        assert got.significant
    return (np.array(part) for part in zip(*found, strict=True))


def test_strengths_are_recovered_in_units_of_their_errors(rng):
    pulls, errors = recover(rng, np.array([FIRST, SECOND]), [0.72, 0.45], 0.012, 16)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(16)
    assert_allclose(pulls.std(axis=0), 1, atol=0.5)
    assert np.max(np.median(errors, axis=0)) < 0.009


@pytest.mark.long
@pytest.mark.parametrize("stripes", [0.0, 0.012], ids=["without stripes", "with stripes"])
@pytest.mark.parametrize(
    ("templates", "scale"),
    [(np.array([FIRST + SECOND]), [0.72]), (np.array([FIRST, SECOND]), [0.72, 0.45])],
    ids=["one", "two"],
)
def test_errors_are_true_with_stripes_as_without(rng, templates, scale, stripes):
    pulls, _ = recover(rng, templates, scale, stripes, 100)
    assert np.abs(pulls.mean(axis=0)).max() < 4 / np.sqrt(100)
    assert_allclose(pulls.std(axis=0), 1, atol=0.2)


def test_sources_do_not_change_the_strength(rng):
    templates = np.array([FIRST + SECOND])
    image = make_image(rng, templates, [0.72])
    yy, xx = np.mgrid[:NY, :NX]
    for _ in range(60):
        y, x, peak = rng.uniform(0, NY), rng.uniform(0, NX), rng.uniform(0.05, 3)
        image += peak * np.exp(-0.5 * ((yy - y) ** 2 + (xx - x) ** 2) / 2.5**2)
    image += 0.5 * np.exp(-1.68 * np.hypot(xx - 200, yy - 380) / 15)
    bad = np.zeros(image.shape, bool)
    got = wisps.find_wisps(image, bad, noisy(rng, templates), readout=READOUT)
    assert abs(got.fit.scale[0] - 0.72) < 3.5 * got.fit.error[0]
    assert got.mask[FIRST > 0.05].mean() < 0.4  # the wisp itself is no source
    assert abs((got.image * templates[0]).sum() / (templates[0] ** 2).sum() - 0.72) < 4 * got.fit.error[0]
    assert_allclose(np.sqrt(got.variance), got.fit.error[0] * templates[0], atol=0.05 * got.fit.error[0])


def test_no_wisp_is_found_where_none_is(rng):
    templates = np.array([FIRST + SECOND])
    found = 0
    for _ in range(4):
        got = wisps.find_wisps(make_image(rng, templates, [0.0]), np.zeros((NY, NX), bool), templates, readout=READOUT)
        assert abs(got.fit.scale[0]) < 4 * got.fit.error[0]
        assert got.fit.measured
        if not got.fit.significant:
            assert_array_equal(got.image, 0)
            assert_array_equal(got.variance, 0)
        found += got.fit.significant
    assert found <= 1


@pytest.mark.parametrize(("peak", "radius"), [(3, 60), (1, 40)])
def test_of_a_wisp_under_the_core_of_a_galaxy_nothing_false_is_said(rng, peak, radius):
    """Filaments as wide as the galaxy's core on a small frame: found within the error, or said to be unknown."""
    yy, xx = np.mgrid[:NY, :NX]
    image = make_image(rng, np.array([FIRST]), [0.7]) + peak * np.exp(-np.hypot(xx - 190, yy - 350) / radius)
    got = wisps.find_wisps(image, np.zeros((NY, NX), bool), np.array([FIRST * (FIRST > 0.02)]), readout=READOUT)
    if got.fit.measured:
        assert abs(got.fit.scale[0] - 0.7) < 4 * got.fit.error[0]
    else:
        assert_array_equal(got.image, 0)


def test_a_noisy_template_does_not_weaken_the_wisp_found(rng):
    """Noise of pixels and of scales that planes do not take off: a third of the template's structure."""
    template = FIRST + SECOND
    pulls = []
    for _ in range(3):
        coarse = ndimage.gaussian_filter(rng.normal(size=template.shape), 3)
        given = template + 0.012 * rng.normal(size=template.shape) + 0.006 * coarse / coarse.std()
        got = wisps.find_wisps(make_image(rng, template[None], [1.0], stripes=0), NOTHING, given[None], readout=READOUT)
        pulls.append((got.fit.scale[0] - 1) / got.fit.error[0])
        assert got.fit.error[0] < 0.1
    assert abs(np.mean(pulls)) < 2.5


def test_components_of_other_strengths_leave_little_under_one_template(rng):
    wisp = 1.1 * FIRST + 0.7 * SECOND
    got = wisps.find_wisps(
        make_image(rng, wisp[None], [1.0], stripes=0), NOTHING, (FIRST + SECOND)[None], readout=READOUT
    )
    left = 1 - (got.image * wisp).sum() / (wisp**2).sum()
    assert abs(left) < 0.03
    assert abs(left) < 3 * got.fit.error[0] / got.fit.scale[0]


def test_a_displaced_template_is_moved_to_the_wisp(rng):
    template = FIRST + SECOND
    moved = np.roll(template, (2, -1), (0, 1))
    got = wisps.find_wisps(
        make_image(rng, np.array([moved]), [4.0], stripes=0), np.zeros((NY, NX), bool), template[None], readout=READOUT
    )
    assert_allclose(got.displacement, (2, -1), atol=0.7)


@pytest.mark.parametrize("blur_pix", [2.5, -2.5])
def test_a_template_gets_the_sharpness_of_the_wisp(rng, blur_pix):
    """A template blunter or sharper than the wisp: the strength is within an error of a percent, and the image fits."""
    sharp = FIRST + SECOND
    blunt = ndimage.gaussian_filter(sharp, abs(blur_pix))
    wisp, template = (blunt, sharp) if blur_pix > 0 else (sharp, blunt)
    image = make_image(rng, wisp[None], [4.0], stripes=0)
    got = wisps.find_wisps(image, NOTHING, template[None], readout=READOUT)
    assert_allclose(got.blur, np.sign(blur_pix) * blur_pix**2 / 2, atol=1.2)
    assert abs(got.fit.scale[0] - 4) < 3 * got.fit.error[0] < 0.12
    left = 4 * wisp - got.image
    assert (left**2).sum() < 0.2 * (16 * (wisp - template) ** 2).sum()


def test_what_is_not_seen_is_unknown(rng):
    seen = FIRST < 0.001
    got = wisps.find_wisps(make_image(rng, np.array([FIRST]), [0.7]), ~seen, np.array([FIRST]), readout=READOUT)
    assert not got.fit.measured
    assert_array_equal(got.image, 0)
    nothing = wisps.find_wisps(make_image(rng, np.array([FIRST]), [0.7]), seen | ~seen, np.array([FIRST]))
    assert np.isnan(nothing.fit.scale).all()
    assert not nothing.fit.measured


@pytest.mark.parametrize("strength", [0.05, 1.63, 7.0])
def test_no_grid_limits_the_strength(rng, strength):
    templates = np.array([FIRST + SECOND])
    got = wisps.find_wisps(make_image(rng, templates, [strength]), np.zeros((NY, NX), bool), templates, readout=READOUT)
    assert abs(got.fit.scale[0] - strength) < 4 * got.fit.error[0]


def test_negative_components_are_held_at_zero(rng):
    templates = np.array([FIRST, SECOND])
    image = make_image(rng, templates, [0.8, -0.3])
    got = masked_wisps.fit_wisps(image, np.zeros((NY, NX), bool), templates, readout=READOUT)
    assert got.scale[1] == 0
    assert got.scale[0] > 0


def test_masked_pixels_have_no_influence_and_the_input_stays(rng):
    templates = np.array([FIRST])
    image, mask = make_image(rng, templates, [0.7]), rng.random((NY, NX)) < 0.2
    clean = masked_wisps.fit_wisps(image, mask, templates, readout=READOUT)
    hurt = image.copy()
    hurt[mask] = rng.choice([np.nan, 1e8, -1e8], size=mask.sum())
    before = hurt.copy(), templates.copy()
    assert_array_equal(masked_wisps.fit_wisps(hurt, mask, templates, readout=READOUT).scale, clean.scale)
    assert_array_equal(hurt, before[0])
    assert_array_equal(templates, before[1])


def test_arrays_in_the_byte_order_of_files_are_taken(rng):
    templates, image = np.array([FIRST], np.float32), make_image(rng, np.array([FIRST]), [0.7]).astype(np.float32)
    bad = np.zeros(image.shape, bool)
    native = wisps.find_wisps(image, bad, templates)
    got = wisps.find_wisps(image.astype(">f4"), bad, templates.astype(">f4"))
    assert_array_equal(got.fit.scale, native.fit.scale)


def test_outlying_pixels_are_clipped(rng):
    templates = np.array([FIRST])
    image = make_image(rng, templates, [0.7])
    image[rng.random(image.shape) < 0.002] += 5.0
    got = masked_wisps.fit_wisps(image, np.zeros(image.shape, bool), templates, readout=READOUT)
    assert abs(got.scale[0] - 0.7) < 4 * got.error[0]


def test_variance_of_correlated_components():
    templates = np.array([FIRST, SECOND])
    covariance = np.array([[4e-4, -1e-4], [-1e-4, 9e-4]])
    _, variance = wisps.wisp_image(templates, [1, 1], covariance)
    expected = np.einsum("iyx,ij,jyx->yx", templates, covariance, templates)
    assert_allclose(variance, np.maximum(expected, 0), rtol=1e-4, atol=1e-9)


def test_the_error_is_that_of_the_cramer_rao_limit(rng):
    """Written out in full: white noise, a common and four own processes, free columns, on a frame of 24 x 32."""
    from detectorist.algorithms.flicker.readout import Blocks
    from detectorist.algorithms.flicker.smoother import FlickerNoise

    ny, nx = 24, 32
    readout = alternating_readout(nx, N_OUT)
    yy, xx = np.mgrid[:ny, :nx]
    template = np.exp(-0.5 * (((xx - 14 - 0.3 * yy) / 5) ** 2 + ((yy - 11) / 6) ** 2)).astype(np.float32)
    noise = FlickerNoise(0.5, np.array([12.0, 80.0]), np.array([0.3, 0.2]), np.array([0.1, 0.4]))
    blocks = Blocks(readout, ny)
    means, counts = blocks.average(template, template > -1, np.zeros(nx), template, 1.0)
    data = masked_wisps._Data(means, means[None], means[None], counts, blocks, counts > 0)
    weights = masked_wisps._weigh(means, data, noise)
    # The textbook: covariance of all blocks, with a large variance for every column of blocks of an output.
    at = np.arange(blocks.n_rows)[:, None] * blocks.row_pix + np.arange(blocks.per_row) * blocks.block_pix
    apart = np.abs(np.subtract.outer(at.ravel(), at.ravel()))[..., None]
    common, own = (((v * np.exp(-apart / noise.scales_pix)).sum(-1)) for v in (noise.common, noise.own))
    columns = 1e4 * np.kron(np.ones((ny, ny)), np.eye(blocks.per_row))
    covariance = np.kron(np.ones((N_OUT, N_OUT)), common) + np.kron(np.eye(N_OUT), own + columns)
    covariance += np.diag(noise.white / counts.ravel())
    exact = means.ravel().astype(float) @ np.linalg.solve(covariance, means.ravel().astype(float))
    got = float(np.vdot(weights, means))
    w = weights.ravel().astype(float)
    assert_allclose(weights.reshape(N_OUT, ny, -1).sum(axis=1), 0, atol=1e-4)
    assert (w @ covariance @ w) / got**2 < 1.02 / exact


def test_noise_of_the_template_does_not_weaken_the_strength(rng):
    templates, found = np.array([FIRST + SECOND]), []
    for _ in range(12):
        image = make_image(rng, templates, [0.72], stripes=0.0)
        loud = templates + 4 * TEMPLATE_NOISE * rng.normal(size=templates.shape) * (templates > 1e-4)
        found.append(masked_wisps.fit_wisps(image, np.zeros((NY, NX), bool), loud, readout=READOUT).scale[0])
    assert abs(np.mean(found) - 0.72) < 4 * np.std(found, ddof=1) / np.sqrt(12)


def test_kernel_agrees_with_its_python(rng):
    from detectorist.algorithms.wisps import _wisps_nb

    image = rng.normal(size=(9, 18)).astype(np.float32)
    for output, backwards in (((0, 9, 1), False), ((9, 18, -1), True)):
        arguments = (
            image,
            rng.normal(size=(2, 9, 18)).astype(np.float32),
            rng.random(image.shape) > 0.2,
            np.where(rng.random(9) < 0.1, np.nan, 0).astype(np.float32),
            np.array([0.5]),
            1.5,
            *output,
            backwards,
            4,
        )
        for got, expected in zip(
            _wisps_nb.block_planes(*arguments), _wisps_nb.block_planes.py_func(*arguments), strict=True
        ):
            assert_allclose(got, expected, rtol=1e-4, atol=1e-5)


def test_differences_are_those_of_neighbours(rng):
    from detectorist.algorithms.wisps import _wisps_nb

    image, usable = rng.normal(size=(9, 14)).astype(np.float32), rng.random((9, 14)) > 0.2
    first, second = np.stack(np.gradient(image)), ndimage.laplace(image, mode="nearest")
    padded = np.zeros((3, 12, 16))
    padded[:, :9, :14] = np.where(usable, [*first, second], 0)
    expected = padded.reshape(3, 3, 4, 4, 4).sum(axis=(2, 4))
    change = np.array([0.3, -2.0, 0.7], np.float32)
    for sums, add in (
        (_wisps_nb.difference_sums, _wisps_nb.add_differences),
        (_wisps_nb.difference_sums.py_func, _wisps_nb.add_differences.py_func),
    ):
        assert_allclose(sums(image, usable, 4), expected, atol=1e-5)
        changed = image.copy()
        add(changed, image, 2 * image, change)
        assert_allclose(changed, image + 0.3 * first[0] - 2 * first[1] + 1.4 * second, atol=1e-5)


def test_bad_input_is_named(rng):
    image, mask = make_image(rng, np.array([FIRST]), [0.7]), np.zeros((NY, NX), bool)
    with pytest.raises(ParameterError, match="no positive pixel"):
        wisps.find_wisps(image, mask, np.full((1, NY, NX), np.nan))
    with pytest.raises(ParameterError, match="shape"):
        masked_wisps.fit_wisps(image, mask, np.ones((1, 10, 10)))
    with pytest.raises(TooFewPixels, match="has light"):
        masked_wisps.fit_wisps(image, FIRST > 1e-5, np.array([FIRST]))
    with pytest.raises(TooFewPixels, match="cannot separate the components"):
        masked_wisps.fit_wisps(image, mask, np.array([FIRST, FIRST]), readout=READOUT)
