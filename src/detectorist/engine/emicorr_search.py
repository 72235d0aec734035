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
#: Turns by which phases that are equal may differ, and within which of an end of the wave they may be on either side.
_EVEN, _FROM_END = 1e-12, 1e-9
#: Differences between the ends of the wave, in units of its largest value, that a sum may be off by in all.
_STEPS_AT_ENDS = 20.0
#: Relative error from which on many trial phases may be the least, which takes more time than is saved.
_PRECISE = 1e-6
#: Trial phases whose waves are held at a time.
_BLOCK = 25

#: The wave at a trial phase, by its number, (n_bins, n_groups), and its sums as in `chi_squared`, exactly as in stock.
ExactWave = Callable[[int], tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class _Parabolas:
    """Chi squared as a c^2 + b c of the amplitude c, (n_ints, n_trials), with upper limits for the errors.

    b_error : of b. precision : relative one of a.
    """

    a: np.ndarray
    b: np.ndarray
    b_error: np.ndarray
    precision: float = _SUM_PRECISION

    @property
    def sound(self) -> bool:
        """Whether every parabola has a minimum beyond doubt."""
        return bool(np.isfinite(self.b).all() and (np.abs(self.a) > _FLAT).all())

    def minima(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the minima and an upper limit for their errors."""
        least = -(self.b**2) / (4 * self.a)
        return least, np.abs(self.b / self.a) * self.b_error + self.precision * np.abs(least)


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

    on_circle = _is_circle(template, trials) and _precision_on_circle(wave, template) < _PRECISE
    found = (_parabolas_on_circle if on_circle else _parabolas)(sums, counts, wave, template, trials)
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


def _is_circle(template: np.ndarray, trials: np.ndarray) -> bool:
    """Return whether a trial phase turns the phases of the bins into each other: where there are as many of both."""
    n = len(trials)
    if len(template) != n:
        return False
    apart = (template - template[:1] - trials[:, np.newaxis] + 0.5) % 1 - 0.5
    return bool(np.abs(trials - np.arange(n) / n).max() < _EVEN and np.abs(apart).max() < _EVEN)


def _precision_on_circle(wave: BSpline, template: np.ndarray) -> float:
    """Return the relative error to allow for: at its ends the last digit of a phase tells which end of the wave it is.

    The ends differ by little, and few phases lie there; that all do so in the sums of one bin is allowed for.
    """
    at_ends = template.min() < _FROM_END or template.max() > 1 - _FROM_END
    step = abs(float(wave(1.0)) - float(wave(0.0))) / np.abs(wave.c).max()
    return _SUM_PRECISION + (_STEPS_AT_ENDS * step if at_ends else 0.0)


def _parabolas_on_circle(sums, counts, wave: BSpline, template, trials) -> _Parabolas:
    """Return what `_parabolas` does where a trial phase only turns the wave: its sums are correlations on a circle."""
    from detectorist.engine import _emicorr_nb as kernels

    n_ints, n, n_groups = sums.shape
    times, s_tt, s_t, delta = sums_over_groups(n_groups)
    own = np.empty((1, n_groups, n))
    kernels.evaluate_waves(np.ascontiguousarray(template.T), np.zeros(1), cubics(wave), wave.t[0], own)
    (own,) = own
    s_z, s_tz, s_zz = own.sum(axis=0), times @ own, np.einsum("gb,gb->b", own, own)
    shape = -s_tt * s_z**2 + 2 * s_t * s_z * s_tz - n_groups * s_tz**2 + s_zz * delta
    by_y, by_ty = s_tt * s_z - s_t * s_tz, n_groups * s_tz - s_t * s_z
    sum_y, sum_ty = sums.sum(axis=2), (sums * times).sum(axis=2)
    linear = (_correlated(sum_y, by_y) + _correlated(sum_ty, by_ty)) / delta
    spectra = np.fft.rfft(own)
    products = np.empty((n_ints, n // 2 + 1), complex)
    for product, part in zip(products, sums, strict=True):  # all of them at once would be as large as `sums`, twice
        product[:] = np.einsum("gf,gf->f", np.fft.rfft(part, axis=0).T.conj(), spectra)
    a = _correlated(counts, shape) / delta
    b = 2 * (linear - np.fft.irfft(products, n))
    size = np.abs(sums).sum(axis=(1, 2))[:, np.newaxis] * np.abs(own).max()
    offsets = np.abs(sum_y).sum(axis=1) * np.abs(by_y).max() + np.abs(sum_ty).sum(axis=1) * np.abs(by_ty).max()
    precision = _precision_on_circle(wave, template)
    b_error = np.broadcast_to(precision * (size + offsets[:, np.newaxis] / delta), a.shape)
    return _Parabolas(a, b, b_error, precision)


def _correlated(values: np.ndarray, shape: np.ndarray) -> np.ndarray:
    """Return the sums of values (n_ints, n) times a shape (n,) turned by 0 to n - 1 places, (n_ints, n)."""
    return np.fft.irfft(np.fft.rfft(values).conj() * np.fft.rfft(shape), shape.size)


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
