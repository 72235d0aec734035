"""Coronagraphy, stage 1, as a mode of campaigns: every file is an exposure, reduced as `run_obs` does."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, ClassVar

from detectorist.detectors import MIRI_SUBARRAYS
from detectorist.errors import InputError, ParameterError
from detectorist.modes import Mode, Outcome, Prediction, Progress, exposure_name
from detectorist.modes.job import Job
from detectorist.parameters import nearest
from detectorist.reduction.ramp_sizes import ramp_size

#: What the names of an instrument's detectors begin with.
DETECTORS = {"NIRCAM": "NRC", "MIRI": "MIR"}
#: Coefficients of memory, per instrument, and disk, in bytes, fitted to measured runs with benchmarks/campaign.py: base
#: and per sample. For NIRCam the removal of 1/f noise has kernels and matrices of its own.
MEMORY = {"NIRCAM": (540e6, 10), "MIRI": (460e6, 4)}
DISK_BASE_BYTES, DISK_BYTES_PER_PIXEL = 60_000, 20


class CoronMode(Mode):
    """Raw ramps of one coronagraphic exposure to rates.

    What compares exposures with each other (groups of reference stars masked to match the target) is `detectorist run
    coron`'s, which knows them all.
    """

    name: ClassVar = "coron"
    kernel: ClassVar = "engine/_ramp_tiles_nb"

    def exposure_of(self, path: Path) -> str:
        """Return the name of the exposure, segments apart."""
        return exposure_name(path, segments=False)

    def check(self, job: Job) -> None:
        """Refuse unknown steps, parameters and values, and a source of references that is none."""
        from detectorist.crds_source import use_references

        _build(job)
        use_references(job.references)

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Reduce the exposure into the job's folder."""
        from detectorist.crds_source import use_references
        from detectorist.modes.coron.database import Database
        from detectorist.modes.coron.obs_plan import ObsPlan
        from detectorist.modes.coron.obs_record import ObsRecord, write_obs_record
        from detectorist.modes.coron.obs_reduce import reduce_exposure
        from detectorist.reduction import runner

        folder, recipe = Path(job.output_dir), _recipe(job)
        _require_sound(Path(job.files[0]))
        database = Database(folder, job.files)
        if not len(database):
            return Outcome(skipped="target acquisition")
        plan = ObsPlan(database, recipe.steps, True, recipe.parameters)
        (exposure,) = plan.exposures
        source = use_references(job.references)
        progress(0, 1, exposure.name)
        began = time.monotonic()
        with runner.log_file(folder / "detectorist.log"):
            state, made = reduce_exposure(plan, exposure, folder, source)
        taken = time.monotonic() - began
        record = ObsRecord(exposure.name, exposure.concatenation, exposure.type, state, made, seconds=taken)
        write_obs_record(
            folder,
            [record],
            inputs={exposure.name: exposure.uncal},
            steps={exposure.name: plan.steps_for(exposure)},
            parameters=plan.build(exposure, None).get_pars(),
            source=source,
        )
        progress(1, 1, "done")
        beside = [folder / "record.json", folder / "resolved.toml"]
        return Outcome([*made, *beside], json.loads(beside[0].read_text()))

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped, of the exposure's instrument where its header tells it."""
        from detectorist.modes.coron.pipeline import RAMP_STEPS

        pipeline, instrument = _pipeline_for(job)
        before = RAMP_STEPS.get(instrument, tuple(pipeline.step_defs))
        others = {name for names in RAMP_STEPS.values() for name in names} - set(before)
        left_out = others | (set() if instrument == "NIRCAM" else {"subtract_1overf"})
        left_out |= set() if pipeline.rate_int_outliers else {"apply_rateints_outliers"}
        names = dict.fromkeys((*before, *pipeline.step_defs))
        return [name for name in names if name not in left_out and not getattr(pipeline, name).skip]

    def references_of(self, job: Job) -> dict[str, str]:
        """Return the reference files that CRDS names for the steps of this job."""
        from detectorist.reduction.needed_references import find_references

        pipeline, _ = _pipeline_for(job)
        types = [kind for name in self.steps_of(job) for kind in (getattr(pipeline, name).reference_file_types or ())]
        return find_references(Path(job.files[0]), sorted(set(types)), job.references)

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products, from the header of the file."""
        size = ramp_size(Path(job.files[0]))
        if size is None:
            return Prediction()
        base, per_sample = MEMORY.get(size.instrument, MEMORY["NIRCAM"])
        images = size.pixels + size.ny * size.nx
        return Prediction(int(base + per_sample * size.samples), int(DISK_BASE_BYTES + DISK_BYTES_PER_PIXEL * images))

    def prepare(self) -> None:
        """Import the pipeline; its kernels are compiled by the first job that needs them, and cached."""
        import detectorist.modes.coron.pipeline  # noqa: F401


def _require_sound(path: Path) -> None:
    """Raise InputError for a file that is not whole or no ramp, or whose header contradicts its array or itself."""
    from stdatamodels.jwst.datamodels import RampModel

    from detectorist import models
    from detectorist.reduction.headers import read_header, require_consistent_ramp, require_whole_file, sci_axes

    meta = read_header(path)
    instrument, detector = (str(meta.get(f"instrument.{key}") or "") for key in ("name", "detector"))
    if not detector.startswith(DETECTORS.get(instrument, detector)):
        raise InputError(f"{path}: instrument is {instrument}, detector is {detector}; one of the two is wrong")
    if instrument == "MIRI":
        _require_subarray(path, meta)
    require_whole_file(path)
    require_consistent_ramp(str(path), meta, sci_axes(path))
    models.open_as(path, RampModel).close()


def _require_subarray(path: Path, meta: dict[str, Any]) -> None:
    name, found = meta.get("subarray.name"), (meta.get("subarray.ysize"), meta.get("subarray.xsize"))
    if name is None or None in found:
        return
    known = MIRI_SUBARRAYS.get(name)
    if known is None or found != (known.n_rows, known.n_cols):
        raise InputError(f"{path}: {found[0]} x {found[1]} pixels called {name}, which is no subarray of that size")


def _recipe(job: Job) -> Any:
    """Return the settings as steps and keywords of `run_obs`.

    Raises
    ------
    ParameterError
        For a recipe, which this mode has none of, an unknown keyword, or masks that need other exposures.
    """
    from detectorist.modes.coron.obs_plan import OPTIONS, SKIPS
    from detectorist.reduction.recipe import Recipe

    if job.recipe is not None:
        raise ParameterError(
            f'recipe "{job.recipe}": coron has no recipes; [steps.*] and [parameters] change its steps'
        )
    recipe = Recipe("settings").with_settings(job.settings)
    known = (*SKIPS, *OPTIONS)
    for name in recipe.parameters:
        if name not in known:
            raise ParameterError(f'no parameter "{name}"{nearest(name, known)}; known are {", ".join(known)}')
    masks = recipe.steps.get("mask_groups", {})
    if not masks.get("skip", True) and masks.get("mask_method") != "custom":
        raise ParameterError(
            "mask_groups compares exposures, a campaign reduces each alone: use `detectorist run coron`"
        )
    return recipe


def _pipeline_for(job: Job) -> tuple[Any, str]:
    """Return the pipeline of a job and its instrument; "" and what all exposures have where the header is damaged."""
    from detectorist.modes.coron.database import Database
    from detectorist.modes.coron.obs_plan import ObsPlan

    recipe = _recipe(job)
    try:
        plan = ObsPlan(Database(job.output_dir, job.files), recipe.steps, True, recipe.parameters)
    except (InputError, ParameterError):
        return _build(job), ""
    return plan.build(plan.exposures[0], None), plan.exposures[0].concatenation.split("_")[1]


def _build(job: Job) -> Any:
    """Return the pipeline of a job with every step constructed, so that stpipe has seen every value."""
    from detectorist.modes.coron.obs_plan import OPTIONS
    from detectorist.modes.coron.pipeline import Coron1Pipeline
    from detectorist.reduction.recipe import Recipe
    from detectorist.reduction.runner import build_pipeline

    recipe = _recipe(job)
    Recipe("settings", steps=recipe.steps).check(Coron1Pipeline)
    options = {name: value for name, value in recipe.parameters.items() if name in OPTIONS}
    return build_pipeline(Coron1Pipeline, None, steps=recipe.steps, **options)
