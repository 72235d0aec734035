"""What 1/f noise must stay in an image whose light hides it in part: the error that the noise's own statistics leave.

The error of a weighted sum w of the noise has the variance w'P w, where P = K - K H'(H K H' + R)^-1 H K, K is the
covariance of the noise, H picks the pixels that are seen and R is their white noise. K w is a recursion along the time
line, and what the smoother makes of it as data is the second part of P w: one run tells the error of any sum.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter

import imaging_scores as scores
from detectorist.algorithms.flicker.readout import Blocks
from detectorist.algorithms.flicker.smoother import Flicker, Readout, smooth_blocks


def least_error(weights: np.ndarray, mask: np.ndarray, found: Flicker, readout: Readout) -> float:
    """Return the standard deviation of the error of a weighted sum of the noise, pixels under a mask unseen.

    weights, mask : (ny, nx). found : an estimate of the noise, for its spectrum and the errors of its columns.
    """
    blocks, unit = Blocks(readout, len(mask)), np.ones(mask.shape, np.float32)
    nothing = np.zeros(mask.shape[1])
    counts = blocks.average(unit, ~mask, nothing, unit, np.inf)[1]
    means, number = blocks.average(weights.astype(np.float32), unit > 0, nothing, unit, np.inf)
    sums = means * number.astype(float)
    prior = _covariance_times(sums, blocks, found.noise)
    explained, _ = smooth_blocks(prior, counts, blocks, found.noise, want_variance=False)
    in_time = float((sums * (prior - explained.T)).sum())
    in_columns = float((weights.sum(axis=0) ** 2 * found.column_variance).sum())
    return float(np.sqrt(in_time + in_columns + found.fast_variance * (weights**2).sum()))


def least_rows(mask: np.ndarray, found: Flicker, readout: Readout) -> float:
    """Return the expected rms of the errors of the means of rows, as `imaging_scores` takes it.

    From one sum of all rows with random signs, whose variance is that of all of them but for a few per cent (Hutchinson
    1990): rows far apart do not share their errors.
    """
    rng = np.random.default_rng(0)
    signs = np.zeros((len(mask), len(readout.outputs)))
    inner = signs[scores.EDGE : -scores.EDGE]
    inner[:] = rng.choice([-1.0, 1.0], inner.shape)
    weights = np.repeat(signs / readout.width, readout.width, axis=1)
    return least_error(weights, mask, found, readout) / np.sqrt(inner.size)


def _covariance_times(sums, blocks, noise):
    """Return the covariance of the noise of blocks times sums over them, both (n_outputs, n_steps)."""
    n_outputs, step = len(sums), np.gcd(blocks.row_pix, blocks.block_pix)
    # Blocks lie on a time line without gaps: the pause between rows is made of steps as well.
    times = (np.arange(blocks.n_rows)[:, None] * blocks.row_pix + np.arange(blocks.per_row) * blocks.block_pix) // step
    line = np.zeros((n_outputs, times[-1, -1] + 1))
    line[:, times.ravel()] = sums
    result = np.zeros_like(line)
    for scale, common, own in zip(noise.scales_pix, noise.common, noise.own, strict=True):
        decay = np.exp(-step / scale)
        result += common * _both_ways(line.sum(axis=0), decay) + own * _both_ways(line, decay)
    return result[:, times.ravel()]


def _both_ways(line, decay):
    """Return sums over earlier and later times, weighted by decay to the power of the distance."""
    earlier, later = (lfilter([1.0], [1.0, -decay], one) for one in (line, line[..., ::-1]))
    return earlier + later[..., ::-1] - line
