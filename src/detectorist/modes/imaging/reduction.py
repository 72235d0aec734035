"""NIRCam images from files to products: any number of exposures one after the other, each with its own choices."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomli_w
from stdatamodels.jwst.datamodels import ImageModel

from detectorist import models
from detectorist.crds_source import ReferenceSource, use_references
from detectorist.errors import DetectoristError, InputError, OutputError, is_unprocessable
from detectorist.modes.imaging.pipeline import RATE_STEPS, ImagingPipeline, has_wisps, stem_of
from detectorist.reduction import content_keys, products
from detectorist.reduction.headers import read_header, require_consistent_ramp, require_whole_file, sci_axes
from detectorist.reduction.parameter_files import known_to
from detectorist.reduction.recipe import Recipe, load_recipe
from detectorist.reduction.runner import (
    Request,
    build_pipeline,
    describe_run,
    log_file,
    references_in_words,
    require_writable,
    without_none,
)
from detectorist.stage_1.wisps import template_paths

log = logging.getLogger(__name__)

RAMPS = ("Level1bModel", "RampModel")


@dataclass(frozen=True)
class ImagingRequest(Request):
    """A request for NIRCam images; every file is an exposure.

    Attributes
    ----------
    wisp_templates : Path, optional
        Folder of wisp templates.
    choices : mapping
        {exposure, as `stem_of` names it: settings "step.parameter=value"}: stronger than the recipe, weaker than
        `settings`.
    """

    wisp_templates: Path | None = None
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Exposure:
    """One input file: its path, its metadata as a flat dictionary, and the name of its products."""

    path: Path
    meta: dict[str, Any]

    @property
    def stem(self) -> str:
        """Name of its products without their endings."""
        return stem_of(self.path.name)

    @property
    def is_ramp(self) -> bool:
        """Whether its slopes have still to be fitted."""
        return self.meta.get("model_type") in RAMPS

    def templates_in(self, folder: str | None) -> list[Path]:
        """Return the wisp templates for it; none where it has no wisps or no folder is given.

        Raises ReferenceMissing when the folder holds none for its detector and filter.
        """
        detector, band = (str(self.meta.get(f"instrument.{name}") or "") for name in ("detector", "filter"))
        if folder is None or not has_wisps(detector, band):
            return []
        return template_paths(folder, detector.upper(), band.upper(), str(self.path))


def read_exposure(file: str | Path) -> Exposure:
    """Return an exposure from its header.

    Raises
    ------
    InputError
        When it cannot be read, is no NIRCam image, or neither ramps nor a rate image.
    """
    path = Path(file)
    meta = read_header(path)
    instrument, kind = meta.get("instrument.name"), meta.get("exposure.type")
    if instrument != "NIRCAM" or kind != "NRC_IMAGE":
        raise InputError(
            f"{path}: {instrument or 'unknown instrument'}, exposure type {kind or 'unknown'}; a NIRCam image "
            "(NRC_IMAGE) is needed"
        )
    if meta.get("model_type") not in (*RAMPS, "ImageModel"):
        raise InputError(f"{path}: a {meta.get('model_type')}; ramps (uncal) or a rate image are needed")
    require_whole_file(path)
    exposure = Exposure(path, meta)
    if exposure.is_ramp:
        require_consistent_ramp(str(path), meta, sci_axes(path))
    return exposure


class ExposuresFailed(DetectoristError):
    """Some of several exposures could not be reduced; the others were.

    `numbers` holds `made`, the paths of the products, and `failed`: {exposure: {"state", "error", "message"}}, with
    state "unprocessable" where the data or their parameters are at fault and "crashed" otherwise.
    """


def reduce_imaging(request: ImagingRequest) -> list[Path]:
    """Reduce NIRCam images; return the rate images.

    Everything that can be known to fail is checked before the first ramp is read: headers of all files, names and
    values of all parameters, wisp templates, a source of references, an output folder that can be written. A wrong
    parameter ends the run there. A file that cannot be reduced is left out, and the others are reduced.
    A product that was made from the same input with the same parameters, versions and references is not made again.

    Raises
    ------
    ExposuresFailed
        At the end, when some of several files could not be reduced.
    DetectoristError
        One of its kinds, with a sentence that says which file or parameter, what was found and what is needed.
    """
    recipe = load_recipe("imaging", request.recipe or "default")
    if recipe.name.endswith(".asdf"):
        recipe = known_to(recipe, ImagingPipeline)
    if not request.files:
        raise InputError("no input: at least one uncal or rate file is needed")
    batch = _Batch(request)
    exposures = [found for file in request.files if (found := batch.attempt(_name_of(file), read_exposure, file))]
    _require_own_names(exposures)
    recipes = _own_recipes(request, recipe, exposures)
    ready = [one for one in exposures if batch.attempt(one.stem, _require_ready, request, recipes[one.stem], one)]
    if not ready:
        return batch.close()
    require_writable(request.output_dir)
    source = use_references(request.references, optional=not any(exposure.is_ramp for exposure in ready))
    with log_file(request.output_dir / "detectorist.log"):
        batch.log_failures()
        _write_resolved(request, recipe, recipes, source, exposures)
        for number, exposure in enumerate(ready):
            request.progress(number, len(ready), exposure.stem)
            batch.attempt(exposure.stem, _reduce_one, request, recipes[exposure.stem], source, exposure)
            batch.log_failures()
            batch.write_record()
    request.progress(len(ready), len(ready), "done")
    return batch.close()


def _name_of(file: str | Path) -> str:
    return stem_of(Path(file).name)


class _Batch:
    """What became of the exposures of a request: a single one ends with its own error, several go on without it."""

    def __init__(self, request: ImagingRequest):
        self._request = request
        self._made: list[Path] = []
        self._records: dict[str, dict[str, Any]] = {}
        self._failed: dict[str, dict[str, str]] = {}
        self._unlogged: list[tuple[str, Exception]] = []

    def attempt(self, name: str, do: Callable[..., Any], *args: Any) -> Any:
        """Return what `do` returns, and keep what it made; None where it fails and there are other exposures."""
        try:
            result = do(*args)
        except Exception as error:
            # A full disk is full for the next exposure as well.
            if len(self._request.files) == 1 or isinstance(error, OutputError):
                raise
            self._note(name, error)
            return None
        if isinstance(result, Reduced):
            self._made.append(result.path)
            self._records[name] = result.record
        return result

    def _note(self, name: str, error: Exception) -> None:
        state = "unprocessable" if is_unprocessable(error) else "crashed"
        message = str(error) or repr(error)
        self._failed[name] = {"state": state, "error": type(error).__name__, "message": message}
        self._records[name] = {"exposure": {"state": "failed", "message": message}}
        self._unlogged.append((name, error))
        self._request.progress(len(self._records) - 1, len(self._request.files), f"{name}: {state}: {message}")

    def log_failures(self) -> None:
        """Log what has failed since the last time, what was unforeseen with its traceback; let go of the errors."""
        for name, error in self._unlogged:
            unforeseen = None if isinstance(error, DetectoristError) else error
            log.error("%s: %s: %s", name, self._failed[name]["state"], error, exc_info=unforeseen)
        self._unlogged.clear()

    def write_record(self) -> None:
        """Write what the steps recorded so far, exposure by exposure."""
        products.write_text(json.dumps(self._records, default=str), self._request.output_dir / "record.json")

    def close(self) -> list[Path]:
        """Return the products; raises ExposuresFailed when an exposure has none."""
        if self._failed:
            raise ExposuresFailed(
                f"{len(self._failed)} of {len(self._request.files)} exposures could not be reduced: "
                f"{'; '.join(one['message'] for one in self._failed.values())}",
                made=[str(path) for path in self._made],
                failed=self._failed,
            )
        return self._made


@dataclass(frozen=True)
class Reduced:
    """The rate image of an exposure and what its steps recorded."""

    path: Path
    record: dict[str, Any]


def _require_own_names(exposures: list[Exposure]) -> None:
    seen: dict[str, Path] = {}
    for exposure in exposures:
        other = seen.setdefault(exposure.stem, exposure.path)
        if other != exposure.path:
            raise InputError(f"{other} and {exposure.path} are of one exposure: their products would have one name")


def _own_recipes(request: ImagingRequest, recipe: Recipe, exposures: list[Exposure]) -> dict[str, Recipe]:
    """Return the recipe of each exposure with its own choices, checked as far as it can be without data.

    Exposures of equal choices share one: hundreds of them make a few sets of parameters.
    """
    folder = request.wisp_templates
    templates = () if folder is None else (f"wisps.template_dir={json.dumps(str(folder))}",)
    checked: dict[tuple[str, ...], Recipe] = {}
    recipes = {}
    for exposure in exposures:
        settings = (*templates, *request.choices.get(exposure.stem, ()), *request.settings)
        if settings not in checked:
            own = recipe.with_settings(settings)
            own.check(ImagingPipeline)
            build_pipeline(ImagingPipeline, None, steps=own.steps, **own.parameters)
            checked[settings] = own
        recipes[exposure.stem] = checked[settings]
    return recipes


def _require_ready(request: ImagingRequest, recipe: Recipe, exposure: Exposure) -> Exposure:
    """Return the exposure; raises where its templates are missing, or where its product would take its place."""
    wisps = recipe.steps.get("wisps", {})
    if not wisps.get("skip"):
        exposure.templates_in(wisps.get("template_dir"))
    target = _target_of(request, exposure)
    if target.exists() and target.samefile(exposure.path):
        raise InputError(f"{target}: is the input itself; choose another output folder")
    return exposure


def _target_of(request: ImagingRequest, exposure: Exposure) -> Path:
    return request.output_dir / f"{exposure.stem}_rate.fits"


def _reduce_one(request: ImagingRequest, recipe: Recipe, source: ReferenceSource, exposure: Exposure) -> Reduced:
    pipeline = _build(request, recipe, source, exposure)
    target = _target_of(request, exposure)
    key = content_keys.content_key(exposure.path, _what_counts(pipeline, exposure), source.name)
    if not request.force and content_keys.key_of(target) == key:
        log.info("%s: %s is up to date and used as it is", exposure.path, target)
        with models.open_as(target, ImageModel) as rate:
            return Reduced(target, dict(models.records(rate)))
    with references_in_words(source):
        rate = pipeline.run(str(exposure.path))
    if not isinstance(rate, ImageModel):
        raise InputError(f"{exposure.path}: no pixel could be fitted; are all groups saturated or flagged?")
    content_keys.stamp(rate, key)
    products.write_model(rate, target, never_over=exposure.path)
    record = dict(models.records(rate))
    rate.close()
    return Reduced(target, record)


def _build(request: ImagingRequest, recipe: Recipe, source: ReferenceSource, exposure: Exposure) -> ImagingPipeline:
    steps = {name: dict(table) for name, table in recipe.steps.items()}
    if source.name == "none":
        log.warning("no source of references: wisps and stripes are measured without a flat field")
        for name in RATE_STEPS:
            steps.setdefault(name, {})["apply_flat"] = False
    elif not source.has_pipeline_parameters:
        log.warning("references from %s hold no parameters for stock steps: stock defaults apply", source.name)
    dataset = str(exposure.path) if source.name != "none" and exposure.is_ramp else None
    pipeline: ImagingPipeline = build_pipeline(
        ImagingPipeline, dataset, steps=steps, output_dir=str(request.output_dir), **recipe.parameters
    )
    pipeline.leave_large_events_to_snowballs()
    pipeline.reference_source, pipeline.whole_files = source.name, True
    return pipeline


def _what_counts(pipeline: ImagingPipeline, exposure: Exposure) -> dict[str, Any]:
    """Return all parameters, and the templates by name: files count by their content."""
    paths = [] if pipeline.wisps.skip else exposure.templates_in(pipeline.wisps.template_dir)
    return {**pipeline.get_pars(), "templates": {path.name: str(path) for path in paths}}


def _write_resolved(
    request: ImagingRequest,
    recipe: Recipe,
    recipes: Mapping[str, Recipe],
    source: ReferenceSource,
    exposures: list[Exposure],
) -> None:
    """Write every parameter in force, and for each exposure what was chosen for it."""
    common = recipe.with_settings(request.settings)
    pipeline = build_pipeline(ImagingPipeline, None, steps=common.steps, **common.parameters)
    pipeline.leave_large_events_to_snowballs()
    table = {
        "pipeline": ImagingPipeline.__name__,
        **describe_run(request, recipe, source, [str(exposure.path) for exposure in exposures]),
        "exposures": {
            exposure.stem: {
                "settings": list(request.choices.get(exposure.stem, ())),
                "steps": without_none({name: recipes[exposure.stem].steps.get(name, {}) for name in RATE_STEPS}),
            }
            for exposure in exposures
        },
        **without_none(pipeline.get_pars()),
    }
    products.write_text(tomli_w.dumps(table), request.output_dir / "resolved.toml")
