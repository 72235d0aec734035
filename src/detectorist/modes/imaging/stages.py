"""NIRCam imaging after stage 1: calibrated images (stage 2) and mosaics (stage 3), by the standard pipelines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectorist.errors import InputError
from detectorist.modes.job import Job, JobRecord, Outcome, Prediction, Progress
from detectorist.reduction.inputs.ramp_sizes import ramp_size
from detectorist.reduction.standard_stage import StandardStage

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

#: Coefficients of memory and disk, in bytes per pixel of an image, or of all images and the mosaic: fitted to frames of
#: 640 and 1024 pixels, each job in a worker (`benchmarks/campaign.py again`). Full frames, three to a mosaic, took 1.5
#: to 1.7 GB within a larger process; 1.36 and 1.78 GB are predicted.
BASE_BYTES, STAGE_2_BYTES_PER_PIXEL, STAGE_3_BYTES_PER_PIXEL = 440e6, 220, 80
STAGE_2_DISK_BYTES_PER_PIXEL, STAGE_3_DISK_BYTES_PER_PIXEL = 55, 30


class CalibratedStage(StandardStage):
    """`calwebb_image2`: a rate image to a flat-fielded, flux-calibrated image with coordinates."""

    name: ClassVar = "imaging/stage2"
    title: ClassVar = "NIRCam images, stage 2: rates to calibrated images"
    takes: ClassVar = ("_rate.fits",)
    standard: ClassVar = "jwst.pipeline:Image2Pipeline"

    def jobs_after(self, earlier: Sequence[Job]) -> list[Job]:
        """Return a job for each exposure."""
        return [self.job_after(f"{job.name}_stage2", [job], Path(job.output_dir)) for job in earlier]

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Calibrate the rate image."""
        from detectorist.modes.imaging.calibrated import calibrate

        if not job.left:
            return Outcome(skipped=f"there is no rate image of {job.after[0]}: its reduction failed")
        return calibrate(job, progress)

    def section(self) -> Section:
        """Return calibrated images and their numbers for the report."""
        from detectorist.modes.imaging.stages_report import CalibratedSection

        return CalibratedSection()

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products."""
        size = ramp_size(Path(job.options["first"]))
        pixels = size.ny * size.nx if size else 0
        return Prediction(int(BASE_BYTES + STAGE_2_BYTES_PER_PIXEL * pixels), STAGE_2_DISK_BYTES_PER_PIXEL * pixels)

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the calibrated image."""
        from detectorist.reduction.image_dataset import images_to_xarray

        return images_to_xarray(exposure, {"image": "_cal.fits"})

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a summary of the numbers of the image."""
        from detectorist.modes.imaging.stages_quality import summarise_calibrated

        return summarise_calibrated(record.steps.get("exposure", {}))


class MosaicStage(StandardStage):
    """`calwebb_image3`: all calibrated images of a field in one filter to a mosaic and a catalogue."""

    name: ClassVar = "imaging/stage3"
    title: ClassVar = "NIRCam images, stage 3: calibrated images to mosaics"
    takes: ClassVar = ("_cal.fits",)
    standard: ClassVar = "jwst.pipeline:Image3Pipeline"

    def jobs_after(self, earlier: Sequence[Job]) -> list[Job]:
        """Return a job for each target and filter; an exposure whose header cannot be read has none."""
        groups: dict[str, list[Job]] = {}
        for job in earlier:
            name = _name_of_mosaic(Path(job.options["first"]))
            if name:
                groups.setdefault(name, []).append(job)
        return [self.job_after(name, jobs, Path(jobs[0].output_dir)) for name, jobs in groups.items()]

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped, for a target that does not move."""
        return [name for name in super().steps_of(job) if name != "assign_mtwcs"]

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Combine the calibrated images."""
        from detectorist.modes.imaging.mosaic import combine

        if not job.left:
            return Outcome(skipped="there is no calibrated image for this mosaic: the reductions failed")
        return combine(job, progress)

    def section(self) -> Section:
        """Return mosaics and their numbers for the report."""
        from detectorist.modes.imaging.stages_report import MosaicSection

        return MosaicSection()

    def packages(self) -> tuple[str, ...]:
        """Return the packages whose release can change a product."""
        return (*super().packages(), "photutils", "drizzle", "tweakwcs")

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products: all images are held at once."""
        size = ramp_size(Path(job.options["first"]))
        pixels = (size.ny * size.nx if size else 0) * (len(job.after) + 1)
        return Prediction(int(BASE_BYTES + STAGE_3_BYTES_PER_PIXEL * pixels), STAGE_3_DISK_BYTES_PER_PIXEL * pixels)

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the mosaic and its weight."""
        from detectorist.reduction.image_dataset import images_to_xarray

        return images_to_xarray(exposure, {"mosaic": "_i2d.fits"})

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a summary of the numbers of the mosaic."""
        from detectorist.modes.imaging.stages_quality import summarise_mosaic

        return summarise_mosaic(record.steps.get("exposure", {}))


def _name_of_mosaic(raw: Path) -> str:
    """Return program, target and filter as the name of a product; "" where the header does not tell them."""
    from detectorist.reduction.inputs.headers import read_header
    from detectorist.stage_1.wisp_files import band_of

    try:
        meta = read_header(raw)
    except InputError:
        return ""
    band = band_of(meta.get("instrument.filter"), meta.get("instrument.pupil"))
    target = meta.get("target.proposer_name") or meta.get("target.catalog_name") or "field"
    words = (f"jw{meta.get('observation.program_number') or ''}", target, "nircam", band)
    return "_".join(re.sub(r"[^a-z0-9+]+", "-", str(word).lower()).strip("-") for word in words) if band else ""
