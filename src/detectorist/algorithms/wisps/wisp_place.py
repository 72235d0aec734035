"""Where in an image a wisp of known shape lies: a template out of place would pass for one that is weak.

The strength of the template over all displacements, in units of its error, both without light that changes slowly. What
sources and noise make of it is told from places where no wisp can be, so that no model of either is needed.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from scipy import fft, ndimage

from detectorist.algorithms.images.local_planes import bin_image
from detectorist.algorithms.wisps.wisp_fit import FULL_FRAME_OUTPUTS

#: Side of the square bins, pixel: filaments are tens of pixels wide.
BIN_PIX = 8
#: Width (sigma, bins) of the surroundings whose level is taken off.
LEVEL_BINS = 5.0
#: Sources are brought down to so many sigma: they count as much as noise.
CAPPED_SIGMA = 4.0
#: Displacements that are tried, bins along either axis; farther ones tell what chance makes.
NEAR_BINS, FARTHEST_BINS = 12, 40
#: A wisp is seen elsewhere from so many sigma on, and by this factor above all that chance makes,
FOUND_SIGMA, ABOVE_CHANCE = 5.0, 1.2
#: if it is seen better there by so many sigma and by this factor. Right templates, also of two components and displaced
#: by 2 pixels, are worse than another place by up to 4.1 sigma and by a factor of up to 1.22, which bright galaxies on
#: the wisp make (56 scenes).
BETTER_SIGMA, BETTER_FACTOR = 5.0, 1.3
#: Least part of the template's light that a displacement leaves in the image.
LEAST_SHARED = 0.5


@dataclass(frozen=True)
class WispPlace:
    """Where a wisp lies.

    displacement : tuple of float
        (y, x) of the wisp from its template, pixel, in steps of 8; (0, 0) unless another place is clearly better.
    sigma, sigma_there : float
        Strength over its error at the template's place and at the best one, in units of what chance makes of it.
    """

    displacement: tuple[float, float]
    sigma: float
    sigma_there: float


def find_wisp_place(image: np.ndarray, bad: np.ndarray, template: np.ndarray) -> WispPlace | None:
    """Tell whether a wisp lies where its template says.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        In the unit and flat-fielding of the template; sources, sky and stripes may be in it.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used. Sources need not be masked, and a wisp must not be.
    template : ndarray of float, shape (ny, nx)
        Not finite where it is unknown.

    Returns
    -------
    WispPlace or None
        None where the image is too small to tell.
    """
    light, known = _relief(template, ~np.isfinite(template))
    rest, seen = _relief(image, bad)
    rest = _without_stripes(rest, seen)
    spread = 1.4826 * float(np.median(np.abs(rest[seen]))) if seen.any() else 0.0
    if spread <= 0 or not light.any():
        return None
    capped = np.clip(rest, -CAPPED_SIGMA * spread, CAPPED_SIGMA * spread)
    sigma, shared = _correlate(capped, seen, np.where(known, light, 0))
    return _judge(sigma, shared)


def _relief(image, bad):
    """Return an image in bins about the level of their surroundings, 0 where nothing is seen, and where it is seen."""
    usable = ~np.asarray(bad, bool) & np.isfinite(image)
    total, count = bin_image(np.where(usable, image, 0), usable, BIN_PIX)
    seen = count >= BIN_PIX**2 / 2
    weight = seen.astype(float)
    mean = np.where(seen, total / np.maximum(count, 1), 0)
    around = ndimage.gaussian_filter(weight, LEVEL_BINS)
    level = ndimage.gaussian_filter(mean, LEVEL_BINS) / np.maximum(around, 1e-3)
    return (mean - level) * weight, seen


def _without_stripes(rest, seen):
    """Return bins about the median of their row in their output, and of their column."""
    held = np.where(seen, rest, np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # rows of which nothing is seen
        for some in np.array_split(np.arange(rest.shape[1]), FULL_FRAME_OUTPUTS):
            held[:, some] -= np.nanmedian(held[:, some], axis=1, keepdims=True)
        held -= np.nanmedian(held, axis=0, keepdims=True)
    return np.nan_to_num(held)


def _correlate(rest, seen, light):
    """Return the fitted strength over its error for all displacements, and the share of the light that is seen.

    The error is that of the scatter about the fit where the template has light: a galaxy is unlike it and scatters.
    Displacements run from -n to n - 1 along both axes, zero in the middle.
    """
    shape = [fft.next_fast_len(2 * n, real=True) for n in rest.shape]
    powers = [np.conj(fft.rfft2(light**n, shape)) for n in range(1, 5)]

    def against(values, n):
        return fft.fftshift(fft.irfft2(fft.rfft2(values, shape) * powers[n - 1], shape))

    data, squares, known = rest, rest**2, seen.astype(float)
    power = against(known, 2)
    whole = float((light**2).sum())
    weight = np.maximum(power, 1e-6 * whole)
    strength = against(data, 1) / weight
    scatter = (against(squares, 2) - 2 * strength * against(data, 3) + strength**2 * against(known, 4)) / weight
    return strength * np.sqrt(weight / np.maximum(scatter, 1e-30)), power / whole


def _judge(correlation, shared):
    """Compare the best place with the one given."""
    y, x = np.indices(correlation.shape)
    y, x = y - correlation.shape[0] // 2, x - correlation.shape[1] // 2
    distance = np.maximum(np.abs(y), np.abs(x))
    comparable = shared > LEAST_SHARED
    by_chance = comparable & (distance > NEAR_BINS) & (distance <= FARTHEST_BINS)
    chance = correlation[by_chance]
    if chance.size < NEAR_BINS**2:
        return None
    sigma = correlation / max(1.4826 * float(np.median(np.abs(chance - np.median(chance)))), 1e-30)
    near = np.where(comparable & (distance <= NEAR_BINS), sigma, -np.inf)
    best = np.unravel_index(np.argmax(near), near.shape)
    given, there = float(sigma[(y == 0) & (x == 0)][0]), float(near[best])
    found = there > max(FOUND_SIGMA, ABOVE_CHANCE * float(sigma[by_chance].max()))
    given_at_least = max(given, 0.0)
    better = there**2 - given_at_least**2 > BETTER_SIGMA**2 and there > BETTER_FACTOR * given_at_least
    moved = (float(BIN_PIX * y[best]), float(BIN_PIX * x[best])) if found and better else (0.0, 0.0)
    return WispPlace(moved, given, there)
