"""Remove integrations from a segment."""

from __future__ import annotations

import logging
from typing import ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models, times
from detectorist.parameters import indices_to_drop, parse_index_list
from detectorist.step import LRS_SLITLESS, DetectoristStep

log = logging.getLogger(__name__)

#: Arrays of a ramp whose first axis counts integrations.
PER_INTEGRATION = ("data", "groupdq", "zeroframe", "refout")


class DropIntegrationsStep(DetectoristStep):
    """Remove integrations: arrays, times and every count in the header stay consistent.

    The remaining integrations are renumbered from the first of the segment; their old numbers are in the record.
    INT_TIMES keeps their rows; if the file has no INT_TIMES, the table is created first, because afterwards the times
    can no longer be computed from the header.
    """

    class_alias = "drop_integrations"
    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    spec = """
        drop_integrations = pass(default=None)  # zero-indexed in this file, negative from the end; None: none
    """

    def process(self, input_data):
        """Return the ramp without the integrations."""
        wanted = parse_index_list(self.drop_integrations, name="drop_integrations")
        model = self.open_input(input_data, RampModel)
        if not wanted:
            return self.skip_because(model, "no integrations were given", dropped=[])
        n_ints = model.data.shape[0]
        file = models.describe(model)
        dropped = indices_to_drop(wanted, n_ints, name="drop_integrations", of="integrations", file=file)
        kept = np.setdiff1d(np.arange(n_ints), dropped)
        timing = times.integration_times(model)
        if timing.reconstructed:
            log.warning("%s: %s; times are taken from the header", models.describe(model), timing.reason)
        numbers = timing.table["integration_number"]
        old_kept, old_dropped = numbers[kept].tolist(), numbers[dropped].tolist()
        for name in PER_INTEGRATION:
            array = getattr(model, name, None) if model.hasattr(name) else None
            if array is not None and len(array) == n_ints:
                setattr(model, name, array[kept])
        table = timing.table[kept]
        table["integration_number"] = numbers[0] + np.arange(len(kept))
        model.int_times = table
        _keep_group_rows(model, dict(zip(old_kept, table["integration_number"].tolist(), strict=True)))
        _count(model, n_ints, len(kept))
        return self.complete(
            model,
            f"{len(dropped)} of {n_ints} integrations dropped",
            dropped=list(dropped),
            dropped_numbers=old_dropped,
            kept_numbers=old_kept,
        )


def _count(model: RampModel, before: int, after: int) -> None:
    """Bring the counts and the exposure times of the header up to date."""
    exposure = model.meta.exposure
    total = exposure.nints or before
    first = exposure.integration_start or 1
    exposure.nints = max(total - (before - after), after)
    exposure.integration_start, exposure.integration_end = first, first + after - 1
    for name in ("exposure_time", "effective_exposure_time", "measurement_time"):
        value = getattr(exposure, name)
        if value is not None:
            setattr(exposure, name, value * exposure.nints / total)


def _keep_group_rows(model: RampModel, new_number: dict[int, int]) -> None:
    """Keep the rows of the table of groups that belong to integrations that stay, under their new numbers."""
    rows = getattr(model, "group", None) if model.hasattr("group") else None
    if rows is None or len(rows) == 0:
        return
    rows = np.array(rows)
    rows = rows[np.isin(rows["integration_number"], list(new_number))]
    rows["integration_number"] = [new_number[int(number)] for number in rows["integration_number"]]
    model.group = rows
