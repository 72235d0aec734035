"""Noise of an output that a galaxy covers from edge to edge: light is continuous where two outputs meet, noise steps.

No unmasked pixel tells an output's own slow noise under such a galaxy, and the whole output would keep its level over
hundreds of rows: of a galaxy as large, a percent of its light. Beside a border of two outputs light changes smoothly,
as it does a little away from it, where the same fit finds how large a step its structure pretends. The steps, what
the used pixels leave unknown, and how slow the noise is make the correction (a Gaussian process; Rasmussen & Williams
2006, equation 2.25). Its strength is the likeliest: outputs differ, and the covered one was not seen.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from scipy import linalg, ndimage

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.smoother import Flicker
from detectorist.algorithms.flicker.spectrum import FlickerNoise

#: Rows of a bin, and columns on either side of a place from which the step there is measured.
ROWS, SIDE_PIX = 16, 48
#: Places beside a border, pixel, and bins to either side, whose steps tell those that light has.
ELSEWHERE_PIX, NEAR_BINS = (-240, -168, -96, 96, 168, 240), 2
#: Scatter of steps beside a border, over that of white noise in variance, from which it is structure of the light.
STRUCTURE = 1.5
#: Rounds of the fit, and the deviation in robust sigma from which a pixel is left out of the next, by itself or in the
#: mean about it (sigma of Gaussian weights, and side of a square): the wings of stars are fainter than the noise of a
#: pixel, and those of galaxies of some pixels.
ROUNDS, CLIP_SIGMA, ABOUT_PIX, SQUARE_PIX = 4, 3.0, 2.5, 21
#: Fewest pixels on either side, part of the pixels of a bin.
LEAST_SEEN = 0.3
#: A step that deviates from what is expected of it by so many sigma is light.
STEP_SIGMA = 4.0
#: An output is covered in a bin of which less than this part is used.
COVERED = 0.1
#: Variances of an output's own slow noise, over those of outputs that are seen, of which the likeliest is taken.
FACTORS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
#: Standard deviation of a Gaussian over its median absolute deviation; 60 % of its values are within so much of it.
MAD_TO_SIGMA, QUANTILE = 1.4826, 0.8416


def tell_covered_outputs(
    part: Flicker, image: np.ndarray, usable: np.ndarray, *, flat: np.ndarray, readout: Readout
) -> Flicker:
    """Return an estimate of noise with what the steps at borders of outputs say where the outputs are covered.

    Parameters
    ----------
    part : Flicker
        Estimate with sources masked.
    image : ndarray of float32, shape (ny, nx)
        The image with its sources, not flat-fielded, as it was estimated from.
    usable : ndarray of bool, shape (ny, nx)
        True where a pixel has a value, on sources, too.
    flat : ndarray of float, shape (ny, nx)
        Flat field; what outputs differ by in sensitivity is in it.
    readout : Readout

    Returns
    -------
    Flicker
        `part` itself where no output is covered. Otherwise each output's rows change by what was missing of its slow
        noise, next to nothing where its pixels were used; the variance changes on masked pixels alone.
    """
    outputs = sorted(readout.outputs)
    edges = np.r_[np.arange(0, image.shape[0], ROWS), image.shape[0]]
    seen = np.add.reduceat(part.used, edges[:-1], axis=0, dtype=np.float64)
    seen = np.array([seen[:, first:last].sum(axis=1) for first, last, _ in outputs])
    prior = _OwnNoise.of(part.noise, edges, readout, seen)
    covered = seen < COVERED * np.diff(edges) * readout.width
    if len(outputs) == 1 or prior is None or not covered.any():
        return part
    left = (image - part.total) / flat
    beside = covered[1:] | covered[:-1]
    steps, variance = _steps(left, usable & (flat > 0), edges, [first for first, *_ in outputs[1:]], beside)
    found, change = _solve(steps, variance, prior, beside)
    return _applied(part, found, change, edges, outputs)


class _OwnNoise(NamedTuple):
    """Slow noise of each output alone in bins of rows.

    covariance : (n_bins, n_bins) of an output that is not seen. error : (n_outputs, n_bins), variance of what the used
    pixels of a bin say of it, inf where there are none.
    """

    covariance: np.ndarray
    error: np.ndarray

    @classmethod
    def of(cls, noise: FlickerNoise, edges: np.ndarray, readout: Readout, seen: np.ndarray) -> _OwnNoise | None:
        """Return the noise as its spectrum has it; None where it has no slow noise."""
        row_pix = readout.width + readout.overhead_pix
        slow = noise.scales_pix > ROWS * row_pix
        if not noise.own[slow].any():
            return None
        centres = 0.5 * (edges[1:] + edges[:-1]) * row_pix
        apart = np.abs(centres[:, None] - centres[None])
        covariance = np.einsum("j,jab->ab", noise.own[slow], np.exp(-apart / noise.scales_pix[slow][:, None, None]))
        # Pixels share noise that is faster for twice its time scale.
        of_pixel = noise.white + 2 * (noise.own * noise.scales_pix)[~slow].sum()
        return cls(covariance, np.where(seen > 0, of_pixel / np.maximum(seen, 1), np.inf))

    def left(self, factor: float) -> np.ndarray:
        """Return the covariance of what the used pixels leave unknown, (n, n): outputs, in each its bins."""
        parts = []
        for error in self.error:
            known = np.isfinite(error)
            own = factor * self.covariance
            certain = own[np.ix_(known, known)] + np.diag(error[known])
            parts.append(own - own[:, known] @ linalg.solve(certain, own[known], assume_a="pos"))
        return linalg.block_diag(*parts)


def _steps(image, usable, edges, borders, asked):
    """Return the step at every border in every bin and its variance, inf where unknown, (n_borders, n_bins) each.

    What light has of steps is told beside the border, and by steps that change from bin to bin, as slow noise does not.
    asked : (n_borders, n_bins) bool, bins whose steps are needed; those too far from any stay unknown.
    """
    found = []
    for border, one in zip(borders, asked, strict=True):
        needed = ndimage.binary_dilation(one, iterations=NEAR_BINS + 2)
        step, white = _step_at(image, usable, edges, border, needed)
        others = [_step_at(image, usable, edges, border + shift, needed) for shift in ELSEWHERE_PIX]
        elsewhere = [np.where(np.isfinite(variance), value, np.nan) for value, variance in others]
        known = np.where(np.isfinite(white), step, np.nan)
        changes = np.diff(known, append=np.nan) / np.sqrt(2)
        scatter = np.fmax(_variance_about(elsewhere), _variance_about([changes]))
        white = np.where(np.isfinite(scatter), white, np.inf)
        told = np.isfinite(white)
        structure = np.zeros(white.size)
        structure[told] = np.where(scatter > STRUCTURE * white, scatter - white, 0)[told]
        found.append((step, white + structure))
    return tuple(np.array(found).swapaxes(0, 1))


def _variance_about(values):
    """Return the variance about every bin of steps that may have some on one side alone, NaN where none is known."""
    padded = np.pad(np.abs(values), ((0, 0), (NEAR_BINS, NEAR_BINS)), constant_values=np.nan)
    n_bins = padded.shape[1] - 2 * NEAR_BINS
    near = np.concatenate([padded[:, k : k + n_bins] for k in range(2 * NEAR_BINS + 1)])
    known = np.isfinite(near).any(axis=0)
    found = np.full(n_bins, np.nan)
    found[known] = (np.nanpercentile(near[:, known], 60, axis=0) / QUANTILE) ** 2
    return found


def _step_at(image, usable, edges, place, needed):
    """Return the step at a place in every bin, beside a cubic, and its variance, inf where unknown, (n_bins,) each.

    needed : (n_bins,) bool, bins to look at.
    """
    step, variance = np.zeros(needed.size), np.full(needed.size, np.inf)
    columns = slice(place - SIDE_PIX, place + SIDE_PIX)
    if columns.start < 0 or columns.stop > image.shape[1]:
        return step, variance
    labels, _ = ndimage.label(needed)
    for (run,) in ndimage.find_objects(labels):
        part = edges[run.start : run.stop + 1]
        rows = slice(part[0], part[-1])
        step[run], variance[run] = _step_in_rows(image[rows, columns], usable[rows, columns], part - part[0])
    return step, variance


def _step_in_rows(values, usable, edges):
    """Return the step in the middle of neighbouring bins of rows, and its variance; see `_step_at`."""
    n_bins = len(edges) - 1
    x = (np.arange(-SIDE_PIX, SIDE_PIX) + 0.5) / SIDE_PIX
    design = np.stack([np.ones_like(x), x, x**2, x**3, (x > 0) - 0.5])
    seen = usable
    row_bin = np.repeat(np.arange(n_bins), np.diff(edges))
    for _ in range(ROUNDS):
        count = np.add.reduceat(seen, edges[:-1], axis=0, dtype=np.float64)
        total = np.add.reduceat(np.where(seen, values, 0), edges[:-1], axis=0, dtype=np.float64)
        normal = np.einsum("bx,ix,jx->bij", count, design, design) + 1e-9 * np.eye(len(design))
        inverse = np.linalg.inv(normal)
        found = np.einsum("bij,bj->bi", inverse, total @ design.T)
        rest = values - (found @ design)[row_bin]
        scatter = _scatter(np.where(seen, np.abs(rest), np.inf), edges)
        seen = usable & _is_smooth(rest, usable, scatter[row_bin, None])
    sides = np.array([count[:, :SIDE_PIX].sum(axis=1), count[:, SIDE_PIX:].sum(axis=1)])
    told = (sides > LEAST_SEEN * SIDE_PIX * np.diff(edges)).all(axis=0)
    return np.where(told, found[:, -1], 0), np.where(told, inverse[:, -1, -1] * scatter**2, np.inf)


def _is_smooth(rest, usable, scatter):
    """Return where neither a pixel nor a mean about it deviates."""
    alone = usable & (np.abs(rest) < CLIP_SIGMA * scatter)
    # What deviates by itself counts as much as it may.
    values = np.where(usable, np.clip(np.nan_to_num(rest), -CLIP_SIGMA * scatter, CLIP_SIGMA * scatter), 0)
    for about, pixels in (
        (ndimage.gaussian_filter(values, ABOUT_PIX, mode="nearest"), 2 * np.sqrt(np.pi) * ABOUT_PIX),
        (ndimage.uniform_filter(values, SQUARE_PIX, mode="nearest"), SQUARE_PIX),
    ):
        alone &= np.abs(about) < CLIP_SIGMA * scatter / pixels
    return alone


def _scatter(values, edges):
    """Return the robust scatter of bins of rows from absolute deviations, inf where there are none, (n_bins,)."""
    found = np.zeros(len(edges) - 1)
    for k, (first, last) in enumerate(pairwise(edges)):
        ordered = np.sort(values[first:last].astype(np.float32), axis=None)
        n = int(np.searchsorted(ordered, np.inf))
        if n:
            found[k] = MAD_TO_SIGMA * 0.5 * float(ordered[(n - 1) // 2] + ordered[n // 2])
    return found


def _solve(steps, variance, prior, beside):
    """Return the errors of the outputs' noise and by how much their variance changes, (n_outputs, n_bins) each.

    beside : (n_borders, n_bins) bool, where an output beside a border is covered: elsewhere there is nothing to tell.
    """
    shape = len(beside) + 1, beside.shape[1]
    n_bins = shape[1]
    seen = np.isfinite(variance) & beside
    priors = {factor: prior.left(factor) for factor in FACTORS}
    factor = FACTORS[-1]
    for _ in range(ROUNDS):
        border, row = np.nonzero(seen)
        if not border.size:
            return np.zeros((2, *shape))
        lower, upper = border * n_bins + row, (border + 1) * n_bins + row
        step, scatter = steps[border, row], np.diag(variance[border, row])
        expected = {one: _of_differences(full, lower, upper) + scatter for one, full in priors.items()}
        outlying = np.abs(step) > STEP_SIGMA * np.sqrt(np.diag(expected[factor]))
        factor = max(FACTORS, key=lambda one: _log_likelihood(step[~outlying], expected[one][~outlying][:, ~outlying]))
        if not outlying.any():
            break
        seen[border[outlying], row[outlying]] = False
    full = priors[factor]
    shared = full[:, upper] - full[:, lower]
    gain = linalg.solve(expected[factor], shared.T, assume_a="pos").T
    change = np.diag(full) - np.diag(priors[1.0]) - (gain * shared).sum(axis=1)
    return (gain @ step).reshape(shape), change.reshape(shape)


def _of_differences(covariance, lower, upper):
    """Return the covariance of differences of some elements."""
    by_row = covariance[upper] - covariance[lower]
    return by_row[:, upper] - by_row[:, lower]


def _log_likelihood(values, covariance):
    factor, _ = linalg.cho_factor(covariance, lower=True)
    white = linalg.solve_triangular(factor, values, lower=True)
    return -0.5 * float(white @ white) - float(np.log(np.diag(factor)).sum())


def _applied(part, found, change, edges, outputs):
    """Return the estimate with the errors of outputs added, and its variance where it was not told by the pixels."""
    rows, centres = np.arange(part.pattern.shape[0]), 0.5 * (edges[1:] + edges[:-1]) - 0.5
    pattern, variance = part.pattern.copy(), part.variance.copy()
    for k, (first, last, _) in enumerate(outputs):
        on_rows = [np.interp(rows, centres, one[k]).astype(np.float32)[:, None] for one in (found, change)]
        pattern[:, first:last] += on_rows[0]
        variance[:, first:last] += np.where(part.used[:, first:last], 0, on_rows[1])
    return replace(part, pattern=pattern, variance=np.maximum(variance, 0))
