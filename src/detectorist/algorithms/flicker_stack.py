"""1/f noise of images read through one output, many of one exposure: `flicker` where speed counts.

Model and spectrum are those of `flicker` (processes on the time line of the readout); with a single output
its smoother reduces to scalars and costs a millisecond for a subarray of 320 x 320 pixels, so that every
group of every integration can be corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import nnls

from detectorist.algorithms.flicker import FlickerNoise, Readout
from detectorist.errors import ParameterError, TooFewPixels

#: Pixels averaged before the smoother. The white noise of a pixel hides what is faster.
BLOCK_PIX = 2
CLIP_SIGMA = 4.0
N_PROCESSES = 4
#: Cosine integrals Cin(pi) and Cin(4 pi): how far the variogram of 1/f noise has risen at lags 1 and 4.
_CIN_PI, _CIN_4PI = 1.6482, 3.1144
#: Order of the gradients along x that are left to the image.
LIGHT_ORDER = 3


@dataclass(frozen=True)
class StackNoise(FlickerNoise):
    """Spectrum of images read through one output.

    unresolved : float
        Variance of noise that is too fast to be followed and stays in every pixel.
    """

    unresolved: float = 0.0


def fit_spectrum(
    image: np.ndarray, mask: np.ndarray, *, readout: Readout, clip_sigma: float = CLIP_SIGMA
) -> StackNoise:
    """Fit the spectrum of an image without light, read through one output, to its variogram.

    image, mask, readout : see `smooth_flicker`.

    Half the mean squared difference of blocks of two pixels at lag T is the white noise of a block plus,
    for each process of variance v and scale s, v (1 - exp(-T / s)). Pixels farther than `clip_sigma` robust
    sigma from the median of their row are left out.

    Raises
    ------
    TooFewPixels
        When no lag has 30 pairs of blocks.
    """
    ny, nx = image.shape
    block = min(BLOCK_PIX, nx)
    width = nx // block * block
    usable = np.isfinite(image) & ~mask
    left = np.where(usable, image, 0.0).astype(np.float32)
    left -= _row_medians(left, usable)[:, None]
    limit = clip_sigma * 1.4826 * np.median(np.abs(left[usable])) if usable.any() else 0.0
    usable &= np.abs(left) <= limit
    shape = (ny, width // block, block)
    whole = usable[:, :width].reshape(shape).all(axis=2)
    means = np.where(usable, image, 0).astype(np.float32)[:, :width].reshape(shape).mean(axis=2)
    across, along = (2 ** np.arange(int(np.log2(max(n, 2)))) for n in (ny // 3, whole.shape[1] // 2))
    pairs = [(whole[:, k:] & whole[:, :-k], means[:, k:] - means[:, :-k]) for k in along]
    pairs += [(whole[k:] & whole[:-k], means[k:] - means[:-k]) for k in across]
    n_pairs = np.array([both.sum() for both, _ in pairs])
    half_square = np.array([0.5 * np.mean(d[both] ** 2) if both.any() else 0.0 for both, d in pairs])
    lags = np.r_[along * block, across * (nx + readout.overhead_pix)]
    known = (n_pairs > 30) & (half_square > 0)
    if not known.any():
        raise TooFewPixels("1/f noise: too few pairs of usable neighbours", n_pairs=int(n_pairs.max(initial=0)))
    scales = np.geomspace(3.0 * block, max(ny, 3) * (nx + readout.overhead_pix) / 3.0, N_PROCESSES)
    design = np.column_stack([1.0 - np.exp(-lags[:, None] / scales), np.full(lags.size, 1.0 / block)])[known]
    # Pairs closer than their lag repeat each other: that many fewer are independent.
    certain = np.sqrt(n_pairs[known] * block / lags[known]) / half_square[known]
    found, _ = nnls(design * certain[:, None], half_square[known] * certain)
    white = max(float(found[-1]), 1e-3 * float(half_square[known].min()))
    noise = StackNoise(white, scales, np.zeros(N_PROCESSES), found[:-1])
    return replace(noise, unresolved=_unresolved(image, usable, noise, readout))


def _unresolved(image, usable, noise, readout) -> float:
    """Return the variance that the smoother leaves beside white noise and its own error.

    What is left in the pixels is measured; the white noise R in it is told by neighbours: for 1/f noise of
    variance A per logarithmic step of frequency, half the mean squared difference at lag T is R + A Cin(pi
    T).
    """
    values = np.where(usable, image, 0).astype(np.float32)
    level = float(np.median(values[usable]))
    run = _Run(noise, readout, image.shape, BLOCK_PIX)
    offsets, nothing = np.full(image.shape[1], level, np.float32), np.zeros(image.shape, np.float32)
    pattern, variance = run.smooth(values, usable, offsets, nothing, np.inf, want_variance=True)
    left = float(np.mean((values - pattern - level)[usable] ** 2))
    near, far = (_half_square(values, usable, lag) for lag in (1, 4))
    per_step = max(far - near, 0.0) / (_CIN_4PI - _CIN_PI)
    return max(left - (near - _CIN_PI * per_step) + float(variance[usable].mean()), 0.0)


def _half_square(values, usable, lag) -> float:
    both = usable[:, lag:] & usable[:, :-lag]
    return float(0.5 * np.mean((values[:, lag:] - values[:, :-lag])[both] ** 2)) if both.any() else 0.0


def _row_medians(values, usable):
    filled = np.where(usable, values, np.nan)
    medians = np.zeros(len(values), np.float32)
    known = usable.any(axis=1)
    medians[known] = np.nanmedian(filled[known], axis=1)
    return medians


class SmoothedFlicker(NamedTuple):
    """Result of `smooth_flicker`."""

    pattern: np.ndarray  # (ny, nx) float32, 1/f noise
    variance: np.ndarray  # (ny, nx) float32, posterior variance of `pattern`
    used: np.ndarray  # (ny, nx) bool, pixels whose own noise is in the pattern
    columns: np.ndarray  # (nx,), offset of each column; zero unless asked for
    column_variance: np.ndarray  # (nx,)
    level: float  # median of the image, in neither pattern nor columns


def smooth_flicker(
    image: np.ndarray,
    mask: np.ndarray,
    noise: FlickerNoise,
    *,
    readout: Readout,
    columns: bool = True,
    clip_sigma: float = CLIP_SIGMA,
) -> SmoothedFlicker:
    """Estimate the 1/f noise of one image of known spectrum.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Light subtracted, any linear unit. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used; some must be left.
    noise : FlickerNoise
        Spectrum of one output (`own`) with up to four processes.
    readout : Readout
        Of one output as wide as the image.
    columns : bool
        Also estimate an offset of each column (`shrunk_columns`).
    clip_sigma : float
        Pixels farther than this from what their neighbours in time say are left out: first against the
        total noise, then, in a second run, against the white noise about the result of the first.

    Raises
    ------
    ParameterError
        When the readout is not one output of the image's width, or the spectrum has more than four processes.

    Notes
    -----
    The first run, of blocks twice as long, serves the columns and the clipping. About 60 ns a pixel
    altogether.
    """
    ny, nx = image.shape
    if len(readout.outputs) != 1 or readout.width != nx:
        raise ParameterError(f"readout of {len(readout.outputs)} outputs: one of {nx} columns is needed")
    values = np.ascontiguousarray(image, np.float32)
    usable = np.isfinite(values) & ~mask
    level = float(np.median(values[usable]))
    offsets = np.full(nx, level, np.float32)
    first = _Run(noise, readout, (ny, nx), 2 * BLOCK_PIX)
    limit = clip_sigma * np.sqrt(noise.white + noise.own.sum())
    pattern, _ = first.smooth(values, usable, offsets, np.zeros((ny, nx), np.float32), limit)
    limit = clip_sigma * np.sqrt(noise.white)
    found, column_variance = np.zeros(nx), np.zeros(nx)
    if columns:
        left = values - pattern - np.float32(level)
        found, column_variance = shrunk_columns(left, usable & (np.abs(left) <= limit))
        offsets += found.astype(np.float32)
    used = usable & (np.abs(values - offsets - pattern) <= limit)
    second = _Run(noise, readout, (ny, nx), BLOCK_PIX)
    pattern, variance = second.smooth(values, usable, offsets, pattern, limit, want_variance=True)
    return SmoothedFlicker(pattern, variance, used, found, column_variance, level)


class _Run:
    """One run of the smoother over blocks of a given length."""

    def __init__(self, noise: FlickerNoise, readout: Readout, shape: tuple[int, int], block_pix: int):
        from detectorist.algorithms import _flicker_stack_nb as kernels

        self.kernels, self.shape, self.white = kernels, shape, noise.white
        scales, self.own = _padded(noise, kernels.N_STATES)
        block = max(1, min(block_pix, shape[1]))
        self.n_blocks = -(-shape[1] // block)
        across = shape[1] + readout.overhead_pix - (self.n_blocks - 1) * block
        self.factors = np.exp(-np.array([[block], [across]]) / scales)
        self.layout = (block, int(readout.outputs[0][2] < 0), int(readout.slow_direction < 0))

    def smooth(self, values, usable, offsets, model, limit, *, want_variance=False):
        """Return pattern and its variance, (ny, nx) float32, of the pixels within `limit` of `offsets + model`."""
        means, counts, line, spread = np.zeros((4, self.shape[0] * self.n_blocks), np.float32)
        self.kernels.block_means(values, usable, offsets, model, np.float32(limit), self.layout, means, counts)
        self.kernels.smooth(
            means, counts, self.white, self.own, self.factors, self.n_blocks, want_variance, line, spread
        )
        pattern, variance = np.empty((2, *self.shape), np.float32)
        self.kernels.paint(line, pattern, self.layout, True)
        if want_variance:
            self.kernels.paint(spread, variance, self.layout, False)
        return pattern, variance


def shrunk_columns(values: np.ndarray, usable: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (nx,) the mean of each column's usable values, shrunk by its own uncertainty, and its variance.

    Shrinkage (the part of the columns' scatter that is not their errors) makes sure that columns without a
    pattern of their own are left as they are. Gradients, up to the third order, are light and stay.
    """
    n_used = usable.sum(axis=0)
    known = n_used > 0
    total, squares = (np.sum(part, axis=0, where=usable, dtype=np.float64) for part in (values, values * values))
    columns = total / np.maximum(n_used, 1)
    scatter = max(squares.sum() - (n_used * columns**2).sum(), 0.0) / max(n_used.sum() - known.sum(), 1)
    errors = scatter / np.maximum(n_used, 1)
    x = np.linspace(-1, 1, columns.size)
    if known.sum() > 10 * LIGHT_ORDER:
        light = legendre.legfit(x[known], columns[known], LIGHT_ORDER, w=np.sqrt(n_used[known]))
        columns = np.where(known, columns - legendre.legval(x, light), 0.0)
    signal = max(0.0, float(np.mean(columns[known] ** 2 - errors[known]))) if known.any() else 0.0
    weight = np.where(known, signal / np.maximum(signal + errors, np.finfo(float).tiny), 0.0)
    return columns * weight, signal * (1 - weight)


def _padded(noise, n_states):
    n = len(noise.own)
    if n > n_states:
        raise ParameterError(f"spectrum of {n} processes: at most {n_states} are supported")
    scales, own = np.ones(n_states), np.zeros(n_states)
    scales[:n], own[:n] = noise.scales_pix, noise.own
    return scales, own
