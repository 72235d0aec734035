"""Which of the affected groups to leave out: the bias by a group that is kept against the noise by one that is lost.

On a ramp of a dozen groups each is worth 5 % of the noise, and the decay after the reset may spoil a third of them.
An offset common to all pixels is removed with the background. An effect in proportion to a pixel's light changes all
fluxes by the same factor, which does not matter to a time series as long as the factor is the same in all integrations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.ramps.groups import GroupStack, SpoiledGroups, find_spoiled_groups, residuals_of

#: Part of a bias of the fluxes that may differ between integrations: in real exposures the first ones settle. The bias
#: itself comes out two or three times too large on ramps of a dozen groups, whose non-linearity is not corrected yet.
UNSTEADY = 0.1
#: Largest bias of the fluxes that is put up with, however steady: the error of absolute fluxes from other causes.
MOST_BIAS = 0.003
#: e-/DN, for the noise of the photons: the square root of it enters, and MIRI's is 3 to 5.5 whoever measured it.
GAIN = 4.0
#: Largest departure of a difference that is kept, in units of the photon noise it has in the brightest pixels. Beyond
#: it the jump step takes some of them for cosmic rays, more of them the brighter the star is: a bias that follows the
#: transit.
MOST_SIGMA = 1.0
#: Groups that a slope is made of, at least.
LEAST_KEPT = 2


@dataclass(frozen=True)
class GroupChoice:
    """Groups to leave out, and the figures behind the choice."""

    groups: tuple[int, ...]  # zero-indexed, ascending
    spoiled: SpoiledGroups  # what departs from the course of the middle groups
    bias: float  # of the fluxes, a share of them, by the spoiled groups that are kept
    noise: float  # of the light of all bright pixels in one integration, a share of it, with the groups kept


def weigh_groups(stack: GroupStack, *, n_sigma: float = 4.0, min_deviation: float = 0.003) -> GroupChoice:
    """Return which of the affected groups to drop: the choice with the least sum of noise and unsteady bias.

    Parameters as `find_spoiled_groups`. For each number of first groups, with and without the last one, the slope's
    bias in proportion to the light is summed from the departures of the differences kept, times their weights in a
    straight-line fit; a tenth of it is added to the photon noise in quadrature. A difference that departs by more than
    the photon noise of the brightest pixels is never kept, even if its weight is small: it would be flagged as a jump
    in some of them. Offsets that all pixels share are no bias here: they are subtracted with the background (or before,
    by SubtractGroupOffsetsStep).
    """
    spoiled = find_spoiled_groups(stack, n_sigma=n_sigma, min_deviation=min_deviation)
    n_groups = stack.ratio.shape[-1] + 1
    if not spoiled.groups:
        return GroupChoice((), spoiled, 0.0, _noise(stack, n_groups))
    shares = _shares(stack, spoiled)
    last = n_groups - 1
    n_first = sum(group != last for group in spoiled.groups)
    ends = (n_groups, last) if last in spoiled.groups else (n_groups,)
    options = [(first, end) for first in range(n_first + 1) for end in ends if end - first >= LEAST_KEPT]
    looks_like_jump = np.abs(shares).max(axis=0) * np.sqrt(GAIN * stack.slope.max()) > MOST_SIGMA
    costs, biases = [], []
    for first, end in options:
        bias = float(np.abs(shares[:, first : end - 1] @ slope_weights(end - first)).max())
        biases.append(bias)
        allowed = bias <= MOST_BIAS and not looks_like_jump[first : end - 1].any()
        allowed = allowed or (first, end) == options[-1]
        costs.append(np.hypot(_noise(stack, end - first), UNSTEADY * bias) if allowed else np.inf)
    best = int(np.argmin(costs))
    first, end = options[best]
    return GroupChoice((*range(first), *range(end, n_groups)), spoiled, biases[best], _noise(stack, end - first))


def slope_weights(n_groups: int) -> np.ndarray:
    """Return the weight of every difference between neighbours in the slope of a line through `n_groups` groups."""
    j = np.arange(1, n_groups)
    return 6 * j * (n_groups - j) / (n_groups * (n_groups**2 - 1))


def _shares(stack: GroupStack, spoiled: SpoiledGroups) -> np.ndarray:
    """Return the part of every difference's departure that goes with the light, (2, n_groups - 1); 0 if it is sound.

    A departure is a share of the light plus an offset over the pixel's slope: pixels of different brightness tell.
    """
    judged = np.zeros(stack.ratio.shape[-1], bool)
    for group in spoiled.groups:
        judged[min(group, judged.size - 1)] = True
    shares = np.zeros((2, judged.size))
    for parity in (0, 1):
        bright = stack.slope[parity] > 0
        if bright.sum() < 2:
            continue
        found = residuals_of(stack, parity)
        design = np.stack([np.ones(bright.sum()), 1 / stack.slope[parity][bright]], axis=1)
        departure, weight = np.expm1(found.left[bright]), 1 / found.error[bright]
        for k in np.flatnonzero(judged):
            scaled = design * weight[:, k, None]
            shares[parity, k] = np.linalg.lstsq(scaled, departure[:, k] * weight[:, k], rcond=None)[0][0]
    return shares


def _noise(stack: GroupStack, n_groups: int) -> float:
    """Return the photon noise of the light of all bright pixels in one integration, a share of it."""
    electrons = GAIN * stack.total_slope * (n_groups - 1)
    return float(1 / np.sqrt(electrons)) if electrons > 0 else 0.0
