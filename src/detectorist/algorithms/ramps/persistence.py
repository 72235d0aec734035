"""Persistence: pixels that saturated in an earlier exposure glow for about an hour, in spite of resets."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.algorithms import dq


class Glow(NamedTuple):
    """Result of `flag_glow`."""

    groupdq: np.ndarray  # uint8, (n_ints, n_groups, ny, nx), DO_NOT_USE set
    pixeldq: np.ndarray  # uint32, (ny, nx), PERSISTENCE set
    n_pixels: int  # that glow in at least one group
    n_lost: int  # that have no group without glow in any integration


def find_saturated(groupdq: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (row, column, integration): pixels that saturate, and the last integration in which they do, from 0.

    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx)
        SATURATED in any group counts, cores of snowballs included.
    """
    last = np.full(groupdq.shape[-2:], -1, np.int32)
    for number, ramp in enumerate(groupdq):
        last[dq.has(np.bitwise_or.reduce(ramp, axis=0), dq.SATURATED)] = number
    rows, columns = np.nonzero(last >= 0)
    return rows, columns, last[rows, columns]


def flag_glow(
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    until_s: np.ndarray,
    *,
    group_start_s: np.ndarray,
    exclude: bool = True,
) -> Glow:
    """Flag pixels for as long as they glow.

    Parameters
    ----------
    groupdq : ndarray of uint8, shape (n_ints, n_groups, ny, nx)
    pixeldq : ndarray of uint32, shape (ny, nx)
    rows, columns : ndarray of int, shape (n_pixels,)
        Pixels of the array that saturated before, each once.
    until_s : ndarray of float, shape (n_pixels,)
        When each stops glowing, on the clock of `group_start_s`.
    group_start_s : ndarray of float, shape (n_ints, n_groups)
        When each group begins, s.
    exclude : bool
        Set DO_NOT_USE on the groups that begin while a pixel glows, besides PERSISTENCE on the pixel. A pixel that
        saturates in this exposure as well keeps its groups: its light outshines the glow.

    Returns
    -------
    Glow
        Arrays of their own; all flags that were set stay set.
    """
    groups, pixels = groupdq.copy(), pixeldq.copy()
    glowing = until_s > group_start_s.min()
    rows, columns, until_s = rows[glowing], columns[glowing], until_s[glowing]
    pixels[rows, columns] |= pixels.dtype.type(dq.PERSISTENCE)
    bright = dq.has(np.bitwise_or.reduce(groupdq[:, :, rows, columns], axis=(0, 1)), dq.SATURATED)
    lost = np.ones(len(rows), bool)
    for integration, starts in enumerate(group_start_s):
        for group, start in enumerate(starts):
            hit = (until_s > start) & ~bright
            lost &= hit
            if exclude:
                groups[integration, group, rows[hit], columns[hit]] |= groups.dtype.type(dq.DO_NOT_USE)
    return Glow(groups, pixels, len(rows), int(lost.sum()) if exclude else 0)
