"""The light of a star behind a coronagraph, separated from stripes in the same image.

Stripes that all integrations share (the mean of their 1/f noise, or that of a single image) can be separated from the
star only by shape: light is a function of the distance from the star, plus speckles and spikes near it; stripes run
along the rows of the whole image. So the light is modelled by its profile of medians in rings, and where it is bright
or rough the stripes are not measured but interpolated from the rest of their rows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from detectorist.algorithms.median_filter import median_filter
from detectorist.algorithms.medians import typed_median
from detectorist.errors import TooFewPixels

#: Width of the innermost ring, and by how much of its radius each one is wider than the one before.
RING_PIX, RING_GROWTH = 2.0, 0.1
#: Where pixels begin to count for less in the stripes, and where they count for nothing, so that no estimate hangs
#: on the side of a limit on which a pixel happens to be:
#: brightness of the ring above the sky, in units of a pixel's noise: speckles and spikes are about a third of the
#: light, so below this they hide in the noise;
BRIGHT_SIGMA = (1.25, 3.75)
#: local mean square over that of the image: speckles, a companion, an edge;
ROUGHNESS = (1.2, 2.2)
ROUGH_BOX_PIX = 9
#: distance from the light, in units of the noise.
OUTLIER_SIGMA = (3.0, 5.0)
LEAST_KEPT = 0.25
#: Boxes (rows, columns) in which light that is longer along the rows than a speckle shows, what their mean may be in
#: units of its usual scatter, and the part of a box that must be usable.
LUMP_BOXES = ((1, 9), (1, 25), (3, 9), (3, 25), (9, 9), (9, 25), (3, 75))
LUMP_SIGMA, LEAST_SHARE = 3.0, 0.3
#: Search for point sources: running median along a row, width of a source, threshold in robust sigma.
ROW_MEDIAN_PIX, POINT_SIGMA_PIX, POINT_CUT_SIGMA = 25, 1.0, 5.0
N_PASSES = 3


class Separated(NamedTuple):
    """Result of `separate_star`."""

    star: np.ndarray  # (ny, nx), the image without its stripes
    stripes: object  # what `estimate` returned last, or None where too few pixels were left
    weight: np.ndarray  # (ny, nx) float32, what a pixel counted for in the stripes, 0 to 1
    light: np.ndarray  # (ny, nx), what was taken off before the stripes were told


def separate_star(
    image: np.ndarray,
    mask: np.ndarray,
    estimate: Callable,
    *,
    noise: float | None = None,
    fit_light: Callable | None = None,
) -> Separated:
    """Split an image into star and stripes.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used. Non-finite pixels are not.
    estimate : callable
        `estimate(image, weight)` returns an object whose `pattern` (ny, nx) are the stripes of an image
        without light, and raises TooFewPixels where it cannot; weight (ny, nx) is 1 where a pixel counts, 0 where it
        does not.
    noise : float, optional
        Noise of a pixel, unit of the image; by default from the differences of neighbours along the rows.
    fit_light : callable, optional
        `fit_light(image, weight, rings)` returns the light (ny, nx) that medians in rings have missed, fitted together
        with the stripes: `image` still contains the stripes, but not `rings`.

    Notes
    -----
    Light and stripes are estimated in turn, three times. Light that neither rings nor `fit_light` describe (a spike
    along the rows fainter than the noise of a pixel) is attributed to the stripes. Cost: three stripe estimates.
    """
    usable = np.isfinite(image) & ~mask
    noise = pixel_noise(image, usable) if noise is None else noise
    if not usable.any() or not np.isfinite(noise):
        return Separated(image.copy(), None, usable.astype(np.float32), image)
    centre = star_centre(image, usable)
    usable &= ~compact_sources(image - ring_profile(image, usable, centre), usable)
    star, light, stripes, weight = image, image, None, usable.astype(np.float32)
    for k in range(N_PASSES):
        rings = ring_medians(star, usable, centre)
        halo = rings.image(image.shape)
        weight = calm_weight(star - halo, halo, usable, noise)
        if k > 0:  # before, lumps are stripes
            weight *= even_weight(star - light, usable)
        light = halo
        if fit_light is not None:
            light = halo + fit_light(image - halo, weight, rings)
        try:
            stripes = estimate(image - light, weight)
        except TooFewPixels:
            break
        star = image - stripes.pattern
    return Separated(star, stripes, weight, light)


def pixel_noise(image: np.ndarray, usable: np.ndarray) -> float:
    """Return the noise of a pixel from differences of neighbours along the rows; NaN without a usable pair."""
    both = usable[..., 1:] & usable[..., :-1]
    differences = (image[..., 1:] - image[..., :-1])[both]
    return float(typed_median(np.abs(differences)) * 1.4826 / np.sqrt(2)) if differences.size else np.nan


def star_centre(image: np.ndarray, usable: np.ndarray) -> tuple[float, float]:
    """Return (y, x) of the centre of what is brighter than half the peak, at the resolution of a few pixels.

    The light of a star behind a mask is a ring about it, so its peak is no centre; the centre of gravity is.
    """
    weight = np.maximum(ndimage.gaussian_filter(usable.astype(float), 3.0), 1e-3)
    smooth = ndimage.gaussian_filter(np.where(usable, image, 0.0), 3.0) / weight
    smooth -= typed_median(smooth)
    bright = smooth > 0.5 * smooth.max()
    if not bright.any():
        return (image.shape[0] - 1) / 2, (image.shape[1] - 1) / 2
    y, x = ndimage.center_of_mass(np.where(bright, smooth, 0.0))
    return float(y), float(x)


class Rings(NamedTuple):
    """Light in rings about a star."""

    centre: tuple[float, float]  # y, x
    radii: np.ndarray  # (n_rings,), mean distance of the pixels of each ring
    light: np.ndarray  # (n_rings,)

    def image(self, shape: tuple[int, int]) -> np.ndarray:
        """Return (ny, nx) the light, straight lines between the rings."""
        yy, xx = np.ogrid[: shape[0], : shape[1]]
        return np.interp(np.hypot(yy - self.centre[0], xx - self.centre[1]), self.radii, self.light)


def ring_profile(image: np.ndarray, usable: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Return (ny, nx) the median of the usable pixels in rings about `centre`, straight lines between."""
    return ring_medians(image, usable, centre).image(image.shape)


