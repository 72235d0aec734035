"""Light of a large galaxy and halos of bright sources beside a wisp, modelled ring by ring.

What planes cannot tell from broad filaments has another shape: the light of a galaxy is nearly the same along ellipses,
that of a halo along circles. Profiles along their radii (cubic splines), and small departures with the angle for the
galaxy, are fitted together with the wisp, whose strength may vary from place to place, so that they take none of it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from scipy import fft, ndimage
from scipy.interpolate import BSpline

from detectorist.algorithms.images.local_planes import fit_planes
from detectorist.algorithms.wisps.wisp_bins import STRIPES, Bins
from detectorist.algorithms.wisps.wisp_regression import sums_of_squares
from detectorist.algorithms.wisps.wisp_variation import LEAST_TYPICAL, places_of
from detectorist.errors import TooFewPixels

#: Width (sigma, bins) of the planes that show smooth light, and the least part of their weight that must be seen.
SMOOTH_BINS, LEAST_SEEN = 3.5, 0.05
#: Light beyond this percentile counts no more where the galaxy is looked for: stars are brighter.
BRIGHTEST = 99.5
#: Isophotes, in parts of the galaxy's brightest light, that tell its shape.
ISOPHOTES = (0.5, 0.25, 0.12, 0.06)
#: Fewest bins within an isophote that tell it.
LEAST_INSIDE = 10
#: Splines of the galaxy's profile by the order of the angle; radii are spaced by their square root.
GALAXY_SPLINES = {0: 16, 1: 6, 2: 4}
#: Halos at most, the fewest bins of such a source, its splines, its reach, and how near to the galaxy's middle none is.
HALOS, HALO_AREA, HALO_SPLINES, HALO_BINS, CORE_BINS = 10, 25, 6, 60.0, 12.0
#: Within so many radii of its largest disc a source is looked at; one longer than so many times its width has no halo.
AROUND, MOST_ELONGATED = 3.0, 2.0
#: Parts of a galaxy's light and of the wisp's that count as noise, and the standard deviation of strengths at places.
GALAXY_NOISE, WISP_NOISE, SCATTER = 0.03, 0.05, 0.1
#: Squares deviate beyond so many sigma; rounds of that.
DEVIATES_SIGMA, ROUNDS = 5.0, 3
#: Fewest squares of bins for each parameter.
SQUARES_EACH = 20
#: Standard deviations of a profile that no bin tells, DN/s, and of a wisp's strength of which no bin is seen.
UNKNOWN, UNKNOWN_STRENGTH = 10.0, 1e3

#: The cubic B-spline of knots that are one apart; NaN beyond them.
_SPLINE = BSpline.basis_element(np.arange(-2.0, 3.0), extrapolate=False)


class Rings(NamedTuple):
    """Light along ellipses about a place, as a function of the radius, or that times an angle's cosine or sine.

    middle : (y, x), bins. metric : (2, 2), whose quadratic form of the offset is the radius squared. order : of the
    angle. phase : 0 for its cosine, -pi / 2 for its sine. n : splines. step : their distance, in the root of the
    radius. reach : beyond it there is no light.
    """

    middle: tuple[float, float]
    metric: np.ndarray
    order: int
    phase: float
    n: int
    step: float
    reach: float

    def columns(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the splines at places (n_places,), shape (n, n_places)."""
        root, angle = self._polar(y, x)
        return splines(root / self.step, self.n) * self._turned(angle)

    def image(self, y: np.ndarray, x: np.ndarray, strength: np.ndarray) -> np.ndarray:
        """Return the light of splines of given strengths (n,)."""
        root, angle = self._polar(y, x)
        fine = np.linspace(0, self.n + 1, 50 * self.n)
        return np.interp(root / self.step, fine, strength @ splines(fine, self.n)) * self._turned(angle)

    def _polar(self, y, x):
        along, across = np.linalg.cholesky(self.metric).T @ np.stack([y - self.middle[0], x - self.middle[1]])
        return np.hypot(along, across) ** 0.5, np.arctan2(along, across)

    def _turned(self, angle):
        return np.cos(self.order * angle + self.phase) if self.order else 1.0


