"""The steps before the jump step, in the engine."""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import numpy as np
from jwst.ipc import ipc_corr
from jwst.ipc.ipc_step import IPCStep
from jwst.lib import pipe_utils
from jwst.linearity import linearity
from jwst.linearity.linearity_step import LinearityStep
from jwst.reset import reset_sub
from jwst.reset.reset_step import ResetStep
from jwst.saturation import saturation
from jwst.saturation.saturation_step import SaturationStep

from detectorist.engine import NotCovered
from detectorist.engine.correct import convolve, linearize
from detectorist.engine.saturation import flag_saturation
from detectorist.errors import ParameterError
from detectorist.reduction.engine_steps.base import EngineStep, float32, in_place, native

log = logging.getLogger(__name__)


class EngineSaturationStep(EngineStep, SaturationStep):
    """Flag saturation as `SaturationStep` does. Standard code runs for IRS2 readout and superstripes."""

    stock: ClassVar = SaturationStep
    place: ClassVar = (saturation, "flag_saturated_pixels")

    def require_possible(self) -> None:
        """Refuse a negative number of pixels."""
        if self.n_pix_grow_sat < 0:
            raise ParameterError(f"saturation.n_pix_grow_sat is {self.n_pix_grow_sat}: 0 or more is needed")

    @staticmethod
    def covered(
        data, gdq, pdq, sat_thresh, sat_dq, atod_limit, dqflags, *, n_pix_grow_sat, read_pattern, zframe, bias
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Do what stcal's `flag_saturated_pixels` does: group flags, pixel flags, zero frames."""
        if sat_thresh.ndim != 2:
            raise NotCovered("the thresholds differ between groups")
        result = flag_saturation(
            native(float32(data, "ramp")),
            gdq,
            pdq,
            float32(sat_thresh, "threshold"),
            sat_dq,
            grow_pix=n_pix_grow_sat,
            read_pattern=read_pattern,
            bias=None if bias is None else native(float32(bias, "superbias")),
            zeroframe=None if zframe is None else native(float32(zframe, "zero frame")),
            out=gdq if gdq.dtype == np.uint8 and gdq.flags.c_contiguous and gdq.flags.writeable else None,
        )
        log.info("%d pixels saturate, %d reach the A/D floor", result.n_saturated, result.n_floor)
        return result.groupdq, result.pixeldq, result.zeroframe

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._saturation_nb import flag_hidden_saturation

        return flag_hidden_saturation


class EngineIPCStep(EngineStep, IPCStep):
    """Undo inter-pixel capacitance as `IPCStep` does.

    Standard code runs for IRS2, and for kernels that differ from pixel to pixel.
    """

    stock: ClassVar = IPCStep
    place: ClassVar = (ipc_corr, "ipc_correction")

    @staticmethod
    def covered(output, ipc_model) -> Any:
        """Do what `ipc_correction` does: the model, its ramp convolved in place."""
        if pipe_utils.is_irs2(output):
            raise NotCovered("the readout is IRS2")
        kernel = ipc_corr.get_ipc_slice(output, ipc_model)
        convolve(in_place(output.data), kernel, reference_edges=tuple(ipc_corr.get_num_ref_pixels(output)))
        return output

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._correct_nb import convolve_planes

        return convolve_planes


class EngineLinearityStep(EngineStep, LinearityStep):
    """Correct for non-linearity as `LinearityStep` does, averaged frames included."""

    stock: ClassVar = LinearityStep
    place: ClassVar = (linearity, "linearity_correction")

    @staticmethod
    def covered(
        data, gdq, pdq, lin_coeffs, lin_dq, dqflags, zframe=None, ilin_coeffs=None, read_pattern=None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Do what stcal's `linearity_correction` does: ramp (in place), pixel flags, zero frames."""
        if zframe is not None:
            float32(zframe, "zero frame")
        if ilin_coeffs is not None:
            float32(ilin_coeffs, "array of inverse coefficients")
        coefficients = float32(lin_coeffs, "array of coefficients")
        frames = {"zeroframe": zframe, "inverse": ilin_coeffs, "read_pattern": read_pattern}
        pixels, zeros = linearize(in_place(data), gdq, pdq, coefficients, lin_dq, **frames)
        return data, pixels, zeros

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine._correct_nb import linearize_rows

        return linearize_rows


class EngineResetStep(EngineStep, ResetStep):
    """Subtract the reset anomaly as `ResetStep` does, without fetching the arrays from the models for every group."""

    stock: ClassVar = ResetStep
    place: ClassVar = (reset_sub, "do_correction")

    @staticmethod
    def covered(output_model, reset_model) -> Any:
        """Do what `do_correction` does: the model, its first groups corrected in place."""
        exposure, reference = output_model.meta.exposure, reset_model.meta.exposure
        first = (exposure.integration_start or 1) - 1
        last = exposure.nints if exposure.integration_end is None else exposure.integration_end
        n_groups = min(exposure.ngroups, reference.ngroups)
        data, reset = output_model.data, np.nan_to_num(reset_model.data, nan=0.0, posinf=np.inf, neginf=-np.inf)
        for i in range(first, last):
            data[i - first, :n_groups] -= reset[min(i, reference.nints - 1), :n_groups]
        if last > first:
            output_model.pixeldq |= reset_model.dq
        return output_model

    def prepare_engine(self) -> None:
        """Do nothing: this step needs no compiled kernel."""
