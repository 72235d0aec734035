"""Several short rows of pixels in one line, for loops in which pixels have no neighbours."""

from __future__ import annotations

import numpy as np

#: Pixels of a line, about. A loop over the 72 of a MIRI subarray takes as long to start as to run; longer lines leave
#: the first-level cache.
LINE_PIX = 1024


def wide(array: np.ndarray) -> np.ndarray:
    """Return planes (..., ny, nx) as (..., n_lines, line), the same memory with some whole rows in each line.

    array : ndarray, C order

    Raises ValueError for another order: the result would be a copy, and what is written to it lost.
    """
    if not array.flags.c_contiguous:
        raise ValueError(f"an array of shape {array.shape} and strides {array.strides} is not in C order")
    ny, nx = array.shape[-2:]
    most = max(LINE_PIX // max(nx, 1), 1)
    together = max(n for n in range(1, most + 1) if ny % n == 0)
    return array.reshape(*array.shape[:-2], ny // together, together * nx)
