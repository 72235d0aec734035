"""NIRCam imaging as a mode of campaigns: every file is an exposure."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from detectorist.modes import Mode
from detectorist.modes.job import SATURATED, ExposureInterval, Job, JobRecord, Outcome, Prediction, Progress
from detectorist.product_names import exposure_name
from detectorist.reduction.inputs.ramp_sizes import ramp_size, read_interval

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

#: Coefficients of memory and disk, in bytes, fitted to measured runs with benchmarks/campaign.py.
BASE_BYTES, BYTES_PER_SAMPLE = 460e6, 17
DISK_BYTES_PER_PIXEL = 82  # with a wisp template; without, there is one copy of the image less
#: Images that `to_xarray` gives: variable -> ending of the product.
PRODUCTS = {"rate": "_rate.fits", "before_wisps": "_rate_prewisp.fits", "before_stripes": "_rate_pre1f.fits"}


class ImagingMode(Mode):
    """Raw ramps (or a rate image) of one exposure to a rate image without snowballs, wisps and 1/f noise."""

    name: ClassVar = "imaging"
    title: ClassVar = "NIRCam images: raw ramps to rates without snowballs, wisps and 1/f noise"
    pipeline: ClassVar = "detectorist.modes.imaging.pipeline:ImagingPipeline"
    exposure_types: ClassVar = ("NRC_IMAGE",)
    together: ClassVar = True
    output_dir: ClassVar = "calibrated"
    commands: ClassVar = {
        "snowballs": "detectorist.modes.imaging.single_steps:snowballs",
        "wisps": "detectorist.modes.imaging.wisps_command:app",
        "destripe": "detectorist.modes.imaging.single_steps:destripe",
    }
    stages: ClassVar = {
        "stage2": "detectorist.modes.imaging.stages:CalibratedStage",
        "stage3": "detectorist.modes.imaging.stages:MosaicStage",
    }

    def exposure_of(self, path: Path) -> str:
        """Return the name of the exposure, segments apart."""
        return exposure_name(path, segments=False)

    def check(self, job: Job) -> None:
        """Refuse unknown steps, parameters and values, and an invalid source of references."""
        from detectorist.crds_source import use_references

        _build(job)
        use_references(job.references, optional=not any("_uncal" in file for file in job.files))

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Reduce the exposure into the job's folder."""
        from detectorist.modes.imaging.reduction import reduce_exposure
        from detectorist.reduction.runner import request_of

        found = reduce_exposure(request_of(job, progress, _what_was_left(job)))
        return Outcome(found.products, found.steps, resolved=found.resolved)

    def section(self) -> Section:
        """Return images before and after, and their numbers, for the report."""
        from detectorist.modes.imaging.report import ImagingSections

        return ImagingSections()

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the rate image, and the image before wisps and 1/f noise were subtracted."""
        from detectorist.reduction.image_dataset import images_to_xarray

        return images_to_xarray(exposure, PRODUCTS)

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a summary of the numbers of the exposure."""
        from detectorist.modes.imaging.quality import summarise

        return summarise(record.steps.get("exposure", {}))

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped."""
        pipeline = _build(job)
        return [name for name in pipeline.step_defs if not getattr(pipeline, name).skip]

    def references_of(self, job: Job) -> dict[str, str]:
        """Return the reference files that CRDS names for the steps of this job."""
        from detectorist.reduction.needed_references import find_references

        pipeline = _build(job)
        types = [kind for name in self.steps_of(job) for kind in (getattr(pipeline, name).reference_file_types or ())]
        return find_references(Path(job.files[0]), sorted(set(types)), job.references)

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products, from the headers of the files."""
        sizes = [size for file in job.files if (size := ramp_size(Path(file))) is not None]
        if not sizes:
            return Prediction()
        memory = max(BASE_BYTES + BYTES_PER_SAMPLE * max(size.samples, size.pixels) for size in sizes)
        return Prediction(int(memory), sum(DISK_BYTES_PER_PIXEL * size.pixels for size in sizes))

    def interval(self, job: Job) -> ExposureInterval | None:
        """Return detector and times of the exposure."""
        return read_interval(Path(job.files[0]))

    def persistence_settings(self, time_s: float) -> tuple[str, ...]:
        """Return the settings that turn `flag_persistence` on."""
        return ("flag_persistence.skip=false", f"flag_persistence.persistence_time={float(time_s)}")

    def prepare(self) -> None:
        """Import the pipeline; its kernels are compiled by the first job that needs them, and cached."""
        import detectorist.modes.imaging.reduction  # noqa: F401


def _what_was_left(job: Job) -> tuple[str, ...]:
    """Join what earlier exposures left into one file, and return the setting that names it."""
    if not job.left:
        return ()
    from detectorist.modes.imaging.saturated import join_saturated, write_saturated

    target = Path(job.output_dir) / f"{job.name}_earlier{SATURATED}"
    write_saturated(join_saturated([Path(path) for path in job.left]), target)
    return (f"flag_persistence.earlier={json.dumps(str(target))}",)


def _build(job: Job) -> Any:
    """Return the pipeline of a job with every step constructed, so that stpipe has checked every value."""
    from detectorist.modes.imaging.pipeline import ImagingPipeline
    from detectorist.reduction.recipes.recipe_files import load_recipe
    from detectorist.reduction.runner import build_pipeline

    recipe = load_recipe("imaging", job.recipe).with_settings(job.settings)
    recipe.check(ImagingPipeline)
    return build_pipeline(ImagingPipeline, None, steps=recipe.steps, **recipe.parameters)
