"""Background of dispersed images from the columns beside the trace, and how well it is known.

One level serves a whole row, so its error is common to all pixels of that row: it is kept apart from the pixels' own
errors (which an extraction averages down) and enters a sum over `n` pixels as `n**2` times the variance returned here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.spectra.trace import find_trace_column
from detectorist.errors import ParameterError, TooFewPixels

METHODS = ("row_wise", "constant", "col_wise")

#: Normal standard deviation over median absolute deviation.
SIGMA_PER_MAD = 1.482602218505602

#: Residuals beyond this many robust sigmas do not pull the straight line of "col_wise".
CLIP_SIGMA = 5.0

#: Rows over which an empirical noise estimate is smoothed: one row has too few pixels to measure its own.
SCATTER_ROWS = 15

#: Frames in which the trace is looked for.
FRAMES_FOR_TRACE = 5

#: Background pixels worked on at a time, a fraction of a processor's cache.
BLOCK_VALUES = 60_000


@dataclass(frozen=True)
class Background:
    """A background and the variance that subtracting it adds.

    Attributes
    ----------
    image : ndarray, shape and dtype of the data
        Background of every pixel, unit of the data. NaN where a whole frame has no usable background pixel.
    variance : ndarray of float64, shape of the data without the column axis
        Variance of the background at the trace, unit of the data squared, common to all pixels of a row.
    n_used : ndarray of int, shape of the data without the column axis
        Background pixels behind each row; 0 where the row's level was interpolated from its neighbours.
    """

    image: np.ndarray
    variance: np.ndarray
    n_used: np.ndarray


def background_columns(
    n_cols: int,
    *,
    bkg_col_left_start: int,
    bkg_col_left_end: int,
    bkg_col_right_start: int,
    bkg_col_right_end: int,
) -> np.ndarray:
    """Return the column indices of the two background regions, ends exclusive, none counted twice.

    Raises
    ------
    ParameterError
        When a region is empty, its bounds are swapped, or it reaches beyond the `n_cols` columns there are.
    """
    regions = {
        "left": (bkg_col_left_start, bkg_col_left_end),
        "right": (bkg_col_right_start, bkg_col_right_end),
    }
    for side, (start, end) in regions.items():
        name = f"bkg_col_{side}_start, bkg_col_{side}_end = {start}, {end}"
        if start >= end:
            problem = "is empty" if start == end else "has its bounds swapped"
            raise ParameterError(
                f"background region {name} {problem}: start < end is needed, the end is exclusive",
                start=start,
                end=end,
            )
        if start < 0 or end > n_cols:
            raise ParameterError(
                f"background region {name} reaches beyond the {n_cols} columns of the image",
                start=start,
                end=end,
                n_cols=n_cols,
            )
    return np.union1d(*(np.arange(*bounds) for bounds in regions.values()))


def measure_background(
    data: np.ndarray,
    err: np.ndarray | None = None,
    mask: np.ndarray | None = None,
    *,
    method: str = "row_wise",
    bkg_col_left_start: int = 8,
    bkg_col_left_end: int = 17,
    bkg_col_right_start: int = 56,
    bkg_col_right_end: int = 72,
    smoothing_length: int | None = None,
    columns: np.ndarray | None = None,
) -> Background:
    """Measure the background of every row from two regions of columns.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_rows, n_cols) or (n_ints, n_groups, n_rows, n_cols)
        Images, any linear unit. Non-finite pixels are ignored.
    err : ndarray of float, shape of `data`, optional
        Standard deviation of every pixel, unit of the data; values that are not finite or not positive are
        unknown. Where a row has none, the scatter of the background pixels themselves is used.
    mask : ndarray of bool, shape of `data` or broadcast to it, optional
        True where a pixel must not be used.
    method : str
        "row_wise": median of each row. "constant": one median for a whole frame. "col_wise": straight line
        along each row, fitted by least squares without residuals beyond 5 robust sigmas.
    bkg_col_left_start, bkg_col_left_end, bkg_col_right_start, bkg_col_right_end : int
        Columns of the regions, ends exclusive.
    columns : ndarray of int, optional
        Columns of the background, instead of the two regions.
    smoothing_length : int, optional
        Rows of a running median over the levels (and slopes). An even length is centred by averaging the
        two windows it allows. Near the first and last row the window shrinks on both sides alike, so that
        no row is lost and a gradient is not bent.

    Returns
    -------
    Background

    Raises
    ------
    ParameterError
        Unknown method, smoothing length below 1, or a region that is empty, swapped or outside the image.
    TooFewPixels
        No usable pixel in the regions of any frame.

    Notes
    -----
    The variance of a median of n normal values is taken as pi / (2 n + pi - 2) times that of one (exact for
    n = 1, 1.57 / n for large n; Kenney & Keeping 1962). With `smoothing_length` the errors of neighbouring rows are
    correlated, which a variance per row cannot express. Cost: about 25 passes over the data (row_wise).
    """
    _check(method, smoothing_length)
    if columns is None:
        columns = background_columns(
            data.shape[-1],
            bkg_col_left_start=bkg_col_left_start,
            bkg_col_left_end=bkg_col_left_end,
            bkg_col_right_start=bkg_col_right_start,
            bkg_col_right_end=bkg_col_right_end,
        )
    if method == "constant":
        values = gather(data, columns, mask)
        known = None if err is None else known_variance(gather(err, columns, None), values)
        return _constant(data, values, noise_variance(values, known))
    at = None if method == "row_wise" else _trace_column(data, mask) - columns.mean()
    rows = _measure_rows(data, err, mask, columns, at)
    level, slope, n_used = rows.level, None if at is None else rows.slope, rows.n_used
    variance = rows.noise * rows.leverage
    level, variance = bridge_empty_rows(level, variance, n_used)
    slope = None if slope is None else bridge_empty_rows(slope, variance, n_used)[0]
    if smoothing_length is not None and smoothing_length > 1:
        level, variance = _smooth(level, variance, smoothing_length)
        slope = None if slope is None else _smooth(slope, variance, smoothing_length)[0]
    image = np.empty(data.shape, data.dtype)
    image[...] = level[..., None]
    if slope is not None:
        x = np.arange(data.shape[-1]) - columns.mean()
        for i, slopes in enumerate(slope):  # not at once: a second cube in double precision
            image[i] += (slopes[..., None] * x).astype(data.dtype)
    return Background(image, variance, n_used)


def _check(method: str, smoothing_length: int | None) -> None:
    if method not in METHODS:
        raise ParameterError(f"method is {method!r}: {', '.join(METHODS)} are known", method=method)
    if smoothing_length is not None and smoothing_length < 1:
        raise ParameterError(
            f"smoothing_length is {smoothing_length}: at least 1 row is needed, or None for no smoothing"
        )


def scatter_variance(data: np.ndarray, mask: np.ndarray | None = None, *, columns: np.ndarray) -> np.ndarray:
    """Return the variance of one pixel of every row, from the scatter of `columns`, shape of `data` less the columns.

    Robust, pooled over the integrations and smoothed over 15 rows; NaN and `mask` (True excluded) as in
    `measure_background`. Raises TooFewPixels when no pixel is usable.
    """
    return noise_variance(gather(data, columns, mask), None)


def median_variance(n: np.ndarray | int) -> np.ndarray:
    """Return the variance of the median of `n` normal values over that of one; infinite for n = 0."""
    n = np.asarray(n)
    return np.where(n > 0, math.pi / (2 * np.maximum(n, 1) + math.pi - 2), np.inf)


def sorted_median(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (median, count) of the values that are not NaN along the last axis; NaN and 0 where there are none.

    A sort of short rows is vectorised by numpy, several times faster than its partition, and puts NaN at
    the end.
    """
    ordered = np.sort(values, axis=-1)
    size = values.shape[-1]
    if not np.isnan(ordered[..., -1]).any():
        median = 0.5 * (ordered[..., (size - 1) // 2].astype(float) + ordered[..., size // 2])
        return median, np.full(values.shape[:-1], size)
    n = size - np.isnan(ordered).sum(axis=-1)
    middle = np.stack([np.maximum(n - 1, 0) // 2, np.minimum(n // 2, size - 1)], axis=-1)
    return np.take_along_axis(ordered, middle, axis=-1).mean(axis=-1, dtype=float), n


def gather(array: np.ndarray, columns: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Return a copy of the columns with NaN where a pixel is excluded or not finite."""
    values = np.take(array, columns, axis=-1)
    if values.dtype.kind != "f":
        values = values.astype(float)
    values[np.isinf(values)] = np.nan
    if mask is not None:
        values[np.take(np.broadcast_to(mask, array.shape), columns, axis=-1)] = np.nan
    return values


@dataclass(frozen=True)
class _Rows:
    level: np.ndarray  # at the mean of the columns
    slope: np.ndarray
    leverage: np.ndarray  # variance of the background over that of one pixel
    n_used: np.ndarray
    noise: np.ndarray  # variance of one pixel


def _measure_rows(data, err, mask, columns: np.ndarray, at: float | None) -> _Rows:
    """Measure the median of every row, or the line through it with its variance at `at` from the columns' mean."""
    per_row = data.shape[:-1]
    level, slope, leverage = np.empty(per_row), np.zeros(per_row), np.empty(per_row)
    n_used, known = np.empty(per_row, int), np.full(per_row, np.nan)
    mask = None if mask is None else np.broadcast_to(mask, data.shape)
    x = columns - columns.mean()
    # Blocks that stay in the processor's cache: a whole cube at once spends most of its time fetching memory.
    step = max(1, BLOCK_VALUES // (columns.size * int(np.prod(per_row[1:]))))
    for start in range(0, len(data), step):
        block = slice(start, start + step)
        values = gather(data[block], columns, None if mask is None else mask[block])
        if at is None:
            level[block], n_used[block] = sorted_median(values)
            leverage[block] = median_variance(n_used[block])
        else:
            level[block], slope[block], leverage[block], n_used[block] = _fit_lines(values, x, at=at)
        if err is not None:
            known[block] = known_variance(gather(err[block], columns, None), values)
    if not np.isfinite(known).all():
        values = gather(data, columns, mask)
        if at is not None:
            values -= slope[..., None] * x
        known = noise_variance(values, known)
    return _Rows(level, slope, leverage, n_used, known)


def noise_variance(values: np.ndarray, known: np.ndarray | None) -> np.ndarray:
    """Return `known`, the variance of one pixel of every row, completed by the scatter of the values."""
    if known is not None and np.isfinite(known).all():
        return known
    level, n = sorted_median(values)
    if not n.any():
        raise TooFewPixels("no usable pixel in the background regions of any integration", n_usable=0)
    deviation = sorted_median(np.abs(values - level[..., None]))[0]
    # A short sample's deviation from its own median comes out small by 0.8 / n (Croux & Rousseeuw 1992).
    unbiased = SIGMA_PER_MAD * n / np.maximum(n - 0.8, 0.2)
    scatter = np.where(n > 2, (unbiased * deviation) ** 2, np.nan)
    if values.ndim == 3:
        # All integrations see the same background; one row of one of them is too little to measure noise.
        pooled = sorted_median(np.moveaxis(scatter, 0, -1))[0]
        scatter = np.broadcast_to(pooled, scatter.shape)
    scatter = _running_median(scatter, SCATTER_ROWS)
    scatter = np.where(np.isfinite(scatter), scatter, sorted_median(scatter.ravel())[0])
    return scatter if known is None else np.where(np.isfinite(known), known, scatter)


def known_variance(err: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the variance that enters a median of pixels of unequal errors, NaN where none is known.

    The median's variance is pi/2 over the square of the sum of 1/sigma, so 1/sigma is what has to be averaged
    (Laplace's formula, 1 / (4 n f(0)^2), for a mixture).
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = 1 / err
    unknown = ~((inverse > 0) & (err > 0)) | np.isnan(values)
    inverse[unknown] = 0
    ones = np.ones(err.shape[-1], err.dtype)
    n_known = err.shape[-1] - unknown.astype(err.dtype) @ ones if unknown.any() else float(err.shape[-1])
    with np.errstate(divide="ignore", invalid="ignore"):
        return (n_known / (inverse @ ones).astype(float)) ** 2


def _constant(data: np.ndarray, values: np.ndarray, noise: np.ndarray) -> Background:
    """Return one level for a frame; gradients along the rows widen its scatter but are no noise of it."""
    level, n_used = sorted_median(values.reshape(*values.shape[:-2], -1))
    variance = noise.mean(axis=-1) * median_variance(n_used)
    image = np.empty(data.shape, data.dtype)
    image[...] = level[..., None, None]
    per_row = data.shape[:-1]
    return Background(
        image,
        np.broadcast_to(np.where(n_used > 0, variance, np.nan)[..., None], per_row).copy(),
        np.broadcast_to(n_used[..., None], per_row).copy(),
    )


def _fit_lines(values: np.ndarray, x: np.ndarray, *, at: float):
    """Fit value = level + slope * x in every row, twice: the second time without far residuals.

    Returns (level, slope, variance of the line at x = `at` over that of one pixel, pixels used).
    """
    finite = np.isfinite(values)
    use = finite.astype(float)
    filled = np.where(finite, values, 0.0).astype(float)
    # Sums over short rows are fastest as products with a small matrix.
    powers = np.stack([np.ones(x.size), x, x * x], axis=1)
    for last in (False, True):
        n, sx, sxx = np.moveaxis(use @ powers, -1, 0)
        sy, sxy = np.moveaxis((use * filled) @ powers[:, :2], -1, 0)
        determinant = n * sxx - sx**2
        # Two columns make a line; with fewer the row is taken as flat.
        fits = determinant > 0
        safe = np.where(fits, determinant, 1.0)
        slope = np.where(fits, (n * sxy - sx * sy) / safe, 0.0)
        level = np.where(n > 0, (sy - slope * sx) / np.maximum(n, 1), np.nan)
        if not last:
            residual = np.abs(filled - np.nan_to_num(level)[..., None] - slope[..., None] * x)
            limit = CLIP_SIGMA * SIGMA_PER_MAD * sorted_median(np.where(finite, residual, np.nan))[0]
            use *= residual <= np.nan_to_num(np.maximum(limit, 1e-12))[..., None]
    leverage = np.where(fits, (sxx - 2 * at * sx + n * at**2) / safe, median_variance(n))
    return level, slope, leverage, n


def _trace_column(data: np.ndarray, mask: np.ndarray | None) -> float:
    """Return the column of the trace, from a few frames."""
    frames = data.reshape(-1, *data.shape[-2:])
    few = slice(None, None, max(1, len(frames) // FRAMES_FOR_TRACE))
    if mask is not None:
        mask = np.broadcast_to(mask, data.shape).reshape(frames.shape)[few]
    return float(find_trace_column(frames[few], mask))


def bridge_empty_rows(level: np.ndarray, variance: np.ndarray, n_used: np.ndarray):
    """Interpolate rows without a usable pixel from their neighbours; a frame without any stays NaN."""
    if (n_used > 0).all():
        return level, variance
    level, variance = level.copy(), variance.copy()
    rows = np.arange(level.shape[-1])
    for index in np.ndindex(level.shape[:-1]):
        good = n_used[index] > 0
        for array in (level, variance):
            array[index] = np.interp(rows, rows[good], array[index][good]) if good.any() else np.nan
    return level, variance


def _smooth(level: np.ndarray, variance: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the running median of the levels along the rows, and its variance."""
    n_rows = level.shape[-1]
    if length % 2:
        windows = [_running_median(level, length)]
    else:
        windows = [_running_median(level, length, shift=shift) for shift in (0, 1)]
    reach = _reach(n_rows, length // 2)
    cumulative = np.concatenate([np.zeros((*variance.shape[:-1], 1)), np.cumsum(variance, axis=-1)], axis=-1)
    rows = np.arange(n_rows)
    n = 2 * reach + 1
    # Two windows of an even length share all but their end rows: together they are as good as one of 1.5
    # rows more.
    effective = length if length % 2 else length + 1.5
    mean = (cumulative[..., rows + reach + 1] - cumulative[..., rows - reach]) / n
    return np.mean(windows, axis=0), mean * median_variance(np.minimum(n, effective))


def _running_median(level: np.ndarray, length: int, *, shift: int = 0) -> np.ndarray:
    """Return the median of `length` rows about each row, NaN ignored; `shift` moves an even window by a row."""
    half = length // 2
    n_rows = level.shape[-1]
    offsets = np.arange(-half, half + 1) if length % 2 else np.arange(-half, half) + shift
    smooth = np.empty(level.shape)
    inner = np.arange(half, max(n_rows - half, half))
    rows = np.arange(n_rows)
    outer = rows[(rows < half) | (rows >= n_rows - half)]
    taken = np.clip(outer[:, None] + offsets, 0, n_rows - 1)
    outside = np.abs(offsets) > _reach(n_rows, half)[outer][:, None]
    for index in np.ndindex(level.shape[:-1]):
        one = level[index]
        if inner.size:
            windows = np.lib.stride_tricks.sliding_window_view(one, length)
            smooth[index][inner] = sorted_median(windows[inner + offsets[0]])[0]
        smooth[index][outer] = sorted_median(np.where(outside, np.nan, one[taken]))[0]
    return smooth


def _reach(n_rows: int, half: int) -> np.ndarray:
    """Return how many rows a window extends on either side: less near the ends, alike on both sides."""
    rows = np.arange(n_rows)
    return np.minimum(half, np.minimum(rows, n_rows - 1 - rows))
