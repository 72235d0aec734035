"""The ramp-fitting step, in the engine."""

from __future__ import annotations

from typing import Any, ClassVar

from jwst.ramp_fitting.ramp_fit_step import RampFitStep
from stcal.ramp_fitting import ramp_fit as stcal_fit
from stcal.ramp_fitting.ramp_fit_class import RampData

from detectorist.engine import NotCovered
from detectorist.engine.ramp_fit import fit_ramps
from detectorist.reduction.engine_steps.base import EngineStep, float32
from detectorist.reduction.engine_steps.jump import threads_of


class EngineRampFitStep(EngineStep, RampFitStep):
    """Fit ramps as `RampFitStep` does; `maximum_cores` counts threads of this process instead of processes.

    Stock code runs for the likelihood algorithm, optional results, and zero frames that are to be used.
    """

    stock: ClassVar = RampFitStep
    place: ClassVar = (stcal_fit, "ramp_fit_data")

    @staticmethod
    def covered(
        ramp: RampData, save_opt: bool, read_noise, gain, algorithm: str, weighting: str, max_cores: str
    ) -> tuple[dict[str, Any], dict[str, Any], None]:
        """Do what stcal's `ramp_fit_data` does: the arrays of the rate image and of the rates per integration."""
        if algorithm.upper() != "OLS_C":
            raise NotCovered(f"the algorithm is {algorithm}")
        if ramp.group_time is None or ramp.frame_time is None:
            raise NotCovered("the header lacks TGROUP or TFRAME")  # stock refuses them in its own words
        if save_opt:
            raise NotCovered("optional results are asked for")
        if ramp.zeroframe is not None and not ramp.suppress_one_group_ramps:
            raise NotCovered("zero frames may replace saturated ramps")
        if ramp.average_dark_current.shape != gain.shape:
            raise NotCovered(f"the average dark has shape {ramp.average_dark_current.shape}")
        return _fit(ramp, read_noise, gain, threads_of(max_cores, ramp.data.shape[2]))

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._ramp_tiles_nb import fit_tiles

        return fit_tiles


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
