"""Drifts of the level of a subarray without reference pixels, measured with pixels at its edges.

Pixels near the edges see little light, and the light they do see rises in the same way along every ramp. Any other
change they have in common, group by group, is drift: of each output's level, of odd against even columns, and (from the
sides) of rows. The 1/f noise at their own place in the frame is not a drift of the rest of it, so a drift is subtracted
only to the extent that the rest of the image follows it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from detectorist.errors import ParameterError

CLIP_SIGMA = 4.0
#: Significance of the regression of image on reference pixels from which a drift is subtracted.
LEAST_SIGNIFICANCE = 3.0
#: Pixels of the image, at most, that are asked whether it follows.
N_WITNESSES = 6000


class Response(NamedTuple):
    """How the image follows the reference pixels."""

    weight: float  # part of the drift that is subtracted, 0 to 1
    significance: float  # regression coefficient over its error
    drift: float  # rms of the drift in the reference pixels, DN
    reason: str  # why nothing was subtracted; empty where something was


@dataclass(frozen=True)
class ReferenceDrift:
    """Result of `measure_reference_drift`; drifts in DN, about zero along each ramp."""

    levels: np.ndarray  # (n_ints, n_groups, n_outputs)
    odd_even: np.ndarray  # (n_ints, n_groups, n_outputs): half of odd columns minus even ones
    rows: np.ndarray  # (n_ints, n_groups, ny)
    responses: dict[str, Response]  # of "level", "odd_even" and "rows"

    def subtract(self, ramp: np.ndarray) -> np.ndarray:
        """Return `ramp` (n_ints, n_groups, ny, nx) without the drifts, in its own dtype."""
        nx, n_outputs = ramp.shape[-1], self.levels.shape[-1]
        columns = np.repeat(self.levels, nx // n_outputs, axis=-1)
        columns += np.repeat(self.odd_even, nx // n_outputs, axis=-1) * _parity(nx)
        corrected = ramp - columns[:, :, None].astype(ramp.dtype)
        if self.rows.any():
            corrected -= self.rows[..., None].astype(ramp.dtype)
        return corrected


def level_error(drift: ReferenceDrift, times_s: np.ndarray) -> float:
    """Return the standard error (DN/s) of the level that all pixels of the mean rate have in common.

    The level of every integration drifts with its own slope. Differences between integrations are corrected; the mean
    drift looks like sky and stays, with an uncertainty of the scatter of the slopes over the square root of their
    number. NaN for a single integration, 0 where no level was corrected.
    """
    time = np.asarray(times_s, float) - np.mean(times_s)
    slopes = np.einsum("igo,g->io", drift.levels, time / (time**2).sum())
    n_ints = len(slopes)
    return float(np.sqrt(slopes.var(axis=0, ddof=1).mean() / n_ints)) if n_ints > 1 else float("nan")


def measure_reference_drift(
    ramp: np.ndarray,
    mask: np.ndarray,
    times_s: np.ndarray,
    *,
    nlower: int = 4,
    nupper: int = 4,
    nleft: int = 0,
    nright: int = 0,
    nrow_off: int = 0,
    ncol_off: int = 0,
    odd_even_columns: bool = True,
    side_smoothing_length: int = 11,
    n_outputs: int = 1,
) -> ReferenceDrift:
    """Measure the drifts that pixels at the edges have in common.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        DN, superbias subtracted. Samples that are not finite are left out.
    mask : ndarray of bool, shape (n_ints, n_groups, ny, nx) or (ny, nx)
        True where a sample must not be used.
    times_s : ndarray of float, shape (n_groups,)
    nlower, nupper, nleft, nright : int
        Rows below and above, columns left and right that are used as reference pixels.
    nrow_off, ncol_off : int
        Rows and columns between them and the edges.
    odd_even_columns : bool
        Also measure odd and even columns separately.
    side_smoothing_length : int
        Rows over which the drift of rows is averaged.
    n_outputs : int
        Number of stripes of columns with separate drifts.

    Returns
    -------
    ReferenceDrift

    Raises
    ------
    ParameterError
        When the reference pixels do not fit into the array, or its columns cannot be shared by the outputs.

    Notes
    -----
    Offsets of a whole ramp are kTC noise and slopes common to all integrations are light: both stay.
    """
    ny, nx = ramp.shape[-2:]
    rows = _edge_indices(ny, nlower, nupper, nrow_off, "row")
    columns = _edge_indices(nx, nleft, nright, ncol_off, "column")
    if nx % n_outputs:
        raise ParameterError(f"{nx} columns cannot be shared by {n_outputs} outputs")
    empty = np.zeros((*ramp.shape[:2], n_outputs))
    levels, odd_even = empty, empty.copy()
    by_row = np.zeros((*ramp.shape[:2], ny))
    responses: dict[str, Response] = {}
    if rows.size and ramp.shape[1] > 1:
        edge = _deviations(ramp, mask, times_s, np.s_[:, :, rows, :])
        image = _deviations(ramp, mask, times_s, _witnesses(ny, nx, rows))
        levels, responses["level"] = _followed(_by_output(edge, n_outputs), _by_output(image, n_outputs))
        if odd_even_columns:
            found = (_parity_difference(part, n_outputs) for part in (edge, image))
            odd_even, responses["odd_even"] = _followed(*found)
    if columns.size and ramp.shape[1] > 1:
        side = _deviations(ramp, mask, times_s, np.s_[:, :, :, columns])
        inner = np.setdiff1d(np.arange(nx), columns)[:: max(1, nx // 64)]
        image = _deviations(ramp, mask, times_s, np.s_[:, :, :, inner])
        # The level of the whole is the rows' business only where no rows of reference pixels tell it.
        level = levels.mean(axis=-1)[..., None]
        side, image = (_clipped_mean(part, axis=-1) - level for part in (side, image))
        by_row, responses["rows"] = _followed(_running_mean(side, side_smoothing_length), image)
    return ReferenceDrift(levels, odd_even, by_row, responses)


def _edge_indices(size, low, high, offset, what):
    """Return the indices of reference rows or columns."""
    if min(low, high, offset) < 0:
        raise ParameterError(f"reference {what}s: {low}, {high} and offset {offset}; none may be negative")
    if low + high + 2 * offset > size:
        raise ParameterError(
            f"{low} and {high} reference {what}s, {offset} from the edges, do not fit into {size} {what}s",
            available=size,
        )
    return np.r_[offset : offset + low, size - offset - high : size - offset]


def _witnesses(ny, nx, rows):
    """Return an index of pixels spread over the image, as many odd as even columns, outside the reference rows."""
    inner = np.setdiff1d(np.arange(ny), rows)
    stride = max(1, int(np.ceil(inner.size * nx / N_WITNESSES)))
    return np.s_[:, :, inner[::stride], :]


def _deviations(ramp, mask, times, index):
    """Return samples (n_ints, n_groups, ...) without each ramp's mean and the common slope, NaN where not usable."""
    full = np.broadcast_to(mask, ramp.shape)
    part = np.where(full[index] | ~np.isfinite(ramp[index]), np.nan, ramp[index]).astype(np.float64)
    # A ramp with gaps has no mean to compare groups by.
    part[np.broadcast_to(np.isnan(part).any(axis=1, keepdims=True), part.shape)] = np.nan
    time = np.asarray(times, float) - np.mean(times)
    time = time.reshape(-1, *[1] * (part.ndim - 2))
    part -= part.mean(axis=1, keepdims=True)
    slopes = (part * time).sum(axis=1) / (time**2).sum()
    known = np.isfinite(slopes)
    common = np.zeros(slopes.shape[1:])
    some = known.any(axis=0)
    common[some] = np.nanmedian(slopes[:, some], axis=0)
    part -= common * time
    limit = CLIP_SIGMA * 1.4826 * np.nanmedian(np.abs(part)) if some.any() else 0.0
    flat = part.reshape(*part.shape[:2], -1)
    centre, told = np.zeros(part.shape[:2]), np.isfinite(flat).any(axis=-1)
    centre[told] = np.nanmedian(flat[told], axis=-1)
    far = np.abs(part - centre.reshape(*part.shape[:2], *[1] * (part.ndim - 2))) > limit
    return np.where(far, np.nan, part)


