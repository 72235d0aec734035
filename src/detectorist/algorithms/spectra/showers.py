"""Light of cosmic-ray showers in the slopes of single integrations: found against the neighbours in time, and modelled.

In slopes, a shower is a smooth patch of light in one integration that is absent from its neighbours. Unlike in ramps,
where the affected group can be discarded, it has to be subtracted. Its shape distinguishes it from the star: the star's
change from the integrations beside it (in brightness, position and width, each slowly varying along the rows) is fitted
together with a smooth surface, so that the patch is measured on the trace as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import BSpline
from scipy.linalg import cho_factor, cho_solve
from scipy.ndimage import binary_dilation, maximum_filter
from scipy.sparse import csr_array, hstack

from detectorist.algorithms.images.patches import nanmedian, running_median, significance
from detectorist.algorithms.medians import median

#: Integrations on either side that one is compared with, and how many there must be in all.
NEIGHBOURS, LEAST_INTS = 5, 5
#: Pixels along the side of a block; excess of a pixel beyond which it says no more, and nothing (sigma).
BLOCK_PIX, CLIP_SIGMA, HIT_SIGMA = 8, 1.5, 5.0
#: Rows of all integrations that are sorted at a time.
STRIP_ROWS = 32
#: Blocks over time that a running median is taken of, which follows what changes slowly.
MEDIAN_INTS = 11
#: Significance of a patch, and of what belongs to it.
LEAST_SIGMA, REACH_SIGMA = 7.0, 2.5
#: ... and blocks about it that are modelled too.
MARGIN_BLOCKS = 2
#: Pixels between the knots of the surface, and rows between those of the star's changes.
KNOT_PIX, KNOT_ROWS = 5.0, 60.0
#: Strengths of smoothing that are tried; the evidence chooses.
SMOOTHING = tuple(10.0**power for power in range(-4, 3))
#: Light, as a share of the brightest, below which a surface may bend no less.
LEAST_LIGHT = 0.1
#: Residuals beyond this many sigma are hits of their own and do not count.
OUTLIER_SIGMA = 5.0
ROUNDS = 3
#: Pixels that are far off within this distance of the trace in this share of the rows, and hardly any beyond, are of
#: the trace.
TRACE_PIX, TRACE_ROWS, BESIDE_PIX, BESIDE_SHARE = 4.0, 0.5, 14.0, 0.02


@dataclass(frozen=True)
class ShowerLight:
    """Light of showers, unit of the data."""

    image: np.ndarray  # (n_ints, ny, nx) float32, 0 where there is none
    variance: np.ndarray  # (n_ints, ny) of the mean light over the aperture, common to the pixels of a row
    sigma: np.ndarray  # (n_ints,) significance of the strongest patch; 0 where nothing could be compared
    trace_changed: np.ndarray  # (n_ints,) bool: unlike its neighbours along the trace, left as it is


def measure_showers(
    data: np.ndarray, err: np.ndarray, mask: np.ndarray, *, center: np.ndarray, half_width: float
) -> ShowerLight:
    """Measure the light of showers in every integration.

    Parameters
    ----------
    data, err : ndarray of float, shape (n_ints, ny, nx)
        Slopes, background in, and their standard deviations.
    mask : ndarray of bool, same shape
        True where a pixel must not be used.
    center : ndarray of float, shape (ny,)
        Column of the trace at every row.
    half_width : float
        Of the aperture, columns.

    Returns
    -------
    ShowerLight
        All 0 with fewer than five integrations.

    Notes
    -----
    Patches smaller than about 3 pixels (sigma) do not count: they are outliers to be cleaned. Where a patch is found,
    its surroundings down to 2.5 sigma are modelled by a tensor product of cubic B-splines with a penalty on second
    differences (Eilers & Marx 2003, Chemometrics 66, 159), whose strength maximises the evidence. About 5 ms an
    integration, and half a second for one with a patch.
    """
    n_ints, ny, _ = data.shape
    image, variance = np.zeros(data.shape, np.float32), np.zeros((n_ints, ny))
    if n_ints < LEAST_INTS:
        return ShowerLight(image, variance, np.zeros(n_ints), np.zeros(n_ints, bool))
    usable = ~mask & np.isfinite(data) & np.isfinite(err) & (err > 0)
    excess, changed = _excess_of_blocks(data, err, usable, center)
    sigma = significance(excess)
    strongest = sigma.max(axis=(1, 2))
    hit = strongest > LEAST_SIGMA
    changed &= hit
    for k in np.flatnonzero(hit & ~changed):
        others = _neighbours(k, hit)
        if len(others) < 2:
            continue
        support = _support(sigma[k], data.shape[1:])
        reference = nanmedian(np.where(usable[others], data[others], np.nan), axis=0)
        image[k], variance[k] = fit_patch(
            data[k], err[k], usable[k], reference, support, center=center, half_width=half_width
        )
    return ShowerLight(image, variance, strongest, changed)


def _neighbours(k: int, hit: np.ndarray) -> np.ndarray:
    """Return the integrations nearest to `k` on either side that have no patch."""
    free = np.flatnonzero(~hit)
    return np.r_[free[free < k][-NEIGHBOURS:], free[free > k][:NEIGHBOURS]]


def _excess_of_blocks(
    data: np.ndarray, err: np.ndarray, usable: np.ndarray, center: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return what every block has and its neighbours in time have not, in sigma, and whether it is the trace.

    Shapes (n_ints, n_blocks_y, n_blocks_x) and (n_ints,).
    """
    mean, noise = _usual(data, usable), _usual(err, usable)
    changes = _changes_of_star(mean)
    known = np.isfinite(mean) & np.isfinite(noise)
    excess, changed = [], np.zeros(len(data), bool)
    for k in range(len(data)):
        use = usable[k] & known
        difference = data[k] - mean
        # Light that all pixels have is sky, or what a reset leaves; the background takes it.
        difference = difference - (median(difference[use]) if use.any() else 0.0)
        left = _without_changes(difference, noise, use, changes) / np.where(known, noise, 1)
        changed[k] = _is_the_trace(use & (np.abs(left) >= HIT_SIGMA), center)
        use = use & (np.abs(left) < HIT_SIGMA)
        total = _blocks(np.where(use, np.clip(left, -CLIP_SIGMA, CLIP_SIGMA), 0))
        number = _blocks(use)
        with np.errstate(invalid="ignore", divide="ignore"):
            excess.append(np.where(number > 0.3 * BLOCK_PIX**2, total / np.sqrt(number), np.nan))
    series = np.stack(excess)
    return series - _slow_course(series), changed


