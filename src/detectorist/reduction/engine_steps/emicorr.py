"""The correction of MIRI's periodic interference, in the engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
from jwst.emicorr import emicorr
from jwst.emicorr.emicorr_step import EmiCorrStep
from scipy.interpolate import BSpline, make_interp_spline
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.engine import NotCovered
from detectorist.engine.emicorr import LONGEST_RAMP, chi_squared, evaluate, quiet_pixels, subtract_wave, sum_by_phase
from detectorist.engine.emicorr_search import chi_squared_near_minima
from detectorist.errors import InputError
from detectorist.models import describe
from detectorist.reduction.engine_steps.base import EngineStep, in_place

#: Columns of each output that stock leaves out of the fit, counted in times of four columns.
_BAD_TIMES = (1, 2)

#: Clock cycles to skip a row outside of the subarray, per row: 4 + 3.
_CLOCKS_OF_A_SKIPPED_ROW = 7.0


class EngineEmiCorrStep(EngineStep, EmiCorrStep):
    """Remove EMI as `EmiCorrStep` does with `algorithm = joint`; standard code runs for the sequential algorithm."""

    stock: ClassVar = EmiCorrStep
    place: ClassVar = (emicorr, "emicorr_refwave")

    def process(self, step_input: Any) -> Any:
        """Run the step; raises InputError where a model does not say how it was read, which the wave is found by."""
        require_read_pattern(step_input)
        return super().process(step_input)

    @staticmethod
    def covered(
        data,
        pdq,
        refwave,
        nsamples,
        rowclocks,
        frameclocks,
        period_in_pixels,
        fit_ints_separately=False,
        nphases_opt=500,
        *,
        independent=False,
    ) -> np.ndarray:
        """Do what `emicorr_refwave` does: fit amplitude and phase of a wave, one or for each integration; subtract.

        independent : bool
            As if each integration were alone in `data`: others do not influence its quiet pixels and trial phases.
        """
        _, n_groups, ny, nx = data.shape
        if n_groups > LONGEST_RAMP or nx % 4 or np.isnan(np.max(data)):
            raise NotCovered("ramps are too long, of odd width, or hold NaN")
        data = in_place(data)
        phase = _phases(ny, nx // 4, nsamples, rowclocks, period_in_pixels)
        turn_per_group = ((ny * rowclocks + (1024.0 - ny) * _CLOCKS_OF_A_SKIPPED_ROW) / period_in_pixels) % 1
        turn_per_int = 0.0 if independent else turn_per_group * n_groups + frameclocks / period_in_pixels

        wave, points = _wave(refwave)
        template = (points[:, np.newaxis] + np.arange(n_groups) * turn_per_group) % 1
        phase_bin = (phase * len(points)).astype(int)
        phase_bin[:, _BAD_TIMES] = -1
        parts = np.split(data, len(data)) if independent else [data]
        quiet = np.concatenate([quiet_pixels(part, pdq) for part in parts])
        sums, counts = sum_by_phase(data, quiet, phase_bin, len(points))
        trials = np.arange(nphases_opt) * 1.0 / nphases_opt
        args = (sums, counts, wave, template, trials, turn_per_int)
        offsets, amplitudes = (_one_by_one if fit_ints_separately else _together)(*args)
        subtract_wave(data, phase, turn_per_group * np.arange(n_groups), offsets, amplitudes, wave)
        return data

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._emicorr_nb import chi_squared_terms

        return chi_squared_terms


def require_read_pattern(step_input: Any) -> None:
    """Raise InputError where an open model has no READPATT: the standard step asks for its letters."""
    if isinstance(step_input, JwstDataModel) and not step_input.meta.exposure.readpatt:
        raise InputError(
            f"{describe(step_input)}: READPATT is missing; interference is corrected by it (else emicorr.skip=true)"
        )


def _together(sums, counts, wave, template, trials, turn_per_int) -> tuple[np.ndarray, np.ndarray]:
    """Return phase, in turns, and amplitude of every integration from one fit to all."""
    fitter = emicorr.EMIfitter(sums, counts, wave, template, trials, turn_per_int)
    best = emicorr.get_best_phase(trials, _chi_squared(fitter, separately=False))
    _, amplitude = emicorr.calc_chisq_amplitudes(fitter, phases=[best])
    return (best + np.arange(fitter.nints) * fitter.dphase_frame) % 1, np.repeat(amplitude, fitter.nints)


def _one_by_one(sums, counts, wave, template, trials, turn_per_int) -> tuple[np.ndarray, np.ndarray]:
    """Return phase, in turns, and amplitude of every integration from a fit to it alone."""
    fitter = _FitterOnDemand(sums, counts, wave, template, trials, turn_per_int)
    chi2 = chi_squared_near_minima(sums, counts, wave, template, trials, turn_per_int, fitter.exact)
    if chi2 is None:
        chi2 = _chi_squared(fitter, separately=True)
    offsets, amplitudes = np.empty(fitter.nints), np.empty(fitter.nints)
    for i in range(fitter.nints):
        best = emicorr.get_best_phase(trials, chi2[i])
        amplitudes[i] = emicorr.calc_chisq_amplitudes(fitter, phases=[best], ints=[i])[1][0]
        offsets[i] = best + i * fitter.dphase_frame
    return offsets, amplitudes


def _chi_squared(fitter: emicorr.EMIfitter, *, separately: bool) -> np.ndarray:
    """Return chi squared at all trial phases."""
    wave_sums = (fitter.szlist, fitter.stzlist, fitter.szzlist)
    args = (fitter.all_y, fitter.all_n, fitter.zlist, wave_sums, fitter.phaselist, fitter.dphase_frame)
    return chi_squared(*args, separately=separately)


class _OnDemand(Sequence):
    """A sequence whose items are made when they are first asked for."""

    def __init__(self, size: int, make: Callable[[int], np.ndarray]):
        self._size = size
        self._make = cache(make)

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, k: Any) -> Any:
        if not 0 <= k < self._size:
            raise IndexError(k)
        return self._make(int(k))


class _FitterOnDemand(emicorr.EMIfitter):
    """Stock's fitter, which evaluates the wave at all trial phases at once, but at each when it is asked for."""

    def __init__(self, sums, counts, wave, template, trials, turn_per_int):
        super().__init__(sums, counts, wave, template, (), turn_per_int)
        self.phaselist = trials
        evaluate = _evaluator(wave, (self.phases_template[:, 0] + trials[-1]) % 1)

        def wave_at(k: int) -> np.ndarray:
            return evaluate((self.phases_template.T + trials[k]) % 1).T

        self.zlist = _OnDemand(len(trials), wave_at)
        self.stzlist = _OnDemand(len(trials), lambda k: np.sum(self.grouptimes * self.zlist[k], axis=1))
        self.szlist = _OnDemand(len(trials), lambda k: np.sum(self.zlist[k], axis=1))
        self.szzlist = _OnDemand(len(trials), lambda k: np.sum(self.zlist[k] ** 2, axis=1))

    def exact(self, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Return the wave at a trial phase, and its sums over the groups: plain, times the group's number, squared."""
        return self.zlist[k], self.szlist[k], self.stzlist[k], self.szzlist[k]


def _evaluator(wave: BSpline, probe: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return what evaluates the wave as scipy does: compiled, unless this scipy has other last bits at the probe."""
    return partial(evaluate, wave) if np.array_equal(evaluate(wave, probe), wave(probe)) else wave


def _phases(ny: int, n_times: int, nsamples: int, rowclocks: int, period: float) -> np.ndarray:
    """Return the phase of the wave, in turns, when each group of four columns of the first group is read."""
    clocks = np.arange(ny)[:, np.newaxis] * rowclocks + np.arange(n_times) * nsamples
    return (clocks.astype(float) / period) % 1


def _wave(refwave: np.ndarray) -> tuple[BSpline, np.ndarray]:
    """Return the wave as a cubic spline, wrapped round by one point at each end, and the phases of its points."""
    wrapped = np.array([refwave[-1], *refwave, refwave[0]])
    phases = (np.arange(len(refwave) + 2) - 0.5) / len(refwave)
    return make_interp_spline(phases, wrapped, k=3), phases[1:-1]
