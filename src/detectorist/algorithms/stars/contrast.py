"""Fluxes of point sources in star-subtracted images, and the faintest companion that could be detected.

The flux at a place is that of a point source and a level, fitted by least squares. The fraction of a source's flux that
survives the subtraction is measured by injection. The noise at a distance from the star is the scatter of such fluxes
along the ring there; limits allow for the small number of independent places on a ring by Student's t (Mawet et al.
2014, ApJ 792, 97).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage, optimize, special

from detectorist.algorithms.medians import median
from detectorist.algorithms.stars.star_subtraction import SubtractedStar

#: False alarms of 5 sigma of a Gaussian, one-sided: what a limit stands for at every distance.
FALSE_ALARM = float(special.ndtr(-5.0))
#: Radius of the stamp that a flux is fitted on, and of the ring about a known companion left out of noise, in FWHM.
STAMP_FWHM, COMPANION_FWHM = 3.0, 4.0
#: Part of what a whole stamp tells of a flux that its known pixels have to tell: bad pixels under the peak cost most.
LEAST_KNOWN = 0.6
#: Places of injection on a ring, and the first ring, in FWHM.
INJECTIONS, FIRST_FWHM = 6, 2.0
#: Fewest independent places on a ring for a scatter.
LEAST_PLACES = 4
#: Most companions that are looked for.
MOST_FOUND = 5
#: How far a companion may be from where it is looked for, pixel.
SEARCH_PIX = 1.5


@dataclass(frozen=True, eq=False)
class PointSource:
    """The image of a point source.

    image : ndarray of float, shape (n, n), n odd, source in the middle; flux 1 over all the sky.
    fwhm_pix : float
    """

    image: np.ndarray
    fwhm_pix: float

    @classmethod
    def of(cls, image: np.ndarray) -> PointSource:
        """Return an image with its width, measured where its mean profile falls to half; ValueError without a peak."""
        image = np.asarray(image, float)
        middle, angles = image.shape[0] // 2, np.linspace(0, 2 * np.pi, 24, endpoint=False)
        radii = np.arange(0.0, middle, 0.02)
        rows, columns = (middle + radii[:, None] * function(angles) for function in (np.sin, np.cos))
        profile = ndimage.map_coordinates(image, (rows, columns), order=3).mean(axis=1)
        below = int(np.argmax(profile < 0.5 * profile[0]))
        if not profile[0] > 0 or below < 1:
            raise ValueError("the image of a point source has no peak in its middle")
        return cls(image, 2 * float(radii[below]))

    @cached_property
    def stamp(self) -> np.ndarray:
        """The disk on which fluxes are fitted: True within it, shape of the image."""
        middle = self.image.shape[0] // 2
        y, x = np.indices(self.image.shape) - middle
        return np.hypot(x, y) <= min(STAMP_FWHM * self.fwhm_pix, middle)

    def at(self, place: tuple[float, float], shape: tuple[int, int]) -> np.ndarray:
        """Return the image (ny, nx) of a source of flux 1 at (x, y).

        It is moved between pixels by the phases of its Fourier transform: splines of an image as narrow as two pixels
        make fluxes wrong by 1 to 3 %, several times the noise of a bright companion.
        """
        whole = np.zeros(shape)
        cut, light = self.within(place, shape)
        whole[cut] = light
        return whole

    def within(self, place: tuple[float, float], shape: tuple[int, int]) -> tuple[tuple[slice, slice], np.ndarray]:
        """Return the part of an image (ny, nx) that a source of flux 1 at (x, y) reaches, and its light there."""
        column, row = round(place[0]), round(place[1])
        phases = ndimage.fourier_shift(self._transform, (place[1] - row, place[0] - column))
        moved = np.fft.ifft2(phases).real
        middle = self.image.shape[0] // 2
        parts = [
            _overlap(first - middle, n, size) for first, n, size in zip((row, column), moved.shape, shape, strict=True)
        ]
        return (parts[0][0], parts[1][0]), moved[parts[0][1], parts[1][1]]

    @cached_property
    def _transform(self) -> np.ndarray:
        return np.fft.fft2(self.image)


def _overlap(start: int, n: int, size: int) -> tuple[slice, slice]:
    """Return which of `size` places `n` values from `start` on cover, and which of the values these are."""
    first, last = min(max(start, 0), size), min(max(start + n, 0), size)
    return slice(first, last), slice(first - start, last - start)


@dataclass(frozen=True)
class ContrastCurve:
    """Noise and limits against distance from the star.

    Attributes
    ----------
    radius_pix : ndarray of float, shape (n,)
    noise : ndarray of float, shape (n,)
        Standard deviation of the flux of a point source, unit of the image times pixel.
    limit : ndarray of float, shape (n,)
        Flux with the false-alarm rate of 5 sigma of a Gaussian.
    n_places : ndarray of float, shape (n,)
        Independent places on the ring.
    """

    radius_pix: np.ndarray
    noise: np.ndarray
    limit: np.ndarray
    n_places: np.ndarray

    def noise_at(self, radius_pix: np.ndarray | float) -> np.ndarray:
        """Return the noise of one flux at a distance, with that of the mean it is compared with; NaN off the curve."""
        with_mean = self.noise * np.sqrt(1 + 1 / self.n_places)
        return _interpolated(radius_pix, self.radius_pix, with_mean)

    def limit_at(self, radius_pix: np.ndarray | float) -> np.ndarray:
        """Return the limit at a distance; NaN off the curve."""
        return _interpolated(radius_pix, self.radius_pix, self.limit)


def _interpolated(where: np.ndarray | float, radius: np.ndarray, values: np.ndarray) -> np.ndarray:
    if not radius.size:
        return np.full(np.shape(where), np.nan)
    return np.interp(where, radius, values, left=np.nan, right=np.nan)


@dataclass(frozen=True)
class Companion:
    """A point source beside the star.

    Attributes
    ----------
    place : (x, y)
        Pixels from 0.
    place_error_pix : (x, y)
    flux, flux_error : float
        Unit of the image times pixel; the error is the scatter of fluxes at its distance, and its own photon noise.
    throughput : float
    """

    place: tuple[float, float]
    place_error_pix: tuple[float, float]
    flux: float
    flux_error: float
    throughput: float


def flux_map(image: np.ndarray, source: PointSource) -> np.ndarray:
    """Return the flux of a point source at every pixel, fitted with a local level; NaN where too few pixels are usable.

    image : ndarray of float, shape (ny, nx), NaN where unknown.
    """
    known = np.isfinite(image)
    values, usable = np.where(known, image, 0.0), known.astype(float)
    stamp = source.stamp
    shape = np.where(stamp, source.image, 0.0)

    def over(picture: np.ndarray, weights: np.ndarray) -> np.ndarray:
        return ndimage.correlate(picture, weights, mode="constant")

    n, p, pp = (over(usable, weights) for weights in (stamp.astype(float), shape, shape**2))
    s, sp = over(values, stamp.astype(float)), over(values, shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        flux = (n * sp - p * s) / (n * pp - p**2)
        told = pp - p**2 / n
    return np.where(told >= LEAST_KNOWN * _told(shape[stamp]), flux, np.nan)


def _told(template: np.ndarray) -> float:
    """Return what pixels tell of the flux of a source: one over its variance where theirs is 1."""
    return float(((template - template.mean()) ** 2).sum()) if template.size else 0.0


def measure_throughput(subtracted: SubtractedStar, source: PointSource) -> tuple[np.ndarray, np.ndarray]:
    """Return (radius in pixels, fraction of a source's flux that survives the subtraction), the mean of injections."""
    y, x = np.nonzero(np.isfinite(subtracted.image))
    most = float(np.hypot(x - subtracted.centre[0], y - subtracted.centre[1]).max())
    found = []
    for radius in np.arange(FIRST_FWHM, most / source.fwhm_pix, 2.0) * source.fwhm_pix:
        angles = 2 * np.pi * (np.arange(INJECTIONS) + 0.25) / INJECTIONS
        places = zip(
            subtracted.centre[0] + radius * np.cos(angles), subtracted.centre[1] + radius * np.sin(angles), strict=True
        )
        passed = [passed_flux(subtracted, source, (round(x), round(y))) for x, y in places]
        if np.isfinite(passed).any():
            found.append((radius, np.nanmean(passed)))
    radius, throughput = np.array(found, float).reshape(-1, 2).T
    return radius, throughput


def corrected_fluxes(
    subtracted: SubtractedStar, source: PointSource, throughput: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """Return the flux of a point source at every pixel (ny, nx), corrected for the throughput of the subtraction."""
    y, x = np.indices(subtracted.image.shape)
    distance = np.hypot(x - subtracted.centre[0], y - subtracted.centre[1])
    return flux_map(subtracted.image, source) / np.interp(distance, *throughput)


def measure_noise(
    fluxes: np.ndarray,
    centre: tuple[float, float],
    fwhm_pix: float,
    companions: Sequence[tuple[float, float]] = (),
    *,
    robust: bool = False,
) -> ContrastCurve:
    """Measure the scatter of fluxes (ny, nx) on rings about a star, half a width apart, and the limits from it.

    centre : (x, y)
    companions : sequence of (x, y)
        Known ones, whose surroundings are left out.
    robust : bool
        Take the median of absolute deviations: where companions are still to be found.
    """
    y, x = np.indices(fluxes.shape)
    known = np.isfinite(fluxes)
    for place in companions:
        known &= np.hypot(x - place[0], y - place[1]) > COMPANION_FWHM * fwhm_pix
    radius, of_pixels = np.hypot(x - centre[0], y - centre[1])[known], fluxes[known]
    middles = np.arange(FIRST_FWHM * fwhm_pix, radius.max(initial=0.0), fwhm_pix / 2)
    rows = []
    for middle, near in zip(middles, _near_rings(radius, fwhm_pix / 2, middles.size), strict=True):
        values = of_pixels[near[np.abs(radius[near] - middle) <= fwhm_pix / 2]]
        # A ring of the width of a source has as many independent places as widths fit along it.
        n_places = values.size / fwhm_pix**2
        if n_places < LEAST_PLACES:
            continue
        spread = 1.4826 * median(np.abs(values - median(values))) if robust else values.std(ddof=1)
        factor = float(-special.stdtrit(n_places - 1, FALSE_ALARM)) * np.sqrt(1 + 1 / n_places)
        rows.append((middle, spread, spread * factor, n_places))
    return ContrastCurve(*np.array(rows, float).reshape(-1, 4).T)


def _near_rings(radius: np.ndarray, step: float, n_rings: int) -> Iterator[np.ndarray]:
    """Yield for each ring, `step` apart from `FIRST_FWHM` on, where in `radius` (n,) pixels are that may be on it."""
    number = (radius / step).astype(np.uint16)
    order = np.argsort(number, kind="stable")
    starts = np.searchsorted(number[order], np.arange(int(2 * FIRST_FWHM) + n_rings + 3))
    for ring in range(int(2 * FIRST_FWHM), int(2 * FIRST_FWHM) + n_rings):
        yield order[starts[ring - 2] : starts[ring + 2]]


def find_companions(fluxes: np.ndarray, centre: tuple[float, float], fwhm_pix: float) -> list[tuple[float, float]]:
    """Return the places (x, y) of point sources above the limit at their distance, brightest first, at most MOST_FOUND.

    fluxes : ndarray of float, shape (ny, nx)
    """
    y, x = np.indices(fluxes.shape)
    curve = measure_noise(fluxes, centre, fwhm_pix, robust=True)
    over = np.nan_to_num(fluxes / curve.limit_at(np.hypot(x - centre[0], y - centre[1])))
    found: list[tuple[float, float]] = []
    while over.max() > 1 and len(found) < MOST_FOUND:
        row, column = np.unravel_index(int(over.argmax()), over.shape)
        found.append((float(column), float(row)))
        over[np.hypot(x - column, y - row) <= COMPANION_FWHM * fwhm_pix] = 0.0
    return found


def passed_flux(subtracted: SubtractedStar, source: PointSource, place: tuple[float, float]) -> float:
    """Return the flux recovered from a source of flux 1 injected at (x, y); NaN where too few pixels are usable."""
    shape = subtracted.image.shape
    if not (0 <= place[0] <= shape[1] - 1 and 0 <= place[1] <= shape[0] - 1):
        return float("nan")
    cut, template = source.within(place, shape)
    left = subtracted.passed_within(template, cut)
    stamp = _disk(place, cut, source)
    used = np.isfinite(left) & stamp
    if _told(template[used]) < LEAST_KNOWN * _told(template[stamp]):
        return float("nan")
    return _fit_flux(left[used], template[used])[0]


def fit_companion(
    subtracted: SubtractedStar, source: PointSource, place: tuple[float, float], curve: ContrastCurve
) -> Companion:
    """Measure position and flux of a companion near (x, y), corrected for the throughput of the subtraction.

    Raises
    ------
    ValueError
        When it is not in the image, or too few pixels are usable there.
    """
    shape = subtracted.image.shape
    if not all(SEARCH_PIX < one < n - 1 - SEARCH_PIX for one, n in zip(place, shape[::-1], strict=True)):
        raise ValueError(f"column {place[0]:.1f}, row {place[1]:.1f} is not in the image")
    cut, light = source.within(place, shape)
    disk = _disk(place, cut, source)
    used = np.isfinite(subtracted.image[cut]) & disk
    if _told(light[used]) < LEAST_KNOWN * _told(light[disk]):
        raise ValueError(f"too few pixels are known at column {place[0]:.1f}, row {place[1]:.1f}")
    values = subtracted.image[cut][used]

    def template(where: np.ndarray) -> np.ndarray:
        there, light = source.within((where[0], where[1]), shape)
        if there == cut:
            return subtracted.passed_within(light, cut)[used]
        return subtracted.passed(source.at((where[0], where[1]), shape))[cut][used]

    def residual(where: np.ndarray) -> np.ndarray:
        shape_there = template(where)
        flux, level = _fit_flux(values, shape_there)
        return values - flux * shape_there - level

    start = np.array(place, float)
    found = optimize.least_squares(
        residual, start, jac="3-point", bounds=(start - SEARCH_PIX, start + SEARCH_PIX), x_scale=0.1
    )
    where = (float(found.x[0]), float(found.x[1]))
    radius = float(np.hypot(where[0] - subtracted.centre[0], where[1] - subtracted.centre[1]))
    shape_there = template(found.x)
    flux, _ = _fit_flux(values, shape_there)
    error = float(np.hypot(curve.noise_at(radius), _own_photons(subtracted, source, where, radius)))
    # Speckles disturb a place as they disturb a flux: the error of the flux says how large a pixel's is in effect.
    pixel_noise = error * np.sqrt(_told(shape_there))
    errors = pixel_noise * np.sqrt(np.diag(np.linalg.pinv(found.jac.T @ found.jac)))
    return Companion(where, (float(errors[0]), float(errors[1])), flux, error, passed_flux(subtracted, source, where))


def _own_photons(subtracted: SubtractedStar, source: PointSource, place: tuple[float, float], radius: float) -> float:
    """Return the noise of a flux that the light of a companion itself adds to that of its surroundings."""
    shape = np.where(source.stamp, source.image, 0.0)
    weights = (shape - shape[source.stamp].mean() * source.stamp) / ((shape - shape[source.stamp].mean()) ** 2)[
        source.stamp
    ].sum()
    variance = ndimage.correlate(np.nan_to_num(subtracted.variance), weights**2, mode="constant")
    y, x = np.indices(variance.shape)
    ring = np.isfinite(subtracted.image) & (
        np.abs(np.hypot(x - subtracted.centre[0], y - subtracted.centre[1]) - radius) <= source.fwhm_pix
    )
    column, row = round(place[0]), round(place[1])
    return float(np.sqrt(max(variance[row, column] - np.median(variance[ring]), 0.0)))


def _fit_flux(values: np.ndarray, template: np.ndarray) -> tuple[float, float]:
    """Return flux and level by least squares."""
    shape = template - template.mean()
    flux = float(shape @ values / (shape @ shape))
    return flux, float((values - flux * template).mean())


def _disk(place: tuple[float, float], cut: tuple[slice, slice], source: PointSource) -> np.ndarray:
    """Return True on the stamp about a place, over the pixels of a cut."""
    y, x = np.mgrid[cut]
    reach = min(STAMP_FWHM * source.fwhm_pix, source.image.shape[0] // 2)
    return np.hypot(x - round(place[0]), y - round(place[1])) <= reach
