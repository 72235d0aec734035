"""One exposure, from files to products: recipe, references, pipeline, log, figures and what was used."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w
from jwst.stpipe import Pipeline
from stpipe.exceptions import ValidationError

from detectorist.crds_source import THREE_WAYS, ReferenceSource, use_references
from detectorist.errors import DetectoristError, OutputError, ParameterError, ReferenceMissing
from detectorist.pipelines import products, reuse
from detectorist.pipelines.lrs import LrsPipeline
from detectorist.pipelines.lrs_spectra import LrsSpectra
from detectorist.pipelines.lrs_summary import measure
from detectorist.pipelines.recipe import Recipe, choose_lrs_recipe, load_recipe
from detectorist.pipelines.segments import Segment, order_segments

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """What a user asks for.

    Attributes
    ----------
    files : sequence of str or Path
    output_dir : Path
    recipe : str, optional
        Name or path; None chooses by the number of groups.
    settings : sequence of str
        "step.parameter=value", stronger than the recipe.
    references : str or Path, optional
        As in `crds_source.use_references`.
    """

    files: Sequence[str | Path]
    output_dir: Path
    recipe: str | None = None
    settings: Sequence[str] = ()
    references: str | Path | None = None
    wavelength_map: Path | None = None
    force: bool = False
    progress: Callable[[float, int, str], None] = field(default=lambda done, total, what: None)


def reduce_lrs(request: Request) -> LrsSpectra:
    """Reduce one MIRI LRS exposure.

    Everything that can be known to fail is checked before the first ramp is read: headers of all files, names of all
    parameters, a source of references, an output folder that can be written.

    Raises
    ------
    DetectoristError
        One of its kinds, with a sentence that says which file or parameter, what was found and what is needed.
    """
    recipe = _recipe_for(request)
    segments = order_segments(request.files, allow_gaps=bool(recipe.parameters.get("allow_gaps", False)))
    if request.recipe is None:
        n_groups = int(segments[-1].meta.get("exposure.ngroups") or 0)
        recipe = load_recipe("lrs", choose_lrs_recipe(n_groups)).with_settings(request.settings)
        recipe.check(LrsPipeline)
    _require_writable(request.output_dir)
    source = use_references(request.references, optional=not segments[0].is_ramp)
    with _log_file(request.output_dir / "detectorist.log"):
        pipeline = _build(request, recipe, source, segments)
        _write_resolved(request, recipe, source, segments, pipeline)
        try:
            spectra = pipeline.run(*[segment.source for segment in segments])
        except SystemExit as error:
            # crds ends the process when it has no server and no cache.
            gave_up = f"references from {source.name}: crds gave up ({error}); see detectorist.log"
            raise ReferenceMissing(THREE_WAYS if source.name == "none" else gave_up) from error
        _write_record(pipeline, spectra, request.output_dir / "record.json")
        _draw(spectra, request.output_dir / "figures")
    return spectra


def _recipe_for(request: Request) -> Recipe:
    recipe = load_recipe("lrs", request.recipe or "short").with_settings(request.settings)
    recipe.check(LrsPipeline)
    return recipe


def _build(request: Request, recipe: Recipe, source: ReferenceSource, segments: list[Segment]) -> LrsPipeline:
    steps = {name: dict(table) for name, table in recipe.steps.items()}
    if source.name == "none":
        log.warning("no source of references: the flat field is left out")
        steps.setdefault("flat_field", {})["skip"] = True
    elif not source.has_pipeline_parameters:
        log.warning("references from %s hold no parameters for stock steps: stock defaults apply", source.name)
    parameters = dict(recipe.parameters)
    if request.wavelength_map is not None:
        parameters["wavelength_map"] = str(request.wavelength_map)
    if request.force:
        parameters["reuse"] = False
    first = str(segments[0].source) if source.name != "none" else None
    pipeline: LrsPipeline = build_pipeline(
        LrsPipeline, first, steps=steps, output_dir=str(request.output_dir), **parameters
    )
    pipeline.progress = request.progress
    pipeline.reference_source = source.name
    return pipeline


def build_pipeline(kind: type[Pipeline], dataset: str | None, **parameters: Any) -> Any:
    """Return a pipeline with its steps constructed, so that a wrong value is found before any exposure starts.

    dataset : str, optional
        A file for which CRDS may hold parameters.

    Raises
    ------
    ParameterError
        When stpipe refuses a value; its message names the parameter.
    """
    try:
        config, config_file = kind.build_config(dataset, **parameters)
        return kind.from_config_section(config, config_file=config_file)
    except DetectoristError:
        raise
    except (ValidationError, ValueError, TypeError) as error:
        raise ParameterError(f"{kind.__name__}: {error}") from error


def _write_resolved(
    request: Request, recipe: Recipe, source: ReferenceSource, segments: list[Segment], pipeline: LrsPipeline
) -> None:
    """Write every parameter in force, and what else is needed to do it again."""
    table = {
        "pipeline": LrsPipeline.__name__,
        "recipe": recipe.name,
        "title": recipe.title,
        "settings": list(request.settings),
        "inputs": [segment.name for segment in segments],
        "references": {"source": source.name, "context": source.context},
        "versions": {name: version(name) for name in reuse.PACKAGES},
        **_without_none(pipeline.get_pars()),
    }
    products.write_text(tomli_w.dumps(table), request.output_dir / "resolved.toml")


def _without_none(value: Any) -> Any:
    """Leave out what is None, which TOML cannot say."""
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [_without_none(item) for item in value if item is not None]
    return value if isinstance(value, bool | int | float | str) else str(value)


def _write_record(pipeline: LrsPipeline, spectra: LrsSpectra, target: Path) -> None:
    """Write the numbers of the exposure, and below them those of its steps, for whoever reads no FITS."""
    numbers = measure(spectra.dataset, pipeline.frames.photon_error)
    products.write_text(json.dumps({"exposure": numbers, **pipeline.frames.records}, default=str), target)


def _draw(spectra: LrsSpectra, folder: Path) -> None:
    from detectorist.figures import display, lrs

    dataset: Any = spectra.dataset
    for name, figure in lrs.overview(dataset).items():
        display.show_or_write(figure, f"{name}.png", folder=str(folder), path=str(folder / f"{name}.png"))


def _require_writable(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with products.whole_file(folder / ".writable") as probe:
            probe.touch()
        (folder / ".writable").unlink()
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written ({error})") from error


@contextmanager
def _log_file(path: Path) -> Iterator[None]:
    """Keep everything the steps say, ours and stock, in one file."""
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    names: Iterable[str] = LrsPipeline.get_stpipe_loggers()
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except BaseException:
        log.exception("the reduction ended with an error")
        raise
    finally:
        logging.captureWarnings(False)
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()
