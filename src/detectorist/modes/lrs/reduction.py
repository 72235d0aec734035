"""One exposure, from files to products: recipe, references, pipeline, log, figures and what was used."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import tomli_w

from detectorist.crds_source import ReferenceSource, use_references
from detectorist.modes.lrs.pipeline import LrsPipeline
from detectorist.modes.lrs.quality import measure
from detectorist.modes.lrs.segments import Segment, order_segments
from detectorist.modes.lrs.spectra import LrsSpectra
from detectorist.reduction import products
from detectorist.reduction.recipe import Recipe, choose_lrs_recipe, load_recipe
from detectorist.reduction.runner import (
    Request,
    build_pipeline,
    describe_run,
    log_file,
    references_in_words,
    require_writable,
    without_none,
)

__all__ = ["Request", "build_pipeline", "reduce_lrs"]

log = logging.getLogger(__name__)


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
    require_writable(request.output_dir)
    source = use_references(request.references, optional=not segments[0].is_ramp)
    with log_file(request.output_dir / "detectorist.log"):
        pipeline = _build(request, recipe, source, segments)
        _write_resolved(request, recipe, source, segments, pipeline)
        with references_in_words(source):
            spectra = pipeline.run(*[segment.source for segment in segments])
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
    pipeline.recipe_name = recipe.name
    return pipeline


def _write_resolved(
    request: Request, recipe: Recipe, source: ReferenceSource, segments: list[Segment], pipeline: LrsPipeline
) -> None:
    """Write every parameter in force, and what else is needed to do it again."""
    table = {
        "pipeline": LrsPipeline.__name__,
        **describe_run(request, recipe, source, [segment.name for segment in segments]),
        **without_none(pipeline.get_pars()),
    }
    products.write_text(tomli_w.dumps(table), request.output_dir / "resolved.toml")


def _write_record(pipeline: LrsPipeline, spectra: LrsSpectra, target: Path) -> None:
    """Write the numbers of the exposure, and below them those of its steps, for whoever reads no FITS."""
    with spectra.opened() as dataset:
        rows = dataset["detector_row"].values
        numbers = measure(dataset, pipeline.frames.photon_error[:, rows])
    products.write_text(json.dumps({"exposure": numbers, **pipeline.frames.records}, default=str), target)


def _draw(spectra: LrsSpectra, folder: Path) -> None:
    from detectorist.figures import display, lrs

    with spectra.opened() as dataset:
        figures = lrs.overview(cast("Mapping[str, Any]", dataset))
    for name, figure in figures.items():
        display.show_or_write(figure, f"{name}.png", folder=str(folder), path=str(folder / f"{name}.png"))
