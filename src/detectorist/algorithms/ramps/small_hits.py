"""Faint cosmic rays in the ramps of a time series, by what all integrations say about a pixel.

A search within one ramp compares a difference of two groups with the others: with seven of them, and the read noise of
both groups in each, a hit of seven standard deviations is easily missed. All integrations together know the rate of a
pixel far better, and given the rate, all groups before and after a hit tell its size, not two. Where star or pointing
change from one integration to the next, they know it less well; how much less is measured, pixel by pixel.

For the differences d of one ramp, the hypothesis of a hit of size s after group j is d = m + r 1 + s e_j + noise, with

- m, the mean of each difference over the integrations, without the tenth at either end (it takes out whatever bends
  all ramps alike);
- r, how the rate of this integration differs: N(0, tau^2), tau from the spread of rates over the integrations beyond
  their noise;
- noise of covariance C: photons of m, and read noise, which two neighbouring differences share with opposite signs.

The best s reduces chi squared by z_j^2 = (e_j V^-1 (d - m))^2 / (e_j V^-1 e_j), V = C + tau^2 1 1^T: the residual of
regression theory (Cook & Weisberg 1982, "Residuals and Influence in Regression", 2.2), normal with variance 1 without
a hit. Its square must exceed that of the threshold, and s must be positive, since a particle only adds charge. If a
rate far from the usual (a bad integration, a minority after a pointing jump) would reduce chi squared as well, the hit
must do so by the threshold more, less the cost of so unlikely a rate. Where the ramps of a pixel scatter more than
expected, so that the median of their chi squared is too high, the thresholds grow by as much.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms import dq

#: With fewer integrations than this nothing is looked for; of more than MOST, so many, evenly spread, tell what is
#: usual: the mean of a hundred values is known to a tenth of their noise.
FEWEST_INTEGRATIONS, MOST_INTEGRATIONS = 5, 100
#: Odds against a rate that the spread over the integrations does not explain; its cost in chi squared is twice the
#: logarithm.
RATE_CHANGE_ODDS = 100.0


class SmallHits(NamedTuple):
    """Group flags with the hits in them."""

    groupdq: np.ndarray  # of the input's shape: `out`, or a new array
    number: int  # groups flagged


def flag_small_hits(
    data: np.ndarray,
    groupdq: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: float,
    threshold_sigma: float = 4.5,
    out: np.ndarray | None = None,
) -> SmallHits:
    """Flag hits that the search within each ramp has left.

    Parameters
    ----------
    data : ndarray, shape (n_ints, n_groups, ny, nx)
        Linearised ramps in DN, groups evenly spaced.
    groupdq : ndarray of uint8, same shape
        Flags. Differences with a DO_NOT_USE or SATURATED group, or with a known JUMP, are left out.
    gain, read_noise : ndarray, shape (ny, nx)
        In e-/DN; CDS noise in DN, as in the reference files. Pixels without a positive value are not searched.
    n_frames : float
        Frames averaged into a group.
    threshold_sigma : float
        Significance of a hit.
    out : ndarray of uint8, same shape, C order, optional
        Where the flags go, which may be `groupdq` itself; by default a new array.

    Returns
    -------
    SmallHits
        JUMP is set in the group after a hit. Nothing is with fewer than FEWEST_INTEGRATIONS.
    """
    from detectorist.algorithms._sorting_nb import sorting_network
    from detectorist.algorithms.ramps._small_hits_nb import Rule
    from detectorist.algorithms.ramps._small_hits_tiles_nb import flag_tiles

    n_ints, n_groups = data.shape[:2]
    flags = np.array(groupdq, np.uint8, order="C") if out is None else out
    if out is not None and out is not groupdq:
        out[...] = groupdq
    used = _differences_known(flags)
    if n_ints < FEWEST_INTEGRATIONS or used.size < 2:
        return SmallHits(flags, 0)
    picked = np.unique(np.linspace(0, n_ints - 1, min(n_ints, MOST_INTEGRATIONS)).round().astype(np.int64))
    rule = Rule(float(threshold_sigma), 2 * float(np.log(RATE_CHANGE_ODDS)), FEWEST_INTEGRATIONS, float(n_frames))
    planes = (np.ascontiguousarray(plane, np.float32).reshape(-1) for plane in (gain, read_noise))
    ramps = np.ascontiguousarray(data, np.float32).reshape(n_ints, n_groups, -1)
    network = sorting_network(picked.size)
    number = flag_tiles(ramps, flags.reshape(ramps.shape), used, picked, network, *planes, rule)
    return SmallHits(flags, int(number))


def _differences_known(flags: np.ndarray) -> np.ndarray:
    """Return the differences, by their earlier group, whose groups some pixel can use in every integration."""
    unusable = dq.DO_NOT_USE | dq.SATURATED
    dropped = np.zeros(flags.shape[1], bool)
    for ints in flags:
        dropped |= [bool(plane[0, 0] & unusable) and bool(dq.has(plane, unusable).all()) for plane in ints]
    return np.flatnonzero(~(dropped[1:] | dropped[:-1])).astype(np.int64)
