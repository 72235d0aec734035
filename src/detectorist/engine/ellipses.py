"""Ellipses of regions and the pixels inside them, with the bits that stcal gets from scikit-image.

stcal describes a region by the ellipse of its second moments and draws enlarged ellipses. Axes are rounded to whole
pixels, and a pixel is inside when a sum is below 1: for small symmetric regions both often sit exactly on the boundary,
where the last bit of a moment decides. So the moments are summed by the same numpy operations in the same order.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np


class Ellipse(NamedTuple):
    """Axes (full length, less one pixel) and angle of a region's ellipse; the minor axis of a line is -1."""

    minor: float
    major: float
    angle_deg: float  # of the major axis from the row axis


def ellipse_of(image: np.ndarray) -> Ellipse:
    """Return the ellipse with the second moments of a region, given as the bool array of its bounding box."""
    return _ellipse(image.shape, np.packbits(image).tobytes())


@lru_cache(maxsize=100_000)
def _ellipse(shape: tuple[int, int], packed: bytes) -> Ellipse:
    """The same; most regions of a ramp are a cosmic ray with its four neighbours, so shapes are remembered."""
    n_pix = shape[0] * shape[1]
    image = np.unpackbits(np.frombuffer(packed, np.uint8), count=n_pix).reshape(shape).astype(np.float64)
    area = image.sum()
    center = (np.arange(shape[0]) @ image.sum(axis=1) / area, image.sum(axis=0) @ np.arange(shape[1]) / area)
    # moments up to the third order, though the second is enough: the shape of a matrix product decides its rounding
    orders = np.arange(4, dtype=np.float64)
    powers = [(np.arange(n, dtype=np.float64) - c)[:, np.newaxis] ** orders for n, c in zip(shape, center, strict=True)]
    moments = np.einsum("cb,cd->db", image, powers[0], optimize="greedy")
    moments = np.einsum("ac,cd->ad", moments, powers[1], optimize="greedy")
    total = moments[2, 0] + moments[0, 2]
    tensor = np.array(
        [
            [(total - moments[2, 0]) / moments[0, 0], -moments[1, 1] / moments[0, 0]],
            [-moments[1, 1] / moments[0, 0], (total - moments[0, 2]) / moments[0, 0]],
        ]
    )
    small, large = np.clip(np.linalg.eigvalsh(tensor), 0, None)
    return Ellipse(4 * math.sqrt(small) - 1, 4 * math.sqrt(large) - 1, float(np.degrees(_angle(tensor))))


def _angle(tensor: np.ndarray) -> float:
    """Return the angle of the major axis in radians; by convention +-45 degrees for equal moments."""
    rows, mixed, columns = tensor[0, 0], tensor[0, 1], tensor[1, 1]
    if rows == columns:
        return math.pi / 4 if mixed < 0 else -math.pi / 4
    return 0.5 * math.atan2(-2 * mixed, columns - rows)


def is_inside(row: float, column: float, center: tuple[float, float], ellipse: Ellipse) -> bool:
    """Return whether a point lies in an ellipse around `center` (row, column), boundary included."""
    angle = np.radians(180 - ellipse.angle_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    x, y = column - center[1], row - center[0]
    along = x * cos - y * sin
    across = x * sin + y * cos
    return bool((along**2 / (ellipse.major * 0.5) ** 2) + (across**2 / (ellipse.minor * 0.5) ** 2) <= 1)


class Patch(NamedTuple):
    """A bool image and where it belongs."""

    rows: slice
    columns: slice
    inside: np.ndarray


def draw_ellipse(
    shape: tuple[int, int], row: float, column: float, axes: tuple[float, float], angle_deg: float
) -> Patch:
    """Return the pixels inside an ellipse around the rounded center, with half axes rounded to whole pixels.

    axes : tuple of float
        Full length of the axis that `angle_deg` turns away from the columns, and of the other one.
    """
    from detectorist.engine._ellipses_nb import fill_ellipse

    row, column = round(row), round(column)
    across, along = round(axes[0] / 2), round(axes[1] / 2)
    reach = max(across, along) + 2
    low = max(row - reach, 0), max(column - reach, 0)
    high = min(row + reach + 1, shape[0]), min(column + reach + 1, shape[1])
    inside = np.zeros((high[0] - low[0], high[1] - low[1]), bool)
    if across and along:
        rotation = np.radians(angle_deg) % np.pi
        extent = (
            abs(along * np.cos(rotation)) + across * np.sin(rotation),
            along * np.sin(rotation) + abs(across * np.cos(rotation)),
        )
        center = (row - low[0], column - low[1])
        first = [max(math.ceil(c - e), 0) for c, e in zip(center, extent, strict=True)]
        last = [min(math.floor(c + e), n - 1) for c, e, n in zip(center, extent, inside.shape, strict=True)]
        rotation %= np.pi  # a tiny negative angle becomes pi, and only now 0
        fill_ellipse(inside, *center, *first, *last, float(along), float(across), np.sin(rotation), np.cos(rotation))
    return Patch(slice(low[0], high[0]), slice(low[1], high[1]), inside)
