"""NIRCam imaging: raw ramps to a rate image without snowballs, wisps and 1/f noise."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from jwst.jump import jump_step
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.algorithms.ramps.group_noise import (
    measure_group_noise,
    measure_shared_noise,
    noise_of_slopes,
    raise_read_noise,
)
from detectorist.algorithms.ramps.reference_rates import lift, sky_step
from detectorist.errors import InputError, TooFewPixels
from detectorist.fits_files import read_keywords
from detectorist.libraries.detector1 import Detector1Pipeline
from detectorist.modes.imaging import saturated
from detectorist.modes.imaging.group_flicker import group_noise_of, with_noise_of_whole_ramps
from detectorist.modes.imaging.hits import mend_jumps
from detectorist.product_names import stem_of
from detectorist.reduction import products
from detectorist.reduction.base import DetectoristPipeline, off_by_default
from detectorist.reduction.engine_steps.base import replaced
from detectorist.reduction.engine_steps.by_name import ENGINE_STEPS
from detectorist.reduction.engine_steps.jump import EngineJumpStep
from detectorist.reduction.engine_steps.ramp_fit import MarkedRampFitStep
from detectorist.reduction.inputs.headers import (
    flag_missing_rates,
    ramps_without_gaps,
    require_consistent_input,
    require_rate_unit,
    sci_axes,
)
from detectorist.reduction.inputs.whole_files import require_whole_file
from detectorist.stage_1.flag_persistence import FlagPersistenceStep
from detectorist.stage_1.snowballs import SnowballsStep
from detectorist.stage_1.stripes import StripesStep
from detectorist.stage_1.subtract_1overf import add_variance, product_of
from detectorist.stage_1.wisp_files import band_of
from detectorist.stage_1.wisps import WISP_DETECTORS, WISP_FILTERS, WispsStep
from detectorist.step import DetectoristStep

log = logging.getLogger(__name__)

#: Products on the way to the rate image.
INTERIM = ("ramp", "rateints")
#: Steps on the rate image in their order, and the ending of the copy that is kept from before each.
RATE_STEPS = {"wisps": "prewisp", "stripes": "pre1f"}
_KINDS = {4: RampModel, 3: CubeModel, 2: ImageModel}


class ImagingJumpStep(EngineJumpStep):
    """Detect jumps with all noise of groups counted, then flag large events with the pipeline's `snowballs` step.

    Hits that fell into an averaged group are flagged where the search has flagged what they left untouched, and where
    it has missed a part of them.
    """

    spec = """
        count_group_noise = boolean(default=True) # 1/f noise between groups counts beside the read noise
        mend_split_hits = boolean(default=True) # hits within averaged groups are flagged in both differences they raise
    """

    def process(self, step_input: Any) -> Any:
        """Return the ramps with the flags of both."""
        searched: list[JumpData] = []
        describe = jump_data_with_group_noise if self.count_group_noise else JumpData
        with replaced(jump_step, "JumpData", partial(_noting, searched, describe)):
            ramp = super().process(step_input)
        if models.state(ramp, "jump") == "COMPLETE":
            numbers: dict[str, float] = flicker_of_groups(ramp)
            if self.mend_split_hits and searched:
                numbers |= mend_jumps(ramp, searched[-1].gain_2d, searched[-1].rnoise_2d)
            models.record_step(ramp, "jump", "COMPLETE", numbers)
        snowballs = getattr(self.parent, "snowballs", None)
        if snowballs is None or models.state(ramp, "jump") != "COMPLETE":
            return ramp
        return snowballs.run(ramp)


def _noting(searched: list[JumpData], describe: Any, *args: Any) -> JumpData:
    """Return what `describe` makes of its arguments, added to a list as well."""
    searched.append(describe(*args))
    return searched[-1]


def flicker_of_groups(ramp: RampModel) -> dict[str, float]:
    """Return what the rate will have of the 1/f noise that groups show, DN/s; nothing where they show none."""
    unusable = dq.has(np.asarray(ramp.pixeldq), dq.REFERENCE_PIXEL | dq.DO_NOT_USE)
    variance = measure_shared_noise(ramp.data, ramp.groupdq, unusable)
    n_ints, n_groups = ramp.data.shape[:2]
    if not variance or not ramp.meta.exposure.group_time:
        return {}
    return {"flicker_dn_s": noise_of_slopes(variance, n_groups, ramp.meta.exposure.group_time, n_ints)}


def jump_data_with_group_noise(ramp: RampModel, gain: np.ndarray, read_noise: np.ndarray, flags: Any) -> JumpData:
    """Return what the standard step detects jumps in, with a read noise that has the 1/f noise of groups as well."""
    unusable = dq.has(np.asarray(ramp.pixeldq), dq.REFERENCE_PIXEL | dq.DO_NOT_USE)
    of_group = measure_group_noise(ramp.data, ramp.groupdq, unusable, gain)
    raised = raise_read_noise(read_noise, of_group, ramp.meta.exposure.nframes or 1)
    return JumpData(ramp, gain, raised, flags)


class ImagingRampFitStep(MarkedRampFitStep):
    """Fit ramps, and copy the records of our steps from the ramps to the rates."""

    def process(self, step_input: Any) -> Any:
        """Return rate and rates of the integrations."""
        persistence = getattr(self.parent, "flag_persistence", None)
        if persistence is not None and not persistence.skip:
            step_input = persistence.run(step_input)
        stripes: Any = getattr(self.parent, "stripes", None)
        on_groups = stripes is not None and not stripes.skip and self.parent.stripes_on == "groups"
        if on_groups:
            step_input = stripes.run(step_input)
        if stripes is None or stripes.skip:
            rates = self._fit_with_weights_of_sky(step_input)
        else:
            self.parent.group_noise = group_noise_of(step_input)
            self.parent.ramps_alike = not on_groups
            with nullcontext() if on_groups else with_noise_of_whole_ramps(step_input):
                rates = self._fit_with_weights_of_sky(step_input)
        for rate in rates if isinstance(rates, tuple) else ():
            if rate is None:
                continue
            models.carry_provenance(step_input, rate)
            if on_groups:
                add_variance(rate, stripes.mean_variance if isinstance(rate, ImageModel) else stripes.rate_variance)
        return rates

    def _fit_with_weights_of_sky(self, ramp: Any) -> Any:
        """Fit ramps, those of reference pixels with the weights of groups that the sky has."""
        flags = np.asarray(ramp.pixeldq)
        reference = dq.has(flags, dq.REFERENCE_PIXEL)
        unusable = reference | dq.has(flags, dq.DO_NOT_USE)
        step = sky_step(ramp.data, ramp.groupdq, unusable) if reference.any() else 0.0
        if not step:
            return super().process(ramp)
        before = lift(ramp.data, reference, step)
        try:
            rates = super().process(ramp)
        finally:
            ramp.data[:, :, *np.nonzero(reference)] = before
        for rate in rates if isinstance(rates, tuple) else ():
            if rate is not None:
                lower_reference_rates(rate, reference, step / ramp.meta.exposure.group_time)
        return rates


def lower_reference_rates(rate: ImageModel | CubeModel, reference: np.ndarray, sky_dn_s: float) -> None:
    """Take off the rate by which reference pixels were lifted, and the photon noise that they do not have."""
    places = (..., *np.nonzero(reference))
    rate.data[places] -= np.float32(sky_dn_s)
    rate.var_poisson[places] = 0
    rate.err[places] = np.sqrt(rate.var_rnoise[places])


class ImagingPipeline(DetectoristPipeline, Detector1Pipeline):
    """Detector1Pipeline with snowballs flagged before its one ramp fit, and a rate without wisps and 1/f noise.

    Takes an `_uncal.fits` (or a `_rate.fits`, from which it continues). Jumps are sought with the 1/f noise between
    groups counted, and reference pixels are fitted with the weights of the sky. All other steps are the standard ones,
    compiled where the results are bit-identical; the standard Detector1Pipeline is not modified.

    The uncorrected rate is kept beside the product, as `*_rate_prewisp.fits` and `*_rate_pre1f.fits`. Wisps are not
    subtracted, with a warning, if no folder of templates is given. From the rates of the integrations the same wisp is
    subtracted, and the stripes of each. `jump.expand_large_events` is off while `snowballs` runs.

    Raises
    ------
    InputError
        When the exposure is not a NIRCam image.
    AlreadyCorrected
        When one of the corrections has been applied to the given rate already.
    """

    class_alias = "imaging"
    default_recipe: ClassVar = ("imaging", "default")

    spec = """
        engine = option("auto", "stock", default="auto")  # auto: compiled steps where supported; stock: standard code
        save_uncorrected = boolean(default=True)  # keep *_rate_prewisp.fits and *_rate_pre1f.fits
        delete_interim = boolean(default=False)  # delete ramps and rates of integrations
        stripes_on = option("rate", "groups", default="rate")  # where 1/f noise is subtracted: rates or ramps
    """

    step_defs: ClassVar = {
        **Detector1Pipeline.step_defs,
        **ENGINE_STEPS,
        "jump": ImagingJumpStep,
        "snowballs": SnowballsStep,
        "flag_persistence": off_by_default(FlagPersistenceStep),
        "ramp_fit": ImagingRampFitStep,
        "wisps": WispsStep,
        "stripes": StripesStep,
    }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.whole_files = False
        self._written: list[Path] = []
        self._rateints: CubeModel | None = None
        self.flats: dict[str, np.ndarray] = {}
        self.group_noise: FlickerNoise | None = None
        #: Whether ramps that large events took groups from were given the 1/f noise of whole ones.
        self.ramps_alike = False

    def process(self, input_data: Any) -> JwstDataModel | None:
        """Return the corrected rate; the ramp if ramp fitting is skipped; None if nothing could be fitted."""
        self.choose_engine(self.engine)
        self.leave_large_events_to_snowballs()
        self._rateints = None
        self.flats.clear()
        self.group_noise, self.ramps_alike = None, False
        self._written = []
        for step in self._own_steps():
            step.written.clear()
        if isinstance(input_data, JwstDataModel):
            require_image(input_data)
            kind = product_of(input_data)
            name = models.describe(input_data)
        else:
            kind = kind_of_file(Path(input_data))
            name = Path(input_data).name  # a file may have been renamed
        require_consistent_input(input_data)
        if kind is CubeModel:
            raise InputError(f"{name}: contains rates of integrations; ramps (uncal) or a rate image are needed")
        if kind is ImageModel:
            rate = models.open_as(input_data, ImageModel)
            require_rate_unit(rate)
            flag_missing_rates(rate)
            return self.correct_rate(rate, stem_of(name))
        rate = super().process(ramps_without_gaps(input_data))
        if self.whole_files and not self.flag_persistence.skip:
            target = self.folder / f"{stem_of(name)}{saturated.SUFFIX}"
            saturated.write_saturated(self.flag_persistence.saturated, target)
            self._written.append(target)
        if rate is None or rate.meta.cal_step.ramp_fit != "COMPLETE":
            return rate
        return self.correct_rate(rate, stem_of(name))

    def _own_steps(self) -> Iterator[DetectoristStep]:
        steps = (getattr(self, name) for name in self.step_defs)
        return (step for step in steps if isinstance(step, DetectoristStep))

    def side_products(self, stem: str) -> list[Path]:
        """Return the files the last run wrote besides the rate; with `whole_files`, copies and interim products too.

        stem : str
            Prefix of the names of products.
        """
        saved = (name for name in self.step_defs if getattr(self, name).save_results)
        by_stock_steps = [path for name in saved if (path := self.folder / f"{stem}_{name}.fits").is_file()]
        of_steps = [path for step in self._own_steps() for path in step.written]
        return sorted({*self._written, *by_stock_steps, *of_steps})

    def leave_large_events_to_snowballs(self) -> None:
        """Turn `jump.expand_large_events` off if `snowballs` runs: events grown by jump would count as large events.

        Parameters of the jump step that come from CRDS turn it on.
        """
        if self.jump.expand_large_events and not (self.jump.skip or self.snowballs.skip):
            log.warning(
                "jump.expand_large_events is turned off: the snowballs step does "
                "this, and needs the events as they were "
                "detected; set snowballs.skip = true to leave it to jump"
            )
            self.jump.expand_large_events = False

    def correct_rate(self, rate: ImageModel, stem: str) -> ImageModel:
        """Return the rate without wisps and stripes, a copy of it saved before each; correct and save the rateints.

        stem : str
            Prefix of the names of all products.
        """
        rate.meta.filename = f"{stem}_rate.fits"
        self.suffix = "rate"
        rateints, self._rateints = self._rateints, None
        if rateints is not None:
            rateints.meta.filename = f"{stem}_rateints.fits"
        for name, ending in RATE_STEPS.items():
            step = getattr(self, name)
            if step.skip or (name == "wisps" and not self._has_templates(rate)):
                continue
            if name == "stripes" and self.stripes_on == "groups" and models.state(rate, name) == "COMPLETE":
                continue
            self.progress(0.8 if name == "wisps" else 0.9, 1, name)
            # Both steps give the rate new arrays and leave those that it had as they are.
            before = models.sharing_arrays(rate) if self.save_uncorrected else None
            was = _Arrays(rate.data, rate.err)
            rate = step.run(rate)
            if models.state(rate, name) != "COMPLETE":
                continue
            if before is not None:
                self.save_model(before, suffix=f"rate_{ending}")
                before.close()
            if rateints is not None:
                rateints = self._correct_rateints(name, rateints, was, rate)
        self.flats.clear()
        if rateints is not None:
            self._write(rateints, "rateints")
        return rate

    def _correct_rateints(self, name: str, rateints: CubeModel, was: _Arrays, rate: ImageModel) -> CubeModel:
        """Return the rates of the integrations with what a step did to the rate done to them."""
        if len(rateints.data) == 1 and np.array_equal(rateints.data[0], was.data, equal_nan=True):
            for array in ("data", "err", "var_rnoise"):
                if rate.hasattr(array):
                    setattr(rateints, array, getattr(rate, array)[None].copy())
        elif name == "wisps":
            rateints.data = rateints.data - (was.data - rate.data)
            add_variance(rateints, np.broadcast_to(rate.err**2 - was.err**2, rateints.data.shape))
        else:
            try:
                with _without_side_products(self.stripes):
                    return self.stripes.run(rateints)
            except TooFewPixels as error:
                log.warning("%s; 1/f noise is not subtracted", error)
                return rateints
        models.carry_provenance(rate, rateints)
        return rateints

    def _has_templates(self, rate: ImageModel) -> bool:
        instrument = rate.meta.instrument
        if self.wisps.template_dir is not None or not has_wisps(
            instrument.detector, band_of(instrument.filter, instrument.pupil)
        ):
            return True
        name = models.describe(rate)
        log.warning(
            "%s: no wisp templates given (--wisp-templates or wisps.template_dir); wisps are not subtracted", name
        )
        return False

    def save_model(self, model: Any, suffix: str | None = None, **kwargs: Any) -> Any:
        """Save a product as stpipe does; interim ones only if requested.

        With `whole_files`, set by the caller, interim products and copies are written completely or not at all, even
        without `save_results`.
        """
        if suffix in INTERIM and self.delete_interim:
            return None
        if suffix == "rateints" and (self.whole_files or self.save_results):
            self._rateints = model  # written when corrected, with the rate
            return None
        return self._write(model, suffix, **kwargs)

    def _write(self, model: Any, suffix: str | None, **kwargs: Any) -> Any:
        if self.whole_files and suffix is not None:
            target = self.folder / f"{stem_of(models.describe(model))}_{suffix}.fits"
            self._written.append(products.write_model(model, target))
            return [str(target)]
        return super().save_model(model, suffix=suffix, **kwargs)


class _Arrays(NamedTuple):
    """A rate and its ERR as they were."""

    data: np.ndarray
    err: np.ndarray


@contextmanager
def _without_side_products(step: StripesStep) -> Iterator[None]:
    """Let a step write neither masks and patterns nor figures: those of the rate are there."""
    names = ("save_mask", "save_patterns", "draw_stripes")
    before = {name: getattr(step, name) for name in names}
    try:
        for name in names:
            setattr(step, name, False)
        yield
    finally:
        for name, value in before.items():
            setattr(step, name, value)


def kind_of_file(path: Path) -> type[JwstDataModel]:
    """Return the class for ramps, rates or a rate in a file, from its headers alone: opening ramps takes a second.

    Raises
    ------
    InputError
        When the file cannot be read, is truncated, or is not a NIRCam image.
    """
    axes = sci_axes(path)
    if len(axes) not in _KINDS:
        with models.open_as(path, RampModel) as model:  # says in words what is wrong
            require_image(model)
        return RampModel
    require_whole_file(path)
    keywords = read_keywords(path)
    require_nircam_image(str(path), keywords.text("INSTRUME"), keywords.text("EXP_TYPE"))
    return _KINDS[len(axes)]


def has_wisps(detector: str | None, band: str | None) -> bool:
    """Return whether a detector shows wisps in a filter."""
    return (detector or "").upper() in WISP_DETECTORS and (band or "").upper() in WISP_FILTERS


def require_image(model: JwstDataModel) -> None:
    """Raise InputError unless the model is of a NIRCam image."""
    require_nircam_image(models.describe(model), model.meta.instrument.name, model.meta.exposure.type)


def require_nircam_image(name: str, instrument: str | None, kind: str | None) -> None:
    """Raise InputError unless instrument and exposure type, where it is known, are those of a NIRCam image."""
    if instrument != "NIRCAM" or kind not in (None, "NRC_IMAGE"):
        series = "; detectorist destripe corrects rates of time series" if kind == "NRC_TSIMAGE" else ""
        raise InputError(
            f"{name}: {instrument or 'unknown instrument'}, exposure type {kind}; a NIRCam image (NRC_IMAGE) is needed"
            f"{series}"
        )
