"""Files of wisp templates: found by detector and filter, cut out to match the image."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
from stdatamodels.jwst.datamodels import ImageModel

from detectorist import models
from detectorist.algorithms.wisps.template_level import dark_level
from detectorist.errors import InputError, ReferenceMissing
from detectorist.fits_files import read_plane


def band_of(wheel: str | None, pupil: str | None) -> str:
    """Return the effective filter: that in the pupil wheel, if any, since its band lies within the other's."""
    return (pupil if re.fullmatch(r"F\d+[MN]", pupil or "", re.IGNORECASE) else wheel or "").upper()


def template_paths(folder: str | None, detector: str, band: str, name: str) -> list[Path]:
    """Return the template files for a detector and filter, one per component, of either naming scheme.

    A filter of the pupil wheel is named alone, or after the one in the filter wheel (WISP_NRCB4_F150W2_F162M.fits).

    Raises ReferenceMissing where there is none.
    """
    if folder is None:
        raise ReferenceMissing(f"{name}: template_dir is not set; a folder with wisp templates is needed")
    schemes = (
        rf"wisps_{detector}_{band}(_\d+)?\.fits(\.gz)?",
        rf"wisp_{detector}_{band}_clear(_\d+)?\.fits(\.gz)?",
        rf"wisps?_{detector}_F\d+W2?_{band}(_\d+)?\.fits(\.gz)?",
    )
    files = sorted(Path(folder).iterdir()) if Path(folder).is_dir() else []
    for scheme in schemes:
        found = [path for path in files if re.fullmatch(scheme, path.name, re.IGNORECASE)]
        if found:
            return found
    raise ReferenceMissing(
        f"{name}: no wisp template for {detector} in {band} in {folder} "
        f"(wisps_{detector.lower()}_{band.lower()}.fits or WISP_{detector}_{band}_CLEAR.fits)"
    )


def read_template(path: Path, model: ImageModel) -> np.ndarray:
    """Return a template under the image, (ny, nx) float32, without the level that it has where there is no wisp.

    Raises InputError when the file cannot be read, does not cover the image, or has no finite value.
    """
    plane = np.asarray(read_plane(path, "a wisp template"), np.float32)
    template = np.asarray(models.on_subarray(plane - np.float32(dark_level(plane)), model))
    if not np.isfinite(template).any():
        raise InputError(f"{path}: the wisp template has no finite value")
    return template
