"""One NIRCam image from its file to products."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import ImageModel, RampModel

from detectorist import models
from detectorist.crds_source import ReferenceSource, use_references
from detectorist.errors import InputError
from detectorist.fits_files import has_small_ending, read_plane
from detectorist.modes.imaging.pipeline import RATE_STEPS, ImagingPipeline, has_wisps, require_nircam_image
from detectorist.modes.imaging.quality import RateImage, measure
from detectorist.modes.quality import MISSING_REFERENCES, ODD_FRAME_DIVISOR
from detectorist.product_names import stem_of
from detectorist.reduction import content_keys, products
from detectorist.reduction.inputs.frame_averaging import odd_frame_divisor
from detectorist.reduction.inputs.headers import has_tree, read_header
from detectorist.reduction.inputs.integration_numbers import are_missing, fill_in
from detectorist.reduction.missing_references import missing_types
from detectorist.reduction.recipes.parameter_files import known_to
from detectorist.reduction.recipes.recipe import Recipe
from detectorist.reduction.recipes.recipe_files import load_recipe
from detectorist.reduction.runner import (
    Request,
    build_pipeline,
    log_file,
    references_in_words,
    require_writable,
    resolve,
)
from detectorist.stage_1.wisp_files import band_of, template_paths

log = logging.getLogger(__name__)

RAMPS = ("Level1bModel", "RampModel")


@dataclass(frozen=True)
class Exposure:
    """One input file: its path, its metadata as a flat dictionary, and the name of its products."""

    path: Path
    meta: dict[str, Any]

    @property
    def stem(self) -> str:
        """Name of its products without their endings."""
        return stem_of(self.path)

    @property
    def is_ramp(self) -> bool:
        """Whether it has ramps, not rates."""
        return self.meta.get("model_type") in RAMPS

    def templates_in(self, folder: str | None) -> list[Path]:
        """Return the wisp templates for it; none if it has no wisps or no folder is given.

        Raises ReferenceMissing when the folder has none for its detector and filter.
        """
        detector, wheel, pupil = (
            str(self.meta.get(f"instrument.{name}") or "") for name in ("detector", "filter", "pupil")
        )
        band = band_of(wheel, pupil)
        if folder is None or not has_wisps(detector, band):
            return []
        return template_paths(folder, detector.upper(), band.upper(), str(self.path))


def read_exposure(file: str | Path) -> Exposure:
    """Return an exposure from its header.

    Raises
    ------
    InputError
        When it cannot be read, is not a NIRCam image, or contains neither ramps nor a rate image.
    """
    path = Path(file)
    meta = read_header(path)
    require_nircam_image(str(path), meta.get("instrument.name"), meta.get("exposure.type") or "unknown")
    if meta.get("model_type") not in (*RAMPS, "ImageModel"):
        raise InputError(f"{path}: a {meta.get('model_type')}; ramps (uncal) or a rate image are needed")
    return Exposure(path, meta)


@dataclass(frozen=True)
class Reduced:
    """The result for an exposure: its rate, records of the steps, every parameter in force, and all products."""

    rate: Path
    steps: dict[str, Any]
    resolved: dict[str, Any]
    products: tuple[Path, ...]


def reduce_exposure(request: Request) -> Reduced:
    """Reduce one NIRCam image.

    Everything that can fail is checked, as far as possible, before the first ramp is read: the header, names and values
    of all parameters, wisp templates, a source of references, an output folder that can be written.

    Raises
    ------
    DetectoristError
        A subclass, with the file or parameter, the value found and the value needed.
    """
    (file,) = request.files
    recipe = load_recipe("imaging", request.recipe).with_settings(request.settings)
    if recipe.name.endswith(".asdf"):
        recipe = known_to(recipe, ImagingPipeline)
    recipe.check(ImagingPipeline)
    exposure = _require_ready(request, recipe, read_exposure(file))
    require_writable(request.output_dir)
    source = use_references(request.references, optional=not exposure.is_ramp)
    with log_file(request.beside("detectorist.log")):
        pipeline = _build(request, recipe, source, exposure)
        resolved = resolve(ImagingPipeline, pipeline, request, recipe, source, [str(exposure.path)])
        steps = _reduce(request, pipeline, source, exposure)
    target = _target_of(request, exposure)
    return Reduced(target, steps, resolved, (target, *pipeline.side_products(exposure.stem)))


def _require_ready(request: Request, recipe: Recipe, exposure: Exposure) -> Exposure:
    """Return the exposure; raises where its templates are missing, or where its product would take a foreign place."""
    wisps = recipe.steps.get("wisps", {})
    if not wisps.get("skip"):
        exposure.templates_in(wisps.get("template_dir"))
    products.require_ours(_target_of(request, exposure), exposure.path, overwrite=request.overwrite)
    return exposure


def _target_of(request: Request, exposure: Exposure) -> Path:
    return request.output_dir / f"{exposure.stem}_rate.fits"


def _reduce(request: Request, pipeline: ImagingPipeline, source: ReferenceSource, exposure: Exposure) -> dict[str, Any]:
    """Run the pipeline, write the rate, and return what the steps recorded."""
    with references_in_words(source):
        names = pipeline.step_defs if exposure.is_ramp else ()
        doubts = {
            MISSING_REFERENCES.key: missing_types(pipeline, names, exposure.path, source),
            ODD_FRAME_DIVISOR.key: odd_frame_divisor(pipeline, exposure.path) if exposure.is_ramp else "",
        }
        rate = pipeline.run(_as_read(exposure))
    if not isinstance(rate, ImageModel) or not np.isfinite(rate.data).any():
        raise InputError(f"{exposure.path}: no pixel could be fitted; are all groups saturated or flagged?")
    key = content_keys.content_key(exposure.path, _what_counts(pipeline, exposure), source.name)
    target = _target_of(request, exposure)
    products.write_model(rate, target, never_over=exposure.path, key=key)
    record = dict(models.records(rate))
    image = RateImage(
        np.asarray(rate.data),
        np.asarray(models.errors(rate)),
        np.asarray(models.flags(rate)),
        _sources_beside(target),
        _n_samples(rate) if exposure.is_ramp else 0,
        has_wisps(rate.meta.instrument.detector, band_of(rate.meta.instrument.filter, rate.meta.instrument.pupil)),
    )
    rate.close()
    return {"exposure": {**measure(image, record), **{key: told for key, told in doubts.items() if told}}, **record}


def _as_read(exposure: Exposure) -> Any:
    """Return a file for the pipeline, as a model where stpipe needs more to be said: it asks for ASDF and INTSTART."""
    usual = has_tree(exposure.path) and has_small_ending(exposure.path)
    if usual and not (exposure.is_ramp and are_missing(exposure.path)):
        return str(exposure.path)
    model = models.open_as(exposure.path, RampModel if exposure.is_ramp else ImageModel)
    if exposure.is_ramp:
        fill_in(model, len(model.data))
    model.meta.filename = exposure.path.name
    return model


def _sources_beside(rate: Path) -> np.ndarray | None:
    """Return where the step that measures 1/f noise has seen sources; None where it kept no mask."""
    path = rate.with_name(rate.name.replace("_rate.fits", "_rate_1fmask.fits"))
    try:
        return read_plane(path) > 0
    except InputError:
        return None


def _n_samples(rate: ImageModel) -> int:
    told = (rate.meta.exposure.nints, rate.meta.exposure.ngroups)
    return int(np.prod([int(one or 0) for one in told])) * rate.data.size


def _build(request: Request, recipe: Recipe, source: ReferenceSource, exposure: Exposure) -> ImagingPipeline:
    steps = {name: dict(table) for name, table in recipe.steps.items()}
    if source.name == "none":
        log.warning("no reference files are set: wisps and 1/f noise are measured without a flat field")
        for name in RATE_STEPS:
            steps.setdefault(name, {})["apply_flat"] = False
    elif not source.has_pipeline_parameters:
        log.warning(
            "references from %s include no step parameters (pars-*): standard steps use their defaults", source.name
        )
    dataset = str(exposure.path) if source.name != "none" and exposure.is_ramp else None
    pipeline: ImagingPipeline = build_pipeline(
        ImagingPipeline, dataset, steps=steps, output_dir=str(request.output_dir), **recipe.parameters
    )
    pipeline.leave_large_events_to_snowballs()
    pipeline.reference_source, pipeline.whole_files, pipeline.progress = source.name, True, request.progress
    return pipeline


def _what_counts(pipeline: ImagingPipeline, exposure: Exposure) -> dict[str, Any]:
    """Return all parameters, and the templates by name: files count by their content."""
    paths = [] if pipeline.wisps.skip else exposure.templates_in(pipeline.wisps.template_dir)
    return {**pipeline.get_pars(), "templates": {path.name: str(path) for path in paths}}
