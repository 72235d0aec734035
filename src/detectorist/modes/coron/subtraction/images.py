"""Images of coronagraphic exposures for star subtraction: light, noise, position of the star, direction of north."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage
from stdatamodels.jwst.datamodels import ImageModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.stars.contrast import PointSource
from detectorist.algorithms.stars.mirror_psf import mirror_psf
from detectorist.algorithms.stars.radial_noise import find_star
from detectorist.detectors import MIRI
from detectorist.errors import InputError
from detectorist.fits_files import Keywords, read_array, read_keywords, read_plane
from detectorist.product_names import stem_of

#: arcsec per pixel where the header does not say (JDox).
PIXEL_ARCSEC = {"SHORT": 0.031, "LONG": 0.063, "": MIRI.pixel_scale_arcsec}
#: Steradians of a square arcsec.
_SR_PER_ARCSEC2 = (np.pi / 648_000) ** 2


@dataclass(frozen=True)
class CoronImage:
    """The image of an exposure.

    Attributes
    ----------
    path : Path
    data, variance : ndarray of float, shape (ny, nx)
        NaN where a pixel cannot be used.
    centre : (x, y)
        The star, pixels from 0: the reference point of the aperture, which is the middle of the mask; if the header
        lacks it, the middle of the halo.
    pixel_arcsec : float
    column_angle_deg : float
        Position angle on the sky of the columns' direction (north over east).
    unit, filter : str
    jy_per_flux : float
        Jansky of a flux of 1 unit times pixel; NaN without photometry.
    """

    path: Path
    data: np.ndarray
    variance: np.ndarray
    centre: tuple[float, float]
    pixel_arcsec: float
    column_angle_deg: float
    unit: str
    filter: str
    jy_per_flux: float

    @property
    def name(self) -> str:
        """Name of the exposure."""
        return stem_of(self.path)

    @property
    def wavelength_um(self) -> float:
        """Wavelength from the name of the filter: F335M is 3.35 um.

        Raises
        ------
        InputError
            When the name has none.
        """
        found = re.match(r"F(\d{3,4})", self.filter)
        if not found:
            raise InputError(f"{self.path}: FILTER is {self.filter!r}, which contains no wavelength; give --psf")
        return int(found[1]) / 100

    def place(self, separation_arcsec: float, position_angle_deg: float) -> tuple[float, float]:
        """Return (x, y) of a place on the sky beside the star."""
        angle = np.radians(position_angle_deg - self.column_angle_deg)
        distance = separation_arcsec / self.pixel_arcsec
        return self.centre[0] - distance * float(np.sin(angle)), self.centre[1] + distance * float(np.cos(angle))

    def on_sky(self, place: tuple[float, float]) -> tuple[float, float]:
        """Return separation (arcsec) and position angle (degrees, 0 to 360) of a pixel (x, y)."""
        dx, dy = place[0] - self.centre[0], place[1] - self.centre[1]
        angle = np.degrees(np.arctan2(-dx, dy)) + self.column_angle_deg
        return float(np.hypot(dx, dy)) * self.pixel_arcsec, float(angle % 360)


def read_coron_image(path: Path) -> CoronImage:
    """Read a rate or a calibrated image.

    Raises
    ------
    InputError
        When the file is not readable as an image.
    """
    models.require_kind_of_file(path, ImageModel)
    keywords = read_keywords(path)
    data, error, flags = _arrays_of(path)
    bad = ~np.isfinite(data) | ~np.isfinite(error) | _unusable(flags)
    if bad.all():
        raise InputError(f"{path}: no usable pixel")
    area = keywords.number("PIXAR_A2")
    unit = keywords.text("BUNIT") or "DN/s"
    return CoronImage(
        path,
        np.where(bad, np.nan, data.astype(float)),
        np.where(bad, np.nan, error.astype(float) ** 2),
        _centre_of(keywords, data),
        float(np.sqrt(area)) if area else _pixel_of(keywords),
        (keywords.number("ROLL_REF") or 0.0) + (keywords.number("V3I_YANG") or 0.0),
        unit,
        keywords.text("FILTER") or "",
        1e6 * (area or np.nan) * _SR_PER_ARCSEC2 if unit == "MJy/sr" else float("nan"),
    )


def _arrays_of(path: Path) -> list[np.ndarray]:
    arrays = {name: read_array(path, name) for name in ("SCI", "ERR", "DQ")}
    for name, array in arrays.items():
        if array.shape != arrays["SCI"].shape:
            raise InputError(f"{path}: {name} has shape {array.shape}, SCI has {arrays['SCI'].shape}")
    return list(arrays.values())


def _pixel_of(keywords: Keywords) -> float:
    """Return the side of a pixel in arcsec, by the channel of NIRCam; MIRI has none."""
    channel = (keywords.text("CHANNEL") or "").upper()
    if channel not in PIXEL_ARCSEC:
        raise InputError(f"{keywords.path}: CHANNEL is {channel!r}; SHORT or LONG is needed, or PIXAR_A2")
    return PIXEL_ARCSEC[channel]


def _unusable(flags: np.ndarray) -> np.ndarray:
    """Return where an image cannot be used: also beside bad pixels that saturate, whose charge couples over."""
    bad, saturated = dq.has(flags, dq.DO_NOT_USE), dq.has(flags, dq.SATURATED)
    return bad | (saturated & ndimage.binary_dilation(bad))


def _centre_of(keywords: Keywords, data: np.ndarray) -> tuple[float, float]:
    x, y = keywords.number("CRPIX1"), keywords.number("CRPIX2")
    if x is None or y is None or not (0 < x <= data.shape[1] and 0 < y <= data.shape[0]):
        return find_star(data)
    return float(x) - 1, float(y) - 1


def point_source(image: CoronImage, psf: str | None) -> PointSource:
    """Return the image of a point source: from a file, or the diffraction pattern of the primary mirror.

    Raises
    ------
    InputError
        When the file has no square image with a peak in its middle.
    """
    if psf is None:
        return PointSource.of(mirror_psf(image.wavelength_um, image.pixel_arcsec))
    found = np.asarray(read_plane(psf, "an image of a point source"), float)
    if found.shape[0] != found.shape[1] or found.shape[0] % 2 == 0:
        raise InputError(f"{psf}: an array of shape {found.shape}; a square image with odd sides is needed")
    try:
        return PointSource.of(found)
    except ValueError as error:
        raise InputError(f"{psf}: {error}") from error
