"""Replace pixels of LRS integrations that do not fit the trace's spatial profile."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra import profile
from detectorist.algorithms.spectra.location import N_REFERENCE, Location, locate_trace
from detectorist.errors import InputError, ParameterError
from detectorist.parameters import parse_index_list, parse_int_or_word
from detectorist.step import LRS_SLITLESS, DetectoristStep


class CleanOutliersStep(DetectoristStep):
    """Find outliers by their deviation from a spatial profile (Horne 1986), frame by frame, and replace them.

    `process` returns `(CubeModel, P, O)`: the cleaned model (pixels replaced carry OUTLIER), the profiles
    (n_ints, n_rows, n_cols), which sum to 1 in every row, and the number of pixels replaced within 0-4 columns of its
    column (n_ints, n_rows, 5): column 36 or, for "measured", that of the trace. P is the trace alone: the background is
    measured beside it and not included. The profile of an integration without any usable pixel is flat; the integration
    is not changed, except for DO_NOT_USE.
    """

    class_alias = "clean_outliers"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        window_heights = pass(default=None)  # rows per window, cycled to the last row; None: 150,100,50,40,30,24
        window_widths = pass(default=None)  # another name of window_heights
        dq_bits_to_mask = pass(default=None)  # bit indices (n means 2**n) of flags whose pixels are replaced
        poly_order = integer(default=4)  # order of the polynomials along the dispersion
        outlier_threshold = float(default=4.0)  # sigma from the profile beyond which a pixel is an outlier
        spatial_profile_left_idx = integer(default=26)  # first column of the profile
        spatial_profile_right_idx = integer(default=47)  # column after the last of the profile
        trace_position = pass(default="constant")  # "constant": column 36; "measured": the columns move along
        draw_cleaning_col = boolean(default=False)  # draw the columns of the trace before and after
        draw_spatial_profiles = boolean(default=False)  # draw the profiles
        no_clean = boolean(default=False)  # replace NaN only
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: Where the trace lies, where whoever runs the step has located it on another part of the exposure.
        self.location: Location | None = None
        #: Whether `put_back` is to be possible after a run, for whoever cleans arrays only to measure on them.
        self.reversible = False
        self._replaced: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def put_back(self) -> None:
        """Write what the last run replaced back into the arrays that it was given."""
        for array, where, values in reversed(self._replaced):
            array[where] = values
        self._replaced = []

    def require_possible(self) -> None:
        """Refuse a threshold or an order that no window could have."""
        profile.require_possible(self.outlier_threshold, self.poly_order)

    def process(self, input_data: Any) -> tuple[CubeModel, np.ndarray, np.ndarray]:
        """Return the cleaned model, the profiles P and the counts O."""
        heights = self._heights()
        model = self.open_input(input_data, CubeModel)
        err, flags = models.errors(model), models.flags(model)
        if not np.isfinite(model.data).any():
            raise InputError(f"{models.describe(model)}: SCI has not one finite value")
        trace_column = self._trace_column(model, flags)
        columns = self._profile_columns(trace_column, model.data.shape[2])
        found = profile.clean_outliers(
            model.data,
            err,
            flags,
            window_heights=heights,
            dq_bits_to_mask=parse_index_list(self.dq_bits_to_mask, name="dq_bits_to_mask"),
            poly_order=self.poly_order,
            outlier_threshold=self.outlier_threshold,
            spatial_profile_left_idx=columns[0],
            spatial_profile_right_idx=columns[1],
            trace_column=trace_column,
            no_clean=self.no_clean,
        )
        before = model.data.copy() if self.draw_cleaning_col else model.data
        replaced = write_back(model, err, flags, found)
        self._replaced = replaced if self.reversible else []
        self._draw(model, before, found, columns)
        self.complete(model, summarise(found), **numbers_of(found))
        return model, found.profile, found.counts

    def save_model(self, model: Any, *args: Any, idx: Any = None, **kwargs: Any) -> Any:
        """Save the one model of the result, without the number that stpipe gives each of several results."""
        return super().save_model(model, *args, **kwargs)

    def _heights(self) -> list[int] | None:
        heights = parse_index_list(self.window_heights, name="window_heights")
        widths = parse_index_list(self.window_widths, name="window_widths")
        if heights is not None and widths is not None:
            raise ParameterError(
                f"window_heights is {heights} and window_widths {widths}: two names of one parameter, give one"
            )
        return widths if heights is None else heights

    def _trace_column(self, model: CubeModel, flags: np.ndarray) -> int:
        words = ("constant", "measured")
        position = parse_int_or_word(self.trace_position, name="trace_position", words=words)
        if position == "constant":
            return profile.TRACE_COLUMN
        if position != "measured":
            return int(position)
        return (self.location or locate_trace(model.data, dq.has(flags, dq.DO_NOT_USE))).column

    def _profile_columns(self, trace_column: int, n_cols: int) -> tuple[int, int]:
        """Return the columns of the profile (end exclusive), moved along with the trace, within the image."""
        moved = trace_column - profile.TRACE_COLUMN
        if not moved:
            return self.spatial_profile_left_idx, self.spatial_profile_right_idx
        return max(self.spatial_profile_left_idx + moved, N_REFERENCE), min(
            self.spatial_profile_right_idx + moved, n_cols
        )

    def _draw(self, model: CubeModel, before: np.ndarray, found: profile.Cleaning, columns: tuple[int, int]) -> None:
        from detectorist.figures import cleaning

        if self.draw_cleaning_col:
            self.draw(
                lambda: cleaning.draw_cleaned_columns(before, model.data, found.replaced, columns=columns),
                model,
                name="columns",
            )
        if self.draw_spatial_profiles:
            self.draw(lambda: cleaning.draw_profiles(found.profile, columns=columns), model, name="profiles")


def write_back(
    model: CubeModel, err: np.ndarray, flags: np.ndarray, found: profile.Cleaning
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Write the result into `model` in place, without a second copy of its arrays.

    Returns [(array, where, what stood there)], in the order of writing.
    """
    data, err, flags = (models.writable(array) for array in (model.data, err, flags))
    written = [(array, found.replaced, array[found.replaced]) for array in (data, err, flags)]
    data[found.replaced], err[found.replaced] = found.values, found.errors
    flags[found.replaced] |= dq.OUTLIER
    written.append((flags, found.unusable, flags[found.unusable]))
    flags[found.unusable] |= dq.DO_NOT_USE
    model.data, model.err, model.dq = data, err, flags
    return written