def splines(at: np.ndarray, n: int) -> np.ndarray:
    """Return cubic B-splines about -1, 0, ..., n - 2 at given places (n_places,), shape (n, n_places)."""
    return np.nan_to_num(_SPLINE(at - (np.arange(n) - 1.0)[:, None]))


def without_bright_light(bins: Bins, scale: np.ndarray, excluded: np.ndarray) -> Bins:
    """Return bins without the light of the largest galaxy and of halos, and without what is excluded.

    Parameters
    ----------
    bins : Bins
    scale : ndarray, shape (n,)
        Strengths of the wisp, roughly.
    excluded : ndarray of bool, shape (ny, nx)
        Compact sources, which are not modelled.

    Raises
    ------
    TooFewPixels
        When there are fewer than 20 squares of two by two bins for each parameter.

    Notes
    -----
    Where there is no galaxy the profiles find nothing, and take little. About 0.3 s for a full frame.
    """
    wisp = bins.wisp(np.maximum(scale, LEAST_TYPICAL))
    count = np.where(excluded, 0, bins.count)
    rest = bins.mean(0) - bins.wisp(scale)
    light = _smooth_light(bins, rest, count)
    rings = _rings(light, rest, excluded, bins.lit)
    found = _fit(bins, wisp, light, count, rings)
    rows, columns = (one.ravel().astype(float) for one in np.indices(count.shape))
    model, first = np.zeros(rows.size), 0
    for one in rings:
        model += one.image(rows, columns, found[first : first + one.n])
        first += one.n
    totals = np.where(count > 0, bins.totals, 0)
    totals[0] -= model.reshape(count.shape) * count
    return replace(bins, totals=totals, count=count)


def _smooth_light(bins, rest, count):
    """Return light that planes follow, about the level where the wisp is not."""
    light, weight = fit_planes(rest * count, count, SMOOTH_BINS)
    dark = (count > 0) & ~bins.lit
    if not dark.any():
        raise TooFewPixels("wisp fit: the template is lit everywhere", n_usable=0)
    return np.where(weight > LEAST_SEEN * bins.count.max(), light - np.median(light[dark]), 0)


def _rings(light, rest, excluded, lit):
    """Return the rings of the largest galaxy and of halos.

    light : smooth light. rest : all light but the wisp's. excluded, lit : compact sources, and the wisp; (ny, nx) each.
    """
    middle, metric = _galaxy(light)
    step = _farthest(middle, metric, light.shape) ** 0.5 / (GALAXY_SPLINES[0] - 3)
    rings = []
    for order, n in GALAXY_SPLINES.items():
        wider = step * (GALAXY_SPLINES[0] - 3) / (n - 3)
        rings += [
            Rings(middle, metric, order, phase, n, wider, np.inf) for phase in ((0.0, -np.pi / 2) if order else (0.0,))
        ]
    step = HALO_BINS**0.5 / HALO_SPLINES
    return rings + [
        Rings(one, np.eye(2), 0, 0.0, HALO_SPLINES - 1, step, HALO_BINS) for one in _halos(rest, excluded, lit, middle)
    ]


def _galaxy(light):
    """Return the middle (y, x) of the largest galaxy and its metric, of which the determinant is one.

    Turned by half a circle about its middle a galaxy is nearly itself: the convolution of light with itself is largest
    at twice the middle.
    """
    bright = np.clip(light, 0, np.percentile(light, BRIGHTEST))
    shape = [fft.next_fast_len(2 * n, real=True) for n in light.shape]
    twice = np.unravel_index(np.argmax(fft.irfft2(fft.rfft2(bright, shape) ** 2, shape)), shape)
    y, x = np.indices(light.shape)
    turned = ndimage.map_coordinates(light, [twice[0] - y, twice[1] - x], order=1, cval=-1.0)
    both = np.minimum(light, turned)
    middle, shapes = (twice[0] / 2, twice[1] / 2), []
    for part in ISOPHOTES:
        labels, n = ndimage.label(both > part * max(np.percentile(both, BRIGHTEST), 0))
        area = np.bincount(labels.ravel(), minlength=n + 1)[1:]
        if area.max(initial=0) >= LEAST_INSIDE:
            inside = labels == 1 + np.argmax(area)
            offsets = np.stack([y[inside] - middle[0], x[inside] - middle[1]])
            shapes.append(np.cov(offsets) + np.eye(2))
    shape = np.median([one / np.sqrt(np.linalg.det(one)) for one in shapes], axis=0) if shapes else np.eye(2)
    return middle, np.linalg.inv(shape)


