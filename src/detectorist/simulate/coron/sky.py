"""The light on a coronagraph's subarray: analytic halo with speckles, companion, background, pointing."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter, shift
from scipy.special import erf

from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.coron.components import Background, Companion, MaskedStar

#: A round mask takes this part of the light at its centre, falling with a Gaussian of this radius, pixel.
_ROUND_MASK = (0.9, 5.0)
#: Along its boundaries a four-quadrant mask takes this part of the light, over this half-width, pixel.
_QUADRANT_MASK = (0.8, 1.5)
#: Rotation of the quadrants against the detector, degrees (JDox).
QUADRANT_TILT_DEG = 4.8
_FWHM_TO_SIGMA = 1 / np.sqrt(8 * np.log(2))


def speckle_field(star: MaskedStar, shape: tuple[int, int], *, change: float = 0.0, change_key: int = 0) -> np.ndarray:
    """Return the relative speckles, shape (ny, nx): mean 0, rms 1.

    change : float
        Fraction of their rms that is unique to this visit, selected by `change_key`.
    """
    field = _smooth_noise(star, shape, 0)
    if change:
        field = np.sqrt(1 - change**2) * field + change * _smooth_noise(star, shape, change_key)
    return field


def _smooth_noise(star: MaskedStar, shape: tuple[int, int], key: int) -> np.ndarray:
    noise = gaussian_filter(stream(star.serial, "speckles", key).normal(size=shape), star.speckle_pix, mode="wrap")
    return noise / noise.std()


def star_image(
    star: MaskedStar, shape: tuple[int, int], centre: tuple[float, float], speckles: np.ndarray, *, quadrants: bool
) -> np.ndarray:
    """Return the light of a star behind its mask, shape (ny, nx), DN/s.

    centre : (x, y)
        Of the mask, pixels from 0.
    quadrants : bool
        Four-quadrant phase mask instead of a round one.
    """
    yy, xx = np.indices(shape, float)
    dx, dy = xx - centre[0], yy - centre[1]
    radius, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    halo = star.halo_dn_s / (1 + (radius / star.halo_radius_pix) ** star.halo_slope)
    halo *= 1 + star.speckle_contrast * speckles * np.exp(-radius / star.speckle_reach_pix)
    if quadrants:
        tilt = np.radians(QUADRANT_TILT_DEG)
        halo *= 0.3 + 0.7 * np.sin(2 * (angle - tilt)) ** 2
        depth, width = _QUADRANT_MASK
        for across in (dx * np.cos(tilt) + dy * np.sin(tilt), dy * np.cos(tilt) - dx * np.sin(tilt)):
            halo *= 1 - depth * np.exp(-((across / width) ** 2))
    else:
        depth, width = _ROUND_MASK
        halo *= 1 - depth * np.exp(-((radius / width) ** 2))
    spikes = star.spike_dn_s * np.abs(np.cos(3 * angle)) ** 40 / (1 + (radius / 30) ** 2)
    core = star.core_dn_s * np.exp(-0.5 * (radius / star.core_sigma_pix) ** 2)
    return star.brightness * (np.clip(halo, 0, None) + spikes + core)


def moved(image: np.ndarray, x_pix: float, y_pix: float) -> np.ndarray:
    """Return an image shifted toward higher columns and rows by fractions of a pixel (cubic spline), not negative."""
    if x_pix == 0 and y_pix == 0:
        return image
    return np.clip(shift(image, (y_pix, x_pix), order=3, mode="nearest"), 0, None)


def companion_place(
    companion: Companion, centre: tuple[float, float], roll_deg: float, scale_arcsec: float
) -> tuple[float, float]:
    """Return (x, y), pixels from 0: at roll 0 north is up and east to the left; the sky turns by -roll."""
    angle = np.radians(companion.position_angle_deg - roll_deg)
    distance = companion.separation_arcsec / scale_arcsec
    return centre[0] - distance * np.sin(angle), centre[1] + distance * np.cos(angle)


def companion_image(companion: Companion, shape: tuple[int, int], place: tuple[float, float]) -> np.ndarray:
    """Return a Gaussian of the companion's total rate, integrated over the pixels, shape (ny, nx), DN/s."""
    sigma = companion.fwhm_pix * _FWHM_TO_SIGMA

    def share(n: int, position: float) -> np.ndarray:
        return np.diff(0.5 * erf((np.arange(n + 1) - 0.5 - position) / (np.sqrt(2) * sigma)))

    return companion.rate_dn_s * share(shape[0], place[1])[:, None] * share(shape[1], place[0])


def background_image(background: Background, shape: tuple[int, int], centre: tuple[float, float]) -> np.ndarray:
    """Return sky and glow, shape (ny, nx), DN/s."""
    yy, xx = np.indices(shape, float)
    tilt = np.radians(QUADRANT_TILT_DEG)
    across = (yy - centre[1]) * np.cos(tilt) - (xx - centre[0]) * np.sin(tilt)
    return background.level_dn_s + background.glow_dn_s * np.exp(-0.5 * (across / background.glow_sigma_pix) ** 2)