def _usual(images: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the median over the integrations, a few rows at a time: copies of all of them take much memory."""
    strips = [slice(first, first + STRIP_ROWS) for first in range(0, images.shape[1], STRIP_ROWS)]
    return np.concatenate(
        [nanmedian(np.where(usable[:, rows], images[:, rows], np.nan), axis=0) for rows in strips], axis=0
    )


def _slow_course(series: np.ndarray) -> np.ndarray:
    """Return the running median over the integrations; the ends are mirrored, so that a trend goes on beyond them."""
    half = MEDIAN_INTS // 2
    if len(series) < half + 5:
        return running_median(series, MEDIAN_INTS)
    # About the median of the last five, which an event in one of them does not move.
    first, last = 2 * nanmedian(series[:5], axis=0), 2 * nanmedian(series[-5:], axis=0)
    padded = [first - series[half + 4 - k] for k in range(half)], [last - series[-6 - k] for k in range(half)]
    return running_median(np.concatenate([padded[0], series, padded[1]]), 2 * half + 1)[half:-half]


def _changes_of_star(mean: np.ndarray) -> np.ndarray:
    """Return what the star does from one integration to the next: images (4, ny, nx) of its light and derivatives."""
    filled = np.nan_to_num(mean)
    star = filled - np.median(filled, axis=1, keepdims=True)
    first = np.gradient(star, axis=1)
    along = np.gradient(star, axis=0)
    return np.stack([star, first, np.gradient(first, axis=1), along])


def _without_changes(difference: np.ndarray, noise: np.ndarray, use: np.ndarray, changes: np.ndarray) -> np.ndarray:
    """Return a difference of images less the changes of the star, fitted to what does not lie far off."""
    left = difference
    flat, reach = changes.reshape(len(changes), -1), HIT_SIGMA * noise
    for _ in range(ROUNDS):
        kept = np.flatnonzero(use & (np.abs(left) < reach))
        if kept.size < 10 * len(changes):
            return left
        own = np.take(noise, kept)
        weighted = np.take(flat, kept, axis=1)
        weighted /= own
        normal = weighted @ weighted.T
        scale = np.sqrt(np.maximum(np.diag(normal), 1e-300))
        normal = normal / np.outer(scale, scale) + 1e-9 * np.eye(len(scale))
        found = np.linalg.solve(normal, weighted @ (np.take(difference, kept) / own) / scale) / scale
        left = difference - np.tensordot(found, changes, axes=1)
    return left


def _blocks(values: np.ndarray) -> np.ndarray:
    """Return the sums over blocks of pixels."""
    ny, nx = values.shape
    padded = np.pad(values.astype(float), ((0, -ny % BLOCK_PIX), (0, -nx % BLOCK_PIX)))
    return padded.reshape(padded.shape[0] // BLOCK_PIX, BLOCK_PIX, -1, BLOCK_PIX).sum(axis=(1, 3))


def _is_the_trace(far_off: np.ndarray, center: np.ndarray) -> bool:
    """Tell whether most of the trace and little else is unlike the neighbours: an antenna moved, focus or mirrors did.

    far_off : (ny, nx) bool, pixels beyond HIT_SIGMA.
    """
    distance = np.abs(np.arange(far_off.shape[1]) - center[:, None])
    rows = (far_off & (distance < TRACE_PIX)).any(axis=1).mean()
    beside = far_off[distance > BESIDE_PIX].mean() if (distance > BESIDE_PIX).any() else 0.0
    return bool(rows > TRACE_ROWS and beside < BESIDE_SHARE)


def _support(sigma: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Return the pixels (ny, nx) that a patch and its surroundings cover."""
    lit = sigma > LEAST_SIGMA
    lit = binary_dilation(lit, np.ones((3, 3)), iterations=-1, mask=(sigma > REACH_SIGMA) | lit)
    lit = binary_dilation(lit, np.ones((3, 3)), iterations=MARGIN_BLOCKS)
    return np.kron(lit, np.ones((BLOCK_PIX, BLOCK_PIX), bool))[: shape[0], : shape[1]]


def fit_patch(
    data: np.ndarray,
    err: np.ndarray,
    usable: np.ndarray,
    reference: np.ndarray,
    support: np.ndarray,
    *,
    center: np.ndarray,
    half_width: float,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit a smooth patch of light within `support`, and the star's change from a reference image with it.

    All images (ny, nx). Returns the light, 0 outside the support, and the variance of its mean over the aperture,
    (ny,), common to the pixels of a row.
    """
    usable = usable & np.isfinite(reference)
    surface, grid = _surface(support)
    design = hstack([surface, _star_terms(reference)], format="csr")
    target = np.where(usable, data - reference, 0.0).ravel()
    weight = np.where(usable, 1 / np.where(usable, err, 1) ** 2, 0.0).ravel()
    n_surface = surface.shape[1]
    model, coefficients = _first_look(target.reshape(data.shape), usable).ravel(), np.zeros(n_surface)
    for _ in range(ROUNDS):
        kept = np.abs(target - model) * np.sqrt(weight) < OUTLIER_SIGMA
        solution, factor = _solve(design, target, np.where(kept, weight, 0.0), _roughness(grid, coefficients))
        model, coefficients = design @ solution, solution[:n_surface]
    light = (surface @ coefficients).reshape(data.shape)
    covariance = cho_solve(factor, np.eye(design.shape[1])[:, :n_surface])[:n_surface]
    return light.astype(np.float32), _variance_of_rows(surface, covariance, data.shape, center, half_width)


def _first_look(difference: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return a difference smoothed by medians of blocks, by which hits are told before there is a model."""
    ny, nx = difference.shape
    values = np.pad(np.where(usable, difference, np.nan), ((0, -ny % 4), (0, -nx % 4)), constant_values=np.nan)
    blocks = values.reshape(values.shape[0] // 4, 4, -1, 4).swapaxes(1, 2)
    middle = np.nan_to_num(nanmedian(blocks.reshape(*blocks.shape[:2], 16), axis=2))
    return np.kron(middle, np.ones((4, 4)))[:ny, :nx]


def _splines(size: int, distance: float) -> np.ndarray:
    """Return cubic B-splines with knots about `distance` apart, (size, n_splines)."""
    pieces = max(1, round((size - 1) / distance))
    step = (size - 1) / pieces
    knots = step * np.arange(-3, pieces + 4)
    return BSpline.design_matrix(np.arange(size) + 0.0, knots, 3, extrapolate=True).toarray()


def _surface(support: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """Return the splines of the surface, (n_pixels, n_terms), and which of a grid of them are there (bool, 2-D)."""
    ny, nx = support.shape
    rows, columns = np.flatnonzero(support.any(axis=1)), np.flatnonzero(support.any(axis=0))
    inside = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
    along, across = (_splines(n, KNOT_PIX) for n in support[inside].shape)
    terms = np.einsum("ya,xb->yxab", along, across) * support[inside][..., None, None]
    grid = terms.any(axis=(0, 1))
    whole = np.zeros((ny, nx, int(grid.sum())), np.float32)
    whole[inside] = terms[..., grid]
    return csr_array(whole.reshape(ny * nx, -1)), grid


def _roughness(grid: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
    """Return the penalty on second differences of the coefficients: where there is more light, more bend is likely.

    grid : (n_along, n_across) bool, which coefficients there are, in the order of (n_terms,) `coefficients`.
    """
    light = np.zeros(grid.shape)
    light[grid] = np.abs(coefficients)
    light = maximum_filter(light, 3)
    least = LEAST_LIGHT * light.max()
    calm = 1 / (light + least) if least > 0 else np.ones(grid.shape)
    calm *= np.sqrt(grid.sum() / (calm[grid] ** 2).sum())
    number = np.full(grid.shape, -1)
    number[grid] = np.arange(grid.sum())
    penalty = np.zeros((coefficients.size, coefficients.size))
    for order, strength in ((number, calm), (number.T, calm.T)):
        triple = np.stack([order[:-2], order[1:-1], order[2:]]).reshape(3, -1)
        there = (triple >= 0).all(axis=0)
        difference = np.zeros((int(there.sum()), coefficients.size))
        rows = np.arange(len(difference))
        for part, sign in zip(triple[:, there], (1, -2, 1), strict=True):
            difference[rows, part] = sign * strength[1:-1].ravel()[there]
        penalty += difference.T @ difference
    return penalty


def _star_terms(reference: np.ndarray) -> csr_array:
    """Return the star's changes, each times splines along the rows, (n_pixels, n_terms)."""
    along = _splines(reference.shape[0], KNOT_ROWS)
    terms = [image[..., None] * along[:, None, :] for image in _changes_of_star(reference)]
    flat = np.concatenate(terms, axis=2).reshape(reference.size, -1)
    size = np.sqrt((flat**2).sum(axis=0))
    return csr_array(flat / np.where(size > 0, size, 1))


def _solve(design: csr_array, target: np.ndarray, weight: np.ndarray, penalty: np.ndarray):
    """Return the solution and the factor of its matrix, for the strength of smoothing that has most evidence."""
    weighted = design.multiply(weight[:, None]).tocsr()
    normal, right = (design.T @ weighted).toarray(), weighted.T @ target
    n_surface = len(penalty)
    scale = float(np.median(np.diag(normal)[:n_surface]))
    best = (-np.inf, right, None)
    for tried in SMOOTHING:
        matrix = normal + 1e-6 * scale * np.eye(len(normal))
        matrix[:n_surface, :n_surface] += tried * scale * penalty
        factor = cho_factor(matrix, lower=True)
        solution = cho_solve(factor, right)
        determinant = 2 * np.log(np.diag(factor[0])).sum()
        evidence = 0.5 * (right @ solution - determinant + n_surface * np.log(tried))
        if evidence > best[0]:
            best = (evidence, solution, factor)
    return best[1:]


def _variance_of_rows(surface, covariance: np.ndarray, shape, center: np.ndarray, half_width: float) -> np.ndarray:
    """Return the variance of the surface's mean over the aperture of every row."""
    ny, nx = shape
    inside = np.abs(np.arange(nx) - center[:, None]) <= half_width
    share = inside / np.maximum(inside.sum(axis=1, keepdims=True), 1)
    pick = csr_array((share.ravel(), (np.repeat(np.arange(ny), nx), np.arange(ny * nx))), shape=(ny, ny * nx))
    rows = (pick @ surface).toarray()
    return ((rows @ covariance) * rows).sum(axis=1)
