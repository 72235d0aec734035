"""MIRI LRS slitless: raw ramps to spectra through time, segment by segment."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from jwst.assign_wcs.assign_wcs_step import AssignWcsStep
from jwst.dq_init.dq_init_step import DQInitStep
from jwst.gain_scale.gain_scale_step import GainScaleStep
from jwst.group_scale.group_scale_step import GroupScaleStep
from jwst.lastframe.lastframe_step import LastFrameStep
from jwst.rscd.rscd_step import RscdStep
from jwst.srctype.srctype_step import SourceTypeStep
from stdatamodels.jwst.datamodels import CubeModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.spectra.error_scale import measure_error_scale
from detectorist.algorithms.spectra.location import Location, locate_trace
from detectorist.errors import InputError, ParameterError, TooFewPixels
from detectorist.libraries.garbage_collection import release_models
from detectorist.libraries.step_logs import LogWrittenOnce
from detectorist.modes.lrs.emicorr import OneByOneEmiCorrStep
from detectorist.modes.lrs.flat_field import FlatFieldInPartsStep
from detectorist.modes.lrs.frames import LrsFrames
from detectorist.modes.lrs.jump import OneByOneJumpStep
from detectorist.modes.lrs.own_references import make_references
from detectorist.modes.lrs.segments import Segment, order_segments, require_pointing
from detectorist.modes.lrs.spectra import LrsSpectra, SegmentSpectra
from detectorist.modes.lrs.wavelengths import place_of, read_wavelength_map
from detectorist.reduction import chunks, content_keys, products
from detectorist.reduction.base import DetectoristPipeline, off_by_default
from detectorist.reduction.engine_steps.dark import EngineDarkCurrentStep
from detectorist.reduction.engine_steps.front import (
    EngineIPCStep,
    EngineLinearityStep,
    EngineResetStep,
    EngineSaturationStep,
)
from detectorist.reduction.engine_steps.ramp_fit import MarkedRampFitStep
from detectorist.reduction.file_hash import unchanged
from detectorist.reduction.inputs import exposure_parts
from detectorist.reduction.inputs.headers import flag_missing_rates, flag_missing_samples
from detectorist.reduction.inputs.integration_numbers import fill_in
from detectorist.reference import GetWavelengthMap, SetCustomGain, SetCustomLinearity
from detectorist.stage_1 import (
    DropGroupsStep,
    FlagShowersStep,
    GroupBackgroundSubtractStep,
    ReferencePixelStep,
    SubtractGroupOffsetsStep,
)
from detectorist.stage_2 import (
    AlignSpectraStep,
    BackgroundSubtractStep,
    CleanOutliersStep,
    Extract1DBoxStep,
    Extract1DOptimalStep,
    InspectDQFlagsStep,
    SubtractShowersStep,
)

log = logging.getLogger(__name__)

#: Steps on ramps before the fit, in the order in which the detector's effects are undone.
RAMP_STEPS = (
    "group_scale",
    "dq_init",
    "emicorr",
    "saturation",
    "ipc",
    "lastframe",
    "reset",
    "drop_groups",
    "reference_pixel",
    "linearity",
    "rscd",
    "dark_current",
    "subtract_group_offsets",
    "group_background_subtract",
    "flag_showers",
    "jump",
)
#: Names of products below the folder of an exposure.
SPECTRA, FRAMES = "stage_2/stage_2_output.nc", "stage_2/frames.nc"
#: Share of a row's light in replaced pixels beyond which nothing was measured that could stand for it.
MOST_UNMEASURED = 0.5
#: Steps that spectra cannot be made without.
NEEDED = ("clean_outliers", "background_subtract", "align_spectra")


class LrsPipeline(LogWrittenOnce, DetectoristPipeline):
    """From `_uncal.fits` (or `_rateints.fits`) segments of one exposure to `stage_2/stage_2_output.nc`.

    Takes any number of segments in any order. Everything is written below `output_dir`: `stage_1/*_rateints.fits`,
    `stage_2/stage_2_output.nc`, `references/` (gain or linearity made from the data). A segment whose
    `_rateints.fits` was made from the same input with the same parameters, versions and references is not made again.

    The recipe defines the steps (`detectorist recipe show lrs`); by default it is "default".

    Returns
    -------
    detectorist.modes.lrs.spectra.LrsSpectra
        Time-resolved spectra; `.dataset` is the xarray dataset that was written.

    Raises
    ------
    InputError
        When the segments are not one complete exposure of this mode.
    """

    class_alias = "lrs"
    default_recipe: ClassVar = ("lrs", "default")

    spec = """
        extraction = option("box", "optimal", default="box")  # how spectra are extracted
        engine = option("auto", "stock", default="auto")  # compiled steps where they are proven, or stock
        wavelength_map = string(default=None)  # FITS file with a WAVELENGTH extension, used instead of the WCS
        calibrate_errors = boolean(default=False)  # scale errors to the scatter between integrations
        min_trace_sigma = float(default=8.0)  # a trace that stands out by less is refused; 0: none is
        allow_gaps = boolean(default=False)  # accept missing integrations between segments
        chunk_ints = integer(default=None)  # integrations per chunk of stage 1, for segments larger than memory
        reuse = boolean(default=True)  # keep stage-1 products that would come out the same
        author = string(default="")  # written to the output
        contact = string(default="")  # written to the output
    """

    step_defs: ClassVar = {
        "set_custom_gain": off_by_default(SetCustomGain),
        "set_custom_linearity": off_by_default(SetCustomLinearity),
        "group_scale": GroupScaleStep,
        "dq_init": DQInitStep,
        "emicorr": OneByOneEmiCorrStep,
        "saturation": EngineSaturationStep,
        "ipc": EngineIPCStep,
        "lastframe": LastFrameStep,
        "reset": EngineResetStep,
        "drop_groups": DropGroupsStep,
        "reference_pixel": off_by_default(ReferencePixelStep),
        "linearity": EngineLinearityStep,
        "rscd": RscdStep,
        "dark_current": EngineDarkCurrentStep,
        "subtract_group_offsets": off_by_default(SubtractGroupOffsetsStep),
        "group_background_subtract": off_by_default(GroupBackgroundSubtractStep),
        "flag_showers": off_by_default(FlagShowersStep),
        "jump": OneByOneJumpStep,
        "ramp_fit": MarkedRampFitStep,
        "gain_scale": GainScaleStep,
        "assign_wcs": AssignWcsStep,
        "srctype": SourceTypeStep,
        "get_wavelength_map": GetWavelengthMap,
        "flat_field": FlatFieldInPartsStep,
        "inspect_dq_flags": InspectDQFlagsStep,
        "subtract_showers": off_by_default(SubtractShowersStep),
        "clean_outliers": CleanOutliersStep,
        "background_subtract": BackgroundSubtractStep,
        "extract_1d_box": Extract1DBoxStep,
        "extract_1d_optimal": Extract1DOptimalStep,
        "align_spectra": AlignSpectraStep,
    }

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        #: Products of a run, in the order in which they were written.
        self.written: list[Path] = []
        self._template: Any = None
        self._place: dict[str, Any] | None = None
        self._wavelengths = np.empty((0, 0))
        self._location: Location | None = None
        self._reference_records: dict[str, dict[str, Any]] = {}
        self.frames = LrsFrames()
        #: Written to the output; set by whoever reads a recipe.
        self.recipe_name = ""

    def process(self, *sources: Any) -> LrsSpectra:
        """Reduce one exposure, given as any number of segments (paths or open models)."""
        self._refuse_to_skip(*NEEDED, self._extraction_step.class_alias)
        segments = order_segments(sources, allow_gaps=self.allow_gaps)
        if not (self.wavelength_map or self.assign_wcs.skip):
            require_pointing(segments[0])
        if segments[-1].is_ramp:
            self._refuse_to_skip("ramp_fit")
        self._template = self._location = self._place = None
        self.frames = LrsFrames()
        self.choose_engine(self.engine)
        if segments[-1].is_ramp:
            self._reference_records = make_references(self, segments[-1])
        target = self.folder / SPECTRA
        spectra = LrsSpectra(target, author=self.author, contact=self.contact, recipe=self.recipe_name)
        try:
            for number, segment in enumerate(segments):
                self.progress(number, len(segments), f"{segment.stem}: detector")
                for hand_over in self._blocks_of_rates(segment):
                    self.progress(number + 0.6, len(segments), f"{segment.stem}: spectra")
                    spectra.add(self.spectroscopy(hand_over()))
                    release_models()
            spectra.finish()
        finally:
            spectra.discard()
        self.written += [target, self.frames.write(self.folder / FRAMES)]
        self.progress(len(segments), len(segments), "done")
        return spectra

    def _refuse_to_skip(self, *names: str) -> None:
        for name in names:
            if getattr(self, name).skip:
                found = f"{name}.skip is True: no spectra can be made without this step"
                raise ParameterError(f"{found}; to go on by hand, save results of the one before it")

    def _blocks_of_rates(self, segment: Segment) -> list[Callable[[], CubeModel]]:
        """Return what hands over the rates of a segment to stage 2, block by block, and keeps none of them.

        The length of the blocks does not depend on the memory there is.
        """
        rates = self.detector(segment)
        blocks = exposure_parts.blocks_of(len(rates.data))
        if len(blocks) == 1 and not (segment.is_ramp and self.in_chunks(segment.source)):
            return [[rates].pop]
        source = self._product_of(segment) if segment.is_ramp else segment.source
        if isinstance(source, Path):
            rates.close()
            read = exposure_parts.read_integrations
            return [partial(read, source, first, stop, CubeModel) for first, stop in blocks]
        return [partial(exposure_parts.slice_integrations, rates, first, stop) for first, stop in blocks]

    # --- stage 1

    def places_of(self, segments: list[Segment]) -> list[Path]:
        """Return the paths of the products of these segments."""
        spectra = [self.folder / SPECTRA, self.folder / FRAMES]
        if not segments[-1].is_ramp:
            return spectra
        kinds = [kind for kind in ("gain", "linearity") if not getattr(self, f"set_custom_{kind}").skip]
        references = [self.folder / "references" / f"{segments[-1].stem}_{kind}.fits" for kind in kinds]
        return [*(self._product_of(segment) for segment in segments), *references, *spectra]

    def _product_of(self, segment: Segment) -> Path:
        return self.folder / "stage_1" / f"{segment.stem}_rateints.fits"

    def detector(self, segment: Segment) -> CubeModel:
        """Return the count rates of every integration of a segment, from its ramps or as given."""
        if not segment.is_ramp:
            rates = models.open_as(segment.source, CubeModel)
            flag_missing_rates(rates)
            return rates
        target = self._product_of(segment)
        key = content_keys.content_key(segment.source, self._parameters_of_stage_1(), self.reference_source)
        if self.reuse and key is not None and content_keys.is_whole(target, key):
            log.info("%s: %s is up to date and is reused", segment.name, target)
            self.written.append(target)
            rates = models.open_as(target, CubeModel)
            self._repeat_dropped_groups(rates)
            return rates
        with unchanged(segment.source):  # else its product would be reused for what it was before
            rates = self._fit_ramps(segment.source)
        self.put_log(rates)
        self.written.append(products.write_model(rates, target, never_over=segment.source, key=key))
        return rates

    def _fit_ramps(self, source: Any) -> CubeModel:
        if self.in_chunks(source):
            rates = chunks.fit_in_chunks(self, source, RAMP_STEPS[:-1], chunk_ints=self.chunk_ints)
            self._repeat_dropped_groups(rates)
            return rates
        ramps: JwstDataModel = models.open_as(source, RampModel)
        fill_in(ramps, len(ramps.data))
        flag_missing_samples(ramps)
        for name in RAMP_STEPS:
            ramps = getattr(self, name).run(ramps)
        self._repeat_dropped_groups(ramps)
        _, rates = self.ramp_fit.run(ramps)
        if rates is None:
            raise InputError(f"{models.describe(ramps)}: no pixel could be fitted; are all groups flagged?")
        models.carry_provenance(ramps, rates)
        ramps.close()
        return self.gain_scale.run(rates)

    def in_chunks(self, source: Any) -> bool:
        """Return whether stage 1 of a segment runs in chunks: a file longer than one chunk."""
        return (
            bool(self.chunk_ints)
            and isinstance(source, Path)
            and exposure_parts.count_integrations(source) > max(self.chunk_ints, 2)
        )

    def _repeat_dropped_groups(self, model: JwstDataModel) -> None:
        """Use the groups that were chosen on the first segment for all others: a change would show as a step."""
        chosen = models.records(model).get("drop_groups", {}).get("groups")
        if self.drop_groups.drop_groups == "auto" and chosen is not None:
            self.drop_groups.drop_groups = list(chosen)

    def _parameters_of_stage_1(self) -> dict[str, Any]:
        names = (*RAMP_STEPS, "ramp_fit", "gain_scale", "set_custom_gain", "set_custom_linearity")
        return {name: getattr(self, name).get_pars() for name in names}

    # --- stage 2

    def spectroscopy(self, rates: CubeModel) -> SegmentSpectra:
        """Return the spectra, errors, shifts and widths of every integration of a segment."""
        rates, wavelengths = self._locate_wavelengths(rates)
        rates = self._once(self.flat_field, "flat_field", rates)
        rates = self.inspect_dq_flags.run(rates)
        location = self._locate_trace(rates)
        self.frames.add_photons(rates)
        self._drop_variances(rates)
        rates = self.subtract_showers.run(rates)
        frames, profile, n_outliers, background, unmeasured = self._clean(rates)
        wavelength, spectra, errors, widths = self._extract(frames, wavelengths, profile)
        del profile  # as large as the frames, of which the next step makes copies
        spectra, errors = self._hold_to_what_was_measured(spectra, errors, unmeasured)
        if self._template is None:
            self._template = self.align_spectra.template_from(frames)
        spectra, errors, x_shifts, y_shifts = self.align_spectra.run(frames, spectra, errors, self._template)
        self.frames.add_records(frames, self._extraction_step, self.align_spectra, made=self._reference_records)
        return SegmentSpectra.collect(
            frames,
            electrons=self._extraction_step.units == "electron/s",
            wavelength=wavelength,
            flux=spectra,
            flux_error=errors,
            background=background,
            x_shift=x_shifts,
            y_shift=y_shifts,
            y_shift_left=np.zeros_like(y_shifts) if self.align_spectra.align_spectra else y_shifts,
            psf_sigma=widths,
            n_outliers=n_outliers,
            trace_column=location.column,
        )

    def _locate_trace(self, rates: CubeModel) -> Location:
        """Return where the trace lies in the first integrations: for all of them, so that no seam shows.

        Raises
        ------
        InputError
            When no column stands out: what would be extracted is noise.
        """
        if self._location is None:
            try:
                location = locate_trace(rates.data, dq.has(models.flags(rates), dq.DO_NOT_USE))
            except TooFewPixels as error:
                raise TooFewPixels(f"{models.describe(rates)}: {error.message}", **error.numbers) from error
            if not location.significance >= self.min_trace_sigma:
                raise InputError(
                    f"{models.describe(rates)}: no trace found: the brightest column stands out by "
                    f"{location.significance:.1f} sigma, {self.min_trace_sigma:g} are needed (min_trace_sigma)",
                    significance=location.significance,
                    needed=self.min_trace_sigma,
                )
            self._location = self.frames.location = location
            self.background_subtract.decided = None
            for step in (self.subtract_showers, self.clean_outliers, self.extract_1d_box, self.extract_1d_optimal):
                step.location = location
        return self._location

    def _locate_wavelengths(self, rates: CubeModel) -> tuple[CubeModel, np.ndarray]:
        if self.wavelength_map:
            return rates, read_wavelength_map(self.wavelength_map, rates.data.shape[-2:])
        place = place_of(rates)
        if place is not None and place == self._place and not (self.is_looked_at or self.get_wavelength_map.save):
            return rates, self._wavelengths  # of the block before; no later step asks for the WCS itself
        rates = self._once(self.assign_wcs, "assign_wcs", rates)
        rates = self._once(self.srctype, "srctype", rates)
        self._place, self._wavelengths = place, self.get_wavelength_map.run(rates)
        return rates, self._wavelengths

    @staticmethod
    def _drop_variances(rates: CubeModel) -> None:
        """Let go of what no later step asks for, and is in ERR, and of what standard steps have left behind."""
        models.drop_arrays(rates, *models.VARIANCES)
        release_models()

    @staticmethod
    def _once(step: Any, alias: str, rates: CubeModel) -> CubeModel:
        """Run a stock step, unless the rates given have been through it."""
        return rates if models.state(rates, alias) == "COMPLETE" else step.run(rates)

    def _clean(self, rates: CubeModel) -> tuple[CubeModel, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Clean the frames, measure the background on them, subtract it from what they were and clean that.

        Outliers bias a background, and a background biases the profile that outliers are judged by. The last two of the
        arrays returned are the background of every row, and the share of its light, by its profile, in pixels that were
        replaced.
        """
        level = self._subtract_background(rates)
        before = np.array(rates.data)
        frames, profile, n_outliers = self.clean_outliers.run(rates)
        self.frames.add_after(frames, profile)
        unmeasured = np.where(before == frames.data, 0, profile).sum(axis=2)
        return frames, profile, n_outliers, level, unmeasured

    def _subtract_background(self, rates: CubeModel) -> np.ndarray:
        """Subtract the background from rates, in place, and return its level in every row.

        Arrays as large as the rates are let go of as soon as they have been used, those of the rates included.
        """
        self.clean_outliers.reversible = True
        cleaned, n_outliers = self.clean_outliers.run(models.sharing_arrays(rates, without=models.VARIANCES))[::2]
        self.clean_outliers.reversible = False
        step = self.background_subtract
        if step.columns == "auto" and step.decided is None:
            step.decided = step.decide(cleaned, self._location)
        subtracted, background = step.run(cleaned)
        self.clean_outliers.put_back()
        self.frames.add_before(rates, n_outliers, background)
        variance = models.background_variance(subtracted)
        assert variance is not None  # the step that subtracts sets it
        numbers = dict(models.records(subtracted)["background_subtract"])
        del cleaned, subtracted
        release_models()
        rates.data = rates.data - background
        models.set_background_variance(rates, variance)
        models.record_step(rates, "background_subtract", numbers.pop("state"), numbers)
        return np.median(background, axis=2)

    def _hold_to_what_was_measured(
        self, spectra: np.ndarray, errors: np.ndarray, unmeasured: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return spectra without rows that were mostly made up, and errors as the scatter says, if asked to."""
        made_up = unmeasured > MOST_UNMEASURED
        if made_up.any():
            log.warning(
                "%d of %d spectral elements have more than half of their light in pixels that were not measured "
                "(saturated, flagged or outlying in all groups): their flux is NaN",
                made_up.sum(),
                made_up.size,
            )
            spectra, errors = (np.where(made_up, np.nan, array) for array in (spectra, errors))
        scale = np.ones(spectra.shape[1])
        if self.calibrate_errors:
            scale = measure_error_scale(spectra, errors)
            log.info("errors scaled by %.3f to %.3f (median %.3f)", scale.min(), scale.max(), np.median(scale))
        self._extraction_step.record["error_scale"] = float(np.median(scale))
        self._extraction_step.record["elements_not_measured"] = int(made_up.sum())
        return spectra, errors * scale

    @property
    def _extraction_step(self) -> Extract1DBoxStep | Extract1DOptimalStep:
        return self.extract_1d_optimal if self.extraction == "optimal" else self.extract_1d_box

    def _extract(self, frames: CubeModel, wavelengths: np.ndarray, profile: np.ndarray):
        extra = (profile,) if self.extraction == "optimal" else ()
        return self._extraction_step.run(frames, wavelengths, *extra)
