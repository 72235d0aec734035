"""Strengths that vary from place to place, a displacement and another sharpness: how wisps differ from templates."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from detectorist.algorithms.wisps.wisp_bins import BIN_PIX, N_DERIVATIVES, Bins, Sharp, left_of
from detectorist.algorithms.wisps.wisp_regression import Regression, sums_of_squares

#: Places with less of the wisp's light squared have no strength of their own.
LEAST_LIGHT = 0.002
#: Strength below which it is not divided by, and the one of which at least variations are parts.
LEAST_LEVEL, LEAST_TYPICAL = 1e-6, 0.05
#: Rounds of strength and misfit in turn.
MISFIT_ROUNDS = 3
#: Distance of the places between which the strength varies, pixel.
PLACES_PIX = 192
#: Most that is allowed for the second order of displacement and blur, part of a strength.
MOST_SECOND_ORDER = 0.03
#: A strength that varies from place to place varies within places as well: as much, between so many parts along either
#: axis.
PARTS_OF_PLACES = 2


class Strength(NamedTuple):
    """Result of `fit_variation`.

    scale : ndarray, shape (n,), mean strength of every template, weighted by its light squared; a single one may be
    negative, several may not.
    covariance : ndarray, shape (n, n)
    least_error : ndarray, shape (n,), what the error would be with white noise alone.
    local : ndarray, shape (ny, nx) of the bins, strength at every place over the mean.
    displacement : tuple of float, (y, x) of the wisp from its template, pixel.
    blur : float, half the square of the width (sigma, pixel) by which it is blunter than its template.
    excluded : ndarray of bool, shape (ny, nx) of the bins, compact sources and places that were not seen.
    residual_ratio : float, rms of the residuals where the template is lit over that expected.
    n_bins : int, bins behind the fit.
    smoothing_pix : tuple of float, of `Bins`, to which displacement and blur belong.
    causes : ndarray, shape (n, n_causes), what independent causes of unit variance do to the strengths: noise of every
    bin, and what strengths do within places. They are those of all fits to one image, in the same order.
    """

    scale: np.ndarray
    covariance: np.ndarray
    least_error: np.ndarray
    local: np.ndarray
    displacement: tuple[float, float]
    blur: float
    excluded: np.ndarray
    residual_ratio: float
    n_bins: int
    smoothing_pix: tuple[float, float]
    causes: np.ndarray


def fit_variation(bins: Bins, sharp: Sharp, scale: np.ndarray) -> Strength:
    """Return strengths, their errors and their variation over the bins, relative to the whole wisp."""
    active, typical, share = _shares(bins.n, scale)
    light = _light(bins, share)
    places, parts = places_of(light)
    fit, weight, solved = _solve_in_rounds(bins, sharp, scale, active, share, places, typical)
    found = solved.found
    # The mean strength of each template: its own, and its share of the mean of what varies.
    mean = np.zeros((bins.n, len(found)))
    mean[active, np.arange(active.size)] = 1
    mean[:, active.size : active.size + len(places)] = share[:, None] * parts
    mean[scale == 0] = 0
    result = mean @ found
    response = mean @ solved.response
    wisp = np.where(bins.lit, bins.wisp(share * typical), 0)
    uneven = solved.scatter * _unevenness(_followed(response, sharp) * wisp, result, light)
    level = float(result[active].mean()) if active.size else 0.0
    known = abs(level) > LEAST_LEVEL
    change = found[-N_DERIVATIVES:] / level if known else np.zeros(N_DERIVATIVES)
    covariance = mean @ solved.covariance @ mean.T + uneven @ uneven.T
    covariance += _second_order(sharp, weight, share, change) ** 2 * np.outer(result, result)
    course = np.tensordot(found[active.size : active.size + len(places)], np.array(places), 1) if places else 0 * light
    # Without a wisp nothing varies.
    local = 1 + (course - float((course * light).sum())) / level if known else np.ones_like(light)
    return Strength(
        result,
        _with_inactive(covariance, sharp, weight, scale),
        _least_errors(sharp, bins),
        local,
        (float(-change[0]), float(-change[1])),
        float(change[2]),
        sharp.excluded,
        fit.residual_ratio(found),
        int(sharp.used.sum()),
        bins.smoothing_pix,
        _causes(response, solved.shared / weight, uneven, sharp.used),
    )


def uneven_columns(bins: Bins, scale: np.ndarray, rest: np.ndarray, without_planes: Callable | None) -> np.ndarray:
    """Return what planes leave of the wisp where only that of one place is there, (n_places, ny, nx).

    Parameters
    ----------
    bins : Bins
    scale : ndarray, shape (n,)
        Strengths of the templates.
    rest : ndarray, shape (1 + n + 3, ny, nx)
        What planes leave of image, templates and derivatives.
    without_planes : callable, optional
        Takes planes off sums in bins. Planes as wide as places see more than the place: what they leave beside it is
        part of the column. Of narrow ones it is taken for what they leave of the whole wisp there: their surroundings
        of a place have the shape of those of a galaxy's core as well.
    """
    _, _, share = _shares(bins.n, scale)
    weights = np.array(places_of(_light(bins, share))[0]).reshape(-1, *bins.count.shape)
    if without_planes is None:
        return weights * np.tensordot(share, rest[1 : 1 + bins.n], 1)
    return without_planes(weights * np.tensordot(share, bins.totals[1 : 1 + bins.n], 1))


def _shares(n, scale):
    """Return which templates are in the wisp, their mean strength, and their strengths over this mean."""
    active = np.flatnonzero(scale > 0) if n > 1 else np.arange(1)
    typical = float(scale[active].mean()) if active.size else 0.0
    return active, typical, scale / typical if n > 1 and typical else np.ones(n)


def _light(bins, share):
    """Return the square of the wisp's light (ny, nx) of templates in given shares, one in all."""
    light = np.where(bins.lit, bins.wisp(share) ** 2, 0)
    return light / light.sum()


