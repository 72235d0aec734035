"""How strong a wisp of known shape is in an image full of sources, also where it lies under a galaxy.

Filaments are tens of pixels wide, the light of a galaxy that hides them changes more slowly: planes fitted around every
place take it off image and template alike, and what is left of the image is compared with what is left of the
template. Compact sources are what deviates from that, looked for with the wisp taken off, round by round. The first
strength is one that they cannot shift: least absolute deviations of differences between places.

Real wisps are not their templates. Their strength varies from place to place (several components under one template),
and they are displaced: both are parameters, held to zero as strongly as the image allows (evidence of a Gaussian prior;
MacKay 1992, Neural Computation 4, 415), and enter the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from scipy import ndimage
from scipy.optimize import nnls

from detectorist.algorithms.images.local_planes import bin_image, fit_planes
from detectorist.errors import TooFewPixels

#: Side of the square bins, and width (sigma) of the planes' Gaussian weights, pixel.
BIN_PIX, KERNEL_PIX = 8, 40.0
#: Templates are lit where they are brighter than this part of their peak.
LIT = 0.02
#: Fewest bins with light of the template.
MIN_LIT_BINS = 20
#: Rounds of strength and sources in turn, and the change of a strength that ends them.
ROUNDS, SETTLED = 14, 2e-4
#: A bin deviates beyond so many sigma; a share of the wisp's own light is no source either.
DEVIATES_SIGMA, MISFIT = 4.5, 0.15
#: What the scatter of bins exceeds that of their white noise by, in variance: stripes.
STRIPES = 1.3
#: Structure of a galaxy reaches over so many bins, which are one measurement where it outweighs the noise.
STRUCTURE_BINS = 20.0
#: Width (sigma, bins) of the surroundings from which the misfit of a place is told.
MISFIT_BINS = 2.5
#: Most and least of a galaxy's light that is structure, squared.
STRUCTURE_RANGE = (1e-5, 0.25)
#: Distance of the places between which the strength varies, pixel; the scatter of strengths that is tried, and how
#: quickly a larger one becomes unlikely.
PLACES_PIX, SCATTERS, USUAL_SCATTER = 192, (0.02, 0.05, 0.1, 0.15, 0.2), 0.1
#: Standard deviation of a displacement, pixel: hardly any, or as far as templates were seen to be off.
DISPLACEMENTS = (0.03, 1.5)
#: Part of a strength that a template somewhat sharper or blunter than the wisp changes.
SHAPE_ERROR = 0.012
#: Clusters of so many bins on a side tell how much the residuals of neighbours have in common.
CLUSTERS = (1, 2, 4)


class Strength(NamedTuple):
    """Result of `measure_strength`.

    scale : ndarray, shape (n,), mean strength of every template, weighted by its light squared; one alone may come out
        below zero, several do not.
    covariance : ndarray, shape (n, n)
    least_error : ndarray, shape (n,), what the error would be with white noise alone.
    local : ndarray of float32, shape (ny, nx), strength at every place over the mean.
    displacement : tuple of float, (y, x) of the wisp from its template, pixel.
    excluded : ndarray of bool, shape (ny, nx), compact sources and places that were not seen.
    residual_ratio : float, rms of the residuals where the template is lit over that expected.
    n_bins : int, bins behind the fit.
    """

    scale: np.ndarray
    covariance: np.ndarray
    least_error: np.ndarray
    local: np.ndarray
    displacement: tuple[float, float]
    excluded: np.ndarray
    residual_ratio: float
    n_bins: int


@dataclass(frozen=True)
class _Bins:
    """Image, templates and their gradients in bins.

    totals : (1 + n + 2, ny, nx), sums of image, templates, derivatives along y and x of their sum. count : pixels.
    white : variance of a bin's white noise. lit : where the templates have light.
    """

    totals: np.ndarray
    count: np.ndarray
    white: np.ndarray
    lit: np.ndarray
    n: int

    @property
    def ok(self) -> np.ndarray:
        return self.count >= BIN_PIX**2 / 2

    def mean(self, number) -> np.ndarray:
        return self.totals[number] / np.maximum(self.count, 1)

    def wisp(self, scale) -> np.ndarray:
        return np.tensordot(scale, self.mean(slice(1, 1 + self.n)), 1)


@dataclass(frozen=True)
class _Sharp:
    """What planes leave: image, templates and gradients, (1 + n + 2, ny, nx), and how much each bin counts.

    variance : of a bin. independent : of a bin that counts by itself, structure being shared by neighbours.
    used : bins behind the fit. excluded : bins with compact sources, and those without data.
    """

    rest: np.ndarray
    variance: np.ndarray
    independent: np.ndarray
    used: np.ndarray
    excluded: np.ndarray


def measure_strength(image: np.ndarray, usable: np.ndarray, templates: np.ndarray) -> Strength:
    """Measure the strength of a wisp.

    Parameters
    ----------
    image : ndarray of float32, shape (ny, nx)
        Flat-fielded, without stripes as far as known; any level.
    usable : ndarray of bool, shape (ny, nx)
    templates : ndarray of float32, shape (n, ny, nx)
        Without noise.

    Returns
    -------
    Strength

    Raises
    ------
    TooFewPixels
        When too little is seen where the templates have light, or components cannot be told apart.

    Notes
    -----
    What is broader than about 80 pixels in a template is not measured but follows its filaments. About 1.5 s for a full
    frame.
    """
    bins = _binned(image, usable, templates)
    scale, sharp = _fit_robustly(bins)
    return _fit_locally(bins, sharp, scale, image.shape)


def _binned(image, usable, templates):
    both = usable[::4, 1:] & usable[::4, :-1]
    steps = np.abs(image[::4, 1:] - image[::4, :-1])[both]
    white = 1.0484 * float(np.median(steps)) if steps.size else 0.0  # 1.4826 / sqrt(2)
    if white <= 0:
        raise TooFewPixels("wisp fit: the usable pixels have no scatter", n_pairs=int(steps.size))
    level = np.float32(np.median(image[::4][usable[::4]]))
    total, count = bin_image(image - level, usable, BIN_PIX)
    gradients = np.gradient(templates.sum(axis=0))
    totals = np.stack([total, *(bin_image(one, usable, BIN_PIX)[0] for one in (*templates, *gradients))])
    bins = _Bins(totals, count, white**2 / np.maximum(count, 1), np.zeros(count.shape, bool), len(templates))
    light = [ndimage.gaussian_filter(bins.mean(1 + i), 1.0) for i in range(bins.n)]
    lit = np.any([one > LIT * max(one.max(), 1e-30) for one in light], axis=0)
    bins = replace(bins, lit=ndimage.maximum_filter(lit, 3))
    _require_bins(bins.lit & bins.ok)
    return bins


def _require_bins(seen):
    if seen.sum() < MIN_LIT_BINS:
        n = int(seen.sum()) * BIN_PIX**2
        needed = MIN_LIT_BINS * BIN_PIX**2
        raise TooFewPixels(
            f"wisp fit: about {n} usable pixels where the template has light; {needed} are needed", n_usable=n
        )


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


def _fit_robustly(bins):
    """Return strengths of the whole wisp, and what planes leave without compact sources, in rounds."""
    scale = np.full(bins.n, _first_strength(bins))
    excluded, structure = ~bins.ok, STRUCTURE_RANGE[0]
    for round_ in range(ROUNDS):
        count = np.where(excluded, 0, bins.count)
        planes, weight = fit_planes(bins.totals, count, KERNEL_PIX / BIN_PIX)
        rest = np.where(bins.ok, bins.totals / np.maximum(bins.count, 1) - planes, 0)
        seen = (weight > 0.1 * BIN_PIX**2) & ~excluded
        light = np.maximum(planes[0] - np.tensordot(scale, planes[1 : 1 + bins.n], 1), 0)
        left = _left(rest, scale, bins)
        if round_ > 1:
            structure = _structure(left, light, bins.white, seen, structure)
        variance = STRIPES * bins.white + structure * light**2
        own = np.abs(bins.wisp(scale))
        limit = DEVIATES_SIGMA * np.sqrt(variance + (MISFIT * own) ** 2)
        used = seen & bins.lit & (np.abs(left) < limit)
        _require_bins(used)
        before, scale = scale, _solve_strengths(rest, 1 / (variance + (MISFIT * own / 3) ** 2), used, bins.n)
        excluded = ~bins.ok | ndimage.maximum_filter(_left(rest, scale, bins) > limit, 3)
        if round_ > 4 and np.abs(scale - before).max() < SETTLED:
            break
    independent = STRIPES * bins.white + STRUCTURE_BINS * np.maximum(
        structure * light**2, _local_misfit(left, used, bins)
    )
    return scale, _Sharp(rest, variance, independent, used, excluded)


def _left(rest, scale, bins):
    return rest[0] - np.tensordot(scale, rest[1 : 1 + bins.n], 1)


def _local_misfit(left, used, bins):
    """Return the variance of residuals about every bin that noise does not explain, as around the core of a galaxy."""
    excess = np.where(used, left**2 - STRIPES * bins.white, 0)
    seen = ndimage.gaussian_filter(used.astype(float), MISFIT_BINS)
    return np.maximum(ndimage.gaussian_filter(excess, MISFIT_BINS) / np.maximum(seen, 1e-3), 0)


def _structure(left, light, white, seen, before):
    """Return the part of a galaxy's light that planes do not follow, squared, from where there is light."""
    lit = seen & (light > 3 * np.sqrt(white))
    if lit.sum() < 100:
        return before
    # 0.455 is the median of the square of a standard normal deviate.
    share = np.median((left[lit] ** 2 / 0.455 - STRIPES * white[lit]) / light[lit] ** 2)
    return float(np.clip(share, *STRUCTURE_RANGE))


