"""Reference pixels beside the rows: what they say of the noise, and how surely."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.flicker import wide_light
from detectorist.algorithms.flicker.readout import alternating_readout
from detectorist.algorithms.flicker.reference_rows import (
    bin_references,
    output_levels,
    over_references,
    reference_rows,
)
from detectorist.algorithms.flicker.spectrum import FlickerNoise

SIZE, WHITE = 512, 0.015
READOUT = alternating_readout(SIZE, 4)
ROW_PIX = READOUT.width + READOUT.overhead_pix
ROWS = np.arange(0, SIZE + 1, 8)
SILENT = FlickerNoise(WHITE**2, np.array([10.0]) * ROW_PIX, np.array([0.0]), np.array([0.0]))


@pytest.fixture
def border():
    reference = np.ones((SIZE, SIZE), bool)
    reference[4:-4, 4:-4] = False
    return reference


def test_pulls_of_means_are_those_of_unit_variance(rng, border):
    drift = np.sin(np.arange(SIZE) / 60)[:, None] * 0.01
    columns = rng.normal(0, 0.1, SIZE)
    image = drift + columns + WHITE * rng.normal(size=(SIZE, SIZE))
    found = reference_rows(image[None], border)
    assert found.white == pytest.approx(WHITE**2, rel=0.1)
    means, certain = bin_references(found, ROWS, READOUT, SILENT)
    assert (certain[1:3] == 0).all()  # the outputs in the middle have none beside their rows
    expected = drift[:, 0].reshape(-1, 8).mean(axis=1)
    pulls = (means - expected)[[0, 3]] * np.sqrt(certain[[0, 3]])
    pulls -= pulls.mean(axis=1, keepdims=True)
    assert 0.8 < pulls[:, 1:-1].std() < 1.2


def test_broken_reference_pixels_are_left_out(rng, border):
    image = WHITE * rng.normal(size=(SIZE, SIZE))
    image[100:120, 2], image[200, 510] = 50.0, np.nan
    found = reference_rows(image[None], border)
    assert np.abs(found.values).max() < 5 * WHITE
    assert not found.usable[100:120, 2].any()


def test_outputs_have_the_levels_of_their_reference_pixels(rng, border):
    image = WHITE * rng.normal(size=(SIZE, SIZE))
    image[:, :128] += 0.01
    image[:, 384:] -= 0.02
    image[200:220, 1] = 40.0
    levels = output_levels(reference_rows(image[None], border), READOUT, 0.02)
    error = WHITE / np.sqrt(4 * (SIZE - 8))
    assert levels[[0, 3]] == pytest.approx([0.01, -0.02], abs=5 * error)
    assert np.isnan(levels[1:3]).all()


@pytest.mark.parametrize("values", [0.0, np.nan])
def test_without_values_there_is_no_evidence(values, border):
    assert reference_rows(np.full((1, SIZE, SIZE), values), border) is None
    assert reference_rows(np.zeros((1, SIZE, SIZE)), None) is None


def test_light_over_the_whole_frame_is_told_from_slow_common_noise(rng, border):
    """Light that is the same in every column and slow along the rows' order: only reference pixels can tell."""
    y = np.linspace(-1, 1, SIZE)[:, None]
    light = np.repeat(0.012 * np.exp(-0.5 * (y / 0.4) ** 2), SIZE, axis=1)
    noise = FlickerNoise(WHITE**2, np.array([200.0]) * ROW_PIX, np.array([2.5e-5]), np.array([0.0]))
    image = (0.25 + light + WHITE * rng.normal(size=light.shape)).astype(np.float32)
    image[border] -= (0.25 + light)[border]
    settings = {"noise": noise, "white": WHITE, "readout": READOUT}
    expected = wide_light.light_over_darkest(light)
    missed = []
    for references in (None, reference_rows(image[None], border)):
        found, *_ = wide_light.solve_wide_light(image, ~border, expected, references=references, **settings)
        wrong = (found - light).mean(axis=1)
        missed.append(float(np.ptp(wrong.reshape(16, -1).mean(axis=1))))
    assert missed[1] < 0.003, missed
    assert missed[1] < 0.5 * missed[0], missed


def test_noise_beside_reference_pixels_is_not_taken_for_light(rng, border):
    drift = 0.006 * np.sin(np.arange(SIZE) / 70)[:, None]
    noise = FlickerNoise(WHITE**2, np.array([70.0]) * ROW_PIX, np.array([1.8e-5]), np.array([0.0]))
    image = (np.where(border, 0, 0.25) + drift + WHITE * rng.normal(size=(SIZE, SIZE))).astype(np.float32)
    found, *_ = wide_light.solve_wide_light(
        image,
        ~border,
        np.zeros((32, 32)),
        noise=noise,
        white=WHITE,
        readout=READOUT,
        references=reference_rows(image[None], border),
    )
    assert found.mean(axis=1).std() < 0.0005


@pytest.mark.parametrize("unlike", [0.0005, 0.1])
def test_levels_of_outputs_follow_their_reference_pixels_as_far_as_these_are_like_them(unlike):
    """One output of ten rows, each of which the image knows to 0.001 about a wrong level."""
    n, known = 10, np.full(10, 0.001**-2.0)
    normal, moment = np.diag(known), 0.004 * known
    reference = np.full((1, n), 0.002**-2.0)
    wide_light._add_references(normal, moment, np.zeros((1, n)), reference, np.array([0.0]), unlike)
    found = np.linalg.solve(normal, moment).mean()
    variances = 0.001**2 / n, 0.002**2 / n + unlike**2
    assert found == pytest.approx(0.004 * variances[1] / sum(variances))


def test_slow_noise_in_reference_pixels_is_part_of_their_level(rng, border):
    """A stretch of rows many sigma off is noise of those rows, not an outlier."""
    image = 0.002 * rng.normal(size=(SIZE, SIZE))
    image[300:400] -= 0.03
    found = reference_rows(image[None], border)
    assert found.usable[300:400].mean() > 0.95
    error = 0.002 / np.sqrt(4 * SIZE)
    assert output_levels(found, READOUT, 0.02)[0] == pytest.approx(-0.03 * 100 / (SIZE - 8), abs=5 * error)


def test_noise_within_rows_does_not_move_the_level(rng, border):
    """Reference pixels see the beginning of a row, the mean of an output all of it."""
    within = np.linspace(-1, 1, SIZE)[None] * rng.normal(0.02, 0.01, (SIZE, 1))
    image = within + 0.002 * rng.normal(size=(SIZE, SIZE))
    found = reference_rows(image[None], border)
    over = over_references(within + 0.001, found, READOUT, 0.02)
    assert_array_equal(np.isnan(over), [False, True, True, False])  # the outputs in the middle have none
    over = over[[0, 3]]
    assert over == pytest.approx(0.001, abs=5 * 0.002 / np.sqrt(4 * (SIZE - 8)))
    means = np.array([within[4:-4, part].mean() for part in (slice(4, 128), slice(384, -4))])
    assert np.abs(means - output_levels(found, READOUT, 0.02)[[0, 3]]).max() > 10 * over.std()


def test_reference_pixels_that_are_far_off_do_not_tell_a_level(rng, border):
    image = 0.5 + 0.002 * rng.normal(size=(SIZE, SIZE))
    assert np.isnan(over_references(image, reference_rows(image[None], border), READOUT, 0.02)).all()