def ring_medians(image: np.ndarray, usable: np.ndarray, centre: tuple[float, float]) -> Rings:
    """Return the medians of the usable pixels in rings about `centre`.

    Rings widen outward: the light there is smooth, and stripes enter the median of a narrow ring.
    """
    yy, xx = np.ogrid[: image.shape[0], : image.shape[1]]
    radius = np.hypot(yy - centre[0], xx - centre[1])
    n_rings = int(np.log1p(radius.max() * RING_GROWTH / RING_PIX) / np.log1p(RING_GROWTH)) + 1
    edges = RING_PIX / RING_GROWTH * ((1 + RING_GROWTH) ** np.arange(n_rings + 1) - 1)
    ring = np.searchsorted(edges, radius[usable], side="right") - 1
    order = np.argsort(ring, kind="stable")
    values, distance = image[usable][order], radius[usable][order]
    starts = np.searchsorted(ring[order], np.arange(n_rings + 1))
    known = [slice(first, last) for first, last in pairwise(starts) if last > first]
    medians = np.array([typed_median(values[part]) for part in known])
    return Rings(centre, np.array([distance[part].mean() for part in known]), medians)


def compact_sources(residual: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return (ny, nx) bool, True within 2 pixels of a point-like peak or dip relative to its row.

    A companion mistaken for stripes in the first round would no longer stand out, so it is searched for beforehand: in
    the image minus the running median of each row, which removes most of the stripes, smoothed to the size of a point
    source.
    """
    filled = np.where(usable, residual, 0.0).astype(np.float32)
    high = np.where(usable, filled - median_filter(filled, (1, ROW_MEDIAN_PIX)), 0.0)
    weight = np.maximum(ndimage.gaussian_filter(usable.astype(np.float32), POINT_SIGMA_PIX), 0.2)
    smooth = ndimage.gaussian_filter(high, POINT_SIGMA_PIX) / weight
    stands_out = np.abs(smooth) > POINT_CUT_SIGMA * 1.4826 * typed_median(np.abs(smooth[usable]))
    yy, xx = np.mgrid[-2:3, -2:3]
    return ndimage.binary_dilation(stands_out & usable, structure=np.hypot(yy, xx) <= 2)


def calm_weight(residual: np.ndarray, halo: np.ndarray, usable: np.ndarray, noise: float) -> np.ndarray:
    """Return (ny, nx) float32, 1 where stripes can be measured, falling to 0 where the light is too bright or rough.

    residual : (ny, nx), the image minus stripes and `halo`. noise : that of a pixel.
    """
    sigma = 1.4826 * typed_median(np.abs(residual[usable]))
    square = np.where(usable, np.clip(residual, -20 * sigma, 20 * sigma) ** 2, 0.0)
    share = np.maximum(ndimage.uniform_filter(usable.astype(float), ROUGH_BOX_PIX), 1e-3)
    local = ndimage.uniform_filter(square, ROUGH_BOX_PIX) / share
    usual = typed_median(local[usable])
    if not (usual > 0 and noise > 0):
        return usable.astype(np.float32)
    rough, bright = local / usual, (halo - halo.min()) / noise
    # Where light is everywhere, its calmest quarter has to do.
    unrest = np.maximum(rough / np.mean(ROUGHNESS), bright / np.mean(BRIGHT_SIGMA))
    limit = max(1.0, float(np.quantile(unrest[usable], LEAST_KEPT)))
    weight = _falling(rough / limit, *ROUGHNESS) * _falling(bright / limit, *BRIGHT_SIGMA)
    weight *= _falling(np.abs(residual) / np.sqrt(usual), *OUTLIER_SIGMA)
    return np.where(usable, weight, 0.0).astype(np.float32)


def even_weight(residual: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return (ny, nx) float32, 1 where no excess light is left, less where boxes of several shapes show some.

    residual : (ny, nx), the image minus stripes and light.

    An excess that is a multiple of the usual scatter of a box's mean is treated as noise common to the pixels of the
    box: their weights are lowered until their mean is as uncertain as the excess is large.
    """
    filled, count = np.where(usable, residual, 0.0), usable.astype(float)
    weight = np.ones(residual.shape, np.float32)
    for box in LUMP_BOXES:
        share = ndimage.uniform_filter(count, box, mode="constant")
        mean = ndimage.uniform_filter(filled, box, mode="constant") / np.sqrt(np.maximum(share, 1e-6))
        told = share > LEAST_SHARE
        usual = 1.4826 * typed_median(np.abs(mean[told])) if told.any() else 0.0
        if usual > 0:
            lumps = ndimage.maximum_filter(np.where(told, np.abs(mean), 0.0), box) / usual
            weight = np.minimum(weight, 1 / np.maximum(lumps / LUMP_SIGMA, 1) ** 2)
    return weight.astype(np.float32)


def _falling(values, first, last):
    """Return 1 up to `first`, 0 from `last` on, a straight line between."""
    return np.clip((last - values) / (last - first), 0.0, 1.0)
