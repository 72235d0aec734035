"""Sky, stars, galaxies and wisps as NIRCam sees them, before the flat: rates per pixel, DN/s."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from astropy.modeling.functional_models import Moffat2D, Sersic2D

from detectorist.simulate.core.random_streams import stream
from detectorist.simulate.imaging.components import Galaxies, Sky, Stars

#: Pixels of the whole detector: numbers of sources are for all of them.
FRAME_PIX = 2048**2
#: Detectors and filters that show wisps (JDox).
WISP_DETECTORS = ("NRCA3", "NRCA4", "NRCB3", "NRCB4")
WISP_FILTERS = ("F150W", "F162M", "F182M", "F200W", "F210M")
#: Filaments of one component of a wisp.
_FILAMENTS = 3


@dataclass(frozen=True)
class Source:
    """A star or galaxy on the detector's plane, x and y in pixels of the image (0-based)."""

    x: float
    y: float
    rate_dn_s: float
    radius_pix: float = 0.0
    index: float = 1.0
    ellipticity: float = 0.0
    angle: float = 0.0

    @property
    def is_star(self) -> bool:
        """Whether it is a point source."""
        return self.radius_pix == 0


def draw_stars(stars: Stars, shape: tuple[int, int], seed: int) -> list[Source]:
    """Draw the stars of a field; their number is scaled by its area."""
    rng = stream(seed, "stars")
    n = rng.poisson(stars.per_frame * shape[0] * shape[1] / FRAME_PIX)
    x, y = _places(shape, n, rng)
    rate = _power_law(rng.random(n), stars.min_dn_s, stars.max_dn_s, stars.slope)
    return [Source(*values) for values in zip(x, y, rate, strict=True)]


def draw_galaxies(galaxies: Galaxies, shape: tuple[int, int], seed: int) -> list[Source]:
    """Draw the galaxies of a field, small and large."""
    share = shape[0] * shape[1] / FRAME_PIX
    rng = stream(seed, "galaxies")
    n = rng.poisson(galaxies.per_frame * share)
    x, y = _places(shape, n, rng)
    rate = _power_law(rng.random(n), galaxies.min_dn_s, galaxies.max_dn_s, galaxies.slope)
    radius = galaxies.radius_pix * np.exp(galaxies.radius_scatter * rng.normal(size=n))
    radius *= (rate / galaxies.min_dn_s) ** 0.2
    found = [
        Source(*values)
        for values in zip(
            x, y, rate, radius, rng.uniform(0.8, 2.0, n), rng.uniform(0, 0.6, n), rng.uniform(0, np.pi, n), strict=True
        )
    ]
    rng = stream(seed, "large_galaxies")
    n = rng.poisson(galaxies.large_per_frame * share)
    x, y = _places(shape, n, rng)
    radius, peak = rng.uniform(*galaxies.large_radius_pix, n), rng.uniform(*galaxies.large_peak_dn_s, n)
    for k in range(n):
        ellipticity = rng.uniform(0, 0.6)
        # An exponential disk of half-light radius r has a total of 2 pi (r / 1.678)^2 (1 - e) times its peak.
        total = peak[k] * 2 * np.pi * (radius[k] / 1.678) ** 2 * (1 - ellipticity)
        found.append(Source(x[k], y[k], total, radius[k], 1.0, ellipticity, rng.uniform(0, np.pi)))
    return found


