"""What the pixels around a place tell of the light in its ramp, from ramps that nothing has flagged."""

from __future__ import annotations

import numpy as np

#: Pixels around that tell the light: in a square of so many on either side, and so many of them at least.
AROUND_PIX, LEAST_AROUND = 2, 4
#: The pixels above, below and beside one, as rows and columns from it.
BESIDE = ((-1, 0), (1, 0), (0, -1), (0, 1))


def light_around(ramp: np.ndarray, flags: np.ndarray, unusable: np.ndarray, y: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the median gain of a group in the whole ramps around places, (n,); NaN where there are too few.

    ramp, flags : ndarray, shape (n_groups, ny, nx). unusable : ndarray of bool, shape (ny, nx).
    y, x : ndarray of int, shape (n,). The place itself counts where its ramp is whole.
    """
    reach = np.arange(-AROUND_PIX, AROUND_PIX + 1)
    dy, dx = (one.ravel() for one in np.meshgrid(reach, reach, indexing="ij"))
    ordered = np.sort(_gains(ramp, flags, unusable, (y, x), (dy, dx)), axis=0)  # NaN last
    n = np.isfinite(ordered).sum(axis=0)
    places, lower, upper = np.arange(y.size), np.maximum(n - 1, 0) // 2, n // 2
    middle = 0.5 * (ordered[lower, places] + ordered[np.minimum(upper, len(ordered) - 1), places])
    return np.where(n >= LEAST_AROUND, middle, np.nan)


def light_beside(
    ramp: np.ndarray, flags: np.ndarray, unusable: np.ndarray, y: np.ndarray, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean gain of a group in the whole ramps of the four neighbours, NaN without any, and their number.

    Parameters as in `light_around`; both of shape (n,).
    """
    gains = _gains(ramp, flags, unusable, (y, x), tuple(np.array(BESIDE).T))
    number = np.isfinite(gains).sum(axis=0)
    mean = np.nansum(gains, axis=0) / np.maximum(number, 1)
    return np.where(number > 0, mean, np.nan), number


def _gains(ramp, flags, unusable, places, steps):
    """Return the mean gain of a group at steps from places, (n_steps, n), NaN where that ramp is not whole."""
    y, x = places
    rows, columns = y + steps[0][:, None], x + steps[1][:, None]
    inside = (rows >= 0) & (rows < ramp.shape[1]) & (columns >= 0) & (columns < ramp.shape[2])
    rows, columns = np.where(inside, rows, y), np.where(inside, columns, x)
    whole = inside & ~unusable[rows, columns]
    for plane in flags:
        whole &= plane[rows, columns] == 0
    gains = (ramp[-1, rows, columns] - ramp[0, rows, columns]) / (len(ramp) - 1)
    return np.where(whole, gains, np.nan)
