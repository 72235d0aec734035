"""Periodic interference (EMI) in MIRI ramps: the sums behind stock's joint fit, and its removal, bit for bit.

The read-out picks up a wave of known frequency. Stock fits its amplitude and phase together with straight ramps by
trying hundreds of phases; nearly all of its time goes into sums over samples, which are these functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.interpolate import BSpline

from detectorist.engine import NotCovered
from detectorist.engine.threads import over_ranges

#: Longest ramp whose sums over groups numpy makes in one block.
LONGEST_RAMP = 128

#: Relative difference allowed for between two ways to evaluate a cubic: far above the 1e-15 that it is.
_CUBIC_PRECISION = 1e-12


def quiet_pixels(data: np.ndarray, pixeldq: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Return where groups scatter less than twice the median and no pixel flag is set; bool, (n_ints, ny, nx).

    data : ndarray of float32, shape (n_ints, n_groups, ny, nx), C order. NaN scatters more than anything.
    """
    from detectorist.engine import _emicorr_nb as kernels

    n_ints, n_groups, ny, nx = data.shape
    scatter = np.empty((n_ints, ny * nx), np.float32)
    over_ranges(kernels.scatter_over_groups, n_ints, data.reshape(n_ints, n_groups, -1), scatter, threads=threads)
    scatter = scatter.reshape(n_ints, ny, nx)
    return (scatter < 2 * np.median(scatter)) & (pixeldq == 0)


