"""1/f noise of many images of one exposure read through one output: a faster version of `flicker`.

Model and spectrum are those of `flicker` (processes on the time line of the readout); with a single output
its smoother reduces to scalars and costs a millisecond for a subarray of 320 x 320 pixels, so that every
group of every integration can be corrected.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy import ndimage
from scipy.optimize import nnls

from detectorist.algorithms.flicker.smoother import FlickerNoise, Readout
from detectorist.algorithms.images.patches import nanmedian
from detectorist.algorithms.medians import typed_median
from detectorist.errors import ParameterError, TooFewPixels

#: Pixels averaged before the smoother. The white noise of a pixel hides what is faster.
BLOCK_PIX = 2
CLIP_SIGMA = 4.0
N_PROCESSES = 4
#: Lags, pixels, and steepness of the spectra that noise too fast for the smoother is told by.
_FAST_LAGS, _SLOPES = (1, 2, 3, 4, 6, 8, 12, 16), np.arange(0.6, 1.65, 0.1)
#: Fall in the sum of weighted squares, white noise alone against all processes, that is not chance: of 450 images of
#: white noise half fell by less than 1, the most by 15.
LEAST_GAIN = 16.0
#: Box over which the white noise of a place is told.
LOCAL_BOX_PIX = 25
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
    images: np.ndarray, mask: np.ndarray, *, readout: Readout, clip_sigma: float = CLIP_SIGMA
) -> StackNoise:
    """Fit the spectrum that images without light, read through one output, have in common to their variogram.

    images, mask : (n_images, ny, nx) or (ny, nx); these and `readout` as in `smooth_flicker`.

    Half the mean squared difference of blocks of two pixels at lag T is the white noise of a block plus,
    for each process of variance v and scale s, v (1 - exp(-T / s)). Pixels farther than `clip_sigma` robust
    sigma from the median of their row are left out. Where the fit is no better than white noise alone by
    `LEAST_GAIN`, no process is fitted: variances cannot be negative, so white noise alone would otherwise yield
    positive ones.

    Raises
    ------
    TooFewPixels
        When no lag has 30 pairs of blocks.
    """
    ny, nx = images.shape[-2:]
    block = min(BLOCK_PIX, nx)
    along, across = (2 ** np.arange(int(np.log2(max(n, 2)))) for n in (nx // block // 2, ny // 3))
    lags = np.r_[along * block, across * (nx + readout.overhead_pix)]
    stacks = (part.reshape(-1, ny, nx) for part in (images, mask))
    inner = [_inner_pixels(*one, clip_sigma) for one in zip(*stacks, strict=True)]
    excess = _local_excess(inner)
    found = np.array([_variogram(values, usable, excess, block, along, across) for values, usable in inner])
    n_pairs = found[:, 0].sum(axis=0)
    half_square = found[:, 1].sum(axis=0) / np.maximum(n_pairs, 1)
    known = (n_pairs > 30) & (half_square > 0)
    if not known.any():
        raise TooFewPixels("1/f noise: too few pairs of usable neighbours", n_pairs=int(n_pairs.max(initial=0)))
    scales = np.geomspace(3.0 * block, max(ny, 3) * (nx + readout.overhead_pix) / 3.0, N_PROCESSES)
    design = np.column_stack([1.0 - np.exp(-lags[:, None] / scales), np.full(lags.size, 1.0 / block)])[known]
    variances = _fitted(design, half_square[known], n_pairs[known], lags[known] / block, 1.0 / block)
    white = max(float(variances[-1]), 1e-3 * float(half_square[known].min()))
    noise = StackNoise(white, scales, np.zeros(N_PROCESSES), variances[:-1])
    return replace(noise, unresolved=_unresolved(inner, noise, readout))


def _fitted(design, half_square, n_pairs, repeated, of_white):
    """Return variances of the processes and of white noise, none negative; of white noise alone if that explains all.

    White noise differs in every pair: all count where nothing else is looked for. Of 1/f noise pairs closer than their
    lag repeat each other, `repeated` times fewer are independent; were only these counted, noise that is far weaker
    than white noise in pixels, but not in the means of rows, would pass for chance.
    """
    alone = np.average(half_square, weights=n_pairs)
    certain = np.sqrt(n_pairs) / alone
    _, misfit = nnls(design * certain[:, None], half_square * certain)
    if (((half_square - alone) * certain) ** 2).sum() - misfit**2 < LEAST_GAIN:
        return np.r_[np.zeros(design.shape[1] - 1), alone / of_white]
    certain = np.sqrt(n_pairs / repeated) / half_square
    return nnls(design * certain[:, None], half_square * certain)[0]


def _inner_pixels(image, mask, clip_sigma):
    """Return the image as float32, 0 where it is not to be used, and where it is: not far from its row's median."""
    usable = np.isfinite(image) & ~mask
    values = np.where(usable, image, 0.0).astype(np.float32)
    left = values - _row_medians(values, usable)[:, None]
    limit = clip_sigma * 1.4826 * typed_median(np.abs(left[usable])) if usable.any() else 0.0
    usable &= np.abs(left) <= limit
    return np.where(usable, values, np.float32(0)), usable


