"""The reference pixel step, in the engine."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
from jwst.lib.reffile_utils import science_detector_frame_transform as to_detector
from jwst.refpix import reference_pixels
from jwst.refpix.reference_pixels import NIRDataset
from jwst.refpix.refpix_step import RefPixStep

from detectorist.engine.refpix import clip_sigma, running_median, subtract_levels
from detectorist.reduction.engine_steps.base import EngineStep, replaced

log = logging.getLogger(__name__)

#: Columns of reference pixels at the left and right of a near-infrared detector, in its own orientation.
SIDES = (slice(0, 4), slice(2044, 2048))

_stock_full_frame = NIRDataset.do_fullframe_corrections


class EngineRefPixStep(EngineStep, RefPixStep):
    """Correct with reference pixels as `RefPixStep` does; the frame is gone through once, and side pixels are compiled.

    Standard code goes through the frame for subarrays, detectors whose rows are columns of the image, and the algorithm
    "sirs".
    """

    stock: ClassVar = RefPixStep

    def process(self, step_input: Any) -> Any:
        """Run the standard step with some of its functions replaced."""
        if self.engine == "stock" or self.side_smoothing_length < 3:
            return super(EngineStep, self).process(step_input)
        self.prepare_engine()
        with ExitStack() as stack:
            for name, function in _REPLACED.items():
                stack.enter_context(replaced(NIRDataset, name, function))
            # All that the standard code takes from scipy.stats, which takes longer to import than this step.
            stack.enter_context(replaced(reference_pixels, "stats", SimpleNamespace(sigmaclip=clip_sigma)))
            result = super(EngineStep, self).process(step_input)
        log.info("%s: compiled engine", self.class_alias)
        return result

    @staticmethod
    def kernel() -> Any:
        """Return the compiled kernel that takes longest to compile."""
        from detectorist.engine import _refpix_nb

        return _refpix_nb.running_median


class _Single:
    """A group of which pieces are taken in a given precision: only reference pixels are looked at."""

    def __init__(self, plane: np.ndarray, precision: np.dtype):
        self._plane, self._precision = plane, precision

    def __getitem__(self, key: Any) -> np.ndarray:
        return self._plane[key].astype(self._precision)


def _median_filter(self: NIRDataset, data: np.ndarray, dq: np.ndarray, smoothing_length: int) -> np.ndarray:
    return running_median(data, dq, length=smoothing_length)


def _combine(self: NIRDataset, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return one column: numpy repeats it over the image where stock fills 2048 columns."""
    return self.combine_with_nans(left, right)[:, np.newaxis]


def _full_frame(self: NIRDataset) -> None:
    """Do what `do_fullframe_corrections` does, the ramp changed in place."""
    data = self.input_model.data
    if not _is_covered(self, data):
        _stock_full_frame(self)
        return
    self.dms_to_detector_dq()
    # Stock takes the first group as it is, and all others as the float64 that the side pixels made of it.
    precision = data.dtype if self.group is None else self.group.dtype
    for plane in data.reshape(-1, *data.shape[-2:]):
        _correct(self, plane, precision)
        precision = np.dtype(np.float64) if self.use_side_ref_pixels else precision
    self.group = np.zeros(self.full_shape, precision)  # the zero frame goes on from here


def _is_covered(dataset: NIRDataset, data: np.ndarray) -> bool:
    return (
        abs(dataset.fastaxis) == 1
        and data.shape[-2:] == (2048, 2048)
        and not (dataset.is_subarray or dataset.is_multistripe or dataset.is_irs2)
        and (dataset.refpix_algorithm == "median" or dataset.sirs_kernel_model is None)
        and data.dtype == np.float32
        and data.dtype.isnative
        and data.flags.c_contiguous
        and data.flags.writeable
    )


def _correct(dataset: NIRDataset, plane: np.ndarray, precision: np.dtype) -> None:
    """Correct one group in place: stock's levels of columns first, then its levels of rows."""
    rows, columns = dataset.slowaxis > 0, dataset.fastaxis > 0  # whether they count as in the detector
    group = to_detector(plane, dataset.fastaxis, dataset.slowaxis)
    below_zero = np.zeros((1, plane.shape[1]))
    dataset.do_top_bottom_correction(below_zero, dataset.get_refvalues(_Single(group, precision)))
    of_column, of_row = 0.0 - below_zero[0], None
    if dataset.use_side_ref_pixels:
        sides = ((group[:, side].astype(precision) - of_column[side]).astype(precision) for side in SIDES)
        medians = (
            running_median(strip, dataset.pixeldq[:, side], length=dataset.side_smoothing_length)
            for strip, side in zip(sides, SIDES, strict=True)
        )
        of_row = dataset.side_gain * dataset.combine_with_nans(*medians)
        of_row = of_row if rows else of_row[::-1]
    subtract_levels(plane, of_column if columns else of_column[::-1], of_row, single=precision == np.float32)


#: Methods of stock's data set and what the engine does instead.
_REPLACED = {
    "median_filter": _median_filter,
    "combine_ref_signals": _combine,
    "do_fullframe_corrections": _full_frame,
}
