"""Levels of whole outputs that reference pixels have not told: light goes on across a border, a level does not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from detectorist.algorithms.flicker.readout import Blocks
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means

#: Pixels on either side of a border of two outputs from which the step between them is measured.
STEP_PIX = 32
#: Median of the squares of normal deviates.
MEDIAN_OF_SQUARES = 0.4549


def levels_of_outputs(means: np.ndarray, counts: np.ndarray, blocks: Blocks, noise: FlickerNoise) -> np.ndarray:
    """Return levels of the outputs (n_outputs,), mean zero, as far as they are more than light and 1/f noise make.

    Without reference pixels every output keeps a drift of its own, which no variogram shows. Light is continuous
    where two outputs meet, a level is not; only what the steps there exceed the mean of 1/f noise and the steps within
    outputs by is taken. There are no levels within an output: light that slopes makes steps there, and faint stars, of
    which some chance to meet at a border, do as well.
    """
    n = min(STEP_PIX // blocks.block_pix, blocks.per_row)
    sides = [_sides(means[k], counts[k], blocks, k, n) for k in range(len(means))]
    found = [_step(_sums(*left[1]), _sums(*right[0])) for left, right in pairwise(sides)]
    steps, pixels = np.array(found).reshape(-1, 2).T
    if not steps.any():
        return np.zeros(len(means))
    duration_pix = blocks.n_rows * blocks.row_pix
    chance = 2.0 * float(covariance_of_means(np.zeros(1), duration_pix, noise.own, noise.scales_pix)[0])
    chance += max(noise.white * float(np.mean(1 / pixels[pixels > 0])), _power_within(means, counts, blocks, n))
    levels = np.r_[0.0, np.cumsum(steps * max(1.0 - chance / np.mean(steps**2), 0.0))]
    return levels - levels.mean()


def _sides(means, counts, blocks, k, n):
    """Return means and pixels (n_rows, n) of the blocks at the left and at the right edge of output k."""
    of_rows = [one.reshape(blocks.n_rows, -1) for one in (means, counts)]
    start, end = ([one[:, part] for one in of_rows] for part in (slice(n), slice(-n, None)))
    return (start, end) if blocks.readout.outputs[k][2] > 0 else (end, start)


def _power_within(means, counts, blocks, n):
    """Return the mean square of usual steps within outputs, 0 where these are too narrow to have any.

    It is told by the median, that of steps which a few bright sources make aside.
    """
    squares = []
    for one, pixels in zip(means, counts, strict=True):
        values, numbers = one.reshape(blocks.n_rows, -1), pixels.reshape(blocks.n_rows, -1)
        parts = [_sums(values[:, i : i + n], numbers[:, i : i + n]) for i in range(0, blocks.per_row - n + 1, n)]
        found = [_step(left, right) for left, right in pairwise(parts)]
        squares += [step**2 for step, certain in found if certain > 0]
    return float(np.median(squares)) / MEDIAN_OF_SQUARES if squares else 0.0


def _sums(means, counts):
    """Return the sum of all pixels of every row, and their number, from blocks (n_rows, n)."""
    pixels = counts.astype(float)
    return (pixels * means).sum(axis=1), pixels.sum(axis=1)


def _step(left, right):
    """Return how much higher the right side is than the left one, from rows that show both; sides as from `_sums`.

    And how many pixels have a mean as certain; both are 0 where there are no such rows.
    """
    total, number = zip(left, right, strict=True)
    both = (number[0] > 0) & (number[1] > 0)
    if not both.any():
        return 0.0, 0.0
    difference = total[1][both] / number[1][both] - total[0][both] / number[0][both]
    pixels = 1 / (1 / number[0][both] + 1 / number[1][both])
    return float(np.average(difference, weights=pixels)), float(pixels.sum())