def _parity(nx):
    """Return (nx,) +1 on odd columns, -1 on even ones."""
    return np.where(np.arange(nx) % 2, 1.0, -1.0)


def _by_output(part, n_outputs):
    """Return (n_ints, n_groups, n_outputs) means of the samples (n_ints, n_groups, rows, nx)."""
    shape = (*part.shape[:3], n_outputs, -1)
    return _clipped_mean(np.moveaxis(part.reshape(shape), 3, 2).reshape(*part.shape[:2], n_outputs, -1), axis=-1)


def _parity_difference(part, n_outputs):
    """Return (n_ints, n_groups, n_outputs) half the difference of odd and even columns."""
    width = part.shape[-1] // n_outputs
    odd = np.arange(part.shape[-1]) % 2 == 1
    halves = []
    for wanted in (odd, ~odd):
        one = np.where(wanted, part, np.nan).reshape(*part.shape[:3], n_outputs, width)
        halves.append(_clipped_mean(np.moveaxis(one, 3, 2).reshape(*part.shape[:2], n_outputs, -1), axis=-1))
    return 0.5 * (halves[0] - halves[1])


def _clipped_mean(values, *, axis):
    """Return the mean of what is not NaN, 0 where nothing is left."""
    known = np.isfinite(values)
    total = np.sum(values, axis=axis, where=known)
    return total / np.maximum(known.sum(axis=axis), 1)


def _running_mean(rows, length):
    """Return (..., ny) the mean over `length` rows, fewer at the ends."""
    half = max(0, (int(length) - 1) // 2)
    sums = np.cumsum(np.concatenate([np.zeros((*rows.shape[:-1], 1)), rows], axis=-1), axis=-1)
    start = np.maximum(np.arange(rows.shape[-1]) - half, 0)
    end = np.minimum(np.arange(rows.shape[-1]) + half + 1, rows.shape[-1])
    return (sums[..., end] - sums[..., start]) / (end - start)


def _followed(reference, image) -> tuple[np.ndarray, Response]:
    """Return the drift of the reference pixels times how the image follows it, and that response."""
    power = float((reference**2).sum())
    n = reference.size
    drift = float(np.sqrt(power / max(n, 1)))
    if power <= 0 or n < 4:
        return np.zeros_like(reference), Response(0.0, 0.0, drift, "no usable reference pixels")
    slope = float((reference * image).sum() / power)
    left = float(((image - slope * reference) ** 2).sum()) / (n - 1)
    error = np.sqrt(left / power)
    significance = slope / error if error > 0 else np.inf
    if significance < LEAST_SIGNIFICANCE:
        return np.zeros_like(reference), Response(0.0, significance, drift, "the image does not follow the drift")
    weight = min(slope, 1.0)
    return weight * reference, Response(weight, significance, drift, "")
