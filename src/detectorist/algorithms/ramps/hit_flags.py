"""What the searches for hits in averaged groups share: where jumps are, and the flags that they return."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms import dq


class HitFlags(NamedTuple):
    """Group flags after a search.

    groupdq : ndarray of uint8, of the input's shape; the input itself where nothing changes.
    number : int, of what the search counts.
    """

    groupdq: np.ndarray
    number: int


def usable_differences(flags: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which differences of groups can be used, and which hold a jump, (n_groups - 1, ...) bool.

    flags : ndarray of uint8, shape (n_groups, ...).
    """
    lost = dq.has(flags, dq.SATURATED | dq.DO_NOT_USE)
    return ~lost[1:] & ~lost[:-1], dq.has(flags[1:], dq.JUMP_DET)


def places_with_jumps(flags: np.ndarray, unusable: np.ndarray) -> np.ndarray:
    """Return the numbers of usable pixels that have a jump in some group, counted along the rows; for `taken_at`.

    flags : ndarray of uint8, shape (n_groups, ny, nx). unusable : ndarray of bool, shape (ny, nx).
    """
    return np.flatnonzero(dq.has(np.bitwise_or.reduce(flags, axis=0), dq.JUMP_DET) & ~unusable)


def taken_at(planes: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return what planes (n_groups, ny, nx) hold at places, (n_groups, n); a fifth of the time of rows and columns."""
    return np.take(planes.reshape(len(planes), -1), places, axis=1)
