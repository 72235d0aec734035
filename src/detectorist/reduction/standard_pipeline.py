"""A standard pipeline after stage 1 as a job: parameters are checked first, products are complete, with provenance."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectorist.atomic_files import PARTIAL, sync, writing
from detectorist.crds_source import use_references
from detectorist.errors import InputError
from detectorist.modes.job import Job
from detectorist.reduction import content_keys, products
from detectorist.reduction.needed_references import find_references, require_references
from detectorist.reduction.recipes.recipe import Recipe
from detectorist.reduction.runner import (
    build_pipeline,
    log_file,
    references_in_words,
    request_of,
    require_writable,
    resolve,
)


@dataclass(frozen=True)
class Finished:
    """The products of a standard pipeline, and every parameter in force."""

    products: list[Path]
    resolved: dict[str, Any]

    def ending_in(self, ending: str) -> Path:
        """Return the product with an ending; raises InputError if the pipeline wrote none."""
        for path in self.products:
            if path.name.endswith(ending):
                return path
        raise InputError(f"the standard pipeline wrote no {ending.lstrip('_')}; see the log")


def check_parameters(kind: Any, job: Job) -> None:
    """Refuse unknown names and invalid values of parameters, and an invalid source of references.

    Raises
    ------
    ParameterError, ReferenceMissing
    """
    recipe = _recipe(kind, job)
    build_pipeline(kind, None, steps=recipe.steps, **recipe.parameters)
    use_references(job.references, optional=True)


def active_steps(kind: Any, job: Job) -> list[str]:
    """Return the names of the steps that will run."""
    recipe = _recipe(kind, job)
    pipeline = build_pipeline(kind, None, steps=recipe.steps, **recipe.parameters)
    return [name for name in pipeline.step_defs if not getattr(pipeline, name).skip]


def references_of(kind: Any, job: Job) -> dict[str, str]:
    """Return the reference files that CRDS names for these steps, by the header of the first raw file."""
    return find_references(Path(job.options["first"]), _types(kind, job), job.references)


def _types(kind: Any, job: Job) -> list[str]:
    steps = (kind.step_defs[name] for name in active_steps(kind, job))
    return sorted({one for step in steps for one in (step.reference_file_types or ())})


def run_standard(
    kind: Any,
    job: Job,
    dataset: Path,
    pipeline_input: Any,
    *,
    rename: Callable[[str], str],
    left_out: Sequence[str] = (),
) -> Finished:
    """Run a standard pipeline and return what it wrote into the job's folder.

    Parameters
    ----------
    kind : class
        The pipeline.
    dataset : Path
        The file for which CRDS may have parameters.
    pipeline_input
        What the pipeline runs on.
    rename : callable
        Returns the name of a product from the one given by the pipeline; "" for one that is not kept.
    left_out : sequence of str
        Steps that these data do not allow.

    Raises
    ------
    DetectoristError
        For missing references, and files that cannot be written or were not written by detectorist.
    """
    recipe, folder = _recipe(kind, job), Path(job.output_dir)
    require_writable(folder)
    source = use_references(job.references)
    require_references(dataset, _types(kind, job), job.references)
    with log_file(job.beside("detectorist.log")), _scratch(folder) as scratch:
        steps = {name: dict(table) for name, table in recipe.steps.items()}
        steps.update({name: {**steps.get(name, {}), "skip": True} for name in left_out})
        parameters = {**recipe.parameters, "save_results": True, "output_dir": str(scratch)}
        pipeline = build_pipeline(kind, str(dataset), steps=steps, **parameters)
        request = request_of(job, lambda done, total, what: None)
        resolved = resolve(kind, pipeline, request, recipe, source, list(job.left))
        with references_in_words(source), warnings.catch_warnings():
            # Associations are made for one run and lie apart from the files that they name.
            warnings.filterwarnings("ignore", message="Input association file contains path")
            pipeline.run(pipeline_input)
        named = [(path, rename(path.name)) for path in sorted(scratch.iterdir())]
        kept = [(path, folder / name) for path, name in named if name]
        _publish(kept, dataset, overwrite=request.overwrite)
    return Finished([target for _, target in kept], resolved)


def _recipe(kind: Any, job: Job) -> Recipe:
    stage = job.mode.rpartition("/")[2]
    recipe = Recipe(stage).with_settings(job.settings, stage=stage)
    recipe.check(kind)
    return recipe


def _publish(kept: Sequence[tuple[Path, Path]], source: Path, *, overwrite: bool) -> None:
    """Give products their final names; raises OutputError, before any has one, where a foreign file is in the way."""
    for path, target in kept:
        if target.suffix == ".fits":
            products.require_ours(target, source, overwrite=overwrite)
            content_keys.seal(path, None)
    for path, target in kept:
        with writing(target):
            sync(path)
            os.replace(path, target)


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a folder in which the pipeline may leave what it likes."""
    with writing(folder):
        scratch = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
