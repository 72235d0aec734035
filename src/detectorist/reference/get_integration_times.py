"""When each integration was taken, and how long one lasts."""

from __future__ import annotations

import logging

from astropy.table import Table
from stdatamodels.jwst.datamodels import CubeModel, RampModel

from detectorist import models, times
from detectorist.reference._base import ReferenceStep, save_table

log = logging.getLogger(__name__)


class GetIntegrationTimes(ReferenceStep):
    """Return the table of times of this segment and the duration of an integration in seconds.

    The duration is the median spacing of the mid-times, resets between integrations included. Where INT_TIMES is
    missing, empty or short, both are computed from the header, with a warning. `save_results` writes the table
    as `<input>_get_integration_times.fits`.
    """

    class_alias = "get_integration_times"

    def process(self, input_data):
        """Return (table, duration): a structured array with the columns of INT_TIMES, and seconds as float."""
        model = self.read_input(input_data, RampModel, CubeModel)
        found = times.integration_times(model)
        if found.reconstructed:
            log.warning("%s: %s; times are taken from the header", models.describe(model), found.reason)
        self.record = {
            "duration_s": found.spacing_s,
            "n_ints": len(found.table),
            "reconstructed": found.reconstructed,
        }
        if self.save_results:
            path = save_table(Table(found.table), self.path_for(None, self.class_alias, model))
            log.info("%s: times written to %s", models.describe(model), path)
        return found.table, found.spacing_s
