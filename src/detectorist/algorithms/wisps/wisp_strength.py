"""How strong a wisp of known shape is in an image full of sources, also where it lies under a galaxy.

Filaments are tens of pixels wide, the light of a galaxy that hides them changes more slowly: planes fitted around every
place remove it from image and template alike, and the residuals of both are compared. Narrow planes follow a galaxy
better; wide ones leave more of the wisp, and of its broad filaments, which may be stronger or weaker than narrow ones:
strengths with planes of several widths are averaged (`wisp_average`). Compact sources are outliers of this comparison,
searched for with the wisp subtracted, round by round, with wider planes from where narrower ones left them. Planes are
fitted once more where the light of a large galaxy and halos of stars are subtracted, ring by ring: wide ones then
measure broad filaments beside and under it, and narrow ones need not follow a halo. The first strength is one that
sources cannot shift: least absolute deviations of differences between places.

Real wisps are not their templates. Their strength varies from place to place (several components under one template),
they are displaced, and blunter or sharper: these are parameters, held to zero as strongly as the image allows (evidence
of a Gaussian prior; MacKay 1992, Neural Computation 4, 415), and enter the error.
"""

from __future__ import annotations

from contextlib import suppress
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import nnls

from detectorist.algorithms.images.local_planes import fit_planes, fit_wide_planes
from detectorist.algorithms.images.sources import grow
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.wisps.bright_light import without_bright_light
from detectorist.algorithms.wisps.wisp_average import average_strengths
from detectorist.algorithms.wisps.wisp_bins import (
    BIN_PIX,
    MIN_LIT_BINS,
    N_DERIVATIVES,
    STRIPES,
    Planes,
    Sharp,
    bin_wisp,
    left_of,
    require_bins,
)
from detectorist.algorithms.wisps.wisp_variation import Strength, fit_variation, uneven_columns
from detectorist.errors import TooFewPixels

#: Widths (sigma) of the planes' Gaussian weights, pixel, and how often they are fitted, each time to what they left.
PLANES = ((28.0, 2), (60.0, 3), (120.0, 2))
#: The variance of a strength beside modelled light counts so many times, as far as it is not that of strengths that
#: vary: errors of the model are not followed, and without them strengths are wrong by twice what is stated.
MODEL_VARIANCE = 4.0
#: Scatter of bright light on the wisp, over the wisp's mean, from which there is much of it.
MUCH_LIGHT = 0.5
#: From this width on planes are fitted to squares of bins.
WIDE_PIX = 100.0
#: So many bins far from all light tell a template's noise to 5 %.
FAR_BINS = 300
#: What is left of a smooth surface by second differences along both axes: next to nothing.
SECOND_DIFFERENCES = np.outer([1.0, -2.0, 1.0], [1.0, -2.0, 1.0])
#: Most of a template's structure that may be noise, in variance.
MOST_NOISE = 0.8
#: Rounds of strength and sources in turn, and the change that ends them: of a strength, or part of a large one.
LEAST_ROUNDS, ROUNDS, SETTLED, SETTLED_PART = 2, 14, 2e-4, 2e-3
#: In so many of them the templates' noise is measured anew.
NOISE_ROUNDS = 2
#: A bin deviates beyond so many sigma; a share of the wisp's own light is no source either.
DEVIATES_SIGMA, MISFIT = 4.5, 0.15
#: Most and least of a galaxy's light that is structure, squared.
STRUCTURE_RANGE = (1e-5, 0.25)


def measure_strength(image: np.ndarray, usable: np.ndarray, templates: np.ndarray) -> Strength:
    """Measure the strength of a wisp.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Flat-fielded, without stripes as far as known; any level.
    usable : ndarray of bool, shape (ny, nx)
    templates : ndarray of float32, shape (n, ny, nx)
        Not smoothed: the bias of strengths by their noise is estimated from their dark parts and corrected. Smoothing
        removes structure from a template, which biases strengths.

    Returns
    -------
    Strength
        `local` and `excluded` on the pixels, (ny, nx).

    Raises
    ------
    TooFewPixels
        When too few usable pixels have light of the templates, or the components cannot be separated.

    Notes
    -----
    Light broader than about 120 pixels in a template is not measured itself but scaled with the filaments. About 0.6 s
    for a full frame.
    """
    bins = bin_wisp(image, usable, templates)
    found, starts = [], [Start(np.full(bins.n, _first_strength(bins)), ~bins.ok, STRUCTURE_RANGE[0])]
    for planes in PLANES:
        sharp, start = _fit_robustly(bins, starts[-1], *planes)
        found.append(fit_variation(bins, sharp, start.scale))
        starts.append(start)
    with suppress(TooFewPixels):
        found = _fit_without_bright_light(bins, starts, found)
    mean = average_strengths(found)
    excluded = np.repeat(np.repeat(mean.excluded, BIN_PIX, 0), BIN_PIX, 1)[: image.shape[0], : image.shape[1]]
    return mean._replace(local=_on_pixels(mean.local.astype(np.float32), image.shape), excluded=excluded)


