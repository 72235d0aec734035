"""One exposure, from files to products: recipe, references, pipeline, log, figures and provenance."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.crds_source import ReferenceSource, use_references
from detectorist.libraries.garbage_collection import freeze_what_is_loaded, released_at_its_end
from detectorist.modes.lrs.measurements import measure
from detectorist.modes.lrs.pipeline import LrsPipeline
from detectorist.modes.lrs.segments import Segment, order_segments
from detectorist.modes.lrs.spectra import LrsSpectra
from detectorist.modes.quality import MISSING_REFERENCES, ODD_FRAME_DIVISOR
from detectorist.reduction import products
from detectorist.reduction.inputs.frame_averaging import odd_frame_divisor
from detectorist.reduction.missing_references import missing_types
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

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reduced:
    """The result for an exposure: its spectra, records of the steps, and every parameter in force."""

    spectra: LrsSpectra
    steps: dict[str, Any]
    resolved: dict[str, Any]
    products: tuple[Path, ...]


def reduce_exposure(request: Request, *, chunk_ints: int | None = None) -> Reduced:
    """Reduce one MIRI LRS exposure, with stage 1 in chunks of `chunk_ints` integrations if given.

    Everything that can fail is checked, as far as possible, before the first ramp is read: headers of all files, names
    of all parameters, a source of references, an output folder that can be written.

    Raises
    ------
    DetectoristError
        A subclass, with the file or parameter, the value found and the value needed.
    """
    recipe = load_recipe("lrs", request.recipe).with_settings(request.settings).with_parameters(chunk_ints=chunk_ints)
    recipe.check(LrsPipeline)
    segments = order_segments(request.files, allow_gaps=bool(recipe.parameters.get("allow_gaps", False)))
    require_writable(request.output_dir)
    source = use_references(request.references, optional=not segments[0].is_ramp)
    with log_file(request.beside("detectorist.log")):
        pipeline = _build(request, recipe, source, segments)
        with released_at_its_end(pipeline):
            _require_free_places(request, pipeline, segments)
            with references_in_words(source):
                first = segments[0]
                names = pipeline.step_defs if first.is_ramp else ("assign_wcs", "flat_field")
                doubts = {
                    MISSING_REFERENCES.key: missing_types(pipeline, names, Path(first.source), source),
                    ODD_FRAME_DIVISOR.key: odd_frame_divisor(pipeline, Path(first.source)) if first.is_ramp else "",
                }
                freeze_what_is_loaded()
                spectra = pipeline.run(*[segment.source for segment in segments])
            with spectra.opened() as dataset:
                frames = pipeline.frames
                photons = frames.photon_error[:, np.asarray(dataset["detector_row"])]
                numbers = measure(dataset, photons, frames=frames.images(), records=frames.records)
                numbers |= {key: told for key, told in doubts.items() if told}
            figures = _draw(spectra, request.output_dir / "figures")
            return Reduced(
                spectra,
                {"exposure": numbers, **pipeline.frames.records},
                resolve(LrsPipeline, pipeline, request, recipe, source, [segment.name for segment in segments]),
                (*pipeline.written, *figures),
            )


def _require_free_places(request: Request, pipeline: LrsPipeline, segments: list[Segment]) -> None:
    """Refuse to begin where a product would replace an input or a file that is none of ours."""
    from detectorist.figures.time_series import OVERVIEW

    inputs = [segment.source for segment in segments if isinstance(segment.source, Path)]
    figures = [request.output_dir / "figures" / f"{name}.png" for name in OVERVIEW]
    for target in (*pipeline.places_of(segments), *figures):
        products.require_ours(target, *inputs, overwrite=request.overwrite)


def _build(request: Request, recipe: Recipe, source: ReferenceSource, segments: list[Segment]) -> LrsPipeline:
    steps = {name: dict(table) for name, table in recipe.steps.items()}
    if source.name == "none":
        log.warning("no reference files are set: the flat field is skipped")
        steps.setdefault("flat_field", {})["skip"] = True
    elif not source.has_pipeline_parameters:
        log.warning(
            "references from %s include no step parameters (pars-*): standard steps use their defaults", source.name
        )
    parameters = dict(recipe.parameters)
    if request.overwrite:
        parameters["reuse"] = False
    first = str(segments[0].source) if source.name != "none" else None
    pipeline: LrsPipeline = build_pipeline(
        LrsPipeline, first, steps=steps, output_dir=str(request.output_dir), **parameters
    )
    pipeline.progress = request.progress
    pipeline.reference_source = source.name
    pipeline.recipe_name = recipe.name
    return pipeline


def _draw(spectra: LrsSpectra, folder: Path) -> list[Path]:
    from detectorist.figures import display, time_series

    with spectra.opened() as dataset:
        figures = time_series.overview(dataset)
    written = []
    for name, figure in figures.items():
        written.append(folder / f"{name}.png")
        display.show_or_write(figure, f"{name}.png", folder=str(folder), path=str(written[-1]))
    return written