def _solve_strengths(rest, weight, used, n):
    root = np.sqrt(weight[used])
    design, data = (rest[1 : 1 + n, used] * root).T, rest[0, used] * root
    if n == 1:
        return np.linalg.lstsq(design, data, rcond=None)[0]
    if np.linalg.cond(design) > 1e4:
        raise TooFewPixels("wisp fit: the usable pixels cannot tell the components apart", components=list(range(n)))
    return nnls(design, data)[0]


def _fit_locally(bins, sharp, scale, shape):
    """Return strength, its error and its course over the image."""
    active = np.flatnonzero(scale > 0) if bins.n > 1 else np.arange(1)
    typical = float(scale[active].mean()) if active.size else 0.0
    share = scale / typical if bins.n > 1 and typical else np.ones(bins.n)
    wisp = np.tensordot(share, sharp.rest[1 : 1 + bins.n], 1)
    light = np.where(bins.lit, bins.wisp(share) ** 2, 0)
    light /= light.sum()
    places = [one for one in _hats(light.shape) if (one * light).sum() > 0.002]
    columns = [*sharp.rest[1 + active], *(wisp * one for one in places), *sharp.rest[-2:]]
    fit = _Regression(np.stack(columns), sharp, len(active), len(places))
    found, inverse = fit.solve(max(abs(typical), 0.05))
    # The mean strength of each template: its own, and its share of the mean of what varies.
    mean = np.zeros((bins.n, len(found)))
    mean[active, np.arange(active.size)] = 1
    on_average = [float((one * light).sum()) for one in places]
    mean[:, active.size : active.size + len(places)] = share[:, None] * on_average
    mean[scale == 0] = 0
    result = mean @ found
    covariance = mean @ inverse @ mean.T + SHAPE_ERROR**2 * np.outer(result, result)
    course = np.tensordot(found[active.size : active.size + len(places)], np.array(places), 1) if places else 0 * light
    level = float(result[active].mean()) if active.size else 0.0
    # Without a wisp nothing varies.
    local = 1 + (course - float((course * light).sum())) / level if abs(level) > 1e-6 else np.ones_like(light)
    on_pixels = np.s_[: shape[0], : shape[1]]
    shift = tuple(float(-one / level) if abs(level) > 1e-6 else 0.0 for one in found[-2:])
    return Strength(
        result,
        _with_inactive(covariance, sharp, bins, scale),
        _least_errors(sharp, bins),
        ndimage.zoom(local.astype(np.float32), BIN_PIX, order=1, grid_mode=True, mode="nearest")[on_pixels],
        shift,
        np.repeat(np.repeat(sharp.excluded, BIN_PIX, 0), BIN_PIX, 1)[on_pixels],
        fit.residual_ratio(found),
        int(sharp.used.sum()),
    )


