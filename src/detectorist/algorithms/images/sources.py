"""Masks of stars and galaxies, including light below the noise of a single pixel.

Tiers of increasing smoothness, as in the masks of the CEERS survey (Bagley et al. 2023, ApJ 946 L12): compact sources
first, then the fainter parts of galaxies and wings in images smoothed more and more, each grown by its own radius. Rows
are levelled beforehand, output by output, so that stripes are not detected as sources, and the sky is a smooth surface.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from detectorist.algorithms.images.local_planes import smooth_bins
from detectorist.algorithms.medians import typed_median
from detectorist.errors import ParameterError, TooFewPixels

#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Fewest usable pixels for a detection.
MIN_PIXELS = 400
#: What is larger than a disk of this radius grows by a part of its own radius: wings of galaxies reach as far as they
#: are large, and what is left outside is taken for slow noise and seen in no image without noise. Bins save time.
HALO_FROM_PIX, HALO_PART, HALO_BIN_PIX = 30.0, 0.1, 8
#: An output's row whose level is farther above the others', in their scatter, is lit; fewest rows that tell.
LIT_ROW_SIGMA, MIN_ROWS = 4.0, 16
#: Rows of a large image that tell level and noise of its pixels.
SKY_ROWS = 128
#: Fewest independent places of a smoothed image whose scatter is believed where it is less than white noise makes.
MIN_BEAMS = 100
#: On frames smaller than this a galaxy can be as large as a term of the sky's surface, which then takes its wings, and
#: most of the frame be lit. Without stripes, gradients are gone: no surface is needed, and the dark side tells the sky.
SURFACE_FROM_PIX = 512
#: Radius up to which a mask is grown row by row, pixel: larger disks are quicker by distances.
FEW_ROWS = 8
#: Pixels of the bins from which the surface of the sky is fitted, and the powers (y, x) of its terms.
SKY_BIN_PIX = 32
SKY_POWERS = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (2, 0))


@dataclass(frozen=True)
class Tier:
    """One pass of the detection.

    bin_pix : int
        Size of the square bins in which it works, pixel.
    kernel_pix : float
        Width (sigma) of the Gaussian by which the image is smoothed, pixel.
    n_sigma : float
        Threshold over the scatter of the smoothed image.
    min_area_pix : float
        Smallest area of a detection, pixel.
    grow_pix : float
        Radius by which detections grow, pixel.
    """

    bin_pix: int
    kernel_pix: float
    n_sigma: float
    min_area_pix: float
    grow_pix: float


#: From compact sources to the outskirts of galaxies.
TIERS = (
    Tier(bin_pix=2, kernel_pix=2.0, n_sigma=3.0, min_area_pix=12, grow_pix=3),
    Tier(bin_pix=4, kernel_pix=5.0, n_sigma=3.0, min_area_pix=64, grow_pix=8),
    Tier(bin_pix=8, kernel_pix=12.0, n_sigma=3.0, min_area_pix=256, grow_pix=18),
    Tier(bin_pix=8, kernel_pix=25.0, n_sigma=3.5, min_area_pix=1024, grow_pix=36),
)


@dataclass(frozen=True)
class SourceMask:
    """Result of a detection.

    mask : ndarray of bool, shape (ny, nx)
        True where light of sources is. Bad pixels are not in it unless they lie in a source.
    tier : ndarray of uint8, shape (ny, nx)
        Number of the tier that found the source, from 1, the last for the wings of large ones; 0 elsewhere.
    n_sources : tuple of int
        Detections of each tier.
    """

    mask: np.ndarray
    tier: np.ndarray
    n_sources: tuple[int, ...]


def mask_sources(
    image: np.ndarray,
    bad: np.ndarray,
    *,
    n_outputs: int = 1,
    level_rows: bool = True,
    tiers: tuple[Tier, ...] = TIERS,
) -> SourceMask:
    """Find sources.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Flat-fielded, known diffuse light (wisps) subtracted, outputs side by side along x; any linear unit and any
        level. Non-finite pixels are ignored.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    n_outputs : int
        Stripes of columns read through an output each: rows are levelled within them.
    level_rows : bool
        False for an image that is free of stripes and of the sky's gradients, where a source may then fill rows.
    tiers : tuple of Tier

    Returns
    -------
    SourceMask

    Raises
    ------
    TooFewPixels
        When less than 400 pixels are usable or have no scatter.
    ParameterError
        When the outputs do not share the columns evenly.

    Notes
    -----
    Where rows are levelled, a source that fills the row of an output is found only as far as it raises its level by
    more than four times the scatter of the rows. About 0.2 s and 30 bytes per pixel for a full frame.
    """
    image, bad = np.asarray(image), np.asarray(bad, bool)
    ny, nx = image.shape
    if n_outputs < 1 or nx % n_outputs:
        raise ParameterError(f"{nx} columns cannot be shared by {n_outputs} outputs")
    usable = ~bad & np.isfinite(image)
    level, noise = _sky(image, usable)
    left = np.where(usable, image - level, 0).astype(np.float32)
    edges = np.arange(0, nx + 1, nx // n_outputs if level_rows else nx)
    found = np.zeros((ny, nx), np.uint8)
    numbers = []
    levels = None if level_rows else np.zeros((ny, 1), np.float32)
    for number, tier in enumerate(tiers, start=1):
        free = usable & (found == 0)
        if level_rows:
            levels = _rough_levels(left, free, edges, 3.0 * noise, levels)
        detected, n_sources = _detect(left, free, edges, levels, noise, tier, level_rows)
        found[_enlarge(detected, tier.bin_pix, found.shape) & (found == 0)] = number
        numbers.append(n_sources)
    found[_halos(found > 0) & (found == 0)] = len(tiers)
    return SourceMask(found > 0, found, tuple(numbers))


def _sky(image, usable):
    """Return level and standard deviation of a pixel, from every fourth row, of large images from fewer."""
    step = max(4, len(image) // SKY_ROWS)
    part, seen = image[::step], usable[::step]
    both = seen[:, 1:] & seen[:, :-1]
    steps = np.abs(part[:, 1:] - part[:, :-1])[both]
    noise = MAD_TO_SIGMA / np.sqrt(2) * float(typed_median(steps)) if steps.size else 0.0
    values = part[seen]
    if values.size < MIN_PIXELS / 4 or noise <= 0:
        raise TooFewPixels(
            f"source mask: {int(usable.sum())} usable pixels with a scatter of {noise:.2g}; {MIN_PIXELS} that "
            "scatter are needed",
            n_usable=int(usable.sum()),
        )
    return _dark_side(values, MIN_PIXELS // 8)[0], noise


def _dark_side(values, fewest):
    """Return median and scatter of values without light: it adds to one side, which is cut down towards the other."""
    for _ in range(8):
        level = float(typed_median(values))
        scatter = MAD_TO_SIGMA * float(typed_median(level - values[values <= level]))
        kept = values[values <= level + 2 * scatter]
        if kept.size > 0.999 * values.size or kept.size < fewest:
            break
        values = kept
    return level, scatter


def _levels_of_noise(levels):
    """Return levels of rows (ny, n_parts) as far as they are noise, NaN filled.

    A galaxy that fills the row of an output raises its level by more than the noise does. Such rows take the dark level
    of their output and what the other outputs have in common in that row.
    """
    dark = [_dark_side(one[np.isfinite(one)], MIN_ROWS) if np.isfinite(one).any() else (0.0, 0.0) for one in levels.T]
    level, scatter = np.array(dark).T
    above = levels - level
    lit = ~(above <= LIT_ROW_SIGMA * typed_median(scatter))
    common = np.zeros(len(levels))
    told = ~lit.all(axis=1)
    common[told] = np.nanmedian(np.where(lit, np.nan, above)[told], axis=1)
    return np.where(lit, level + common[:, None], levels).astype(np.float32)


def _rough_levels(left, usable, edges, clip, before):
    """Return levels of rows as far as they are noise; those of the tier before are where the search begins."""
    from detectorist.algorithms.images._sources_nb import improve_levels, row_levels

    if before is None:
        return _levels_of_noise(row_levels(left, usable, edges, clip))
    return _levels_of_noise(improve_levels(left, usable, edges, clip, before))


def _detect(left, usable, edges, levels, noise, tier, level_rows):
    """Return where a tier finds sources, grown, on its own bins, and how many there are."""
    from detectorist.algorithms.images._sources_nb import bin_sums

    total, count = bin_sums(left, usable, levels, edges, tier.bin_pix)
    may_be_lit = not level_rows and min(left.shape) < SURFACE_FROM_PIX
    if not may_be_lit:
        total -= count * _surface(total, count, tier.bin_pix)
    sigma = tier.kernel_pix / tier.bin_pix
    weight, smooth = smooth_bins(count, sigma), smooth_bins(total, sigma)
    # A bin whose surroundings are mostly masked has too few pixels to tell a source.
    seen = weight > 0.2 * tier.bin_pix**2
    smooth = np.where(seen, smooth / np.maximum(weight, 1e-6), 0.0)
    if seen.sum() < MIN_PIXELS // 40:
        return np.zeros(seen.shape, bool), 0
    values = smooth[seen]
    if may_be_lit:
        middle, scatter = _dark_side(values, MIN_PIXELS // 40)
    else:
        # The scatter of the lower half: sources are in the upper one.
        middle = typed_median(values)
        scatter = MAD_TO_SIGMA * float(typed_median(middle - values[values <= middle]))
    beam_pix = 4 * np.pi * tier.kernel_pix**2
    if seen.sum() * tier.bin_pix**2 < MIN_BEAMS * beam_pix:
        scatter = max(scatter, noise / np.sqrt(beam_pix))
    if scatter <= 0:
        return np.zeros(seen.shape, bool), 0
    n_pixels = max(1, round(tier.min_area_pix / tier.bin_pix**2))
    segments, n_segments = ndimage.label(smooth > middle + tier.n_sigma * scatter, np.ones((3, 3)))
    is_large = np.bincount(segments.ravel(), minlength=n_segments + 1) >= n_pixels
    is_large[0] = False  # what is below the threshold
    return grow(is_large[segments], tier.grow_pix / tier.bin_pix), int(is_large.sum())


def grow(mask: np.ndarray, radius_pix: float) -> np.ndarray:
    """Return `mask` (ny, nx) grown by a disk: True within `radius_pix` of a True pixel."""
    from detectorist.algorithms.images._sources_nb import grow_by_rows

    if radius_pix < 1 or not mask.any():
        return mask.copy()
    if radius_pix <= FEW_ROWS:
        offsets = np.arange(int(radius_pix) + 1)
        return grow_by_rows(np.ascontiguousarray(mask), np.sqrt(radius_pix**2 - offsets**2).astype(np.int64))
    return ndimage.distance_transform_edt(~mask) <= radius_pix


def hysteresis(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Return the connected regions of `low | high` (ny, nx, bool) that hold a True pixel of `high`."""
    labels, n = ndimage.label(low | high)
    kept = np.zeros(n + 1, bool)
    kept[np.unique(labels[high])] = True
    kept[0] = False
    return kept[labels]


