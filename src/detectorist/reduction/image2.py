"""Stage 2 of images: rates through the standard calwebb_image2."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from jwst.pipeline import Image2Pipeline
from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel

from detectorist import models
from detectorist.crds_source import use_references
from detectorist.errors import InputError
from detectorist.product_names import product_of, stem_of
from detectorist.reduction import products
from detectorist.reduction.runner import references_in_words

#: Rate -> calibrated product, and the class of both.
CALIBRATED = {"rate": ("cal", ImageModel), "rateints": ("calints", CubeModel)}


def calibrated_path(rate: Path, folder: Path) -> Path:
    """Return the path of what stage 2 makes of a rate in a folder: X_cal.fits of X_rate.fits.

    Raises
    ------
    InputError
        When the name says that the file is no rate.
    """
    if product_of(rate) not in CALIBRATED:
        raise InputError(f"{rate}: stage 2 takes *_rate.fits and *_rateints.fits")
    return folder / f"{stem_of(rate)}_{CALIBRATED[product_of(rate)][0]}.fits"


def calibrate(
    rate: Path,
    folder: Path,
    *,
    references: str | Path | None = None,
    backgrounds: Sequence[Path] = (),
    overwrite: bool = False,
) -> Path:
    """Run calwebb_image2 on the rate of an exposure or of its integrations, and return the file that was written.

    rate : Path
        `*_rate.fits` or `*_rateints.fits`.
    references : str or Path, optional
        As `crds_source.use_references`.
    backgrounds : sequence of Path
        Rates of empty fields, whose mean is subtracted.
    overwrite : bool
        Replace a file of the same name that is none of ours.

    Raises
    ------
    InputError
        When the file is no rate, or stage 2 had no result.
    OutputError
        When the product cannot be written, or would replace a file that is none of ours.
    ReferenceMissing
        When there is no source of references.
    """
    target = calibrated_path(rate, folder)
    products.require_ours(target, rate, overwrite=overwrite)
    source = use_references(references)
    with references_in_words(source), models.open_as(rate, CALIBRATED[product_of(rate)][1]) as model:
        result = _run(model, [os.fspath(path) for path in backgrounds])
    models.carry_provenance(model, result)
    products.write_model(result, target, never_over=rate)
    result.close()
    return target


def _run(model: JwstDataModel, backgrounds: list[str]) -> JwstDataModel:
    """Return the calibrated model."""
    pipeline = Image2Pipeline()
    pipeline.resample.skip = True
    members = [{"expname": model, "exptype": "science"}]
    members += [{"expname": path, "exptype": "background"} for path in backgrounds]
    name = stem_of(model.meta.filename or "image")
    pipeline.output_file = name
    result = pipeline.process_exposure_product({"name": name, "members": members})
    if result is None or result.meta.cal_step.assign_wcs != "COMPLETE":
        raise InputError(f"{models.describe(model)}: stage 2 made no image; see the log (--verbose)")
    return result