def _causes(response, variance, uneven, used):
    """Return what noise of bins of given variance (ny, nx), and then the unevenness of places, do to strengths."""
    noise = np.zeros((len(response), *used.shape))
    noise[:, used] = response * np.sqrt(variance[used])
    return np.concatenate([noise.reshape(len(response), -1), uneven], axis=1)


def _solve_in_rounds(bins, sharp, scale, active, share, places, typical):
    """Return regression, weights of bins, and what it finds.

    A strength that varies is no misfit: places count the less the more is left with it, not without it.
    """
    columns = np.stack([*sharp.rest[1 + active], *sharp.uneven, *sharp.rest[1 + bins.n :]])
    mixing = _mixing(active, share, len(places))
    hats = np.stack([np.ones(sharp.used.sum()), *(one[sharp.used] for one in places)])
    left = left_of(sharp.rest, scale)
    for _ in range(MISFIT_ROUNDS):
        weight = 1 / sharp.independent(left, bins)
        fit = Regression(columns, weight, sharp, mixing, hats)
        solved = fit.solve(max(abs(typical), LEAST_TYPICAL))
        left = sharp.rest[0] - np.tensordot(solved.found, columns, 1)
    return fit, weight, solved


def _followed(response, sharp):
    """Return how strengths follow the light of each bin (n, ny, nx), which planes are fitted to.

    response : (n, n_used), how they follow what planes leave of the used bins.
    """
    everywhere = np.zeros((len(response), *sharp.used.shape))
    everywhere[:, sharp.used] = response
    return np.stack([sharp.planes.follow(one) for one in everywhere])


def _unevenness(counted, strength, light):
    """Return what scatters of 1 between parts of places do to strengths, (n, n_parts).

    A fit counts places otherwise than by their light squared, and narrow filaments more than broad ones, which planes
    follow: what varies within places does not cancel. counted : (n, ny, nx), by how much strengths change with the
    wisp's relative strength in each bin.
    """
    missed = counted - strength[:, None, None] * light
    size = PLACES_PIX // BIN_PIX // PARTS_OF_PLACES
    return np.stack([sums_of_squares(one, size).ravel() for one in missed])


def _second_order(sharp, weight, share, change):
    """Return the part of a strength that displacement and blur change in second order, which the fit does not know.

    Half the second derivative along a displacement is on average a quarter of its square times that of all directions;
    a blur's second order is half its square times the fourth derivative, three times the second one's square.
    """
    n, w = share.size, weight[sharp.used]
    wisp, second = np.tensordot(share, sharp.rest[1 : 1 + n, sharp.used], 1), sharp.rest[-1, sharp.used]
    light = (w * wisp**2).sum() - share @ sharp.noise[:n, :n] @ share * w.sum()
    curved = (w * wisp * second).sum() - share @ sharp.noise[:n, -1] * w.sum()
    curvature = abs(float(curved)) / max(float(light), 1e-30)
    moved, blurred = float((change[:2] ** 2).sum()), float(change[2])
    return min(float(np.hypot(moved / 4 * curvature, 1.5 * (blurred * curvature) ** 2)), MOST_SECOND_ORDER)


def _least_errors(sharp, bins):
    columns = sharp.rest[1 : 1 + bins.n, sharp.used] / np.sqrt(bins.white[sharp.used])
    return np.sqrt(np.diag(np.linalg.pinv(columns @ columns.T)))


def _with_inactive(covariance, sharp, weight, scale):
    """Return the covariance with the variance that a strength held at zero would have if it were free."""
    held = np.flatnonzero(scale == 0) if scale.size > 1 else []
    for i in held:
        column = sharp.rest[1 + i, sharp.used]
        covariance[i, i] = 1 / max(float((column**2 * weight[sharp.used]).sum()), 1e-30)
    return covariance


def _mixing(active, share, n_places):
    """Return how much of each template and derivative is in each parameter, everywhere and by place.

    Shape (n + 3, n_parameters, 1 + n_places).
    """
    n, first = share.size, active.size + n_places
    mixing = np.zeros((n + N_DERIVATIVES, first + N_DERIVATIVES, 1 + n_places))
    mixing[active, np.arange(active.size), 0] = 1
    for place in range(n_places):
        mixing[:n, active.size + place, 1 + place] = share
    mixing[n:, first:, 0] = np.eye(N_DERIVATIVES)
    return mixing


def places_of(light: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
    """Return weights of the places that have enough of the light (ny, nx), and how much of it each has.

    Weights (n, ny, nx) are linear between places on a grid, and those of all places add up to one.
    """
    step = PLACES_PIX // BIN_PIX
    rows, columns = (
        np.clip(1 - np.abs(np.arange(n)[None] - np.arange(0, n + step, step)[:, None]) / step, 0, None)
        for n in light.shape
    )
    parts = rows @ light @ columns.T
    chosen = np.argwhere(parts > LEAST_LIGHT)
    return [np.outer(rows[i], columns[j]) for i, j in chosen], parts[tuple(chosen.T)]