def _local_excess(inner):
    """Return (ny, nx) by how much the white noise of a place (photons) is above the mean of all.

    Without it, noise that grows toward the middle of an image would look like noise that grows with the lag: pairs
    far apart leave out the edges.
    """
    square, number = np.zeros(inner[0][0].shape), np.zeros(inner[0][0].shape)
    for values, usable in inner:
        both = usable[:, 1:] & usable[:, :-1]
        square[:, 1:] += np.where(both, 0.5 * np.diff(values, axis=1) ** 2, 0.0)
        number[:, 1:] += both
    near = ndimage.uniform_filter(number, LOCAL_BOX_PIX)
    local = ndimage.uniform_filter(square, LOCAL_BOX_PIX) / np.maximum(near, 1e-6)
    mean = square.sum() / max(number.sum(), 1)
    return np.where(near > 0.1 * len(inner), local - mean, 0.0).astype(np.float32)


def _variogram(values, usable, excess, block, along, across):
    """Return pairs and the sum of half their squared differences, (2, n_lags), of blocks apart along and across."""
    nx = values.shape[1]
    members = [np.s_[:, first : nx // block * block : block] for first in range(block)]
    whole = np.logical_and.reduce([usable[one] for one in members])
    means, more = (_mean_of([part[one] for one in members]) for part in (values, excess))
    more = more / block
    numbers, sums = [], []
    for a, b in [[np.s_[:, k:], np.s_[:, :-k]] for k in along] + [[np.s_[k:], np.s_[:-k]] for k in across]:
        both = whole[a] & whole[b]
        numbers.append(both.sum())
        sums.append(0.5 * np.sum(((means[a] - means[b]) ** 2 - more[a] - more[b])[both], dtype=np.float64))
    return numbers, sums


def _mean_of(parts):
    """Return the mean of arrays, the same bits as of `mean` along a last axis, which is slow where that is short."""
    total = parts[0].copy()
    for part in parts[1:]:
        total += part
    return total / len(parts)


def _unresolved(inner, noise, readout) -> float:
    """Return the variance that the smoother leaves beside white noise and its own error.

    What is left in the pixels is measured; the white noise in it is measured from neighbours (`white_beside_flicker`).

    inner : list of (values, usable), (ny, nx) each.
    """
    if not noise.own.any():
        return 0.0
    left = []
    for values, usable in inner:
        if not usable.any():
            continue
        level = float(typed_median(values[usable]))
        run = SmootherRun(noise, readout, values.shape, BLOCK_PIX)
        offsets, nothing = np.full(values.shape[1], level, np.float32), np.zeros(values.shape, np.float32)
        pattern, variance = run.smooth(values, usable.astype(np.float32), offsets, nothing, np.inf, want_variance=True)
        left.append(float(np.mean((values - pattern - level)[usable] ** 2) + variance[usable].mean()))
    return max(float(np.mean(left)) - white_variance(inner), 0.0)


def white_variance(images: list[tuple[np.ndarray, np.ndarray]]) -> float:
    """Return the variance of a pixel's white noise, from the differences of neighbours along the rows.

    images : list of (values, usable), (ny, nx) each, without light.
    """
    return white_beside_flicker(np.mean([[_half_square(*one, lag) for lag in _FAST_LAGS] for one in images], axis=0))


def white_beside_flicker(half_squares: np.ndarray) -> float:
    """Return the variance of the white noise in a pixel.

    half_squares : (8,), half the mean squared difference of pixels `_FAST_LAGS` apart along the row. Noise of power
        A / f**slope makes it R + A times an integral over (1 - cos(2 pi f lag)) / f**slope up to half the
        frequency of pixels; white noise R, A and the slope are fitted.
    """
    frequency = np.geomspace(1e-5, 0.5, 600)
    rise = 1 - np.cos(2 * np.pi * frequency * np.array(_FAST_LAGS)[:, None])
    certain = 1 / np.maximum(half_squares, np.finfo(float).tiny)
    fits = []
    for slope in _SLOPES:
        design = np.column_stack([np.ones(len(rise)), np.trapezoid(rise * frequency ** (1 - slope), np.log(frequency))])
        variances, misfit = nnls(design * certain[:, None], half_squares * certain)
        fits.append((misfit, variances[0]))
    return float(min(fits)[1])


def _half_square(values, usable, lag) -> float:
    both = usable[:, lag:] & usable[:, :-lag]
    return float(0.5 * np.mean((values[:, lag:] - values[:, :-lag])[both] ** 2)) if both.any() else 0.0


def _row_medians(values, usable):
    filled = np.where(usable, values, np.nan)
    medians = np.zeros(len(values), np.float32)
    known = usable.any(axis=1)
    medians[known] = nanmedian(filled[known], axis=1)
    return medians


class SmoothedFlicker(NamedTuple):
    """Result of `smooth_flicker`."""

    pattern: np.ndarray  # (ny, nx) float32, 1/f noise
    variance: np.ndarray  # (ny, nx) float32, posterior variance of `pattern`
    used: np.ndarray  # (ny, nx) bool, pixels whose own noise is in the pattern
    columns: np.ndarray  # (nx,), with a gap (ny, nx), offset of each column; zero unless asked for
    column_variance: np.ndarray  # (nx,)
    column_power: float  # variance of the offsets themselves
    level: float  # median of the image, in neither pattern nor columns


def smooth_flicker(
    image: np.ndarray,
    mask: np.ndarray,
    noise: FlickerNoise,
    *,
    readout: Readout,
    weight: np.ndarray | None = None,
    columns: bool = True,
    column_power: float | None = None,
    gap_pix: int = 0,
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
    weight : ndarray of float, shape (ny, nx), optional
        What a pixel counts for, 0 to 1: the white noise has 1 / weight of its variance there. By default 1.
    columns : bool
        Also estimate an offset of each column (`shrunk_columns`).
    column_power : float, optional
        Variance that these offsets are known to have.
    gap_pix : int
        The noise of every pixel is estimated without the pixels within this distance along the row (and, for column
        offsets, without the rows within it), so that a source smaller than this does not enter its own noise estimate.
        0: all pixels are used.
    clip_sigma : float
        Pixels farther than this from the value predicted by their neighbours in time are left out: in units of the
        total noise in the first run, of the white noise in the second.

    Raises
    ------
    ParameterError
        When the readout is not one output of the image's width, or the spectrum has more than four processes.

    Notes
    -----
    The first run, with blocks twice as long, is for the columns and the clipping. About 60 ns a pixel
    altogether, with a gap 500 ns.
    """
    ny, nx = image.shape
    if len(readout.outputs) != 1 or readout.width != nx:
        raise ParameterError(f"readout of {len(readout.outputs)} outputs: one of {nx} columns is needed")
    values = np.ascontiguousarray(image, np.float32)
    usable = np.isfinite(values) & ~mask
    weight = np.where(usable, 1 if weight is None else weight, 0).astype(np.float32)
    level = float(typed_median(values[usable]))
    offsets = np.full(nx, level, np.float32)
    first = SmootherRun(noise, readout, (ny, nx), 2 * BLOCK_PIX)
    limit = clip_sigma * np.sqrt(noise.white + noise.own.sum())
    pattern, _ = first.smooth(values, weight, offsets, np.zeros((ny, nx), np.float32), limit)
    limit = clip_sigma * np.sqrt(noise.white)
    found = ColumnOffsets(np.zeros(nx), np.zeros(nx), 0.0)
    if columns:
        left = values - pattern - np.float32(level)
        near = np.where(np.abs(left) <= limit, weight, np.float32(0))
        found = shrunk_columns(left, near, power=column_power)
        offsets += found.offset.astype(np.float32)
        if gap_pix > 0:
            found = shrunk_columns(left, near, power=column_power, gap_pix=gap_pix)
    used = usable & (np.abs(values - offsets - pattern) <= limit) & (gap_pix == 0)
    second = SmootherRun(noise, readout, (ny, nx), BLOCK_PIX)
    pattern, variance = second.smooth(values, weight, offsets, pattern, limit, want_variance=True, gap_pix=gap_pix)
    return SmoothedFlicker(pattern, variance, used, *found, level)


#: Variance of a process, in units of that of all, below which its information would drown the others' digits.
_LEAST_VARIANCE = 1e-6


class SmootherRun:
    """One run of the smoother over blocks of a given length."""

    def __init__(self, noise: FlickerNoise, readout: Readout, shape: tuple[int, int], block_pix: int):
        from detectorist.algorithms.flicker import _stack_nb as kernels

        self.kernels, self.shape, self.white = kernels, shape, noise.white
        scales, self.own = _padded(noise, kernels.N_STATES)
        block = max(1, min(block_pix, shape[1]))
        self.n_blocks = -(-shape[1] // block)
        across = shape[1] + readout.overhead_pix - (self.n_blocks - 1) * block
        self.factors = np.exp(-np.array([[block], [across]]) / scales)
        self.layout = (block, int(readout.outputs[0][2] < 0), int(readout.slow_direction < 0))

    def smooth(self, values, weight, offsets, model, limit, *, want_variance=False, gap_pix=0):
        """Return pattern and its variance, (ny, nx) float32, of the pixels within `limit` of `offsets + model`."""
        means, counts, line, spread = np.zeros((4, self.shape[0] * self.n_blocks), np.float32)
        self.kernels.block_means(values, weight, offsets, model, np.float32(limit), self.layout, means, counts)
        if gap_pix > 0:
            gap = -(-gap_pix // self.layout[0])
            self.kernels.smooth_around(
                means, counts, self.white, self._variances(), self.factors, self.n_blocks, gap, line, spread
            )
        else:
            self.kernels.smooth(
                means, counts, self.white, self.own, self.factors, self.n_blocks, want_variance, line, spread
            )
        pattern, variance = np.empty((2, *self.shape), np.float32)
        self.kernels.paint(line, pattern, self.layout, True)
        if want_variance:
            self.kernels.paint(spread, variance, self.layout, False)
        return pattern, variance

    def averages(self, values, weight):
        """Return means and counts, (n_cells,), of the blocks of an image."""
        means, counts = np.zeros((2, self.shape[0] * self.n_blocks), np.float32)
        zero = np.zeros(self.shape, np.float32)
        limit = np.float32(np.inf)
        self.kernels.block_means(values, weight, zero[0], zero, limit, self.layout, means, counts)
        return means, counts

    def centres(self):
        """Return row and column, (n_cells,) each, of the centres of the blocks on the image."""
        block, reverse_columns, reverse_rows = self.layout
        ny, nx = self.shape
        first = np.arange(self.n_blocks) * block
        x = (first + np.minimum(first + block, nx) - 1) / 2
        x = nx - 1 - x if reverse_columns else x
        y = np.arange(ny)[::-1] if reverse_rows else np.arange(ny)
        return np.repeat(y, self.n_blocks), np.tile(x, ny)

    def informed(self, means, counts):
        """Return the product of block values (n_cells,) and the inverse covariance of white and 1/f noise."""
        line, spread = np.zeros((2, means.size), np.float32)
        self.kernels.smooth(means, counts, self.white, self.own, self.factors, self.n_blocks, False, line, spread)
        return (means - line) * counts / self.white

    def all_informed(self, means, counts):
        """Return what `informed` does for values (n_sets, n_cells) on the same pixels: their gains are told once."""
        lines = np.empty(means.shape, np.float32)
        self.kernels.smooth_many(means, counts, self.white, self.own, self.factors, self.n_blocks, lines)
        return (means - lines) * counts / self.white

    def _variances(self) -> np.ndarray:
        """Return the variances of the processes, none of them 0."""
        return np.maximum(self.own, max(_LEAST_VARIANCE * float(self.own.sum()), _LEAST_VARIANCE**2 * self.white))


class ColumnOffsets(NamedTuple):
    """Result of `shrunk_columns`."""

    offset: np.ndarray  # (nx,), with a gap (ny, nx)
    variance: np.ndarray  # (nx,), of the offsets about the true ones
    power: float  # variance of the true ones


def shrunk_columns(
    values: np.ndarray, weight: np.ndarray, *, power: float | None = None, gap_pix: int = 0
) -> ColumnOffsets:
    """Return the mean of each column's values, shrunk by its own uncertainty.

    values, weight : (ny, nx); weight is 0 where a value must not be used, which may be NaN there.

    Shrinkage leaves columns without a pattern unchanged: true offsets have the
    variance `power`, by default the part of the columns' scatter that their errors do not explain. Gradients, up to the
    third order, are light and stay. With a gap, each offset is estimated without the rows within `gap_pix`.
    """
    n_used = weight.sum(axis=0, dtype=np.float64)
    known = n_used > 0
    values = np.where(weight > 0, values, 0)
    total, squares = (np.einsum("yx,yx->x", weight, part, dtype=np.float64) for part in (values, values * values))
    columns = total / np.where(known, n_used, 1)
    scatter = max(squares.sum() - (n_used * columns**2).sum(), 0.0) / max(n_used.sum() - known.sum(), 1)
    errors = scatter / np.where(known, n_used, 1)
    x = np.linspace(-1, 1, columns.size)
    if known.sum() > 10 * LIGHT_ORDER:
        light = legendre.legfit(x[known], columns[known], LIGHT_ORDER, w=np.sqrt(n_used[known]))
        columns = np.where(known, columns - legendre.legval(x, light), 0.0)
    if power is None:
        power = max(0.0, float(np.mean(columns[known] ** 2 - errors[known]))) if known.any() else 0.0
    share = np.where(known, power / np.maximum(power + errors, np.finfo(float).tiny), 0.0)
    shrunk = columns * share
    if gap_pix > 0:
        left = weight * (values - total / np.where(known, n_used, 1))
        shrunk = shrunk - share * _sum_near(left, gap_pix) / np.maximum(n_used - _sum_near(weight, gap_pix), 1)
    return ColumnOffsets(shrunk, power * (1 - share), power)


def _sum_near(values, gap):
    """Return (ny, nx) sums over the rows up to `gap` away."""
    ny = len(values)
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
    return sums[np.minimum(np.arange(ny) + gap + 1, ny)] - sums[np.maximum(np.arange(ny) - gap, 0)]


def _padded(noise, n_states):
    n = len(noise.own)
    if n > n_states:
        raise ParameterError(f"spectrum of {n} processes: at most {n_states} are supported")
    scales, own = np.ones(n_states), np.zeros(n_states)
    scales[:n], own[:n] = noise.scales_pix, noise.own
    return scales, own
