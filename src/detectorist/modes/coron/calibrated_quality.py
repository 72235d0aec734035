"""Figures of merit of calibrated coronagraphic images: measured once, and read by all who show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.fits_files import opened
from detectorist.modes.quality import Check, Column, without_unknown

COLUMNS = (
    Column("type", "type", "", "SCI or REF", "s", compared=False),
    Column("backgrounds", "backgrounds", "", "Exposures of empty fields whose mean was subtracted", "d"),
    Column("level", "level", "", "Median of the image, in its unit", ".4g"),
    Column("unit", "unit", "", "Of the image", "s", compared=False),
    Column("scale_arcsec", "pixel", "arcsec", "Side of a pixel", ".4f", compared=False),
    Column("unusable_pct", "unusable", "%", "Pixels without a value", ".2f"),
)
MERITS = ("type", "backgrounds", "level", "unusable_pct")
CHECKS = (
    Check(
        "missing_backgrounds",
        "{value:.0f} background exposures are missing, since their reduction failed: {backgrounds:.0f} were subtracted",
        high=0.5,
        urgency=3,
    ),
)


@dataclass(frozen=True)
class CalibratedImage:
    """A calibrated image.

    Attributes
    ----------
    data : ndarray of float, shape (ny, nx)
        NaN where nothing was measured.
    unit : str
    pixel_sr : float
        Solid angle of a pixel; NaN where the header does not tell.
    """

    data: np.ndarray
    unit: str
    pixel_sr: float


def read_calibrated(path: Path) -> CalibratedImage:
    """Return a calibrated image from its file; raises InputError where that cannot be read."""
    with opened(path, "a calibrated image") as hdus:
        header = hdus["SCI"].header
        pixel_sr = float(header.get("PIXAR_SR") or np.nan)
        return CalibratedImage(np.asarray(hdus["SCI"].data, float), str(header.get("BUNIT", "")), pixel_sr)


def measure(image: CalibratedImage) -> dict[str, Any]:
    """Return level, unit, scale and unusable pixels; what cannot be measured is left out."""
    known = np.isfinite(image.data)
    return without_unknown(
        {
            "level": float(np.median(image.data[known])) if known.any() else None,
            "unit": image.unit,
            "scale_arcsec": float(np.degrees(np.sqrt(image.pixel_sr)) * 3600),
            "unusable_pct": 100 * float((~known).mean()),
        }
    )


def summarise(numbers: Mapping[str, Any]) -> list[str]:
    """Return a line on a calibrated image."""
    if "level" not in numbers:
        return []
    count, missing = numbers.get("backgrounds", 0), numbers.get("missing_backgrounds", 0)
    parts = [f"level {numbers['level']:.4g} {numbers.get('unit', '')}".rstrip()]
    parts += [f"{count} background exposures subtracted"] if count else []
    parts += [f"{missing} background exposures missing"] if missing else []
    return ["; ".join(parts)]
