"""An image and its wisp templates in bins, and their residuals from planes fitted around every place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from detectorist.algorithms.images.local_planes import REACH, bin_image, smooth_bins
from detectorist.algorithms.medians import typed_median
from detectorist.errors import TooFewPixels

#: Side of the square bins, pixel.
BIN_PIX = 8
#: Templates are lit where they are brighter than this part of their peak, and than their noise by so many sigma.
LIT, LIT_SIGMA = 0.02, 4.0
#: Widths (sigma, pixel) by which templates are smoothed before they are differentiated, and the part of a derivative's
#: square that may be noise: where it is more, the next width is taken.
DERIVATIVE_PIX, MOST_NOISE = (2.0, 4.0, 7.0), 0.15
#: Along y, along x, and the sum of the second ones.
N_DERIVATIVES = 3
#: Fewest bins with light of the template.
MIN_LIT_BINS = 20
#: What the scatter of bins exceeds that of their white noise by, in variance: stripes.
STRIPES = 1.3
#: Structure of a galaxy reaches over so many bins, which are one measurement where it outweighs the noise.
STRUCTURE_BINS = 8.0
#: Width (sigma, bins) of the surroundings from which the misfit of a place is told.
MISFIT_BINS = 2.5
#: Least weight of the data of a plane, pixels.
LEAST_WEIGHT = 1e-3


@dataclass(frozen=True)
class Bins:
    """Image, templates and their derivatives in bins.

    totals : (1 + n + 3, ny, nx), sums of image, templates, and derivatives of their sum: along y and x, and the second
    ones' sum, by which it becomes blunter. count : pixels.
    white : variance of a bin's white noise. lit : where the templates have light. smoothing_pix : widths (sigma) by
    which templates are smoothed for first and for second derivatives.
    """

    totals: np.ndarray
    count: np.ndarray
    white: np.ndarray
    lit: np.ndarray
    n: int
    smoothing_pix: tuple[float, float] = DERIVATIVE_PIX[:1] * 2

    @property
    def ok(self) -> np.ndarray:
        """Bins of which at least half is seen, (ny, nx) bool."""
        return self.count >= BIN_PIX**2 / 2

    def mean(self, number: int | slice) -> np.ndarray:
        """Return means of some of the images."""
        return self.totals[number] / np.maximum(self.count, 1)

    def wisp(self, scale: np.ndarray) -> np.ndarray:
        """Return the wisp of given strengths."""
        return np.tensordot(scale, self.mean(slice(1, 1 + self.n)), 1)


@dataclass(frozen=True)
class Planes:
    """How planes were fitted: to bins of `count` pixels, of which they saw `weight`; `sigma`, bins; `rounds`."""

    count: np.ndarray
    weight: np.ndarray
    sigma: float
    rounds: int

    def follow(self, response: np.ndarray) -> np.ndarray:
        """Return how sums of what planes leave, of given factors (ny, nx), follow the image that they are fitted to.

        The transposed of taking planes off, of planes without slopes, which in the middle of their data have the same
        level.
        """
        follows = np.where(self.count > 0, response, 0.0)
        for _ in range(self.rounds):
            around = smooth_bins(follows / np.maximum(self.weight, LEAST_WEIGHT), self.sigma, reach=REACH)
            follows = follows - self.count * around
        return follows


@dataclass(frozen=True)
class Sharp:
    """What planes leave: image, templates and derivatives, (1 + n + 3, ny, nx), and how much each bin counts.

    noise : (n + 3, n + 3), covariance of the noise of templates and derivatives. white : variance of white noise, the
    templates' included. structure : variance of what planes do not follow of galaxies. used : bins behind the fit.
    excluded : bins with compact sources, and those without data. uneven : (n_places, ny, nx), of the wisp where only
    that of each place is there. planes : how they were fitted.
    """

    rest: np.ndarray
    noise: np.ndarray
    white: np.ndarray
    structure: np.ndarray
    used: np.ndarray
    excluded: np.ndarray
    uneven: np.ndarray
    planes: Planes

    def independent(self, left: np.ndarray, bins: Bins) -> np.ndarray:
        """Return the variance of bins treated as independent, including structure and correlations seen in `left`."""
        return self.white + STRUCTURE_BINS * np.maximum(self.structure, _local_misfit(left, self.used, bins))


def left_of(rest: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """Return the image of `rest` (see `Sharp`) minus wisps of the given strengths, (ny, nx)."""
    return rest[0] - np.tensordot(scale, rest[1 : 1 + scale.size], 1)


def bin_wisp(image: np.ndarray, usable: np.ndarray, templates: np.ndarray) -> Bins:
    """Return image and templates in bins; raises TooFewPixels where too little light of a template is seen."""
    both = usable[::4, 1:] & usable[::4, :-1]
    steps = np.abs(image[::4, 1:] - image[::4, :-1])[both]
    white = 1.0484 * float(typed_median(steps)) if steps.size else 0.0  # 1.4826 / sqrt(2)
    if white <= 0:
        raise TooFewPixels("wisp fit: the usable pixels have no scatter", n_pairs=int(steps.size))
    level = np.float32(typed_median(image[::4][usable[::4]]))
    total, count = bin_image(image - level, usable, BIN_PIX)
    totals = np.stack([total, *(bin_image(one, usable, BIN_PIX)[0] for one in templates)])
    bins = Bins(totals, count, white**2 / np.maximum(count, 1), np.zeros(count.shape, bool), len(templates))
    lit = np.any([_lit(bins.mean(1 + i), bins.ok) for i in range(bins.n)], axis=0)
    bins = replace(bins, lit=ndimage.maximum_filter(lit, 3))
    require_bins(bins.lit & bins.ok)
    return _with_derivatives(bins, templates.sum(axis=0), usable)


def add_derivatives(template: np.ndarray, change: tuple[float, float, float], smoothing_pix: tuple[float, float]):
    """Return a template (ny, nx) float32 that is moved and made blunter, to first order.

    change : factors of the derivatives along y and x, and of the sum of the second ones, pixel, pixel and pixel^2: a
    displacement is minus the first two, and a Gaussian of width s adds s^2 / 2 times the last. smoothing_pix : widths
    (sigma) by which the template is smoothed before it is differentiated, once and twice.
    """
    from detectorist.algorithms.wisps._wisps_nb import add_differences

    first, second = (_smoothed(template, width) for width in smoothing_pix)
    changed = np.array(template, np.float32)
    add_differences(changed, first, second, np.array(change, np.float32))
    return changed


def _smoothed(template, width):
    edge = round(3 * width)
    inner = np.s_[edge : edge + template.shape[0], edge : edge + template.shape[1]]
    padded = np.pad(np.asarray(template, np.float32), edge, mode="symmetric")
    return np.ascontiguousarray(smooth_bins(padded, width)[inner])


def _with_derivatives(bins, template, usable):
    """Return bins with derivatives of templates, smoothed as little as their noise allows.

    Noise of second derivatives falls with the sixth power of the width: they may need more of it than first ones.
    """
    from detectorist.algorithms.wisps._wisps_nb import difference_sums

    chosen, totals = [DERIVATIVE_PIX[-1]] * 2, np.zeros((N_DERIVATIVES, *bins.count.shape))
    missing = [np.s_[:2], np.s_[2:]]
    for width in DERIVATIVE_PIX:
        found = difference_sums(_smoothed(template, width), usable, BIN_PIX)
        noise = _noise_part(found / np.maximum(bins.count, 1), bins.lit & bins.ok, ~bins.lit & bins.ok)
        for kind, some in enumerate((np.s_[:2], np.s_[2:])):
            if some not in missing:
                continue
            totals[some] = found[some]
            if noise[some].max() <= MOST_NOISE:
                chosen[kind] = width
                missing.remove(some)
        if not missing:
            break
    return replace(bins, totals=np.concatenate([bins.totals, totals]), smoothing_pix=tuple(chosen))


def _noise_part(derivatives, lit, dark):
    """Return the part of the square of derivatives (n, ny, nx) that is noise; 0 where too little is dark to tell."""
    if dark.sum() < MIN_LIT_BINS:
        return np.zeros(len(derivatives))
    noise = (1.4826 * np.median(np.abs(derivatives[:, dark]), axis=1)) ** 2
    return noise / np.maximum((derivatives[:, lit] ** 2).mean(axis=1), 1e-30)


def _lit(template, ok):
    """Return where a template has light, as far as its own noise lets one tell."""
    light = ndimage.gaussian_filter(template, 1.0)
    middle = typed_median(light[ok]) if ok.any() else 0.0
    dark = light[ok & (light <= middle)]
    noise = 1.4826 * float(typed_median(middle - dark)) if dark.size else 0.0
    return light > np.maximum(LIT * max(light.max(), 1e-30), LIT_SIGMA * noise)


def require_bins(seen: np.ndarray) -> None:
    """Raise TooFewPixels where fewer than 20 bins are True."""
    if seen.sum() < MIN_LIT_BINS:
        n = int(seen.sum()) * BIN_PIX**2
        needed = MIN_LIT_BINS * BIN_PIX**2
        raise TooFewPixels(
            f"wisp fit: about {n} usable pixels where the template has light; {needed} are needed", n_usable=n
        )


def _local_misfit(left, used, bins):
    """Return the variance of residuals about every bin that noise does not explain, as around the core of a galaxy."""
    excess = np.where(used, left**2 - STRIPES * bins.white, 0)
    return np.maximum(smooth_bins(excess, MISFIT_BINS) / np.maximum(smooth_bins(used, MISFIT_BINS), 1e-3), 0)
