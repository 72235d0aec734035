"""The ramp-fitting step, in the engine."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from typing import Any, ClassVar

import numpy as np
from jwst.ramp_fitting.ramp_fit_step import RampFitStep
from stcal.ramp_fitting import ramp_fit as stcal_fit
from stcal.ramp_fitting.ramp_fit_class import RampData
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.engine import NotCovered
from detectorist.engine.likelihood import fit_ramps_by_likelihood, read_times_s
from detectorist.engine.ramp_fit import fit_ramps
from detectorist.reduction.engine_steps.base import (
    EngineStep,
    announce_compilation,
    float32,
    replaced,
    warn_of_unproven_version,
)
from detectorist.reduction.engine_steps.jump import threads_of

log = logging.getLogger(__name__)


class EngineRampFitStep(EngineStep, RampFitStep):
    """Fit ramps as `RampFitStep` does; `maximum_cores` counts threads of this process instead of processes.

    Both algorithms, OLS_C and LIKELY, are compiled. Standard code runs for optional results of OLS_C, and for zero
    frames that are to replace saturated ramps in it.
    """

    stock: ClassVar = RampFitStep
    place: ClassVar = (stcal_fit, "ramp_fit_data")

    def process(self, step_input: Any) -> Any:
        """Run the standard step, which takes its input apart without arrays as large as the flags."""
        if self.engine == "stock":
            return super().process(step_input)
        with replaced(stcal_fit, "create_ramp_fit_class", partial(_ramp_of, stcal_fit.create_ramp_fit_class)):
            return super().process(step_input)

    @staticmethod
    def covered(
        ramp: RampData, save_opt: bool, read_noise, gain, algorithm: str, weighting: str, max_cores: str
    ) -> tuple[dict[str, Any], dict[str, Any], None]:
        """Do what stcal's `ramp_fit_data` does: the arrays of the rate image and of the rates per integration."""
        likely = algorithm.upper() == "LIKELY"
        if ramp.frame_time is None or (ramp.group_time is None and not likely):
            raise NotCovered("the header lacks TGROUP or TFRAME")  # stock refuses them in its own words
        if ramp.average_dark_current.shape != gain.shape:
            raise NotCovered(f"the average dark has shape {ramp.average_dark_current.shape}")
        threads = threads_of(max_cores, ramp.data.shape[2])
        if likely:
            return _fit_by_likelihood(ramp, read_noise, gain, threads)
        if save_opt:
            raise NotCovered("optional results are requested")
        if ramp.zeroframe is not None and not ramp.suppress_one_group_ramps:
            raise NotCovered("zero frames may replace saturated ramps")
        return _fit(ramp, read_noise, gain, threads)

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._ramp_tiles_nb import fit_tiles

        return fit_tiles

    def prepare_engine(self) -> None:
        """Announce compilations; LIKELY has its own kernels."""
        if self.algorithm.upper() != "LIKELY":
            super().prepare_engine()
            return
        from detectorist.engine._likelihood_jumps_nb import find_jumps

        warn_of_unproven_version(version("stcal"))
        announce_compilation(find_jumps)


class MarkedRampFitStep(EngineRampFitStep):
    """The ramp fit of our pipelines: a pixel without a slope is DO_NOT_USE with either algorithm.

    The standard LIKELY leaves such a pixel with an infinite error, and without a flag where its groups have other flags
    than DO_NOT_USE and SATURATED, or where a single group is good. OLS_C is unchanged.
    """

    def process(self, step_input: Any) -> Any:
        """Return rate and rates of the integrations."""
        rates = super().process(step_input)
        if self.algorithm.upper() != "LIKELY":  # stpipe's step falls back to OLS_C below four groups
            return rates
        if not self.suppress_one_group:
            log.warning(
                "ramp_fit.suppress_one_group=false has no effect with LIKELY: a single good group gives no slope"
            )
        for rate in rates if isinstance(rates, tuple) else ():
            n_marked = mark_unfitted(rate)
            log.info("%s: %d slopes could not be fitted and are not used", models.describe(rate), n_marked)
        return rates


def mark_unfitted(rate: ImageModel | CubeModel) -> int:
    """Set DO_NOT_USE, and variances and error to 0, where the slope is NaN; return the number of pixels.

    The standard code does the same after OLS_C.
    """
    unfitted = ~np.isfinite(rate.data)
    rate.dq = models.flags(rate) | np.where(unfitted, np.uint32(dq.DO_NOT_USE), np.uint32(0))
    for name in ("var_poisson", "var_rnoise", "err"):
        setattr(rate, name, np.where(unfitted, np.float32(0), getattr(rate, name)))
    return int(unfitted.sum())


def _ramp_of(
    stock: Callable[..., RampData], model: Any, algorithm: str, dqflags: dict[str, int], *args: Any
) -> RampData:
    """Return what stcal's `create_ramp_fit_class` does, without the two arrays in which it looks for CHARGELOSS.

    It looks for OLS_C only, to keep the flags as they are where one is. Each as large as the flags, these arrays made
    the peak of memory.
    """
    charge_loss = np.uint8(dq.CHARGELOSS)
    if any((group & charge_loss).any() for groups in model.groupdq for group in groups):
        return stock(model, algorithm, dqflags, *args)
    ramp = stock(model, "LIKELY", dqflags, *args)
    ramp.algorithm = algorithm
    ramp.set_dqflags(dqflags)  # which depend on the algorithm
    return ramp


def _fit(ramp: RampData, read_noise, gain, threads: int) -> tuple[dict[str, Any], dict[str, Any], None]:
    result = fit_ramps(
        float32(ramp.data, "ramp"),
        ramp.groupdq,
        ramp.pixeldq,
        float32(gain, "gain"),
        float32(read_noise, "read noise"),
        group_time_s=ramp.group_time,
        frame_time_s=ramp.frame_time,
        n_frames=ramp.nframes,
        dark_dn_s=ramp.average_dark_current,
        suppress_one_group=ramp.suppress_one_group_ramps,
        drop_unusable_groups=ramp.instrument_name == "MIRI",
        threads=threads,
    )
    return result.rate._asdict(), result.rateints._asdict(), None


def _fit_by_likelihood(ramp: RampData, read_noise, gain, threads: int) -> tuple[dict[str, Any], dict[str, Any], None]:
    times = ramp.read_pattern
    if times is None:
        frames = {"n_frames": ramp.nframes, "group_gap": ramp.groupgap, "frame_time_s": ramp.frame_time}
        times = read_times_s(ramp.data.shape[1], **frames)
    result = fit_ramps_by_likelihood(
        float32(ramp.data, "ramp"),
        ramp.groupdq,
        ramp.pixeldq,
        float32(gain, "gain"),
        float32(read_noise, "read noise"),
        read_times_s=times,
        dark_dn_s=ramp.average_dark_current,
        zeroframe=None if ramp.zeroframe is None else float32(ramp.zeroframe, "zero frame"),
        n_frames=ramp.nframes,
        threads=threads,
    )
    ramp.groupdq |= result.groupdq  # as stock does: whoever holds the ramp finds the jumps in it
    return result.rate._asdict() | {"chisq": result.chisq}, result.rateints._asdict(), None
