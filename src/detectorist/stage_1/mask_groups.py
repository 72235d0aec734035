"""Leave out late groups of a reference star that is brighter than the science target."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.ramps.mask_groups import GroupMatch, late_groups, match_groups
from detectorist.errors import ParameterError
from detectorist.parameters import indices_to_drop, parse_index_list, parse_value
from detectorist.step import DetectoristStep


class MaskGroupsStep(DetectoristStep):
    """Set DO_NOT_USE on the groups of a reference star that are brighter than the target ever gets.

    The target's exposures (uncal or ramp files of the same read pattern) are given as `science_files`;
    "custom" needs none. Meant for exposures of type REF and REF_BG.
    """

    class_alias = "mask_groups"
    instruments: ClassVar = ("NIRCAM", "MIRI")

    spec = """
        mask_method = option("basic", "advanced", "custom", default="basic")  # see the documentation
        cropwidth = integer(min=1, default=None)  # half-width of the crop on the star, pixels; None: 20, advanced 30
        edgewidth = integer(min=1, default=None)  # width of its border, which is compared; None: 10, advanced 20
        threshold = float(min=0, max=100, default=85)  # advanced: percentile above which border pixels are compared
        custom_group = integer(min=0, default=None)  # custom: last group that is kept, zero-indexed
        mask_array = pass(default=None)  # custom: the groups that are left out instead, zero-indexed
        types = pass(default=None)  # types of exposures that a database masks; None: REF and REF_BG
        mask_sigma_med = float(default=3)  # only pixels this many sigma above the median lose groups
        mask_window = integer(min=0, default=2)  # and pixels within this distance of one of these
        science_files = pass(default=None)  # files of the science target: a list, or one name
        draw_late_groups = boolean(default=False)  # draw the star and the number of groups that each pixel loses
    """

    def process(self, input_data, as_read=None):
        """Return the ramp with its late groups flagged.

        as_read : ndarray, shape (n_groups, ny, nx), optional
            The ramp as read from its file, to be compared with files of the target that have not been processed either.
        """
        model = self.open_input(input_data, RampModel)
        reference = median_ramp(model) if as_read is None else as_read
        match = self._match(model, reference)
        n_groups = model.data.shape[1]
        mask = late_groups(
            reference[-1], n_groups, match, mask_sigma_med=self.mask_sigma_med, mask_window=self.mask_window
        )
        chosen = self._chosen(model)
        if chosen is not None:
            mask = mask.any(axis=0) & np.isin(np.arange(n_groups), chosen)[:, None, None]
        model.groupdq = dq.add(models.group_flags(model), mask[None], dq.DO_NOT_USE)
        if self.draw_late_groups:
            from detectorist.figures.late_groups import draw_late_groups

            self.draw(lambda: draw_late_groups(reference[-1], mask), model)
        touched = int(mask.any(axis=0).sum())
        return self.complete(
            model,
            f"groups after {match.faint} (brightest pixels: {match.bright}) of {n_groups} left out in {touched} pixels",
            last_group_faint=match.faint,
            last_group_bright=match.bright,
            pixels_masked=touched,
        )

    def _match(self, model: JwstDataModel, reference: np.ndarray) -> GroupMatch:
        if self.mask_method == "custom":
            if self._chosen(model) is not None:
                return GroupMatch(0, 0)
            if self.custom_group is None:
                raise ParameterError(
                    'mask_method "custom" needs custom_group, the last group that is kept, or mask_array'
                )
            n_groups = len(reference)
            if self.custom_group >= n_groups:
                raise ParameterError(
                    f"{models.describe(model)}: custom_group is {self.custom_group}; 0 to {n_groups - 1} are possible "
                    f"({n_groups} groups)"
                )
            return GroupMatch(self.custom_group, self.custom_group)
        return self._compare(model, reference)

    def _compare(self, model: JwstDataModel, reference: np.ndarray) -> GroupMatch:
        """Return the groups that have as much light as the files of the target."""
        names = parse_value(self.science_files)
        names = [names] if isinstance(names, str) or hasattr(names, "meta") else list(names or [])
        if not names:
            raise ParameterError(
                f'mask_method "{self.mask_method}" compares with the science target: science_files is missing'
            )
        science, centres = [], []
        for name in names:
            target = models.open_as(name, RampModel, copy=False)
            science.append(median_ramp(target)[-1])
            centres.append(star_position(target))
        try:
            return match_groups(
                reference,
                science,
                centre=star_position(model),
                science_centres=centres,
                mask_method=self.mask_method,
                cropwidth=self.cropwidth,
                edgewidth=self.edgewidth,
                threshold=self.threshold,
            )
        except ParameterError as error:
            raise ParameterError(f"{models.describe(model)}: {error.message}", **error.numbers) from error

    def _chosen(self, model: JwstDataModel) -> list[int] | None:
        """Return the groups of `mask_array`, counted from the first; None where it is not used."""
        wanted = parse_index_list(self.mask_array, name="mask_array") if self.mask_method == "custom" else None
        if not isinstance(wanted, list):
            return None
        size, file = model.data.shape[1], models.describe(model)
        return indices_to_drop(wanted, size, name="mask_array", of="groups", file=file)


def median_ramp(model: JwstDataModel) -> np.ndarray:
    """Return (n_groups, ny, nx) the median over integrations without DO_NOT_USE samples; NaN where there are none."""
    unusable = dq.has(models.group_flags(model), dq.DO_NOT_USE)
    ramp = np.where(unusable, np.nan, model.data.astype(np.float64))
    known = np.isfinite(ramp).any(axis=0)
    out = np.full(ramp.shape[1:], np.nan)
    out[known] = np.nanmedian(ramp[:, known], axis=0)
    return out


def star_position(model: JwstDataModel) -> tuple[float, float]:
    """Return (y, x) of the star, 0-based: the reference pixel of the header, behind the mask; else the centre."""
    wcs = model.meta.wcsinfo
    ny, nx = model.data.shape[-2:]
    if wcs.crpix1 is None or wcs.crpix2 is None:
        return (ny - 1) / 2, (nx - 1) / 2
    return wcs.crpix2 - 1, wcs.crpix1 - 1
