"""Cosmic-ray showers: events of tens of pixels that are too faint, pixel by pixel, to be found as jumps.

A particle that hits the housing or the substrate of a MIRI detector lights a smooth patch by a few DN in every pixel
(Regan 2024, "Detection and Flagging of Showers and Snowballs in JWST", JWST-STScI-008545). In the slopes of one
integration such a patch is a background that columns beside the trace need not show. Within a ramp it is confined to
one group and stands out against the pixel's rise in the other groups, on the trace as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.images.patches import (
    SIGMA_PER_MAD,
    common_to_rows,
    running_median,
    significance,
)
from detectorist.algorithms.medians import median
from detectorist.algorithms.ramps._showers_nb import sum_excess
from detectorist.libraries import idle_cores

#: Pixels along the side of a block; squares of two and more are compared, in which the footprint of an ordinary cosmic
#: ray does not stand out.
BLOCK_PIX = 8
#: Excess of such a square, in robust sigmas of all squares of its size in the integration, that makes a shower.
LEAST_SIGMA = 8.0
#: Share of a block's pixels that must be usable.
LEAST_FILLED = 0.3
#: Differences that a rise takes, to tell one that is unlike the others.
LEAST_DIFFERENCES = 3
#: Where more of the groups than this look unlike the others, it is no shower.
MOST_GROUPS = 0.3
#: Differences over which the median is taken that bends are told by.
MEDIAN_GROUPS = 11
#: Blocks with more than this share of the light of the brightest one tell how a ramp bends, if there are as many, each
#: compared with those at this distance beside it; a bend counts beyond so many sigmas of what blocks scatter by.
BRIGHT, LEAST_BRIGHT, BESIDE, BEND_SIGMA, BEND_ROUNDS = 0.1, 5, 2, 3.0, 4
#: e-/DN, for the noise by which pixels are weighed; the threshold is in units of the scatter found.
GAIN = 4.0


@dataclass(frozen=True)
class Showers:
    """Groups in which a shower arrived."""

    hit: np.ndarray  # (n_ints, n_groups) bool
    sigma: np.ndarray  # (n_ints, n_groups) significance of the most unlike square of a group; 0 where unknown
    refused: np.ndarray  # (n_ints,) bool: too many groups looked like it, none is in `hit`


def find_showers(data: np.ndarray, groupdq: np.ndarray, usable: np.ndarray) -> Showers:
    """Find the groups in which a shower arrived, integration by integration.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
        Ramps, DN, linear.
    groupdq : ndarray of uint8, same shape
        Samples with DO_NOT_USE or SATURATED do not count. Samples flagged as jumps do count.
    usable : ndarray of bool, shape (ny, nx)
        False for reference pixels and those that must not be used.

    Returns
    -------
    Showers
        None are found in ramps with fewer than three differences.

    Notes
    -----
    The excess of each difference over the usual one of its pixel is divided by its noise, clipped (see `_showers_nb`),
    and averaged over blocks of 8 x 8 pixels. The median over the groups is subtracted (curvature of the ramp of a
    block; a running median where there are many groups), the median over the faint blocks of the same rows (drift of
    the electronics), and what goes with the light of the blocks (ramps that bend). Squares of 16, 32 and 64 pixels are
    compared with the scatter of all such squares of the integration, so that noise correlated between neighbours raises
    the threshold. One pass over the data.
    """
    n_ints, n_groups = data.shape[:2]
    hit, sigma = np.zeros((n_ints, n_groups), bool), np.zeros((n_ints, n_groups))
    refused = np.zeros(n_ints, bool)
    if n_groups - 1 < LEAST_DIFFERENCES or not usable.any():
        return Showers(hit, sigma, refused)

    def search(k: int) -> None:
        excess = _excess_of_blocks(np.ascontiguousarray(data[k], np.float32), groupdq[k], usable)
        sigma[k, 1:] = significance(excess).max(axis=(1, 2))
        hit[k] = sigma[k] > LEAST_SIGMA
        refused[k] = hit[k].sum() > max(1, MOST_GROUPS * (n_groups - 1))
        hit[k] &= ~refused[k]

    idle_cores.each(search, range(n_ints))
    return Showers(hit, sigma, refused)


def _excess_of_blocks(ramp: np.ndarray, flags: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the mean excess of every block in every difference, in sigma of it; NaN where too few pixels tell."""
    n_groups, ny, nx = ramp.shape
    shape = (-(-ny // BLOCK_PIX), -(-nx // BLOCK_PIX))
    total, weight = np.zeros((2, n_groups - 1, *shape))
    number, usual = np.zeros(total.shape, np.int64), np.zeros(shape)
    bad = np.uint8(dq.DO_NOT_USE | dq.SATURATED)
    noise = _read_variance(ramp, flags, usable, bad)
    sum_excess(ramp, flags, bad, usable, noise, GAIN, BLOCK_PIX, total, number, weight, usual)
    with np.errstate(invalid="ignore", divide="ignore"):
        excess = np.where(number >= LEAST_FILLED * BLOCK_PIX**2, total / np.sqrt(number), np.nan)
        per_dn = weight / np.sqrt(number)
    known = np.isfinite(excess).any(axis=(1, 2))
    excess[known] -= running_median(excess[known], MEDIAN_GROUPS)
    excess -= common_to_rows(excess / per_dn, usual) * per_dn
    return excess - _bend_of_light(excess / per_dn, usual) * per_dn


def _bend_of_light(offset: np.ndarray, usual: np.ndarray) -> np.ndarray:
    """Return the part of every map that goes with the light: the share by which bright blocks differ, times theirs.

    A ramp that bends, by a decay after the reset or a wrong linearity, is brighter along all of the trace in its first
    difference, and not beside it; a shower lights the blocks beside the trace as well. The share may itself grow with
    the light, as it does where a ramp is not linear. What is no more than blocks have by chance is left in.

    offset : (n_maps, n_blocks_y, n_blocks_x) DN. usual : (n_blocks_y, n_blocks_x) DN in a difference.
    """
    light = np.maximum(np.nan_to_num(usual), 0.0)
    bright = light > BRIGHT * light.max()
    bright[:, :BESIDE], bright[:, light.shape[1] - BESIDE :] = False, False
    if bright.sum() < LEAST_BRIGHT:
        return np.zeros(offset.shape)
    y, x = np.nonzero(bright)
    beside = 0.5 * (offset[:, y, x - BESIDE] + offset[:, y, x + BESIDE])
    relative = light / light.max()
    terms = np.stack([relative, relative**2])
    shares = [_significant_fit(terms[:, y, x], values) for values in offset[:, y, x] - beside]
    return np.tensordot(np.array(shares), terms, axes=1)


def _significant_fit(terms: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Return the coefficients of a robust fit, 0 where it explains no more than chance does.

    terms : (n_terms, n). values : (n,), NaN where unknown.
    """
    use = np.isfinite(values)
    coefficients = np.zeros(len(terms))
    for _ in range(BEND_ROUNDS):
        if use.sum() < max(LEAST_BRIGHT, 2 * len(terms)):
            return np.zeros(len(terms))
        coefficients = np.linalg.lstsq(terms[:, use].T, values[use], rcond=None)[0]
        left = values - coefficients @ terms
        spread = SIGMA_PER_MAD * np.median(np.abs(left[use]))
        kept = np.isfinite(values) & (np.abs(left) <= BEND_SIGMA * spread)
        if (kept == use).all():
            break
        use = kept
    explained = np.sum((coefficients @ terms[:, use]) ** 2)
    return coefficients if explained > len(terms) * BEND_SIGMA**2 * spread**2 else np.zeros(len(terms))


def _read_variance(ramp: np.ndarray, flags: np.ndarray, usable: np.ndarray, bad: np.uint8) -> float:
    """Return the variance of a difference of faint pixels, DN^2: second differences of the middle of the ramp."""
    middle = len(ramp) // 2
    three = slice(middle - 1, middle + 2)
    sound = usable & ((flags[three] & bad) == 0).all(axis=0)
    second = ramp[middle + 1].astype(float) - 2 * ramp[middle] + ramp[middle - 1]
    rise = ramp[middle + 1] - ramp[middle - 1]
    sound &= np.isfinite(second)
    if not sound.any():
        return 1.0
    faint = sound & (rise <= np.float32(median(rise[sound])))
    spread = SIGMA_PER_MAD * median(np.abs(second[faint] - median(second[faint])))
    # Reads of variance r^2: 6 r^2 in a second difference, 2 r^2 in a first one.
    return max(spread**2 / 3, 1e-6)
