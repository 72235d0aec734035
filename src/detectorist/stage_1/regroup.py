"""Split long integrations into shorter ones."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models, times
from detectorist.errors import ParameterError
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)


class RegroupStep(DetectoristStep):
    """Split integrations into shorter ones of `n_groups` groups.

    Only the first part of an integration begins with a reset: the others begin where the part before it ended, and
    their first group is normal. Groups left over at the end are dropped, with a warning that counts them.
    """

    class_alias = "regroup"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        n_groups = integer(default=10)  # groups of the new integrations
    """

    def process(self, input_data):
        """Return the ramp as more, shorter integrations."""
        model = self.open_input(input_data, RampModel)
        n_ints, before = model.data.shape[:2]
        name = models.describe(model)
        if not 1 <= self.n_groups <= before:
            raise ParameterError(
                f"{name}: n_groups is {self.n_groups}, but the integrations have {before} groups "
                f"(1 to {before} are possible)",
                parameter="n_groups",
                value=self.n_groups,
                n_groups=before,
            )
        parts, left_over = divmod(before, self.n_groups)
        if left_over:
            log.warning(
                "%s: %d groups make %d integrations of %d; the last %d groups of each integration are dropped",
                name,
                before,
                parts,
                self.n_groups,
                left_over,
            )
        timing = times.integration_times(model)
        if timing.reconstructed:
            log.warning("%s: %s; times are taken from the header", name, timing.reason)
        used = parts * self.n_groups
        for array in ("data", "groupdq", "refout"):
            ramps = getattr(model, array, None) if model.hasattr(array) else None
            if ramps is not None and ramps.shape[:2] == (n_ints, before):
                new_shape = (n_ints * parts, self.n_groups, *ramps.shape[2:])
                setattr(model, array, ramps[:, :used].reshape(new_shape))
        self._split_zeroframe(model, parts, n_ints)
        model.int_times = split_times(timing.table, parts, self.n_groups / before)
        self._split_group_rows(model, parts, timing.table["integration_number"])
        _count(model, parts, self.n_groups / before, self.n_groups, n_ints)
        return self.complete(
            model,
            f"{n_ints} integrations of {before} groups made {n_ints * parts} of {self.n_groups}",
            n_groups=self.n_groups,
            n_groups_before=before,
            parts=parts,
            groups_dropped=left_over,
        )

    @staticmethod
    def _split_zeroframe(model: RampModel, parts: int, n_ints: int) -> None:
        """Give the first part the zero frame; 0, the sign for "no zero frame", to those that begin without a reset."""
        zeroframe = getattr(model, "zeroframe", None) if model.hasattr("zeroframe") else None
        if zeroframe is None or len(zeroframe) != n_ints:
            return
        split = np.zeros((n_ints * parts, *zeroframe.shape[1:]), zeroframe.dtype)
        split[::parts] = zeroframe
        model.zeroframe = split

    def _split_group_rows(self, model: RampModel, parts: int, numbers: np.ndarray) -> None:
        rows = getattr(model, "group", None) if model.hasattr("group") else None
        if rows is None or len(rows) == 0:
            return
        rows = np.array(rows)
        part, group = np.divmod(rows["group_number"].astype(int) - 1, self.n_groups)
        keep = (part < parts) & np.isin(rows["integration_number"], numbers)
        rows, part, group = rows[keep], part[keep], group[keep]
        rows["integration_number"] = (rows["integration_number"].astype(int) - 1) * parts + part + 1
        rows["group_number"] = group + 1
        model.group = rows


def split_times(table: np.ndarray, parts: int, fraction: float) -> np.ndarray:
    """Return the table of times with each row divided into `parts` that last `fraction` of it each."""
    part = np.tile(np.arange(parts), len(table))
    split = np.repeat(table, parts)
    split["integration_number"] = (split["integration_number"] - 1) * parts + part + 1
    for scale in ("MJD_UTC", "BJD_TDB"):
        begin = split[f"int_start_{scale}"].copy()
        lasts = split[f"int_end_{scale}"] - begin
        for name, place in (("start", 0.0), ("mid", 0.5), ("end", 1.0)):
            split[f"int_{name}_{scale}"] = begin + lasts * fraction * (part + place)
    return split


def _count(model: RampModel, parts: int, fraction: float, n_groups: int, n_ints: int) -> None:
    """Bring the counts and times of the header up to date."""
    exposure = model.meta.exposure
    first = exposure.integration_start or 1
    last = first + n_ints - 1
    exposure.nints = (exposure.nints or n_ints) * parts
    exposure.ngroups = n_groups
    exposure.integration_start, exposure.integration_end = (first - 1) * parts + 1, last * parts
    if exposure.integration_time is not None:
        exposure.integration_time *= fraction
    for name in ("exposure_time", "effective_exposure_time", "measurement_time"):
        value = getattr(exposure, name)
        if value is not None:
            setattr(exposure, name, value * fraction * parts)
