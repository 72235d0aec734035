"""Calibrated images and mosaics in the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from detectorist.errors import InputError
from detectorist.figures.stretch import Stretch, coloured, stretch_of
from detectorist.modes.exposure import Exposure
from detectorist.modes.imaging import stages_quality as quality
from detectorist.modes.section import Opening, Panel, Picture, Section

THUMBNAIL_PIX = 96


class _SkySection(Section):
    """An image in surface brightness, and its weight where it has one."""

    #: Ending of the product shown.
    ending: ClassVar[str] = ""
    key: ClassVar[str] = ""

    def image(self, exposure: Exposure) -> quality.SkyImage | None:
        """Return the image; None where there is no product."""
        found = sorted(Path(path) for path in exposure.products if path.endswith(self.ending))
        try:
            return quality.read_image(found[0]) if found else None
        except InputError:
            return None

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the image."""
        image = self.image(exposure)
        return None if image is None else coloured(image.data, stretch_of(image.data), largest_pix=THUMBNAIL_PIX)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the image."""
        image = self.image(exposure)
        if image is None:
            return
        pictures = [Picture(image.data, "image: calibrated", stretch_of(image.data), image.unit)]
        if image.weight is not None and not brief:
            top = float(np.nanmax(image.weight)) or 1.0
            pictures.append(Picture(image.weight, "weight: of the images combined", Stretch(0.0, top), "weight"))
        yield Panel(self.key, "Image", pictures=pictures)


class CalibratedSection(_SkySection):
    """Stage 2."""

    title: ClassVar = "NIRCam images, calibrated"
    columns: ClassVar = quality.CALIBRATED_COLUMNS
    merits: ClassVar = quality.CALIBRATED_MERITS
    ending: ClassVar = "_cal.fits"
    key: ClassVar = "imaging_calibrated"


class MosaicSection(_SkySection):
    """Stage 3."""

    title: ClassVar = "NIRCam mosaics"
    columns: ClassVar = quality.MOSAIC_COLUMNS
    checks: ClassVar = quality.MOSAIC_CHECKS
    merits: ClassVar = quality.MOSAIC_MERITS
    ending: ClassVar = "_i2d.fits"
    key: ClassVar = "imaging_mosaic"

    def opening(self, exposures: Sequence[Exposure]) -> Iterator[Opening]:
        """Yield the mosaics."""
        for exposure in exposures:
            for panel in self.panels(exposure, brief=True):
                yield Opening(exposure, panel)
