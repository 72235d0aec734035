"""Stage 2 of one NIRCam image: `calwebb_image2` on our rate."""

from __future__ import annotations

from pathlib import Path

from jwst.pipeline import Image2Pipeline

from detectorist.modes.imaging.stages_quality import measure_calibrated, read_image
from detectorist.modes.job import Job, Outcome, Progress
from detectorist.reduction.standard_pipeline import run_standard


def calibrate(job: Job, progress: Progress) -> Outcome:
    """Calibrate a rate image: flat field, coordinates, fluxes, and the image on a grid of the sky (`*_i2d.fits`).

    Raises
    ------
    DetectoristError
        As `run_standard`; InputError when the pipeline has no result.
    """
    (rate,) = (Path(path) for path in job.left)
    progress(0, 1, "calwebb_image2")
    # Stage 2 says where the image lies; a file of another name is the run's own business.
    made = run_standard(Image2Pipeline, job, rate, str(rate), rename=lambda name: name)
    image = read_image(made.ending_in("_cal.fits"))
    return Outcome(made.products, {"exposure": measure_calibrated(image)}, resolved=made.resolved)
