"""Calibrated coronagraphic images in the report."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np

from detectorist.errors import InputError
from detectorist.figures.stretch import coloured, stretch_of
from detectorist.modes.coron import calibrated_quality as quality
from detectorist.modes.exposure import Exposure
from detectorist.modes.section import Panel, Picture, Section

THUMBNAIL_PIX = 80


class CalibratedSection(Section):
    """Stage 2."""

    title: ClassVar = "Coronagraphy, calibrated"
    columns: ClassVar = quality.COLUMNS
    checks: ClassVar = quality.CHECKS
    merits: ClassVar = quality.MERITS

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the image."""
        image = _image_of(exposure)
        if image is None:
            return None
        return coloured(image.data, stretch_of(image.data, top=99.9), largest_pix=THUMBNAIL_PIX)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the image."""
        image = _image_of(exposure)
        if image is not None:
            picture = Picture(image.data, "image: calibrated", stretch_of(image.data, top=99.9), image.unit)
            yield Panel("coron_calibrated", "Image", pictures=[picture])


def _image_of(exposure: Exposure) -> quality.CalibratedImage | None:
    found = sorted(Path(path) for path in exposure.products if path.endswith("_cal.fits"))
    try:
        return quality.read_calibrated(found[0]) if found else None
    except InputError:
        return None
