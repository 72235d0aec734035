"""Charge that saturated pixels spill into their neighbours."""

from __future__ import annotations

import numpy as np

#: Rounds of spilling within a group: overflow that has not found a place after them is lost.
_SPILL_ROUNDS = 30


def spill_charge(electrons: np.ndarray, full_well_e: float, fraction: float) -> np.ndarray:
    """Return the charge of pixels when those beyond the full well spill into their four neighbours.

    electrons : ndarray, shape (n_groups, ny, nx)
        Charge at the end of each group for an infinite well.
    full_well_e : float
        Full well of a pixel.
    fraction : float
        Part of the overflow that arrives, a quarter in each neighbour; those may overflow in turn.

    Cost: a few passes over the surroundings of full pixels.
    """
    held = np.minimum(electrons, full_well_e)
    overflow = np.diff(np.maximum(electrons - full_well_e, 0), axis=0, prepend=0)
    received = np.zeros(electrons.shape[1:])
    for group in range(len(electrons)):
        total = np.minimum(electrons[group], full_well_e) + received
        excess = overflow[group] + np.maximum(total - full_well_e, 0)
        received -= np.maximum(total - full_well_e, 0)
        for _ in range(_SPILL_ROUNDS):
            if not excess.any():
                break
            arriving = _neighbour_sum(excess) * fraction / 4
            room = np.maximum(full_well_e - np.minimum(electrons[group], full_well_e) - received, 0)
            received += np.minimum(arriving, room)
            excess = arriving - np.minimum(arriving, room)
            excess[excess < 1] = 0
        held[group] = np.minimum(np.minimum(electrons[group], full_well_e) + received, full_well_e)
    return held


def _neighbour_sum(image: np.ndarray) -> np.ndarray:
    total = np.zeros_like(image)
    total[1:] += image[:-1]
    total[:-1] += image[1:]
    total[:, 1:] += image[:, :-1]
    total[:, :-1] += image[:, 1:]
    return total
