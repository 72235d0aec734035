"""Where chi squared of EMI's trial phases is least: found by matrix products, then computed as stock does, bit for bit.

Stock computes chi squared of every trial phase of every integration, and uses the least of them and its two neighbours.
Matrix products give all of them to ten digits in a tenth of the time; only those that may be the least, and their
neighbours, need stock's own order of additions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline

from detectorist.engine.emicorr import chi_squared, cubics, sums_over_groups

#: Relative error allowed for in a sum of products over all phases and groups: a hundred times what it is.
_SUM_PRECISION = 1e-11
#: Stock takes a parabola flatter than 1e-8 for none; one that is not clearly above is left to it.
_FLAT = 1e-6
#: Trial phases whose waves are held at a time.
_BLOCK = 25

#: The wave at a trial phase, by its number, (n_bins, n_groups), and its sums as in `chi_squared`, exactly as in stock.
ExactWave = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Parabolas:
    """Chi squared as a c^2 + b c of the amplitude c, (n_ints, n_trials), with an upper limit for the error of b."""

    a: np.ndarray
    b: np.ndarray
    b_error: np.ndarray

    @property
    def sound(self) -> bool:
        """Whether every parabola has a minimum beyond doubt."""
        return bool(np.isfinite(self.b).all() and (np.abs(self.a) > _FLAT).all())

    def minima(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the minima and an upper limit for their errors."""
        least = -(self.b**2) / (4 * self.a)
        return least, np.abs(self.b / self.a) * self.b_error + _SUM_PRECISION * np.abs(least)


def chi_squared_near_minima(
    sums: np.ndarray,
    counts: np.ndarray,
    wave: BSpline,
    template: np.ndarray,
    trials: np.ndarray,
    turn_per_int: float,
    exact: ExactWave,
) -> np.ndarray | None:
    """Return chi squared per integration, (n_ints, n_trials): as `chi_squared` has it about the minimum, else rounded.

    None where a parabola is so flat that stock may take it for none.

    Parameters
    ----------
    sums, counts : ndarray of float64
        From `sum_by_phase`.
    wave : BSpline
        As for `subtract_wave`.
    template : ndarray, shape (n_bins, n_groups)
        Phases of `sums`, in turns.
    trials : ndarray, shape (n_trials,)
        The trial phases, in turns.
    turn_per_int : float
        Turns of the wave from the start of an integration to the next.
    exact : function
        Gives the wave at a trial phase.
    """
    from detectorist.engine import _emicorr_nb as kernels

    found = _parabolas(sums, counts, wave, template, trials)
    if not found.sound:
        return None
    minima, errors = found.minima()
    chi2 = np.empty(minima.shape)
    nearest = np.empty(len(trials), np.int64)
    for i in range(len(sums)):
        kernels.nearest_trials(trials, turn_per_int * i, nearest)
        chi2[i] = minima[i, nearest]
        asked = _with_neighbours(chi2[i] - errors[i, nearest] <= np.min(chi2[i] + errors[i, nearest]))
        waves, *wave_sums = zip(*map(exact, nearest[asked]), strict=True)
        own = slice(i, i + 1)
        # The waves are chosen already: each trial stands for itself.
        chi2[i, asked] = chi_squared(sums[own], counts[own], waves, wave_sums, np.arange(len(asked)) / len(asked), 0.0)
    return chi2


def _with_neighbours(chosen: np.ndarray) -> np.ndarray:
    """Return the numbers of the chosen trials and of those beside them, around the circle, in order."""
    return np.flatnonzero(chosen | np.roll(chosen, 1) | np.roll(chosen, -1))


def _parabolas(sums, counts, wave: BSpline, template, trials) -> _Parabolas:
    n_ints, _, n_groups = sums.shape
    times, s_tt, s_t, delta = sums_over_groups(n_groups)
    y = np.ascontiguousarray(sums.transpose(0, 2, 1)).reshape(n_ints, -1)
    sum_y, sum_ty = sums.sum(axis=2), (sums * times).sum(axis=2)
    a, b, b_error = (np.empty((n_ints, len(trials))) for _ in range(3))
    for block, waves in _blocks_of_waves(wave, template, trials):
        s_z, s_tz = waves.sum(axis=1), np.einsum("g,kgb->kb", times, waves)
        s_zz = np.einsum("kgb,kgb->kb", waves, waves)
        shapes = -s_tt * s_z**2 + 2 * s_t * s_z * s_tz - n_groups * s_tz**2 + s_zz * delta
        by_y, by_ty = s_tt * s_z - s_t * s_tz, n_groups * s_tz - s_t * s_z
        linear = (sum_y @ by_y.T + sum_ty @ by_ty.T) / delta
        flat = waves.reshape(len(waves), -1)
        a[:, block] = counts @ shapes.T / delta
        b[:, block] = 2 * (linear - y @ flat.T)
        size = np.abs(y).sum(axis=1)[:, np.newaxis] * np.abs(flat).max(axis=1)
        offsets = (np.abs(sum_y) @ np.abs(by_y).T + np.abs(sum_ty) @ np.abs(by_ty).T) / delta
        b_error[:, block] = _SUM_PRECISION * (size + offsets)
    return _Parabolas(a, b, b_error)


def _blocks_of_waves(wave: BSpline, template: np.ndarray, trials: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the waves at the trial phases, (n_trials, n_groups, n_bins), some at a time."""
    from detectorist.engine import _emicorr_nb as kernels

    table, phases = cubics(wave), np.ascontiguousarray(template.T)
    for start in range(0, len(trials), _BLOCK):
        block = slice(start, min(start + _BLOCK, len(trials)))
        waves = np.empty((block.stop - start, *phases.shape))
        kernels.evaluate_waves(phases, trials[block], table, wave.t[0], waves)
        yield block, waves
