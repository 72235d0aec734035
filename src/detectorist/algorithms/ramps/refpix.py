"""Electronic drift of MIRI ramps from the reference columns at the edge of the detector.

MIRI has four outputs, interleaved by column (column mod 4), and four columns of reference pixels on the left edge, one
for each output. Changes of a reference pixel from group to group are drift of its output: an offset per group, another
one for odd and even rows, and a slow variation along the rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import cholesky_banded
from scipy.ndimage import gaussian_filter1d

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.medians import median

#: Outputs of the MIRI detector, interleaved by column; as many reference columns on its left edge.
N_OUTPUTS = 4
#: Reads farther than this from the median of their column are no drift (cosmic rays): rejected before smoothing ...
SCREEN_SIGMA = 8.0
#: ... and farther than this from the smoothed drift, after it.
REJECT_SIGMA = 5.0
#: Series (columns of one group) that are enough to choose a smoothing from.
MAX_SERIES_FOR_CHOICE = 400
#: Smoothing lengths tried by "auto", in rows, up to this multiple of the column.
LONGEST_OVER_COLUMN = 8.0

SMOOTHINGS = ("median", "gaussian", "auto")


@dataclass(frozen=True)
class SplineChoice:
    """The choice made by "auto": order of the spline (1 or 2), and the period in rows whose amplitude it halves."""

    order: int
    length_rows: float


@dataclass(frozen=True)
class ReferenceDrift:
    """Drift of every output, and how well it is known."""

    drift: np.ndarray  # (n_ints, n_groups, ny, 4) float64, DN relative to the first group; 0 in the first group
    read_noise_dn: float  # of one reference read minus the one of the first group
    noise_dn: float  # rms noise of `drift`; common to all pixels of a row and output
    estimator: str  # "median", "gaussian", "spline order 1", "spline order 2"
    length_rows: float | None  # of the detector; None: the whole column at once
    n_rejected: int  # usable reads left out as outliers
    n_unmeasured: int  # (integration, group, output) without a usable read: the mean of the other outputs, or 0


@one_thread
def measure_reference_drift(
    reads: np.ndarray,
    unusable: np.ndarray | None = None,
    *,
    smoothing_length: int | None = None,
    smoothing: str = "median",
    odd_even_rows: bool = True,
    chosen: SplineChoice | None = None,
) -> ReferenceDrift:
    """Measure the drift of each output in each group, relative to the first group of its integration.

    Parameters
    ----------
    reads : ndarray of float, shape (n_ints, n_groups, ny, 4)
        Reference columns in DN, one per output. Non-finite reads are left out.
    unusable : ndarray of bool, same shape
        True where a read must not be used. A pixel that is unusable in group 0 is left out of the whole integration.
    smoothing_length : int or None
        In rows of the detector, also where odd and even rows are treated separately. "median": the window reaches
        half of it to both sides, so an even length is taken one row longer; "gaussian": full width at half maximum.
        None takes the whole column at once ("auto": chooses).
    smoothing : {"median", "gaussian", "auto"}
        "auto": penalised least squares (Whittaker; the discrete smoothing spline of order 1 or 2), the offset
        of odd against even rows fitted along, and order and length chosen by generalised cross-validation over
        all columns (Craven & Wahba 1979; Eilers 2003, Anal. Chem. 75, 3631).
    odd_even_rows : bool
        Odd and even rows have offsets of their own.
    chosen : SplineChoice, optional
        For "auto": the choice made elsewhere, as on another part of the exposure; None chooses from these reads.

    Returns
    -------
    ReferenceDrift
        At the ends of the column windows are cut short.

    Raises
    ------
    ValueError
        Unknown smoothing, a length below 1, a length given to "auto", or not four columns.

    Notes
    -----
    Linear in the number of reads; with "auto" once per process a symmetric eigenproblem of size ny in addition.
    The noise of the first group enters all other groups of its integration. Integrations are independent of one
    another, except for the choice of "auto".
    """
    _check(reads, smoothing_length, smoothing)
    n_ints, n_groups, ny, n_outputs = reads.shape
    step = 2 if odd_even_rows and ny > 1 else 1
    if smoothing == "auto" and chosen is None:
        chosen = choose_smoothing(reads, unusable, odd_even_rows=odd_even_rows)
    smoother: Any = None
    if chosen is not None:
        smoother = _SplineSmoother(chosen.order, chosen.length_rows, step, ny)
    elif smoothing == "gaussian":
        smoother = _GaussianSmoother(smoothing_length, step, ny)
    smoothed = np.zeros((n_ints, n_groups, n_outputs, ny))
    measured = np.zeros((n_ints, n_groups, n_outputs), bool)
    parts = []
    for i in range(n_ints):
        series, good = _later_series(reads[i], None if unusable is None else unusable[i])
        parts.append(_smooth(series, good, smoother, smoothing_length, step))
        smoothed[i, 1:] = parts[-1].values.reshape(n_groups - 1, n_outputs, ny)
        measured[i, 1:] = good.any(axis=1).reshape(n_groups - 1, n_outputs)
        measured[i, 0] = _is_usable(reads[i, :1], None if unusable is None else unusable[i, :1]).any(axis=(0, 1))
    drift, n_unmeasured = _borrow(smoothed.transpose(0, 1, 3, 2), measured)
    sigma, noise = (float(np.sqrt(np.mean([getattr(one, name) ** 2 for one in parts]))) for name in ("sigma", "noise"))
    estimator, length = ("median", smoothing_length) if smoother is None else (smoother.name, smoother.length)
    return ReferenceDrift(drift, sigma, noise, estimator, length, sum(one.n_rejected for one in parts), n_unmeasured)


@one_thread
def choose_smoothing(
    reads: np.ndarray, unusable: np.ndarray | None = None, *, odd_even_rows: bool = True
) -> SplineChoice:
    """Return the smoothing that "auto" chooses for these reads, as described in `measure_reference_drift`.

    Made from 400 columns at most, spread evenly over all groups and integrations. Parameters as there.
    """
    n_ints, n_groups, ny, n_outputs = reads.shape
    step = 2 if odd_even_rows and ny > 1 else 1
    per_int = (n_groups - 1) * n_outputs
    wanted = np.linspace(0, n_ints * per_int - 1, min(n_ints * per_int, MAX_SERIES_FOR_CHOICE)).round().astype(int)
    sample, kept = [np.zeros((0, ny))], [np.zeros((0, ny), bool)]
    for i in range(n_ints):
        own = wanted[wanted // max(per_int, 1) == i] % max(per_int, 1)
        series, good = _later_series(reads[i], None if unusable is None else unusable[i])
        if own.size and good.any():
            sample.append(series[own])
            kept.append((good & _near_the_median(series, good, step))[own])
    return _choose_spline(np.concatenate(sample), np.concatenate(kept), step)


def _is_usable(reads: np.ndarray, unusable: np.ndarray | None) -> np.ndarray:
    usable = np.isfinite(reads)
    return usable if unusable is None else usable & ~unusable


def _later_series(reads: np.ndarray, unusable: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Return columns (n_series, ny) of one integration minus those of its first group, and where they are usable.

    The first group is zero by construction: no noise, nothing to learn.
    """
    ny = reads.shape[1]
    usable = _is_usable(reads, unusable)
    usable = usable[1:] & usable[:1]
    with np.errstate(invalid="ignore"):
        difference = reads[1:].astype(float) - reads[:1].astype(float)
    usable &= np.isfinite(difference)
    series = np.where(usable, difference, 0.0).transpose(0, 2, 1).reshape(-1, ny)
    return series, np.ascontiguousarray(usable.transpose(0, 2, 1).reshape(-1, ny))


