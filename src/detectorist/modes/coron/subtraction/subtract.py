"""Images of a target and of its reference stars to images without the star, contrast curves and companions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from detectorist.algorithms.stars.contrast import (
    Companion,
    ContrastCurve,
    PointSource,
    corrected_fluxes,
    find_companions,
    fit_companion,
    measure_noise,
    measure_throughput,
)
from detectorist.algorithms.stars.star_subtraction import SubtractedStar, subtract_star, without_spikes
from detectorist.errors import InputError
from detectorist.modes.coron.subtraction.images import CoronImage, point_source
from detectorist.modes.coron.subtraction.settings import SubtractionSettings

#: How far one exposure may be from the mean for a companion to be believed: flux in errors and as a part of the mean,
#: place on the sky in pixels.
AGREE_SIGMA, AGREE_SHARE, AGREE_PIX = 5.0, 0.1, 0.7
#: ... and how many errors their mean has to be: at the edge, where one roll ends, noise along a ring is uneven.
LEAST_SIGMA = 5.0
#: Rolls closer than this are one, degrees.
LEAST_ROLL_DEG = 0.5
#: Sides of pixels that differ by less are equal: a measured area and one of the documentation differ by so much.
SAME_PIXEL = 0.05

Progress = Callable[[float, int, str], None]


@dataclass(frozen=True)
class SubtractedExposure:
    """One exposure of the target.

    Attributes
    ----------
    image : CoronImage
        As it was.
    star : SubtractedStar
        Without its star.
    fluxes : ndarray of float, shape (ny, nx)
        Flux of a point source at every pixel, throughput corrected.
    throughput : (ndarray, ndarray)
        Radius in pixels, fraction of a source's flux that survives the subtraction.
    curve : ContrastCurve
    companions : tuple of Companion
        As many as in the combined image, in its order; None where an exposure does not cover it.
    """

    image: CoronImage
    star: SubtractedStar
    fluxes: np.ndarray
    throughput: tuple[np.ndarray, np.ndarray]
    curve: ContrastCurve
    companions: tuple[Companion | None, ...] = ()


@dataclass(frozen=True)
class SubtractedTarget:
    """All exposures of a target, and their combined image, north up and east left.

    Attributes
    ----------
    exposures : tuple of SubtractedExposure
    references : tuple of CoronImage
    source : PointSource
    image, fluxes : ndarray of float, shape (n, n)
        Weighted mean of the subtracted images, and fluxes of a point source; the star is on the middle pixel.
    curve : ContrastCurve
    settings : SubtractionSettings
    """

    exposures: tuple[SubtractedExposure, ...]
    references: tuple[CoronImage, ...]
    source: PointSource
    image: np.ndarray
    fluxes: np.ndarray
    curve: ContrastCurve
    settings: SubtractionSettings

    @property
    def centre(self) -> tuple[float, float]:
        """The star in the images together, (x, y)."""
        middle = float(self.image.shape[0] // 2)
        return middle, middle

    @property
    def pixel_arcsec(self) -> float:
        """Side of a pixel."""
        return self.exposures[0].image.pixel_arcsec


def subtract_from_target(
    targets: Sequence[CoronImage],
    references: Sequence[CoronImage],
    settings: SubtractionSettings,
    progress: Progress = lambda done, total, what: None,
) -> SubtractedTarget:
    """Subtract the star from all exposures of a target, measure contrast and companions.

    Raises
    ------
    InputError
        Without target or reference star, or when sizes, units or pixels differ.
    """
    _require_alike(targets, references)
    source = point_source(targets[0], settings.psf)
    exposures = []
    cleaned = [replace(one, data=without_spikes(one.data, one.variance)) for one in references]
    for number, one in enumerate(targets):
        progress(number, len(targets) + 1, one.name)
        exposures.append(_subtract_one(one, cleaned, source, settings))
    progress(len(targets), len(targets) + 1, "companions and contrast")
    fluxes, image = _north_up([one.fluxes for one in exposures], exposures), _north_up_images(exposures)
    middle = (float(image.shape[0] // 2),) * 2
    places = _companion_places(settings, fluxes, middle, source, targets[0].pixel_arcsec)
    measured = [_with_companions(one, source, places, middle) for one in exposures]
    if not settings.companions and len(targets) > 1:
        places = [place for number, place in enumerate(places) if _agree(measured, number)]
        measured = [_with_companions(one, source, places, middle) for one in exposures]
    exposures = measured
    curve = measure_noise(fluxes, middle, source.fwhm_pix, places)
    progress(len(targets) + 1, len(targets) + 1, "done")
    return SubtractedTarget(tuple(exposures), tuple(references), source, image, fluxes, curve, settings)


def _require_alike(targets: Sequence[CoronImage], references: Sequence[CoronImage]) -> None:
    if not targets:
        raise InputError("no exposure of a science target (TYPE SCI): nothing to subtract a star from")
    if not references:
        raise InputError(
            f"{targets[0].path}: no exposure of a reference star (TYPE REF, header keyword IS_PSF) with this detector, "
            "filter, mask and subarray; one is needed to subtract"
        )
    first = targets[0]
    for other in (*targets, *references):
        for what, ours, theirs in (
            ("shape", first.data.shape, other.data.shape),
            ("unit", first.unit, other.unit),
            ("filter", first.filter, other.filter),
        ):
            if ours != theirs:
                raise InputError(f"{other.path}: {what} is {theirs}, that of {first.path} is {ours}")
        if not np.isclose(first.pixel_arcsec, other.pixel_arcsec, rtol=SAME_PIXEL):
            sides = f'{other.pixel_arcsec:.4f}", that of {first.path} is {first.pixel_arcsec:.4f}"'
            raise InputError(f"{other.path}: pixel is {sides}")


def _subtract_one(
    image: CoronImage, references: Sequence[CoronImage], source: PointSource, settings: SubtractionSettings
) -> SubtractedExposure:
    try:
        star = subtract_star(
            image.data,
            [one.data for one in references],
            centre=image.centre,
            variance=image.variance,
            reference_variances=[one.variance for one in references],
            most_modes=settings.most_modes,
            ring_pix=settings.ring_pix,
            cleaned=True,
        )
    except ValueError as error:
        raise InputError(f"{image.path}: {error}") from error
    throughput = measure_throughput(star, source)
    fluxes = corrected_fluxes(star, source, throughput)
    curve = measure_noise(fluxes, image.centre, source.fwhm_pix, robust=True)
    return SubtractedExposure(image, star, fluxes, throughput, curve)


def _companion_places(
    settings: SubtractionSettings,
    fluxes: np.ndarray,
    middle: tuple[float, float],
    source: PointSource,
    pixel_arcsec: float,
) -> list[tuple[float, float]]:
    """Return the places of companions in images with north up."""
    if not settings.companions:
        return find_companions(fluxes, middle, source.fwhm_pix)
    return [_north_place(separation / pixel_arcsec, angle, middle) for separation, angle in settings.companions]


def _north_place(distance_pix: float, angle_deg: float, middle: tuple[float, float]) -> tuple[float, float]:
    angle = np.radians(angle_deg)
    return middle[0] - distance_pix * float(np.sin(angle)), middle[1] + distance_pix * float(np.cos(angle))


def _with_companions(
    exposure: SubtractedExposure,
    source: PointSource,
    places: Sequence[tuple[float, float]],
    middle: tuple[float, float],
) -> SubtractedExposure:
    """Return an exposure with its own measurements of companions at places in images with north up."""
    image = exposure.image
    here = [_on_detector(image, place, middle) for place in places]
    curve = measure_noise(exposure.fluxes, image.centre, source.fwhm_pix, here)
    found: list[Companion | None] = []
    for place in here:
        try:
            found.append(fit_companion(exposure.star, source, place, curve))
        except ValueError:
            found.append(None)
    return replace(exposure, curve=curve, companions=tuple(found))


def _agree(exposures: Sequence[SubtractedExposure], number: int) -> bool:
    """Tell whether exposures agree on a companion: what a bad pixel or a speckle leaves turns with the detector."""
    seen = [(one.image, found) for one in exposures if (found := one.companions[number]) is not None]
    if len(seen) < 2:
        return False
    flux, error = np.transpose([(found.flux, found.flux_error) for _, found in seen])
    mean = float(np.average(flux, weights=1 / error**2))
    if mean < LEAST_SIGMA / np.sqrt((1 / error**2).sum()):
        return False
    same_flux = np.abs(flux - mean) < AGREE_SIGMA * error + AGREE_SHARE * abs(mean)
    sky = [image.on_sky(found.place) for image, found in seen]
    places = np.array([_north_place(distance / seen[0][0].pixel_arcsec, angle, (0.0, 0.0)) for distance, angle in sky])
    apart = np.hypot(*(places - places.mean(axis=0)).T)
    return bool(same_flux.all() and apart.max() < AGREE_PIX and _turns(seen))


def _turns(seen: Sequence[tuple[CoronImage, Companion]]) -> bool:
    """Tell whether a companion moves on the detector with the roll, by more than a speckle could seem to."""
    # Angles of one roll may lie on both sides of 360 degrees.
    angles = np.sort(np.mod([image.column_angle_deg for image, _ in seen], 360))
    largest_gap = np.max(np.diff(angles, append=angles[0] + 360))
    if 360 - largest_gap < LEAST_ROLL_DEG:
        return True  # one roll: nothing could move
    offsets = np.array([np.subtract(found.place, image.centre) for image, found in seen])
    return bool(np.hypot(*np.ptp(offsets, axis=0)) > 2 * AGREE_PIX)


def _on_detector(image: CoronImage, place: tuple[float, float], middle: tuple[float, float]) -> tuple[float, float]:
    dx, dy = place[0] - middle[0], place[1] - middle[1]
    return image.place(float(np.hypot(dx, dy)) * image.pixel_arcsec, float(np.degrees(np.arctan2(-dx, dy))))


def _north_up_images(exposures: Sequence[SubtractedExposure]) -> np.ndarray:
    return _north_up([one.star.image for one in exposures], exposures)


def _north_up(images: Sequence[np.ndarray], exposures: Sequence[SubtractedExposure]) -> np.ndarray:
    """Return the mean of images of exposures, turned north up about the star, weighted by the noise at a distance."""
    size = 2 * (max(images[0].shape) // 2) + 1
    middle = size // 2
    y, x = np.indices((size, size)) - middle
    total, weights = np.zeros((size, size)), np.zeros((size, size))
    for image, exposure in zip(images, exposures, strict=True):
        turn = np.radians(exposure.image.column_angle_deg)
        # A position angle on the sky is that from the columns plus their own; east is left in both images.
        columns = exposure.image.centre[0] + x * np.cos(turn) + y * np.sin(turn)
        rows = exposure.image.centre[1] - x * np.sin(turn) + y * np.cos(turn)
        known = np.isfinite(image)
        light = ndimage.map_coordinates(np.where(known, image, 0.0), (rows, columns), order=1)
        share = ndimage.map_coordinates(known.astype(float), (rows, columns), order=1)
        noise = exposure.curve.noise_at(np.hypot(x, y))
        measured = (share > 0.5) & np.isfinite(noise) & (noise > 0)
        weight = np.divide(share, noise**2, out=np.zeros_like(share), where=measured)
        total += np.where(weight > 0, weight * light / np.maximum(share, 1e-12), 0.0)
        weights += weight
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(weights > 0, total / weights, np.nan)
