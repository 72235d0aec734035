"""Least squares for what varies of a wisp, with priors of several widths and templates that are not free of noise."""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np

from detectorist.algorithms.wisps.wisp_bins import N_DERIVATIVES, Sharp

#: Scatter of strengths that is tried, and how quickly a larger one becomes unlikely.
SCATTERS, USUAL_SCATTER = (0.005, 0.02, 0.05, 0.1, 0.15, 0.2), 0.1
#: Standard deviation of a displacement, pixel: hardly any, or as far as templates were seen to be off.
DISPLACEMENTS = (0.03, 1.5)
#: The same of half the square of the width by which the wisp is blunter than its template (negative: sharper), pixel^2.
BLURS = (0.03, 3.0)
#: Rounds of solution and of what neighbours share.
ROUNDS = 3
#: Clusters of so many bins on a side tell how much the residuals of neighbours have in common.
CLUSTERS = (1, 2, 4)
#: Of a derivative whose square is noise by more than this part, nothing is fitted.
MOST_NOISE = 0.5


class Solution(NamedTuple):
    """Parameters, their covariance, the scatter of strengths, and how parameters follow the data of the used bins.

    shared : by how much the variance of bins is larger than that of independent ones.
    """

    found: np.ndarray
    covariance: np.ndarray
    scatter: float
    response: np.ndarray
    shared: float


class Regression:
    """Least squares with Gaussian priors on what varies, averaged over their widths by evidence.

    Parameters
    ----------
    columns : ndarray, shape (n_parameters, ny, nx)
        Those of free strengths first, those of places, and the derivatives' last.
    weight : ndarray, shape (ny, nx)
    sharp : Sharp
    mixing : ndarray, shape (n + 3, n_parameters, 1 + n_places)
        How much of each template and derivative is in each column, by `hats`.
    hats : ndarray, shape (1 + n_places, n_used)
        Ones, and how much each used bin belongs to each place.

    Notes
    -----
    Noise of the columns is taken off their products (Fuller 1987, Measurement Error Models), and stays in the
    covariance: it moves parameters as noise of the data does.
    """

    def __init__(self, columns: np.ndarray, weight: np.ndarray, sharp: Sharp, mixing: np.ndarray, hats: np.ndarray):
        self.shape, self.used = sharp.used.shape, sharp.used
        self.columns, self.data = columns[:, sharp.used], sharp.rest[0][sharp.used]
        self.weight, self.n_places = weight[sharp.used], len(hats) - 1
        self.n_free = len(columns) - self.n_places - N_DERIVATIVES
        full = (self.columns * self.weight) @ self.columns.T
        self.noise = _noise_of_columns(sharp.noise, mixing, (hats * self.weight) @ hats.T)
        noisy = np.diag(self.noise) > MOST_NOISE * np.diag(full)
        noisy[:-N_DERIVATIVES] = False
        self.columns[noisy] = full[noisy] = self.noise[noisy] = 0
        full[:, noisy] = self.noise[:, noisy] = 0
        self.normal = full - self.noise
        self.moment = (self.columns * self.weight) @ self.data
        self.square = float((self.weight * self.data**2).sum())

    def solve(self, typical: float) -> Solution:
        """Return the mean over widths of priors, in rounds: residuals tell what neighbours share.

        typical : strength of which variations are parts.
        """
        tried = np.array(list(product(SCATTERS, DISPLACEMENTS, BLURS)))
        shared = 1.0
        for _ in range(ROUNDS):
            evidence, each, inverse = self._solve_each(tried, typical, shared)
            share = np.exp(evidence - evidence.max())
            share /= share.sum()
            found = share @ each
            covariance = inverse + inverse @ (self.noise / shared) @ inverse
            apart = each - found
            covariance = np.tensordot(share, covariance, 1) + (share * apart.T) @ apart
            supposed, shared = shared, self._shared(found)
        response = np.tensordot(share, inverse, 1) @ (self.columns * self.weight) / supposed
        return Solution(found, covariance, float(np.sqrt(share @ tried[:, 0] ** 2)), response, supposed)

    def _solve_each(self, tried, typical, shared):
        """Return logarithmic evidence, parameters and inverse of the normal matrix for each width of priors."""
        scatter, displacement, blur = tried.T * typical
        widths = np.column_stack([*[scatter] * self.n_places, displacement, displacement, blur])
        prior = np.column_stack([np.zeros((len(tried), self.n_free)), widths**-2])
        normal = self.normal / shared + prior[:, None] * np.eye(prior.shape[1])
        inverse = np.linalg.inv(normal)
        found = inverse @ self.moment / shared
        _, volume = np.linalg.slogdet(normal)
        misfit = self.square - 2 * found @ self.moment + ((found @ self.normal) * found).sum(axis=1)
        own = (prior * found**2).sum(axis=1)
        evidence = -0.5 * (misfit / shared + own + volume + 2 * np.log(widths).sum(axis=1))
        return evidence - tried[:, 0] / USUAL_SCATTER, found, inverse

    def _residual(self, found):
        return self.data - found @ self.columns

    def _shared(self, found):
        """Return by how much the variance of sums over neighbouring bins exceeds that of independent ones."""
        left = self._residual(found)
        scores = np.zeros(self.shape)
        scores[self.used] = self.weight * self.columns[: self.n_free].sum(axis=0) * left
        scatter = max(1.0, float((self.weight * left**2).mean()))
        single = max(float((scores**2).sum()), 1e-30)
        return max(1.0, *(scatter * float((sums_of_squares(scores, n) ** 2).sum()) / single for n in CLUSTERS))

    def residual_ratio(self, found: np.ndarray) -> float:
        """Return the weighted rms of what a model leaves."""
        return float(np.sqrt((self.weight * self._residual(found) ** 2).mean()))


def _noise_of_columns(noise, mixing, overlap):
    """Return what noise of templates and derivatives adds to the normal matrix.

    noise : (n + 3, n + 3), covariance. overlap : (1 + n_places, 1 + n_places), weighted products of hats.
    """
    total = np.zeros((mixing.shape[1], mixing.shape[1]))
    for i, j in np.argwhere(noise):
        total += noise[i, j] * mixing[i] @ overlap @ mixing[j].T
    return total


def sums_of_squares(values: np.ndarray, size: int) -> np.ndarray:
    """Return sums over squares of `size` bins; what is left over at the borders is dropped."""
    ny, nx = (n // size * size for n in values.shape)
    return values[:ny, :nx].reshape(ny // size, size, nx // size, size).sum(axis=(1, 3))