def subtract_reference_drift(
    data: np.ndarray, drift: np.ndarray, *, first_column: int = 0, dtype=np.float32, out: np.ndarray | None = None
) -> np.ndarray:
    """Return ramps without the drift of their outputs.

    data : ndarray of float, shape (n_ints, n_groups, ny, nx), DN. NaN stays NaN.
    drift : ndarray of float, shape (n_ints, n_groups, ny, 4), DN.
    first_column : int
        Column of the detector (0-based) under the first one of `data`; it determines which output reads it.
    out : where the result goes, which may be `data` itself; by default a new array of `dtype`.
    Returns that array; reference columns are corrected like all others.
    """
    ny, nx = data.shape[2:]
    corrected = np.empty(data.shape, dtype) if out is None else out
    # Outputs in the order of the first columns; the whole of a group stays in the cache.
    in_order = np.roll(drift.astype(dtype), -(first_column % N_OUTPUTS), axis=-1)
    repeats = -(-nx // N_OUTPUTS)
    drifted = np.empty((ny, repeats * N_OUTPUTS), dtype)
    # The drifts of a row's outputs are copied as one item each time: four columns at once.
    four = np.dtype((np.void, N_OUTPUTS * drifted.itemsize))
    for before, moved, after in zip(data, np.ascontiguousarray(in_order).view(four), corrected, strict=True):
        for group in range(len(before)):
            drifted.view(four)[:] = moved[group]
            np.subtract(before[group], drifted[:, :nx], out=after[group], casting="unsafe")
    return corrected


@dataclass(frozen=True)
class _Smoothed:
    values: np.ndarray  # (n_series, ny)
    sigma: float
    noise: float
    n_rejected: int


def _check(reads: np.ndarray, smoothing_length: int | None, smoothing: str) -> None:
    if reads.ndim != 4 or reads.shape[-1] != N_OUTPUTS:
        raise ValueError(f"reads of shape {reads.shape}: (n_ints, n_groups, ny, {N_OUTPUTS}) is needed")
    if smoothing not in SMOOTHINGS:
        raise ValueError(f"smoothing {smoothing!r}: one of {', '.join(SMOOTHINGS)} is needed")
    if smoothing_length is not None and smoothing_length < 1:
        raise ValueError(f"smoothing_length {smoothing_length}: 1 row or more is needed")
    if smoothing_length is not None and smoothing == "auto":
        raise ValueError(f"smoothing_length {smoothing_length} with smoothing 'auto': auto chooses the length itself")


def _smooth(series: np.ndarray, usable: np.ndarray, smoother: Any, length: int | None, step: int) -> _Smoothed:
    """Smooth the columns of one integration; without a smoother by medians over `length` rows."""
    if not usable.any():
        return _Smoothed(np.zeros_like(series), 0.0, 0.0, 0)
    if smoother is None:
        return _smooth_median(series, usable, length, step)
    return _smooth_twice(series, usable, usable & _near_the_median(series, usable, step), smoother)


def _smooth_median(series: np.ndarray, usable: np.ndarray, length: int | None, step: int) -> _Smoothed:
    ny = series.shape[1]
    sigma = _noise_of_reads(series, usable, step)
    whole = _column_medians(series, usable, step)
    if length is None or length // 2 >= ny:
        values, n_window = whole, usable.mean() * ny / step
    else:
        from detectorist.algorithms.ramps._refpix_nb import running_median

        half = length // 2
        values = running_median(series, usable, half, step)
        values = np.where(np.isfinite(values), values, whole)
        n_window = max(1.0, (2 * (half // step) + 1) * usable.mean())
    # The median of n samples of Gaussian noise is sqrt(pi / 2) noisier than their mean, but for one or two.
    excess = 1.0 if n_window < 3 else np.sqrt(np.pi / 2)
    noise = sigma * excess / np.sqrt(max(n_window, 1.0))
    return _Smoothed(values, sigma, float(noise), 0)


def _smooth_twice(series: np.ndarray, usable: np.ndarray, kept: np.ndarray, smoother) -> _Smoothed:
    """Smooth, leave out what lies far off, and smooth those columns again."""
    values = smoother(series, kept)
    residual = series - values
    scale = _robust_scale(residual[kept])
    final = usable & (np.abs(residual) <= REJECT_SIGMA * scale)
    again = (final != kept).any(axis=1)
    if again.any():
        values[again] = smoother(series[again], final[again])
    spread = np.square(np.where(final, series - values, 0.0)).sum() / max(final.sum(), 1)
    sigma = float(np.sqrt(spread / max(1.0 - smoother.freedom / series.shape[1], 1e-3)))
    noise = sigma * np.sqrt(smoother.variance_gain / max(usable.mean(), 1e-3))
    rejected = int((usable & ~final).sum())
    return _Smoothed(values, sigma, float(noise), rejected)


class _GaussianSmoother:
    """Gaussian average over neighbouring rows, odd and even rows apart where `step` is 2."""

    name = "gaussian"

    def __init__(self, length: int | None, step: int, ny: int):
        self.length, self.step = length, step
        if length is None:
            self.variance_gain, self.freedom = step / ny, float(step)
            return
        self.sigma = length / np.sqrt(8 * np.log(2)) / step
        impulse = np.zeros(ny)
        impulse[ny // 2] = 1.0
        kernel = gaussian_filter1d(impulse, self.sigma, truncate=3.5)
        self.variance_gain, self.freedom = float((kernel**2).sum()), float(kernel[ny // 2]) * ny

    def __call__(self, series: np.ndarray, usable: np.ndarray) -> np.ndarray:
        out = np.empty_like(series)
        for phase in range(self.step):
            rows = slice(phase, None, self.step)
            weight = usable[:, rows].astype(float)
            value = series[:, rows] * weight
            if self.length is None:
                value, weight = value.sum(axis=1, keepdims=True), weight.sum(axis=1, keepdims=True)
            else:
                value = self._filter(value)
                weight = self._filter(weight[:1] if weight.all() else weight)
            with np.errstate(invalid="ignore", divide="ignore"):
                out[:, rows] = np.where(weight > 1e-6, value / weight, np.nan)
        return np.where(np.isfinite(out), out, _column_medians(series, usable, self.step))

    def _filter(self, values: np.ndarray) -> np.ndarray:
        return gaussian_filter1d(values, self.sigma, axis=1, mode="constant", truncate=3.5)


class _SplineSmoother:
    """Whittaker smoothing with an offset of odd against even rows; missing reads have no weight."""

    def __init__(self, order: int, length: float, step: int, ny: int):
        self.order, self.length, self.step, self.ny = order, length, step, ny
        self.name = f"spline order {order}"
        shrink = 1 / (1 + _penalty(length, order) * _difference_modes(ny, order)[0])
        self.freedom = float(shrink.sum()) + (step - 1)
        self.variance_gain = (float(np.square(shrink).sum()) + (step - 1)) / ny

    def __call__(self, series: np.ndarray, usable: np.ndarray) -> np.ndarray:
        out = np.empty_like(series)
        for pattern, members in _same_patterns(usable):
            out[members] = self._solve(series[members], pattern.astype(float))
        return out

    def _solve(self, series: np.ndarray, weight: np.ndarray) -> np.ndarray:
        from detectorist.algorithms.ramps._refpix_nb import solve_beside

        if weight.sum() <= self.order + self.step:
            total = max(weight.sum(), 1.0)
            return np.broadcast_to((series * weight).sum(axis=1, keepdims=True) / total, series.shape)
        banded = _penalty(self.length, self.order) * _difference_bands(self.ny, self.order)
        banded[-1] += weight
        sign = np.where(np.arange(self.ny) % 2, -1.0, 1.0)
        right = np.empty((self.ny, len(series) + 1))
        np.multiply(series.T, weight[:, None], out=right[:, :-1])
        right[:, -1] = sign * weight
        solve_beside(cholesky_banded(banded, check_finite=False), right)
        solved = right.T
        smooth, smooth_sign = solved[:-1], solved[-1]
        if self.step == 1:
            return smooth
        # Least squares for the offset, the smooth part profiled out.
        left_over = weight * (sign - smooth_sign)
        norm = left_over @ sign
        offset = (series @ left_over / norm)[:, None] if norm > 1e-9 else 0.0
        return smooth + offset * (sign - smooth_sign)


def _choose_spline(series: np.ndarray, usable: np.ndarray, step: int) -> SplineChoice:
    """Return the spline with the smallest generalised cross-validation score over all columns."""
    ny = series.shape[1]
    sample = usable.any(axis=1)
    if not sample.any():
        return SplineChoice(1, LONGEST_OVER_COLUMN * ny)
    filled = _fill(series[sample], usable[sample], step)
    if step == 2:
        sign = np.where(np.arange(ny) % 2, -1.0, 1.0)
        filled = filled - (filled @ sign / ny)[:, None] * sign
    # Filled reads carry no noise of their own: only the share of real ones counts as data.
    share = max(float(usable[sample].mean()), 1e-3)
    best = (np.inf, 1, LONGEST_OVER_COLUMN * ny)
    for order in (1, 2):
        if ny <= order + step:
            continue
        values, modes = _difference_modes(ny, order)
        power = np.square(filled @ modes).mean(axis=0)
        for length in np.geomspace(4.0, LONGEST_OVER_COLUMN * ny, 24):
            shrink = 1 / (1 + _penalty(length, order) * values)
            freedom = shrink.sum() + step - 1
            if freedom >= 0.9 * share * ny:
                continue
            score = (np.square(1 - shrink) @ power) / (share - freedom / ny) ** 2
            best = min(best, (float(score), order, float(length)))
    return SplineChoice(best[1], best[2])


def _penalty(length: float, order: int) -> float:
    """Return the penalty that halves a wave of period `length` rows."""
    return float((2 * np.sin(np.pi / max(length, 2.0))) ** (-2 * order))


@lru_cache(maxsize=8)
def _difference_modes(ny: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return eigenvalues and eigenvectors of the penalty matrix of `order` on a column of `ny` rows."""
    if ny <= order:
        return np.zeros(ny), np.eye(ny)
    difference = np.diff(np.eye(ny), order, axis=0)
    values, vectors = np.linalg.eigh(difference.T @ difference)
    values = np.clip(values, 0.0, None)
    values[:order] = 0.0
    return values, vectors


def _difference_bands(ny: int, order: int) -> np.ndarray:
    """Return the upper bands of the same penalty matrix, as `solveh_banded` wants them."""
    taps = np.array([-1.0, 1.0]) if order == 1 else np.array([1.0, -2.0, 1.0])
    bands = np.zeros((order + 1, ny))
    for first in range(order + 1):
        for second in range(first, order + 1):
            lag = second - first
            # Row k of the difference matrix holds taps at columns k .. k + order.
            columns = slice(second, ny - order + second)
            bands[order - lag, columns] += taps[first] * taps[second]
    return bands


def _same_patterns(usable: np.ndarray):
    """Yield (pattern, indices of the columns that have it)."""
    alike: dict[bytes, list[int]] = {}
    for k, pattern in enumerate(np.packbits(usable, axis=1)):
        alike.setdefault(pattern.tobytes(), []).append(k)
    for members in alike.values():
        yield usable[members[0]], np.array(members)


def _fill(series: np.ndarray, usable: np.ndarray, step: int) -> np.ndarray:
    """Return the columns with missing reads replaced by the median of their column and parity."""
    return np.where(usable, series, _column_medians(series, usable, step))


def _near_the_median(series: np.ndarray, usable: np.ndarray, step: int) -> np.ndarray:
    distance = np.abs(series - _column_medians(series, usable, step))
    return distance <= SCREEN_SIGMA * 1.4826 * max(median(distance[usable]), 1e-12)


def _column_medians(series: np.ndarray, usable: np.ndarray, step: int) -> np.ndarray:
    """Return, in every row, the median of the usable reads of its column and parity; 0 where there are none."""
    out = np.empty_like(series)
    for phase in range(step):
        rows = slice(phase, None, step)
        ordered = np.sort(np.where(usable[:, rows], series[:, rows], np.inf), axis=1)
        n = usable[:, rows].sum(axis=1)
        take = np.arange(len(series))
        middle = 0.5 * (ordered[take, np.maximum(n - 1, 0) // 2] + ordered[take, n // 2])
        out[:, rows] = np.where(n > 0, middle, 0.0)[:, None]
    return out


def _noise_of_reads(series: np.ndarray, usable: np.ndarray, step: int) -> float:
    """Return the noise of one read from neighbours of one parity: the slow drift cancels."""
    both = usable[:, step:] & usable[:, :-step]
    return _robust_scale((series[:, step:] - series[:, :-step])[both]) / np.sqrt(2)


def _borrow(drift: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, int]:
    """Give outputs without a usable read the mean drift of the others of their group, or 0."""
    missing = ~measured
    if not missing.any():
        return drift, 0
    others = (drift * measured[:, :, None, :]).sum(axis=-1) / np.maximum(measured.sum(axis=-1), 1)[:, :, None]
    return np.where(missing[:, :, None, :], others[..., None], drift), int(missing.sum())


def _robust_scale(values: np.ndarray) -> float:
    return 1.4826 * median(np.abs(values - median(values))) if values.size else 0.0