def _farthest(middle, metric, shape):
    corners = np.array([(y, x) for y in (0, shape[0]) for x in (0, shape[1])]) - middle
    return np.sqrt(np.einsum("ki,ij,kj->k", corners, metric, corners).max())


def _halos(light, excluded, lit, galaxy):
    """Return the middles of the largest sources near the wisp that are not elongated, and not the galaxy's core.

    Other sources beside a bright star are one piece with its mask: its place is that of a large disc within the mask,
    and in this the middle of the light.
    """
    depth = ndimage.distance_transform_edt(np.pad(excluded, 1))[1:-1, 1:-1]
    depth[ndimage.distance_transform_edt(~lit) > HALO_BINS / 2] = 0
    y, x = np.indices(depth.shape)
    chosen = []
    for _ in range(HALOS + 1):
        place = np.unravel_index(np.argmax(depth), depth.shape)
        radius = depth[place]
        if np.pi * radius**2 < HALO_AREA:
            break
        away = np.hypot(y - place[0], x - place[1])
        middle = _middle_of_light(np.where(away <= radius, light, 0))
        if _is_round(excluded & (away <= AROUND * radius)) and np.hypot(*np.subtract(middle, galaxy)) > CORE_BINS:
            chosen.append(middle)
        depth[away <= AROUND * radius] = 0
    return chosen


def _is_round(mask):
    """Return whether a mask is not much longer than wide."""
    values = np.linalg.eigvalsh(np.cov(np.nonzero(mask)))
    return values[1] <= MOST_ELONGATED**2 * values[0]


def _middle_of_light(light):
    """Return the middle (y, x) of what light is positive, bins."""
    weight = np.maximum(light, 0) + 1e-30
    return tuple(float((place * weight).sum() / weight.sum()) for place in np.indices(light.shape))


def _fit(bins, wisp, light, count, rings):
    """Return strengths of the splines of all rings, fitted with the wisp to squares of two by two bins."""
    lit = np.where(bins.lit, wisp**2, 0)
    places, _ = places_of(lit / lit.sum())
    seen = sums_of_squares(count > 0, 2) == 4
    number = np.maximum(sums_of_squares(count, 2), 1)
    rows, columns = (2.0 * one[seen] + 0.5 for one in np.indices(seen.shape))
    own = np.stack(
        [(sums_of_squares(one * count, 2) / number)[seen] for one in (wisp, *(wisp * one for one in places))]
    )
    matrix = np.concatenate([*(one.columns(rows, columns) for one in rings), own])
    n_splines = len(matrix) - len(own)
    if seen.sum() < SQUARES_EACH * len(matrix):
        raise TooFewPixels("wisp fit: the image is too small for a model of its galaxies", n_usable=int(seen.sum()))
    prior = np.full(len(matrix), SCATTER**-2)
    prior[:n_splines], prior[n_splines] = UNKNOWN**-2, UNKNOWN_STRENGTH**-2
    data = (sums_of_squares(bins.mean(0) * count, 2) / number)[seen]
    smooth = (sums_of_squares(light * count, 2) / number)[seen]
    white = STRIPES * (sums_of_squares(bins.white, 2) / 16)[seen]
    variance = white + (GALAXY_NOISE * smooth) ** 2 + (WISP_NOISE * own[0]) ** 2
    weight = 1 / variance
    for _ in range(ROUNDS):
        found = np.linalg.solve((matrix * weight) @ matrix.T + np.diag(prior), matrix @ (weight * data))
        left = data - found @ matrix
        weight = np.where(np.abs(left) < DEVIATES_SIGMA * np.sqrt(variance), 1 / variance, 0)
    return found[:n_splines]