def _least_errors(sharp, bins):
    columns = sharp.rest[1 : 1 + bins.n, sharp.used] / np.sqrt(bins.white[sharp.used])
    return np.sqrt(np.diag(np.linalg.pinv(columns @ columns.T)))


def _with_inactive(covariance, sharp, bins, scale):
    """Return the covariance with the variance that a strength held at zero would have if it were free."""
    held = np.flatnonzero(scale == 0) if bins.n > 1 else []
    for i in held:
        column = sharp.rest[1 + i, sharp.used]
        covariance[i, i] = 1 / max(float((column**2 / sharp.independent[sharp.used]).sum()), 1e-30)
    return covariance


def _hats(shape):
    """Yield weights (ny, nx) of places on a grid, linear in between: they add up to one."""
    step = PLACES_PIX // BIN_PIX
    rows, columns = (
        np.clip(1 - np.abs(np.arange(n)[None] - np.arange(0, n + step, step)[:, None]) / step, 0, None) for n in shape
    )
    for row in rows:
        for column in columns:
            yield np.outer(row, column)


class _Regression:
    """Least squares with Gaussian priors on what varies, whose widths the evidence chooses."""

    def __init__(self, columns, sharp, n_free, n_places):
        self.shape, self.used = sharp.used.shape, sharp.used
        self.columns, self.data = columns[:, sharp.used], sharp.rest[0][sharp.used]
        self.weight, self.n_free, self.n_places = 1 / sharp.independent[sharp.used], n_free, n_places
        self.normal = (self.columns * self.weight) @ self.columns.T
        self.moment = (self.columns * self.weight) @ self.data
        self.square = float((self.weight * self.data**2).sum())

    def solve(self, typical):
        """Return parameters and their covariance, iteratively: residuals give the correlation of neighbours."""
        shared = 1.0
        for _ in range(3):
            tries = [self._try(s, d, typical, shared) for s in SCATTERS for d in DISPLACEMENTS]
            _, found, inverse = max(tries, key=lambda one: one[0])
            shared = self._shared(found)
        return found, inverse

    def _try(self, scatter, displacement, typical, shared):
        widths = np.r_[np.full(self.n_places, scatter), np.full(2, displacement)] * typical
        prior = np.r_[np.zeros(self.n_free), widths**-2]
        normal = self.normal / shared + np.diag(prior)
        found = np.linalg.solve(normal, self.moment / shared)
        _, volume = np.linalg.slogdet(normal)
        misfit = self.square - 2 * found @ self.moment + found @ self.normal @ found
        evidence = -0.5 * (misfit / shared + prior @ found**2 + volume + 2 * np.log(widths).sum())
        return evidence - scatter / USUAL_SCATTER, found, np.linalg.inv(normal)

    def _residual(self, found):
        return self.data - found @ self.columns

    def _shared(self, found):
        """Return by how much the variance of sums over neighbouring bins exceeds that of independent ones."""
        left = self._residual(found)
        scores = np.zeros(self.shape)
        scores[self.used] = self.weight * self.columns[: self.n_free].sum(axis=0) * left
        scatter = max(1.0, float((self.weight * left**2).mean()))
        single = max(float((scores**2).sum()), 1e-30)
        return max(1.0, *(scatter * float((_sums(scores, n) ** 2).sum()) / single for n in CLUSTERS))

    def residual_ratio(self, found) -> float:
        return float(np.sqrt((self.weight * self._residual(found) ** 2).mean()))


def _sums(values, size):
    """Return sums over squares of `size` bins; what is left over at the borders is dropped."""
    ny, nx = (n // size * size for n in values.shape)
    return values[:ny, :nx].reshape(ny // size, size, nx // size, size).sum(axis=(1, 3))
