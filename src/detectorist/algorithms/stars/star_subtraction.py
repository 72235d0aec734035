"""Subtraction of a star from a coronagraphic image by modes of images of reference stars, fitted on rings.

The modes are those of Karhunen and Loeve (Soummer, Pueyo & Larkin 2012, ApJ 755, L28); with all of them it is the
least-squares fit of the references (Lafreniere et al. 2007, ApJ 660, 770). No image of the target enters the modes, so
the subtraction is linear in the target's light, and its effect on a companion is known exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy import ndimage

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.images.spikes import find_spikes
from detectorist.algorithms.median_filter import median_filter
from detectorist.algorithms.stars.karhunen_loeve import Modes, karhunen_loeve_modes
from detectorist.algorithms.stars.star_alignment import Alignment, align_reference, unmoved
from detectorist.algorithms.stars.star_subtraction_defaults import MOST_MODES, RING_PIX

#: Fewest pixels of a ring per mode.
PIXELS_PER_MODE = 20
#: A single pixel is bad that exceeds its neighbours by so many sigma, all of them being fainter than this part of it:
#: of an image of a point source 1.7 pixels wide, its brightest neighbour has .38.
SPIKE_SIGMA, MOST_BESIDE = 4.0, 0.3
#: The eight neighbours of a pixel.
_NEIGHBOURS = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 1]], bool)


@dataclass(frozen=True)
class Ring:
    """Pixels about a star and the modes of the references on them.

    Attributes
    ----------
    pixels : ndarray of int, shape (n,)
        Indices into the flattened image.
    modes : Modes
    weights : ndarray of float, shape (n_references,)
        Of the references in the model of the star that was fitted.
    """

    pixels: np.ndarray
    modes: Modes
    weights: np.ndarray


@dataclass(frozen=True)
class SubtractedStar:
    """An image without its star.

    Attributes
    ----------
    image : ndarray of float, shape (ny, nx)
        What is left, unit of the image; NaN where unknown.
    variance : ndarray of float, shape (ny, nx)
        Of photons and detector, the references' own included; 0 where none was given.
    centre : (x, y)
        The star, pixels from 0.
    rings : tuple of Ring
    references : tuple of Alignment
        In the order in which they were given.
    """

    image: np.ndarray
    variance: np.ndarray
    centre: tuple[float, float]
    rings: tuple[Ring, ...]
    references: tuple[Alignment, ...]

    def passed(self, light: np.ndarray) -> np.ndarray:
        """Return what the subtraction leaves of light (ny, nx) in the image, such as a companion's; NaN if unknown."""
        return self.passed_within(light, (slice(None), slice(None)))

    def passed_within(self, light: np.ndarray, cut: tuple[slice, slice]) -> np.ndarray:
        """Return what is left, in a cut of the image, of light that lies within it; both of the shape of the cut."""
        numbers = self._numbers[cut]
        left = np.where(numbers < 0, np.nan, 0.0)
        whole, rest = np.zeros((2, *self.image.shape))
        whole[cut] = light
        for number in set(numbers[np.asarray(light, bool)].tolist()) - {-1}:
            ring = self.rings[number]
            rest.ravel()[ring.pixels] = ring.modes.subtract(whole.ravel()[ring.pixels])
        return left + rest[cut]

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The ring of every pixel, (ny, nx); -1 where the star was not subtracted."""
        numbers = np.full(self.image.shape, -1)
        for number, ring in enumerate(self.rings):
            numbers.ravel()[ring.pixels] = number
        return numbers


@one_thread
def subtract_star(
    image: np.ndarray,
    references: Sequence[np.ndarray],
    *,
    centre: tuple[float, float],
    variance: np.ndarray | None = None,
    reference_variances: Sequence[np.ndarray] | None = None,
    most_modes: int = MOST_MODES,
    ring_pix: float = RING_PIX,
    cleaned: bool = False,
) -> SubtractedStar:
    """Subtract a star by images of reference stars: aligned with it or unmoved, whichever leaves the smaller residuals.

    Behind a mask, a part of the light moves with the star and a part stays with the mask: the images decide which one
    dominates.

    image : ndarray of float, shape (ny, nx)
        Any linear unit; not finite where unknown.
    references : sequence of ndarray of float, shape (ny, nx)
        In the same unit.
    centre : (x, y)
        The star, pixels from 0.
    variance, reference_variances : ndarray of float, sequence of such, optional
        Unit squared.
    most_modes : int
        At most so many; there are never more than references.
    ring_pix : float
        Width of the rings on which the modes are fitted.
    cleaned : bool
        The references went through `without_spikes` already, as they do once where they serve several images.

    Pixels that are unknown in the image or in any reference are unknown in the result, and so are single ones that
    stand out more than a point source could (where variances are given). The mean of every ring is subtracted.

    Raises
    ------
    ValueError
        Without references, when shapes differ, or there are too few common pixels.
    """
    if not len(references):
        raise ValueError("no image of a reference star")
    if most_modes < 1:
        raise ValueError(f"most_modes is {most_modes}; 1 or more are needed")
    given = [np.full(np.shape(image), np.nan) if variance is None else variance]
    given += [given[0] * np.nan] * len(references) if reference_variances is None else list(reference_variances)
    image = without_spikes(image, given[0])
    if not cleaned:
        references = [without_spikes(*pair) for pair in zip(references, given[1:], strict=True)]
    variances = np.stack([np.asarray(one, float) for one in given[1:]])
    found = [
        _with_references(image, tuple(place(image, one) for one in references), variances, centre, most_modes, ring_pix)
        for place in (unmoved, align_reference)
    ]
    star = min(found, key=_scatter)
    noise = star.variance + (0.0 if variance is None else np.asarray(variance, float))
    return replace(star, variance=noise)


def _scatter(star: SubtractedStar) -> float:
    """Return the mean over rings of the logarithm of the robust scatter that is left; inf where nothing is."""
    left = star.image.ravel()
    scatters = np.array([np.median(np.abs(left[ring.pixels])) for ring in star.rings])
    return float(np.log(np.maximum(scatters, 1e-30)).mean()) if scatters.size else float("inf")


def _with_references(
    image: np.ndarray,
    aligned: tuple[Alignment, ...],
    variances: np.ndarray,
    centre: tuple[float, float],
    most_modes: int,
    ring_pix: float,
) -> SubtractedStar:
    """Subtract the star by references in their places; the variance is that of the references alone.

    Raises
    ------
    ValueError
        When there are too few common pixels.
    """
    stack = np.stack([one.image for one in aligned])
    known = np.isfinite(image) & np.logical_and.reduce([one.known for one in aligned])
    left, noise = np.full(image.shape, np.nan), np.zeros(image.shape)
    rings = []
    for pixels in _rings(known, centre, ring_pix):
        n_modes = min(most_modes, len(stack), pixels.size // PIXELS_PER_MODE)
        if n_modes < 1:
            continue
        values, modes = image.ravel()[pixels], karhunen_loeve_modes(stack.reshape(len(stack), -1)[:, pixels], n_modes)
        ring = Ring(pixels, modes, modes.weights(values))
        left.ravel()[pixels] = modes.subtract(values)
        noise.ravel()[pixels] = ring.weights**2 @ np.nan_to_num(variances.reshape(len(stack), -1)[:, pixels])
        rings.append(ring)
    if not rings:
        raise ValueError(f"{int(known.sum())} pixels are known in the image and in all references: too few")
    return SubtractedStar(left, noise, centre, tuple(rings), aligned)


def without_spikes(image: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """Return an image with NaN where a single pixel stands out more than a point source could."""
    image = np.asarray(image, float)
    filled = np.where(np.isfinite(image), image, np.nanmedian(image) if np.isfinite(image).any() else 0.0)
    fine = np.where(np.isfinite(image), image - median_filter(filled, 5), np.nan)
    highest = ndimage.maximum_filter(np.nan_to_num(fine), footprint=_NEIGHBOURS)
    spikes = find_spikes(fine, np.sqrt(variance), np.zeros(image.shape, bool), least_sigma=SPIKE_SIGMA)
    return np.where(spikes & (highest < MOST_BESIDE * fine), np.nan, image)


def _rings(known: np.ndarray, centre: tuple[float, float], width: float) -> list[np.ndarray]:
    """Return the known pixels of each ring about the star, from the inside."""
    y, x = np.indices(known.shape)
    number = (np.hypot(x - centre[0], y - centre[1]) / width).astype(int)
    return [np.flatnonzero(known & (number == one)) for one in range(int(number.max()) + 1)]