def _fit_without_bright_light(bins, starts, before):
    """Return strengths of which some are measured where the light of a large galaxy and halos is subtracted.

    Those with the widest planes are measured with and without it. So are narrower ones, of which the second takes the
    place of the first where there is much such light on the wisp: a halo is steeper than planes can follow.

    starts : Start, of the first strength and then with planes of every width. before : strengths with all light.
    """
    clean = without_bright_light(bins, starts[2].scale, starts[1].excluded)
    seen = bins.lit & (clean.count > 0)
    taken, wisp = (bins.mean(0) - clean.mean(0))[seen], bins.wisp(starts[2].scale)[seen]
    first = 0 if taken.size and taken.std() > MUCH_LIGHT * np.abs(wisp).mean() else len(PLANES) - 1
    found = []
    for planes, start in list(zip(PLANES, (starts[1], starts[2], starts[2]), strict=True))[first:]:
        sharp, last = _fit_robustly(clean, start, *planes)
        found.append(_with_noise_of_model(fit_variation(clean, sharp, last.scale)))
    return [*before[:first], before[-1], *found]


def _with_noise_of_model(found):
    """Return a strength whose variance counts `MODEL_VARIANCE` times, but for that of strengths within places."""
    n_bins = found.excluded.size
    noise, uneven = found.causes[:, :n_bins], found.causes[:, n_bins:]
    of_places = uneven @ uneven.T
    covariance = of_places + MODEL_VARIANCE * (found.covariance - of_places)
    causes = np.concatenate([np.sqrt(MODEL_VARIANCE) * noise, uneven], axis=1)
    return found._replace(covariance=covariance, causes=causes)


def _on_pixels(bins, shape):
    """Return values of bins on the pixels, linear between their middles and constant beyond the outer ones."""
    rows, columns = (
        np.clip((np.arange(n) + 0.5) / BIN_PIX - 0.5, 0, m - 1) for n, m in zip(shape, bins.shape, strict=True)
    )
    across = np.stack([np.interp(rows, np.arange(len(bins)), one) for one in bins.T]).astype(np.float32)
    along = np.clip(1 - np.abs(np.arange(bins.shape[1])[:, None] - columns), 0, None).astype(np.float32)
    return across.T @ along


def _first_strength(bins):
    """Return the strength of all templates together by least absolute deviations of differences between bins."""
    image, wisp, ok = bins.mean(0), bins.wisp(np.ones(bins.n)), bins.ok
    differences, light = [], []
    for lag in (2, 4):
        for far, near in ((np.s_[lag:, :], np.s_[:-lag, :]), (np.s_[:, lag:], np.s_[:, :-lag])):
            both = ok[far] & ok[near]
            differences.append((image[far] - image[near])[both])
            light.append((wisp[far] - wisp[near])[both])
    difference, light = np.concatenate(differences), np.concatenate(light)
    large = np.abs(light) > 0.1 * np.percentile(np.abs(light), 99.8)
    if not large.any():
        return 0.0
    ratio, weight = difference[large] / light[large], np.abs(light[large])
    order = np.argsort(ratio)
    below = np.cumsum(weight[order])
    return max(float(ratio[order][np.searchsorted(below, below[-1] / 2)]), 0.0)


class Start(NamedTuple):
    """Strengths (n,), bins (ny, nx) with sources or without data, and structure of galaxies: where a fit starts."""

    scale: np.ndarray
    excluded: np.ndarray
    structure: float


def _fit_robustly(bins, start, kernel_pix, n_fits):
    """Return what planes leave without compact sources, and strengths of the whole wisp and what goes with them."""
    scale, excluded, structure = start
    fitted, derivatives = bins.totals[: 1 + bins.n], bins.totals[1 + bins.n :]

    fit = fit_planes if kernel_pix < WIDE_PIX else fit_wide_planes
    beside = grow(bins.lit, kernel_pix / BIN_PIX)

    def without_planes(totals):
        planes, weight = fit(totals, count, kernel_pix / BIN_PIX, rounds=n_fits)
        return np.where(bins.ok, totals / np.maximum(bins.count, 1) - planes, 0), planes, weight

    for round_ in range(ROUNDS):
        count = np.where(excluded, 0, bins.count)
        rest, planes, planes_weight = without_planes(fitted)
        seen = (planes_weight > 0.1 * BIN_PIX**2) & ~excluded
        light = np.maximum(planes[0] - np.tensordot(scale, planes[1:], 1), 0)
        if round_ < NOISE_ROUNDS:
            noise = _template_noise(rest[1:], seen & ~bins.lit, beside)
        white = STRIPES * bins.white + scale**2 @ noise
        left = left_of(rest, scale)
        if round_ > 1:
            structure = _structure(left, light, white, seen, structure)
        own = np.abs(bins.wisp(scale))
        limit = DEVIATES_SIGMA * np.sqrt(white + structure * light**2 + (MISFIT * own) ** 2)
        used = seen & bins.lit & (np.abs(left) < limit)
        require_bins(used)
        weight = 1 / (white + structure * light**2 + (MISFIT * own / 3) ** 2)
        before, scale = scale, _solve_strengths(rest, weight, used, noise)
        excluded = ~bins.ok | ndimage.maximum_filter(left_of(rest, scale) > limit, 3)
        if round_ > LEAST_ROUNDS and np.abs(scale - before).max() < max(SETTLED, SETTLED_PART * np.abs(scale).max()):
            break
    rest = np.concatenate([rest, without_planes(derivatives)[0]])
    noise = _shared_noise(rest[1:], seen & ~bins.lit, beside)
    uneven = uneven_columns(bins, scale, rest, (lambda one: without_planes(one)[0]) if kernel_pix > WIDE_PIX else None)
    surface = Planes(count, planes_weight, kernel_pix / BIN_PIX, n_fits)
    sharp = Sharp(rest, noise, white, structure * light**2, used, excluded, uneven, surface)
    return sharp, Start(scale, excluded, structure)


