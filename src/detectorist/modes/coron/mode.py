"""Coronagraphy as a mode: every file is an exposure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from detectorist.detectors import CORONAGRAPHIC_TYPES
from detectorist.errors import InputError, ReferenceMissing
from detectorist.modes import Mode
from detectorist.modes.job import Gathered, Job, JobRecord, Outcome, Prediction, Progress
from detectorist.product_names import exposure_name
from detectorist.reduction.inputs.ramp_sizes import ramp_size

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

#: Coefficients of memory, per instrument, and disk, in bytes, fitted to measured runs with benchmarks/campaign.py: base
#: and per sample. For NIRCam the removal of 1/f noise has kernels and matrices of its own.
MEMORY = {"NIRCAM": (540e6, 10), "MIRI": (460e6, 4)}
DISK_BASE_BYTES, DISK_BYTES_PER_PIXEL = 60_000, 20


class CoronMode(Mode):
    """Raw ramps of one coronagraphic exposure to rates."""

    name: ClassVar = "coron"
    title: ClassVar = "coronagraphy with NIRCam and MIRI: raw ramps to rates"
    pipeline: ClassVar = "detectorist.modes.coron.pipeline:Coron1Pipeline"
    runs_with: ClassVar = {"apply_rateints_outliers": ("rate_int_outliers", True)}
    exposure_types: ClassVar = CORONAGRAPHIC_TYPES
    together: ClassVar = True
    subdir: ClassVar = "stage1"
    commands: ClassVar = {"subtract": "detectorist.modes.coron.subtraction.command:subtract"}
    suffixes: ClassVar = ("_uncal.fits", "_uncal.fits.gz")
    stages: ClassVar = {"stage2": "detectorist.modes.coron.stages:CalibratedStage"}

    def exposure_of(self, path: Path) -> str:
        """Return the name of the exposure, segments apart."""
        return exposure_name(path, segments=False)

    def gather(
        self,
        files: Sequence[Path],
        output_dir: Path,
        steps: Mapping[str, Mapping[str, Any]],
        *,
        reduced: Collection[str] = (),
    ) -> Gathered:
        """Determine the types of exposures and their settings; a table (.ecsv) may replace the files it lists."""
        from detectorist.modes.coron.choices import matched_groups, settings_by_type, types_of
        from detectorist.modes.coron.database import read_files

        database, found, notes = read_files(files, output_dir)
        return Gathered(
            found,
            settings_by_type(database, steps),
            matched_groups(database, steps),
            (*notes, *database.check()),
            database.finish,
            options=types_of(database),
        )

    def check(self, job: Job) -> None:
        """Refuse unknown steps, parameters and values, and an invalid source of references."""
        from detectorist.crds_source import use_references

        _build(job)
        if use_references(job.references).name == "none":
            raise ReferenceMissing("references are none, but raw ramps need some: a CRDS cache, crds, or sim")

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Reduce the exposure into the job's folder."""
        from detectorist.modes.coron.reduction import reduce_exposure
        from detectorist.reduction.runner import request_of

        found = reduce_exposure(request_of(job, progress))
        return Outcome(found.products, found.steps, resolved=found.resolved)

    def section(self) -> Section:
        """Return rates, mosaics and their numbers for the report."""
        from detectorist.modes.coron.report import CoronSections

        return CoronSections()

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the rate and the rates of all integrations."""
        from detectorist.reduction.image_dataset import images_to_xarray

        return images_to_xarray(exposure, {"rate": "_rate.fits", "rateints": "_rateints.fits"})

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a summary of the numbers of the exposure."""
        from detectorist.modes.coron.quality import summarise

        return summarise(record.steps.get("exposure", {}))

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped, for the exposure's instrument where its header gives it."""
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


def _pipeline_for(job: Job) -> tuple[Any, str]:
    """Return the pipeline of a job and its instrument; "" where the header is damaged."""
    from detectorist.reduction.inputs.headers import read_header

    try:
        instrument = str(read_header(Path(job.files[0])).get("instrument.name") or "")
    except InputError:
        instrument = ""
    return _build(job), instrument


def _build(job: Job) -> Any:
    """Return the pipeline of a job with every step constructed, so that stpipe has checked every value."""
    from detectorist.modes.coron.pipeline import Coron1Pipeline
    from detectorist.reduction.recipes.recipe_files import load_recipe
    from detectorist.reduction.runner import build_pipeline

    recipe = load_recipe("coron", job.recipe).with_settings(job.settings)
    recipe.check(Coron1Pipeline)
    return build_pipeline(Coron1Pipeline, None, steps=recipe.steps, **recipe.parameters)
