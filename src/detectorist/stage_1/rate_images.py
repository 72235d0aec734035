"""Functions shared by the steps on NIRCam rate images: flat field, source masks, side products, refusals."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from astropy.io import fits
from jwst.stpipe import Step
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.images.large_events import large_events
from detectorist.atomic_files import whole_file
from detectorist.errors import AlreadyCorrected, DetectoristError, InputError, ParameterError
from detectorist.fits_files import read_plane
from detectorist.step import DetectoristStep

log = logging.getLogger(__name__)

#: Wisps are about as strong as their template: far beyond, a slip of the keyboard would fill the image with infinities.
LARGEST_SCALE = 1000.0


@contextmanager
def naming(model: JwstDataModel) -> Iterator[None]:
    """Prefix errors that an algorithm raises with the name of the file."""
    try:
        yield
    except DetectoristError as error:
        if error.message.startswith(models.describe(model)):
            raise
        raise type(error)(f"{models.describe(model)}: {error.message}", **error.numbers) from error


def require_honest_size(model: JwstDataModel) -> None:
    """Raise InputError when the header contradicts the size of the image."""
    subarray = model.meta.subarray
    found = model.data.shape[-2:]
    said = (subarray.ysize or found[0], subarray.xsize or found[1])
    if said != found:
        raise InputError(
            f"{models.describe(model)}: SCI has {found[0]} rows and {found[1]} columns, the header says {said[0]} and "
            f"{said[1]}",
            found=list(found),
            said=list(said),
        )


def refuse_corrected(model: JwstDataModel, script: str, stock_step: str | None = None) -> None:
    """Raise AlreadyCorrected when the history or the states show a correction by another program."""
    name = models.describe(model)
    if stock_step and models.state(model, stock_step) == "COMPLETE":
        raise AlreadyCorrected(f"{name}: the standard step {stock_step} has been run on these data")
    for entry in models.history(model).splitlines():
        if script in entry:
            raise AlreadyCorrected(f"{name}: {script} has been run on these data ({entry.strip()})")


def unusable_pixels(model: JwstDataModel) -> np.ndarray:
    """Return which pixels must not be used, of the shape of SCI: DO_NOT_USE, reference pixels, not finite."""
    return dq.has(models.flags(model), dq.DO_NOT_USE | dq.REFERENCE_PIXEL) | ~np.isfinite(model.data)


def other_ramps(model: JwstDataModel) -> np.ndarray:
    """Return where large events took groups from the ramps, of the shape of SCI: 1/f noise is not that of the rows."""
    jumps = dq.has(models.flags(model), dq.JUMP_DET).reshape(-1, *model.data.shape[-2:])
    return np.stack([large_events(one) for one in jumps]).reshape(model.data.shape)


def flat_under(step: Step, model: JwstDataModel) -> np.ndarray | None:
    """Return the flat field under the image, (ny, nx) float32, NaN where it is bad; None where there is none.

    A pipeline with a dictionary `flats` has it read once for all its steps: it is not to be changed.
    """
    name = step.get_reference_file(model, "flat")
    if name == "N/A":
        log.warning("%s: no flat field; measured on the image without flat-fielding", models.describe(model))
        return None
    kept: dict[str, np.ndarray] = getattr(step.parent, "flats", {})
    if name not in kept:
        kept[name] = _read_flat(name, model)
    return kept[name]


def _read_flat(name: str, model: JwstDataModel) -> np.ndarray:
    with datamodels.FlatModel(name) as reference:
        start = (reference.meta.subarray.xstart or 1, reference.meta.subarray.ystart or 1)
        flat = np.array(models.on_subarray(reference.data, model, start), np.float32)
        bad = models.on_subarray(np.asarray(models.flags(reference)), model, start)
    flat[dq.has(bad, dq.DO_NOT_USE) | ~(flat > 0)] = np.nan
    return flat


def read_mask(path: str, model: JwstDataModel) -> np.ndarray:
    """Return a source mask (ny, nx) bool from a FITS image: True where it is not zero.

    Raises InputError when the file cannot be read or has another shape.
    """
    shape = model.data.shape[-2:]
    mask = read_plane(path, "a source mask")
    if mask.shape != shape:
        raise InputError(f"{path}: source mask is {mask.shape}; {shape} is needed for {models.describe(model)}")
    return np.nan_to_num(mask) != 0


def side_product(step: Step, model: JwstDataModel, suffix: str) -> Path:
    """Return the path of `<input>_<suffix>` beside the step's products."""
    return Path(step.search_attr("output_dir") or ".") / f"{models.describe(model).removesuffix('.fits')}_{suffix}"


def write_plane(step: DetectoristStep, model: JwstDataModel, suffix: str, plane: np.ndarray) -> None:
    """Write an image as `<input>_<suffix>.fits`; raises OutputError when it cannot be written."""
    target = side_product(step, model, f"{suffix}.fits")
    with whole_file(target) as partial:
        fits.PrimaryHDU(plane).writeto(partial)
    step.written.append(target)
    log.info("%s: %s written", models.describe(model), target)


def require_scale(value: float | None) -> None:
    """Raise ParameterError for a wisp scale that is negative, not a number or beyond all reason."""
    if value is not None and not 0 <= value <= LARGEST_SCALE:
        raise ParameterError(f"scale is {value}: a number from 0 to {LARGEST_SCALE:g} is needed", parameter="scale")
