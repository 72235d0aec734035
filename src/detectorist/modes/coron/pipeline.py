"""Stage 1 of coronagraphy: ramps to rates, for NIRCam and MIRI."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.combine import combine_integrations
from detectorist.errors import InputError
from detectorist.libraries.detector1 import Detector1Pipeline
from detectorist.modes.coron.steps import CoronJumpStep, CoronRampFitStep, CoronRefPixStep, CoronSaturationStep
from detectorist.reduction import model_files
from detectorist.reduction.base import DetectoristPipeline, off_by_default
from detectorist.reduction.engine_steps.by_name import ENGINE_STEPS
from detectorist.reduction.inputs.headers import flag_missing_samples, require_consistent_input
from detectorist.stage_1.mask_groups import MaskGroupsStep, median_ramp
from detectorist.stage_1.rateints_outliers import RateintsOutliersStep
from detectorist.stage_1.subtract_1overf import SubtractOneOverFStep, add_variance
from detectorist.stage_1.subtract_ktc import SubtractKtcStep

log = logging.getLogger(__name__)

#: Steps before the slopes, in order. Those that are skipped by default in the standard pipeline are so here.
RAMP_STEPS = {
    "MIRI": (
        "group_scale",
        "dq_init",
        "emicorr",
        "saturation",
        "ipc",
        "firstframe",
        "lastframe",
        "reset",
        "linearity",
        "rscd",
        "dark_current",
        "refpix",
        "charge_migration",
        "jump",
        "picture_frame",
        "clean_flicker_noise",
        "persistence",
    ),
    "NIRCAM": (
        "group_scale",
        "dq_init",
        "saturation",
        "ipc",
        "superbias",
        "refpix",
        "linearity",
        "dark_current",
        "charge_migration",
        "jump",
        "picture_frame",
        "clean_flicker_noise",
        "persistence",
        "subtract_ktc",
    ),
}


#: Fewest groups of an integration, where more than one are needed.
LEAST_GROUPS = {"MIRI": 2}
#: Steps that keep what they subtracted: attribute, and suffix of its product.
SUBTRACTED = {"subtract_ktc": ("offsets", "ktc"), "subtract_1overf": ("stripes", "1overf")}


class Coron1Pipeline(DetectoristPipeline, Detector1Pipeline):
    """Detector1Pipeline for coronagraphy: own saturation, reference pixels and ramp fit, kTC and 1/f noise, outliers.

    All other steps are the standard ones (compiled where the results are bit-identical). The standard Detector1Pipeline
    is not modified.

    Notes
    -----
    With 1/f noise removed from the rates of the integrations, the rate of the exposure is made from these.
    """

    class_alias = "calwebb_coron1"

    spec = """
        save_intermediates = boolean(default=False)  # save the result of every step, kTC offsets and stripes
        return_rateints = boolean(default=False)  # return the rates of the integrations instead of that of the exposure
        rate_int_outliers = boolean(default=False)  # flag outliers across integrations in the ramps and refit them
        stage_1overf = option("ints", "groups", default="ints")  # where 1/f noise is removed
    """

    step_defs: ClassVar = {
        **Detector1Pipeline.step_defs,
        **ENGINE_STEPS,
        "saturation": CoronSaturationStep,
        "jump": CoronJumpStep,
        "refpix": CoronRefPixStep,
        "subtract_ktc": SubtractKtcStep,
        "subtract_1overf": SubtractOneOverFStep,
        "mask_groups": off_by_default(MaskGroupsStep),
        "ramp_fit": CoronRampFitStep,
        "apply_rateints_outliers": RateintsOutliersStep,
    }

    #: Hashes of products by their names, noted where a caller sets a dictionary: files need not be read again for them.
    hashes: dict[str, str] | None = None

    def save_model(self, model: JwstDataModel, suffix: str | None = None, **kwargs: Any) -> Any:
        """Save a product as stpipe does; where hashes are noted, with FITS checksums and a piece at a time."""
        if self.hashes is None:
            return super().save_model(model, suffix=suffix, **kwargs)
        target = Path(self.make_output_path(suffix=suffix))
        self.hashes[target.name] = model_files.save(model, target)
        return str(target)

    def process(self, input_data: Any) -> JwstDataModel | None:
        """Return the rate, or with `return_rateints` the rates of the integrations."""
        require_consistent_input(input_data)
        ramp = self.prepare_output(input_data, open_as_ramp=True)
        instrument = ramp.meta.instrument.name
        if instrument not in RAMP_STEPS:
            raise InputError(f"{models.describe(ramp)}: instrument is {instrument}; NIRCAM or MIRI is needed")
        _require_groups(ramp, instrument)
        flag_missing_samples(ramp)
        self.dark_current.output_dir = self.ramp_fit.output_dir = self.output_dir
        as_read = None if self.mask_groups.skip else median_ramp(ramp)
        for name in RAMP_STEPS[instrument]:
            ramp = self._run(name, ramp)
        if instrument == "NIRCAM" and self.stage_1overf == "groups":
            ramp = self._run("subtract_1overf", ramp)
        if as_read is not None:
            ramp = self._run("mask_groups", ramp, as_read)
        if self.save_calibrated_ramp or self.save_intermediates:
            self.save_model(ramp, "ramp")
        if self.ramp_fit.skip:
            self.suffix = "ramp"
            return self.ramp_fit.run(ramp)
        rate, rateints = self._fit(ramp)
        if rate is None:
            log.warning("%s: no rate could be fitted", models.describe(ramp))
            return None
        if instrument == "NIRCAM":
            self._finish_1overf(ramp, rate, rateints)
        rate, rateints = self._scale(rate, "gain_scale"), self._scale(rateints, "gain_scaleints")
        self.save_model(rateints, "rateints")
        self.suffix = "rateints" if self.return_rateints else "rate"
        if self.return_rateints:
            self.save_model(rate, "rate")
        return rateints if self.return_rateints else rate

    def _run(self, name: str, model: JwstDataModel, *extra: Any) -> JwstDataModel:
        """Run a step by its name, and save its result if all are to be saved."""
        step = getattr(self, name)
        result = step.run(model, *extra)
        if self.save_intermediates and not step.skip:
            self.save_model(result, name)
            self._save_subtracted(result, name)
        return result

    def _save_subtracted(self, result: JwstDataModel, name: str) -> None:
        """Save what was subtracted: kTC offsets as `_ktc`, stripes as `_1overf`."""
        if name not in SUBTRACTED or models.state(result, name) != "COMPLETE":
            return
        attribute, suffix = SUBTRACTED[name]
        array = np.asarray(getattr(getattr(self, name), attribute), np.float32)
        model = (CubeModel if array.ndim == 3 else RampModel)(data=array)
        model.update(result)
        self.save_model(model, suffix)

    def _fit(self, ramp: RampModel) -> tuple[ImageModel | None, CubeModel | None]:
        """Fit slopes; with outliers across integrations flagged, those pixels a second time."""
        flags = models.group_flags(ramp).copy() if self.rate_int_outliers else None
        rate, rateints = self.ramp_fit.run(ramp)
        if rate is None:
            return None, None
        if self.rate_int_outliers:
            ramp.groupdq = flags
            step = self.apply_rateints_outliers
            ramp = step.run(ramp, rateints)
            if not step.skip:
                self.ramp_fit.refit(ramp, rate, rateints, step.flagged.any(axis=0))
        for result in (rate, rateints):
            models.carry_provenance(ramp, result)
        return rate, rateints

    def _finish_1overf(self, ramp: RampModel, rate: ImageModel, rateints: CubeModel) -> None:
        """Remove 1/f noise from the rates if it was not removed from the groups; bring variances up to date."""
        step = self.subtract_1overf
        if step.skip:
            return
        if self.stage_1overf == "groups":
            if models.state(rateints, step.class_alias) == "COMPLETE":
                add_variance(rateints, step.rate_variance)
                add_variance(rate, step.mean_variance)
            return
        before = np.array(rateints.var_poisson), np.array(rateints.var_rnoise)
        step.slopes = slopes = self.ramp_fit.slopes_of(ramp)
        corrected = step.run(rateints)
        step.slopes = None
        if models.state(corrected, step.class_alias) != "COMPLETE":
            return
        for name in ("data", "err", "var_rnoise"):
            setattr(rateints, name, getattr(corrected, name))
        photons = self.ramp_fit.photons_of(ramp, slopes, rateints, before[1])
        rateints.err = np.sqrt(np.maximum(np.asarray(rateints.err) ** 2 + photons - before[0], 0))
        rateints.var_poisson = photons
        before = photons, before[1]
        models.carry_provenance(corrected, rateints)
        models.carry_provenance(corrected, rate)
        combine_into(rate, rateints, *before)
        add_variance(rate, step.mean_variance)
        if self.save_intermediates:
            self.save_model(rateints, step.class_alias)
            self._save_subtracted(rateints, step.class_alias)

    def _scale(self, model: JwstDataModel, suffix: str) -> JwstDataModel:
        self.gain_scale.suffix = suffix
        return self.gain_scale.run(model)


def _require_groups(ramp: RampModel, instrument: str) -> None:
    """Raise InputError for MIRI ramps of one group: without a superbias, it is mostly the offset of a pixel."""
    n_groups = ramp.data.shape[1]
    if n_groups < LEAST_GROUPS.get(instrument, 1):
        raise InputError(
            f"{models.describe(ramp)}: {n_groups} group per integration (NGROUPS); {instrument} needs at least "
            f"{LEAST_GROUPS[instrument]}, since one group alone cannot separate light from a pixel's offset",
            n_groups=n_groups,
        )


def combine_into(rate: ImageModel, rateints: CubeModel, var_poisson: np.ndarray, var_read: np.ndarray) -> None:
    """Replace a rate by the weighted mean of the rates of the integrations; variances are those of the single rates."""
    unusable = dq.has(rateints.dq, dq.DO_NOT_USE)
    combined = combine_integrations(np.asarray(rateints.data), unusable, var_poisson, var_read)
    rate.data = combined.rate
    rate.var_poisson, rate.var_rnoise = combined.var_poisson, combined.var_read
    rate.err = np.sqrt(combined.var_poisson + combined.var_read)
    rate.dq = dq.add(rate.dq, ~combined.usable, dq.DO_NOT_USE)