def _places(shape: tuple[int, int], n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    return rng.uniform(0, shape[1], n) - 0.5, rng.uniform(0, shape[0], n) - 0.5


def _power_law(lot: np.ndarray, low: float, high: float, slope: float) -> np.ndarray:
    """Turn uniform numbers into values with N(> value) ~ value ** -slope between two limits."""
    return (low**-slope - lot * (low**-slope - high**-slope)) ** (-1 / slope)


def source_image(
    sources: list[Source], stars: Stars, shape: tuple[int, int], offset: tuple[float, float]
) -> np.ndarray:
    """Return the light of sources, shape (ny, nx), float32, DN/s.

    offset : tuple of float
        (x, y) in pixels by which the telescope's dither moves them.
    """
    image = np.zeros(shape, np.float32)
    for source in sources:
        x, y = source.x + offset[0], source.y + offset[1]
        half = _reach(source, stars)
        top, left = round(y) - half, round(x) - half
        rows = slice(max(top, 0), min(top + 2 * half + 1, shape[0]))
        columns = slice(max(left, 0), min(left + 2 * half + 1, shape[1]))
        if rows.start >= rows.stop or columns.start >= columns.stop:
            continue
        # The whole box, also where the edge of the detector cuts it: its sum is the rate.
        yy, xx = np.mgrid[top : top + 2 * half + 1, left : left + 2 * half + 1]
        light = _profile(source, stars, xx, yy, x, y)
        image[rows, columns] += light[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return image


def _reach(source: Source, stars: Stars) -> int:
    """Return the half width of the box in which a source is drawn, pixel: beyond it there is less than 1e-3 DN/s."""
    if source.is_star:
        core = moffat_core(stars)
        peak = source.rate_dn_s * (stars.beta - 1) / (np.pi * core**2)
        return int(min(core * max(peak / 1e-3, 1.0) ** (0.5 / stars.beta), 200)) + 4
    return int(9 * source.radius_pix * max(source.index, 1.0)) + 4


def moffat_core(stars: Stars) -> float:
    """Return the core radius of a star's Moffat profile, pixel."""
    return stars.fwhm_pix / (2 * np.sqrt(2 ** (1 / stars.beta) - 1))


def _profile(source: Source, stars: Stars, xx: np.ndarray, yy: np.ndarray, x: float, y: float) -> np.ndarray:
    if source.is_star:
        core = moffat_core(stars)
        amplitude = source.rate_dn_s * (stars.beta - 1) / (np.pi * core**2)
        return Moffat2D.evaluate(xx, yy, amplitude, x, y, core, stars.beta)
    shape = Sersic2D.evaluate(xx, yy, 1.0, source.radius_pix, source.index, x, y, source.ellipticity, source.angle)
    return shape * (source.rate_dn_s / shape.sum())


def sky_image(sky: Sky, shape: tuple[int, int]) -> np.ndarray:
    """Return the sky, shape (ny, nx), float32, DN/s: its mean is the level, its slope runs along the columns."""
    slope = np.linspace(-0.5, 0.5, shape[1]) * sky.gradient
    return np.broadcast_to((sky.level_dn_s * (1 + slope)).astype(np.float32), shape).copy()


def has_wisps(detector: str, filter_name: str) -> bool:
    """Return whether a detector shows wisps in a filter."""
    return detector in WISP_DETECTORS and filter_name in WISP_FILTERS


def wisp_templates(detector: str, filter_name: str, shape: tuple[int, int], peak_dn_s: float) -> np.ndarray:
    """Return the two components of a detector's wisps in a filter, shape (2, ny, nx), float32, DN/s at strength 1.

    Filaments bent a little, 100 to 600 pixels long on a full frame, at a position that depends on the detector; scaled
    down on smaller frames. The shape depends on detector and filter alone.
    """
    rng = stream(0, f"wisps {detector} {filter_name}")
    ny, nx = shape
    scale = min(ny, nx) / 2048
    yy, xx = np.mgrid[:ny, :nx].astype(np.float32)
    centre = rng.uniform(0.35, 0.65, 2) * (nx, ny)
    tilt = rng.uniform(0.5, 1.3)
    templates = []
    for _ in range(2):
        template = np.zeros((ny, nx))
        for _ in range(_FILAMENTS):
            x, y = centre + rng.normal(size=2) * 200 * scale
            angle = tilt + 0.15 * rng.normal()
            length, width = rng.uniform(150, 450) * scale, rng.uniform(30, 80) * scale
            along = (xx - x) * np.cos(angle) + (yy - y) * np.sin(angle)
            across = (yy - y) * np.cos(angle) - (xx - x) * np.sin(angle)
            across += 0.25 * along**2 / (length * 2)
            template += rng.uniform(0.4, 1.0) * np.exp(-0.5 * ((along / length) ** 2 + (across / width) ** 2))
        templates.append(template * (peak_dn_s / template.max()))
    return np.array(templates, np.float32)
