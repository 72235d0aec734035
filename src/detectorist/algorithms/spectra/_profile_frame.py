"""One frame of `profile`: the order in which its compiled parts are called.

Held in Python because a compiled driver would be optimised once more with everything it calls, which doubles the time
of compilation, and saves 5 % of the time of a run.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from detectorist.algorithms.dq import DO_NOT_USE, REFERENCE_PIXEL
from detectorist.algorithms.spectra import _profile_nb as trace
from detectorist.algorithms.spectra import _profile_sides_nb as sides
from detectorist.algorithms.spectra._profile_fit_nb import (
    FIT_THRESHOLD_SIGMA,
    LEAST_WEIGHT,
    MEASURED_ERROR,
    temper_rows,
)

#: Flags whose pixels never shape the model.
NEVER = np.uint32(DO_NOT_USE | REFERENCE_PIXEL)


class CleanedFrame(NamedTuple):
    """What one frame gives; the fields are those of `profile.Cleaning` without their first axis."""

    replaced: np.ndarray
    values: np.ndarray
    errors: np.ndarray
    profile: np.ndarray
    level: np.ndarray
    flux: np.ndarray
    measured: np.ndarray
    noise_scale: np.ndarray
    errors_used: bool
    n_outliers: int
    n_flagged: int
    n_nan: int


class Sides(NamedTuple):
    """The columns beside the profile, and the levels of the rows from them."""

    columns: np.ndarray  # (n_side,) their indices
    values: np.ndarray  # (n_side, n_rows)
    fit: np.ndarray  # (n_side, n_rows) bool, pixels that may shape the model
    level: np.ndarray  # (n_rows,)
    level_var: np.ndarray  # (n_rows,)
    offset: np.ndarray  # (n_windows, n_side), of the columns
    noise: np.ndarray  # (n_windows,)


class Trace(NamedTuple):
    """The model inside the profile columns."""

    profile: np.ndarray  # (n_rows, n_profile_cols)
    shape_var: np.ndarray  # (n_rows, n_profile_cols), variance of the profile
    flux: np.ndarray  # (n_rows,), NaN where too few pixels know it
    flux_var: np.ndarray  # (n_rows,)
    measured: np.ndarray  # (n_rows,) bool
    scales: np.ndarray  # (n_windows,)
    deviation: np.ndarray  # (n_rows, n_profile_cols), in units of the measured noise


def clean_frame(
    data: np.ndarray,
    err: np.ndarray,
    dq: np.ndarray,
    *,
    asked: int,
    columns: tuple[int, int],
    edges: np.ndarray,
    order: int,
    limit_sigma: float,
) -> CleanedFrame | None:
    """Return what should be replaced in one frame, and by what; None without a usable pixel.

    data, err : (n_rows, n_cols) float64, contiguous. dq : uint32. asked : flags to be replaced.
    edges : first row of every window, and n_rows. limit_sigma : deviation from which a pixel is outlying.
    """
    left, right = columns
    fit = np.isfinite(data)
    fit &= (dq & (np.uint32(asked) | NEVER)) == 0
    if not fit.any():
        return None
    beside = measure_beside(data, fit, columns, edges)
    level, noise = beside.level, beside.noise
    weight, errors_used = weigh(data, err, fit, noise, edges)
    inside = fit_trace(
        np.ascontiguousarray(data[:, left:right]) - level[:, None],
        np.ascontiguousarray(weight[:, left:right]),
        np.ascontiguousarray(fit[:, left:right]),
        edges=edges,
        order=order,
        threshold=min(limit_sigma, FIT_THRESHOLD_SIGMA),
        noise=None if errors_used else noise,
    )
    filled = inside.flux.copy()
    sides.fill_gaps(filled, False)
    lines, deviation = judge_beside(beside, weight, filled, edges)
    replaced, tally = np.zeros(data.shape, bool), np.zeros(3, np.int64)
    n = trace.replace_pixels(
        data, dq, np.uint32(asked), np.uint32(REFERENCE_PIXEL), beside.columns, limit_sigma, left, right,
        inside.deviation, deviation, tally, replaced,
    )  # fmt: skip
    values, errors = np.empty(n, np.float32), np.empty(n, np.float32)
    trace.fill_values(
        replaced, left, right, edges, beside.columns, level, beside.level_var, inside.flux, filled, inside.flux_var,
        inside.profile, inside.shape_var, lines, values, errors,
    )  # fmt: skip
    shown = np.maximum(inside.profile, 0)
    shown /= shown.sum(axis=1, keepdims=True)
    return CleanedFrame(
        replaced, values, errors, shown, level, inside.flux, inside.measured, inside.scales, errors_used, *tally
    )


def measure_beside(data: np.ndarray, fit: np.ndarray, columns: tuple[int, int], edges: np.ndarray) -> Sides:
    """Return level and noise of the rows, from the columns that are no part of the profile."""
    n_rows, n_cols = data.shape
    beside = np.r_[0 : columns[0], columns[1] : n_cols]
    values, usable = np.empty((beside.size, n_rows)), np.empty((beside.size, n_rows), bool)
    sides.take_columns(data, beside, values)
    sides.take_columns(fit, beside, usable)
    level, level_var, offset = np.empty(n_rows), np.empty(n_rows), np.empty((len(edges) - 1, beside.size))
    noise = sides.measure_sides(values, usable, edges, level, level_var, offset)
    return Sides(beside, values, usable, level, level_var, offset, noise)


def weigh(
    data: np.ndarray, err: np.ndarray, fit: np.ndarray, noise: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, bool]:
    """Return the weight of every pixel, and whether it is from `err`; if not, gaps in `noise` are filled in place."""
    weight = np.empty(data.shape)
    errors_used = sides.fill_weight(err, fit, weight)
    if not errors_used:
        sides.fill_noise(data, fit, noise)
        weight[:] = np.repeat(1 / noise**2, np.diff(edges))[:, None]
    return weight, errors_used


def judge_beside(
    beside: Sides, weight: np.ndarray, flux: np.ndarray, edges: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return (lines, deviation) of the columns beside: models of every window, and pixels relative to these.

    flux : (n_rows,), light of every row in the profile, whose wings reach here.
    """
    own, deviation = np.empty(beside.values.shape), np.empty(beside.values.shape)
    lines = np.empty((len(edges) - 1, beside.columns.size, 5))
    sides.take_columns(weight, beside.columns, own)
    sides.judge_all_sides(
        beside.values, beside.fit, edges, beside.level, beside.level_var, flux, beside.offset, own, lines, deviation
    )
    return lines, deviation