def summarise(found: profile.Cleaning) -> str:
    """Summarise the result in words."""
    text = (
        f"{found.replaced.sum()} pixels replaced ({found.n_outliers.sum()} outlying, {found.n_flagged.sum()} flagged, "
        f"{found.n_nan.sum()} not finite)"
    )
    if not found.errors_used.all():
        text += f", noise measured from the data in {(~found.errors_used).sum()} integrations"
    if found.unusable.any():
        text += f"; no usable pixel in integrations {np.flatnonzero(found.unusable).tolist()}: DO_NOT_USE set"
    return text


def numbers_of(found: profile.Cleaning) -> dict[str, Any]:
    """Return the record: plain numbers."""
    per_integration = found.replaced.sum(axis=(1, 2))
    usable = ~found.unusable
    return {
        "n_cleaned": int(per_integration.sum()),
        "n_outliers": int(found.n_outliers.sum()),
        "n_flagged": int(found.n_flagged.sum()),
        "n_nan": int(found.n_nan.sum()),
        "max_per_integration": int(per_integration.max()),
        "noise_scale": float(np.nanmedian(found.noise_scale[usable])),
        "errors_used": bool(found.errors_used[usable].all()),
        "rows_without_profile": int((~found.measured[usable]).sum()),
        "unusable_integrations": np.flatnonzero(found.unusable).tolist(),
    }
