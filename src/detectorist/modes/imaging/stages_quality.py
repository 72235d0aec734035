"""Figures of merit of calibrated images and mosaics: measured once, and stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.algorithms.images.aperture_noise import measure_aperture_noise
from detectorist.algorithms.images.sources import mask_sources
from detectorist.errors import TooFewPixels
from detectorist.fits_files import opened
from detectorist.modes.quality import Check, Column, without_unknown

#: Radius of the apertures in which depths are measured, arcsec, and width of the ring of their background, pixel.
APERTURE_ARCSEC, RING_PIX = 0.1, 4.0
#: A source of so many standard deviations is at the depth of an image.
DEPTH_SIGMA = 5.0
#: Unit of images that went through photom: without it there are neither magnitudes nor levels to compare.
SURFACE_BRIGHTNESS = "MJy/sr"
#: Zero point of AB magnitudes, Jy.
AB_JY = 3631.0

_DEPTH = (
    Column(
        "depth_ab",
        "depth",
        "mag",
        f"AB magnitude of {DEPTH_SIGMA:.0f} standard deviations in empty apertures of {APERTURE_ARCSEC} arcsec radius, "
        "not corrected for light outside",
        ".2f",
    ),
    Column("noise_ratio", "noise / stated", "", "Noise of empty apertures over what the stated errors give", ".2f"),
    Column("sky", "level", "MJy/sr", "Median of the image", ".4g"),
    Column("scale_arcsec", "pixel", "arcsec", "Side of a pixel", ".4f", compared=False),
    Column("unusable_pct", "unusable", "%", "Pixels without a value", ".2f"),
)
CALIBRATED_COLUMNS = _DEPTH
CALIBRATED_MERITS = ("depth_ab", "noise_ratio", "sky")
MOSAIC_COLUMNS = (
    Column("images", "images", "", "Calibrated images combined", "d", compared=False),
    Column("missing", "missing", "", "Images of this field that could not be reduced", "d", compared=False),
    Column("sources", "sources", "", "Sources in the catalogue", "d", compared=False),
    *_DEPTH,
)
MOSAIC_MERITS = ("images", "depth_ab", "noise_ratio", "sources")
MOSAIC_CHECKS = (
    Check("missing", "{value:.0f} images of this field are missing: their reduction failed", high=0.5, urgency=3),
)


@dataclass(frozen=True)
class SkyImage:
    """An image in surface brightness.

    Attributes
    ----------
    data, error : ndarray of float, shape (ny, nx), MJy/sr
        NaN where nothing was measured.
    pixel_sr : float
        Solid angle of a pixel; NaN if it is not in the header.
    flags : ndarray of uint32, shape (ny, nx), or None
        DQ; mosaics have none.
    unit : str
    weight : ndarray of float, shape (ny, nx), or None
        Of a mosaic.
    """

    data: np.ndarray
    error: np.ndarray
    pixel_sr: float
    flags: np.ndarray | None = None
    unit: str = SURFACE_BRIGHTNESS
    weight: np.ndarray | None = None


def read_image(path: Path) -> SkyImage:
    """Return a calibrated image or a mosaic from its file."""
    with opened(path, "a calibrated image") as hdus:
        header = hdus["SCI"].header
        return SkyImage(
            np.asarray(hdus["SCI"].data, float),
            np.asarray(hdus["ERR"].data, float),
            float(header.get("PIXAR_SR") or np.nan),
            np.asarray(hdus["DQ"].data, np.uint32) if "DQ" in hdus else None,
            str(header.get("BUNIT", "")),
            np.asarray(hdus["WHT"].data, float) if "WHT" in hdus else None,
        )


def measure_calibrated(image: SkyImage) -> dict[str, Any]:
    """Return depth, noise over stated errors, level and scale.

    Numbers that cannot be measured are left out, as are depth and level of an image in another unit than MJy/sr.
    """
    unusable = ~np.isfinite(image.data)
    scale = np.sqrt(image.pixel_sr) * 180 / np.pi * 3600
    numbers: dict[str, Any] = {
        "sky": float(np.median(image.data[~unusable])) if not unusable.all() else None,
        "scale_arcsec": float(scale),
        "unusable_pct": 100 * float(unusable.mean()),
    }
    if np.isfinite(scale):
        numbers |= _depth(image, unusable, APERTURE_ARCSEC / scale)
    if image.unit != SURFACE_BRIGHTNESS:
        numbers = {name: value for name, value in numbers.items() if name not in ("depth_ab", "sky")}
    return without_unknown(numbers)


def measure_mosaic(image: SkyImage) -> dict[str, Any]:
    """Return as `measure_calibrated`; pixels that no image covers do not count as lost."""
    covered = np.ones(image.data.shape, bool) if image.weight is None else image.weight > 0
    numbers = measure_calibrated(image)
    numbers["unusable_pct"] = 100 * float((~np.isfinite(image.data[covered])).mean()) if covered.any() else 100.0
    return numbers


def _depth(image: SkyImage, unusable: np.ndarray, radius_pix: float) -> dict[str, float]:
    try:
        sources = mask_sources(image.data, unusable, level_rows=False).mask
    except TooFewPixels:
        return {}
    found = measure_aperture_noise(
        image.data, sources | unusable, radius_pix=radius_pix, error=image.error, ring_pix=RING_PIX
    )
    limit_jy = DEPTH_SIGMA * found.noise * image.pixel_sr * 1e6
    if not limit_jy > 0:
        return {}
    ratio = found.noise / found.expected if found.expected > 0 else float("nan")
    return {"depth_ab": float(-2.5 * np.log10(limit_jy / AB_JY)), "noise_ratio": ratio}


def summarise_calibrated(numbers: Mapping[str, Any]) -> list[str]:
    """Return a line on a calibrated image."""
    return ["; ".join(_depth_in_words(numbers))] if "depth_ab" in numbers else []


def summarise_mosaic(numbers: Mapping[str, Any]) -> list[str]:
    """Return a line on a mosaic."""
    lost = f" ({numbers['missing']:.0f} missing)" if numbers.get("missing") else ""
    found = _counted(numbers["sources"], "source") if "sources" in numbers else "no catalogue"
    parts = [_counted(numbers.get("images", 0), "image") + lost, found]
    return ["; ".join([*parts, *_depth_in_words(numbers)])]


def _counted(count: float, what: str) -> str:
    return f"{count:.0f} {what}" + ("" if count == 1 else "s")


def _depth_in_words(numbers: Mapping[str, Any]) -> list[str]:
    if "depth_ab" not in numbers:
        return []
    return [f"depth {numbers['depth_ab']:.2f} mag AB ({DEPTH_SIGMA:.0f} sigma, radius {APERTURE_ARCSEC} arcsec)"]