def _halos(mask):
    """Return what large sources grow by, (ny, nx) bool."""
    ny, nx = (-(-n // HALO_BIN_PIX) for n in mask.shape)
    padded = np.zeros((ny * HALO_BIN_PIX, nx * HALO_BIN_PIX), np.uint8)
    padded[: mask.shape[0], : mask.shape[1]] = mask
    in_rows = padded.reshape(ny, HALO_BIN_PIX, -1).sum(axis=1, dtype=np.uint8)
    bins = in_rows.reshape(ny, nx, HALO_BIN_PIX).sum(axis=2, dtype=np.uint8) > HALO_BIN_PIX**2 / 2
    labels, n = ndimage.label(ndimage.binary_opening(bins, structure=np.ones((3, 3))))
    radius = np.sqrt(np.bincount(labels.ravel(), minlength=n + 1) / np.pi)
    grown = np.zeros(bins.shape, bool)
    for number in np.flatnonzero(radius * HALO_BIN_PIX >= HALO_FROM_PIX):
        if number > 0:
            grown |= grow(labels == number, HALO_PART * radius[number])
    return _enlarge(grown, HALO_BIN_PIX, mask.shape)


def _surface(total, count, bin_pix):
    """Return a polynomial surface of the sky on the bins, fitted to the medians of coarser ones."""
    size = max(1, SKY_BIN_PIX // bin_pix)
    ny, nx = (n // size * size for n in total.shape)
    if min(ny, nx) < 4 * size:
        return 0.0
    mean, known = (total / np.maximum(count, 1))[:ny, :nx], (count > 0)[:ny, :nx]
    mean, known = (
        one.reshape(ny // size, size, nx)
        .sum(axis=1, dtype=np.float32)
        .reshape(ny // size, nx // size, size)
        .sum(axis=2)
        for one in (mean, known)
    )
    seen = known > size * size // 2
    coarse = np.where(seen, mean / np.maximum(known, 1), 0).astype(float)
    yc, xc = (np.linspace(-1, 1, n) for n in coarse.shape)
    terms = np.array([np.outer(yc**i, xc**j).ravel() for i, j in SKY_POWERS]).T
    data, use = coarse.ravel(), seen.ravel()
    for _ in range(5):
        if use.sum() < 4 * len(SKY_POWERS):
            return 0.0
        found, *_ = np.linalg.lstsq(terms[use], data[use], rcond=None)
        rest = data - terms @ found
        scatter = MAD_TO_SIGMA * typed_median(np.abs(rest[use]))
        use = seen.ravel() & (rest < 2 * scatter) & (rest > -3 * scatter)
    y, x = (np.linspace(-1, 1, n, dtype=np.float32) for n in total.shape)
    along_y, along_x = (np.stack([one ** power[axis] for power in SKY_POWERS]) for axis, one in enumerate((y, x)))
    return (along_y * found[:, None].astype(np.float32)).T @ along_x


def _enlarge(mask, factor, shape):
    """Return a binned mask on the pixels."""
    return np.repeat(np.repeat(mask, factor, axis=0), factor, axis=1)[: shape[0], : shape[1]]
