"""Coronagraphy after stage 1: calibrated images of target and reference star, by the standard pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from detectorist.modes.job import Job, JobRecord, Outcome, Prediction, Progress
from detectorist.reduction.inputs.ramp_sizes import ramp_size
from detectorist.reduction.standard_stage import StandardStage

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

#: Coefficients of memory and disk, in bytes: base, and per pixel of all integrations; fitted to runs with
#: `benchmarks/campaign.py again` (MIRI), where a full frame of imaging takes as much per pixel.
BASE_BYTES, BYTES_PER_PIXEL, DISK_BYTES_PER_PIXEL = 440e6, 220, 28
#: Folders of products, of stage 1 and of what follows it; any other name keeps all products in one folder.
STAGE_1_DIR, STAGE_2_DIR = "stage1", "stage2"


class CalibratedStage(StandardStage):
    """`calwebb_image2`: rates without the mean of their background exposures, flat-fielded, in units of flux."""

    name: ClassVar = "coron/stage2"
    title: ClassVar = "coronagraphy, stage 2: rates to calibrated images"
    takes: ClassVar = ("_rate.fits", "_rateints.fits")
    standard: ClassVar = "jwst.pipeline:Image2Pipeline"

    def jobs_after(self, earlier: Sequence[Job]) -> list[Job]:
        """Return a job for each exposure of a star, which waits for the empty fields of its kind too."""
        stars = [job for job in earlier if not _type_of(job).endswith("_BG")]
        return [self._job_of(star, earlier) for star in stars]

    def _job_of(self, star: Job, earlier: Sequence[Job]) -> Job:
        wanted = (star.options.get("concatenation"), f"{_type_of(star)}_BG")
        fields = [job for job in earlier if (job.options.get("concatenation"), _type_of(job)) == wanted]
        return self.job_after(f"{star.name}_stage2", [star, *fields], _folder_after(Path(star.output_dir)))

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that will run: backgrounds only where there are some, no grid of the sky behind a mask."""
        left_out = {"resample"} | ({"bkg_subtract"} if len(job.after) < 2 else set())
        return [name for name in super().steps_of(job) if name not in left_out]

    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Calibrate the rate and the rates of the integrations."""
        from detectorist.modes.coron.calibrated import calibrate

        if not any(_is_of(path, job.after[0]) for path in job.left):
            return Outcome(skipped=f"there is no rate of {job.after[0]}: its reduction failed")
        return calibrate(job, progress)

    def section(self) -> Section:
        """Return calibrated images and their numbers for the report."""
        from detectorist.modes.coron.calibrated_report import CalibratedSection

        return CalibratedSection()

    def predict(self, job: Job) -> Prediction:
        """Return peak memory and size of products."""
        size = ramp_size(Path(job.options["first"]))
        pixels = size.pixels + size.ny * size.nx if size else 0
        return Prediction(int(BASE_BYTES + BYTES_PER_PIXEL * pixels), DISK_BYTES_PER_PIXEL * pixels)

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the calibrated image, and those of all integrations."""
        from detectorist.reduction.image_dataset import images_to_xarray

        return images_to_xarray(exposure, {"image": "_cal.fits", "integrations": "_calints.fits"})

    def summarise(self, record: JobRecord) -> list[str]:
        """Return what the numbers of the image say."""
        from detectorist.modes.coron.calibrated_quality import summarise

        return summarise(record.steps.get("exposure", {}))


def _type_of(job: Job) -> str:
    """Return the TYPE of an exposure; that of a file that could not be read is not known."""
    return str(job.options.get("type", ""))


def _is_of(path: str, exposure: str) -> bool:
    return Path(path).name.startswith(f"{exposure}_rate")


def _folder_after(folder: Path) -> Path:
    return folder.with_name(STAGE_2_DIR) if folder.name == STAGE_1_DIR else folder