def fit_trace(
    signal: np.ndarray,
    weight: np.ndarray,
    fit: np.ndarray,
    *,
    edges: np.ndarray,
    order: int,
    threshold: float,
    noise: np.ndarray | None,
) -> Trace:
    """Fit the windows of a frame inside its profile columns, each with a margin of its neighbours, and fill the gaps.

    signal : (n_rows, n_profile_cols), data less the rows' levels. weight : changed where `noise` is given.
    fit : bool, pixels that may shape the model. threshold : sigma beyond which one does not.
    noise : of every window beside the trace; None where the weights come from errors.
    """
    n_rows = len(signal)
    margin = 2 * (order + 1)
    shape_var, deviation, profile = np.empty(signal.shape), np.empty(signal.shape), np.empty(signal.shape)
    flux, flux_var, kept = np.empty(n_rows), np.empty(n_rows), np.zeros(signal.shape, bool)
    scales = np.empty(len(edges) - 1)
    for w, (start, stop) in enumerate(pairwise(edges)):
        low, high = max(start - margin, 0), min(stop + margin, n_rows)
        own = weight[low:high].copy()
        rows, here = slice(start, stop), slice(start - low, stop - low)
        found = trace.fit_window(
            signal[low:high], own, fit[low:high], noise is None, 0.0 if noise is None else noise[w] ** 2,
            threshold, order + 1,
        )  # fmt: skip
        scales[w] = found[0]
        for whole, part in zip((profile, shape_var, flux, flux_var, kept, deviation), found[1:], strict=True):
            whole[rows] = part[here]
        weight[rows] = own[here]
    measured = shape_var.sum(axis=1) < MEASURED_ERROR**2
    rest = np.flatnonzero(~measured)
    if rest.size:
        profile[rest] = carried_profiles(signal, fit, profile, measured)
        shape_var[rest] = (MEASURED_ERROR * profile[rest]) ** 2
        parts = [array[rest] for array in (flux, flux_var, kept, deviation)]
        trace.judge_carried(
            signal[rest], weight[rest], fit[rest], threshold, profile[rest], shape_var[rest], *parts
        )  # fmt: skip
        flux[rest], flux_var[rest], kept[rest], deviation[rest] = parts
    temper_rows(deviation, fit, profile)
    square = profile**2
    present = (square * kept).sum(axis=1)
    flux[~(present >= LEAST_WEIGHT * square.sum(axis=1))] = np.nan
    return Trace(profile, shape_var, flux, flux_var, measured, scales, deviation)


def carried_profiles(signal: np.ndarray, fit: np.ndarray, profile: np.ndarray, measured: np.ndarray) -> np.ndarray:
    """Return, for rows without a measured profile, that of the nearest measured row, or one for the whole frame."""
    rest, known = np.flatnonzero(~measured), np.flatnonzero(measured)
    if known.size:
        after = np.clip(np.searchsorted(known, rest), 1, known.size - 1) if known.size > 1 else np.zeros(rest.size, int)
        before = np.maximum(after - 1, 0)
        nearer = np.where(rest - known[before] <= known[after] - rest, before, after)
        return profile[known[nearer]]
    # No window shows a trace: the columns' medians, so far as they are positive and stand out.
    light = np.zeros(signal.shape[1])
    for j in range(light.size):
        values = signal[fit[:, j], j]
        if values.size:
            centre = np.median(values)
            error = 1.4826 * np.median(np.abs(values - centre)) / np.sqrt(values.size)
            light[j] = centre if centre > 5 * error else 0.0
    shape = light / light.sum() if light.any() else np.full(light.size, 1 / light.size)
    return np.broadcast_to(shape, (rest.size, light.size))
