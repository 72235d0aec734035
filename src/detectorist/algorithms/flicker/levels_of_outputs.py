"""Levels of whole outputs that reference pixels have not told: light goes on across a border, a level does not."""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.flicker.readout import Blocks
from detectorist.algorithms.flicker.spectrum import FlickerNoise, covariance_of_means

#: Pixels on either side of a border of two outputs from which the step between them is measured.
STEP_PIX = 32


def levels_of_outputs(means: np.ndarray, counts: np.ndarray, blocks: Blocks, noise: FlickerNoise) -> np.ndarray:
    """Return levels of the outputs (n_outputs,), mean zero, as far as they are more than 1/f noise makes.

    Without reference pixels every output keeps a drift of its own, which no variogram shows. Light is continuous
    where two outputs meet, a level is not; only what the steps there exceed the mean of 1/f noise and of the pixels
    beside them by is taken: where faint stars are crowded, as many as meet there make steps of their own.
    """
    found = [_step(means, counts, blocks, k) for k in range(len(means) - 1)]
    steps, pixels = np.array(found).reshape(-1, 2).T
    if not steps.any():
        return np.zeros(len(means))
    duration_pix = blocks.n_rows * blocks.row_pix
    chance = 2.0 * float(covariance_of_means(np.zeros(1), duration_pix, noise.own, noise.scales_pix)[0])
    chance += noise.white * float(np.mean(1 / pixels[pixels > 0]))
    levels = np.r_[0.0, np.cumsum(steps * max(1.0 - chance / np.mean(steps**2), 0.0))]
    return levels - levels.mean()


def _step(means, counts, blocks, k):
    """Return how much higher output k + 1 is than output k where they meet, from rows that show both sides.

    And how many pixels have a mean as certain; both are 0 where there are no such rows.
    """
    n = min(STEP_PIX // blocks.block_pix, blocks.per_row)
    total, number = [], []
    for output, right_edge in ((k, True), (k + 1, False)):
        at_end = (blocks.readout.outputs[output][2] > 0) == right_edge
        near = slice(-n, None) if at_end else slice(n)
        pixels = counts[output].reshape(blocks.n_rows, -1)[:, near].astype(float)
        total.append((pixels * means[output].reshape(blocks.n_rows, -1)[:, near]).sum(axis=1))
        number.append(pixels.sum(axis=1))
    both = (number[0] > 0) & (number[1] > 0)
    if not both.any():
        return 0.0, 0.0
    difference = total[1][both] / number[1][both] - total[0][both] / number[0][both]
    pixels = 1 / (1 / number[0][both] + 1 / number[1][both])
    return float(np.average(difference, weights=pixels)), float(pixels.sum())