def sum_by_phase(
    data: np.ndarray, usable: np.ndarray, phase_bin: np.ndarray, n_bins: int, *, threads: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Return sums of samples (n_ints, n_bins, n_groups) and their numbers (n_ints, n_bins) per phase of the wave.

    data : ndarray of float32, shape (n_ints, n_groups, ny, nx), C order. usable : bool, (n_ints, ny, nx).
    phase_bin : int, (ny, nx // 4), the bin of four columns read together; -1 leaves them out.
    """
    from detectorist.engine import _emicorr_nb as kernels

    n_ints, n_groups = data.shape[:2]
    sums, counts = np.empty((n_ints, n_bins, n_groups)), np.zeros((n_ints, n_bins))
    args = (data, usable, np.ascontiguousarray(phase_bin, np.int64), sums, counts)
    over_ranges(kernels.sum_by_phase, n_ints, *args, threads=threads)
    return sums, counts


def chi_squared(
    sums: np.ndarray,
    counts: np.ndarray,
    waves: Sequence[np.ndarray],
    wave_sums: Sequence[Sequence[np.ndarray]],
    trials: np.ndarray,
    turn_per_int: float,
    *,
    separately: bool = False,
    threads: int = 1,
) -> np.ndarray:
    """Return the least chi squared of every trial phase, NaN where the wave has no amplitude.

    Of all integrations together, (n_trials,), or of each by itself, (n_ints, n_trials).

    Parameters
    ----------
    sums, counts : ndarray of float64
        From `sum_by_phase`.
    waves : sequence of ndarray, shape (n_bins, n_groups)
        The wave at each trial phase.
    wave_sums : three sequences of ndarray, shape (n_bins,)
        Sums over groups of the wave, of group number * wave, and of wave^2.
    trials : ndarray of float64, shape (n_trials,)
        The trial phases, in turns.
    turn_per_int : float
        Turns of the wave from the start of an integration to the next.
    separately : bool
        Each integration has an amplitude of its own; otherwise one serves all.

    Raises
    ------
    NotCovered
        For ramps of more groups than numpy sums in one block.
    """
    from detectorist.engine import _emicorr_nb as kernels

    n_ints, _, n_groups = sums.shape
    if n_groups > LONGEST_RAMP:
        raise NotCovered(f"ramps have {n_groups} groups, more than the {LONGEST_RAMP} that numpy sums in one block")
    times, s_tt, s_t, delta = sums_over_groups(n_groups)
    s_z, s_tz, s_zz = (np.array(values) for values in wave_sums)
    shapes = -s_tt * s_z**2 + 2 * s_t * s_z * s_tz - n_groups * s_tz**2 + s_zz * delta
    factors = np.array([s_tt * s_z, s_t * s_tz, s_t * s_z, n_groups * s_tz])
    stacked = np.array([wave.T for wave in waves])
    y = np.ascontiguousarray(sums.transpose(0, 2, 1))
    sum_y, sum_ty = np.sum(sums, axis=2), np.sum(sums * times, axis=2)
    terms = np.empty((n_ints, len(waves), 3))
    args = (stacked, y, counts / delta, shapes, factors, sum_y, sum_ty, kernels.pairwise_plan(sums.shape[1]), terms)
    over_ranges(kernels.chi_squared_terms, n_ints, *args, threads=threads)
    n_sums = n_ints if separately else 1
    a, b = np.zeros((n_sums, len(waves))), np.zeros((n_sums, len(waves)))
    nearest = np.empty(len(waves), np.int64)
    for i, own in enumerate(terms):
        kernels.nearest_trials(trials, turn_per_int * i, nearest)
        square, linear, product = own[nearest].T
        row = i if separately else 0
        a[row] += square
        b[row] += (2 / delta) * linear
        b[row] -= 2 * product
    least = np.array([_minimum(*parabola) for parabola in zip(a.flat, b.flat, strict=True)]).reshape(a.shape)
    return least if separately else least[0]


def sums_over_groups(n_groups: int) -> tuple[np.ndarray, int, int, int]:
    """Return the numbers of the groups, the sums of their squares and of them, and the determinant of a line's fit."""
    times = np.arange(n_groups)
    s_tt, s_t = np.sum(times**2), np.sum(times)
    return times, s_tt, s_t, n_groups * s_tt - s_t**2


def _minimum(a: np.float64, b: np.float64) -> float:
    """Return the minimum of a c^2 + b c over the amplitude c; a scalar's power rounds differently from an array's."""
    if abs(a) <= 1e-8 or not (math.isfinite(a) and math.isfinite(b)):
        return np.nan
    c = -b / (2 * a)
    return a * c**2 + b * c


def subtract_wave(
    data: np.ndarray,
    phase: np.ndarray,
    steps: np.ndarray,
    offsets: np.ndarray,
    amplitudes: np.ndarray,
    wave: BSpline,
    *,
    threads: int = 1,
) -> None:
    """Subtract amplitude * wave from every sample, in place, for the four outputs alike.

    data : ndarray of float32, (n_ints, n_groups, ny, nx), C order. phase : (ny, nx // 4), turns at the first group.
    steps : (n_groups,), turns until each group. offsets, amplitudes : (n_ints,). wave : cubic spline over [0, 1] with
    equally spaced data, as scipy makes it; evaluated by scipy itself where the last digit of the result depends on it.
    """
    from detectorist.engine import _emicorr_nb as kernels

    table = cubics(wave)
    margin = _CUBIC_PRECISION * np.abs(table[:, 1]).max()
    doubtful = np.zeros(data.shape[:3], np.uint8)
    args = (
        data,
        phase,
        steps,
        np.asarray(offsets, float),
        np.asarray(amplitudes, float),
        table,
        wave.t[0],
        margin,
        doubtful,
    )
    over_ranges(kernels.subtract_wave, len(data), *args, threads=threads)
    for i, g, y in np.argwhere(doubtful):
        own = amplitudes[i] * wave((phase[y] + steps[g] + offsets[i]) % 1)
        for output in range(4):
            data[i, g, y, output::4] -= own


def cubics(wave: BSpline) -> np.ndarray:
    """Return centre and Taylor coefficients of the spline in the intervals between its data points.

    At the centres, since the third derivative jumps at the ends.
    """
    low, high = wave.t[0], wave.t[-1]
    n = len(wave.c) - 1
    center = low + (high - low) * (np.arange(n) + 0.5) / n
    derivatives = (wave.derivative(k)(center) / factorial for k, factorial in ((1, 1), (2, 2), (3, 6)))
    return np.column_stack([center, wave(center), *derivatives])


def evaluate(wave: BSpline, turns: np.ndarray) -> np.ndarray:
    """Return a cubic spline at any places as scipy has it, bit for bit, in a third of its time."""
    from detectorist.engine import _emicorr_nb as kernels

    places = np.ascontiguousarray(turns, float)
    values = np.empty(places.shape)
    kernels.evaluate_cubic_spline(wave.t, wave.c, places.reshape(-1), values.reshape(-1))
    return values