def _template_noise(templates, dark, beside):
    """Return the variance of the noise of templates (n, ny, nx) in bins without light; 0 where there are too few.

    Faint wings beside the light, and what planes make of them, scatter too: bins as far as the planes reach, `beside`
    (ny, nx), are left out. Where the image is too small for that, noise is told from second differences, in which wings
    cancel (Immerkaer 1996, Computer Vision and Image Understanding 64, 300), as does noise that neighbouring bins
    share: that of derivatives, which come from smoothed templates, would be told to be too small.
    """
    if dark.sum() < MIN_LIT_BINS:
        return np.zeros(len(templates))
    far = dark & ~beside
    if far.sum() >= FAR_BINS:
        return (1.4826 * np.median(np.abs(templates[:, far]), axis=1)) ** 2
    scatter = 1.4826 * np.median(np.abs(templates[:, dark]), axis=1)
    inner = ndimage.binary_erosion(dark, np.ones((3, 3)))
    if inner.sum() < MIN_LIT_BINS:
        return scatter**2
    rough = np.array([ndimage.convolve(one, SECOND_DIFFERENCES)[inner] for one in templates])
    return np.minimum(scatter, 1.4826 * np.median(np.abs(rough), axis=1) / np.linalg.norm(SECOND_DIFFERENCES)) ** 2


def _shared_noise(columns, dark, beside):
    """Return the covariance of the noise of templates and their derivatives (n + 3, ny, nx) in dark bins.

    Second derivatives share noise with their templates, first ones do not. Variances of sums and differences are
    robust where means of products are not.
    """
    noise = np.sqrt(_template_noise(columns, dark, beside))
    covariance = np.diag(noise**2)
    if not noise.all():
        return covariance
    templates, second = columns[:-N_DERIVATIVES] / noise[:-N_DERIVATIVES, None, None], columns[-1] / noise[-1]
    # Of equal scatter, the sum's and the difference's tell the correlation.
    above, below = np.split(_template_noise(np.concatenate([templates + second, templates - second]), dark, beside), 2)
    shared = (above - below) / (above + below) * noise[:-N_DERIVATIVES] * noise[-1]
    covariance[: len(templates), -1] = covariance[-1, : len(templates)] = shared
    return covariance


def _structure(left, light, white, seen, before):
    """Return the part of a galaxy's light that planes do not follow, squared, from where there is light."""
    lit = seen & (light > 3 * np.sqrt(white))
    if lit.sum() < 100:
        return before
    # 0.455 is the median of the square of a standard normal deviate.
    share = typed_median((left[lit] ** 2 / 0.455 - white[lit]) / light[lit] ** 2)
    return float(np.clip(share, *STRUCTURE_RANGE))


def _solve_strengths(rest, weight, used, noise):
    """Return strengths without what the templates' noise takes off them (Fuller 1987, Measurement Error Models)."""
    n = noise.size
    weight, templates = weight[used], rest[1 : 1 + n, used]
    normal, moment = (templates * weight) @ templates.T, (templates * weight) @ rest[0, used]
    if (noise * weight.sum() > MOST_NOISE * np.diag(normal)).any():
        raise TooFewPixels("wisp fit: the template is hardly more than noise", noise=[float(one) for one in noise])
    normal -= np.diag(noise) * weight.sum()
    if n == 1:
        return moment / normal[0]
    values, vectors = np.linalg.eigh(normal)
    if values[0] < 1e-8 * values[-1]:
        raise TooFewPixels("wisp fit: the usable pixels cannot separate the components", components=list(range(n)))
    root = np.sqrt(values)[:, None] * vectors.T
    return nnls(root, vectors.T @ moment / np.sqrt(values))[0]
