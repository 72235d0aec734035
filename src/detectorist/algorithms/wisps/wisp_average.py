"""The mean of strengths of one wisp that were measured in several ways, and its error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import nnls

from detectorist.algorithms.wisps.wisp_variation import Strength

#: Least variance of a strength.
LEAST_VARIANCE = 1e-30
#: Part of their variances that results do not share at least; what the equation that weights add up to one counts.
SEPARATE, SUM_WEIGHT = 1e-6, 1e4


def average_strengths(found: Sequence[Strength]) -> Strength:
    """Return the mean of strengths that share the noise of one image, with the least variance.

    Parameters
    ----------
    found : sequence of Strength
        From one image with one set of templates, in different ways.

    Returns
    -------
    Strength
        What is excluded, and numbers of bins, are those of the result that counts most.

    Notes
    -----
    Weights are those of the least variance of the sum of all templates' strengths (Gauss-Markov), none negative. What
    results share is known from what they make of every bin's noise and of every place (`causes`); the rest of their
    variances, as of the templates' noise, is taken to be the same in all. A result that differs from each of the others
    by more than that allows is doubted: the square of what is too much is added to its variance.
    """
    causes = np.stack([one.causes for one in found])
    rest = [one.covariance - own @ own.T for one, own in zip(found, causes, strict=True)]
    doubts = [_doubt(found, causes, rest, k) for k in range(len(found))]
    total = causes.sum(axis=1)
    remaining = np.sqrt([max(float(one.sum()), LEAST_VARIANCE) for one in rest])
    joint = total @ total.T + np.outer(remaining, remaining) + np.diag([float(one.sum()) for one in doubts])
    share = _weights(joint)

    def mean(values):
        return sum(part * np.asarray(value) for part, value in zip(share, values, strict=True))

    together, moved = mean(causes), mean(one.displacement for one in found)
    covariance = together @ together.T + mean(rest) + np.tensordot(share**2, np.stack(doubts), 1)
    return found[int(share.argmax())]._replace(
        scale=mean(one.scale for one in found),
        covariance=covariance,
        least_error=mean(one.least_error for one in found),
        local=mean(one.local for one in found),
        displacement=(float(moved[0]), float(moved[1])),
        blur=float(mean(one.blur for one in found)),
        residual_ratio=float(mean(one.residual_ratio for one in found)),
        causes=together,
    )


def _doubt(found, causes, rest, k):
    """Return the covariance (n, n) of what result `k` differs too much by from the one that it differs least from."""
    least = None
    for other in range(len(found)):
        if other == k:
            continue
        apart, differs = found[k].scale - found[other].scale, causes[k] - causes[other]
        values, vectors = np.linalg.eigh(
            np.outer(apart, apart) - differs @ differs.T - _apart_at_most(rest[k], rest[other])
        )
        excess = (vectors * np.maximum(values, 0)) @ vectors.T
        if least is None or excess.sum() < least.sum():
            least = excess
    return np.zeros_like(rest[k]) if least is None else least


def _apart_at_most(first, second):
    """Return the covariance of the difference of errors of given covariances (n, n) that are one error in two sizes."""
    large, small = sorted((first, second), key=lambda one: -float(one.sum()))
    ratio = np.sqrt(max(float(small.sum()), 0.0) / max(float(large.sum()), LEAST_VARIANCE))
    return (1 - min(ratio, 1.0)) ** 2 * large


def _weights(joint):
    """Return weights, none negative, of the least variance of a mean; they add up to one."""
    n = len(joint)
    scale = np.sqrt(np.diag(joint))
    root = np.linalg.cholesky(joint / np.outer(scale, scale) + SEPARATE * np.eye(n))
    # The least of |root.T (scale * w)|, with the sum of w held to one by an equation of large weight.
    matrix = np.concatenate([root.T * scale / scale.min(), np.full((1, n), SUM_WEIGHT)])
    share = nnls(matrix, np.append(np.zeros(n), SUM_WEIGHT))[0]
    return share / share.sum()
