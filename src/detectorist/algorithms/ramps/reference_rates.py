"""Reference pixels whose rates average the groups as those of the sky do.

Ramp fits weight groups by the signal over its noise (Fixsen et al. 2000, PASP 112, 1350). Reference pixels have no
signal and other weights than the sky: they average the noise of the groups to another value than the pixels beside
them, whose noise they are to tell. Lifted by a straight ramp as steep as that of the sky, they get its weights.
"""

from __future__ import annotations

import numpy as np

#: Every so many rows and columns tell how steep the ramps of the sky are.
STEP = 8


def sky_step(data: np.ndarray, flags: np.ndarray, unusable: np.ndarray) -> float:
    """Return the median signal from one group to the next, DN; 0 where nothing tells.

    data, flags : ndarray, shape (n_ints, n_groups, ny, nx); a ramp with any flag is not used.
    unusable : ndarray of bool, shape (ny, nx), reference and bad pixels.
    """
    if data.shape[1] < 2:
        return 0.0
    some = (..., slice(None, None, STEP), slice(None, None, STEP))
    rise = (data[:, -1][some].astype(float) - data[:, 0][some]) / (data.shape[1] - 1)
    good = ~flags[some].any(axis=1) & ~unusable[some] & np.isfinite(rise)
    return max(float(np.median(rise[good])), 0.0) if good.any() else 0.0


def lift(data: np.ndarray, reference: np.ndarray, step: float) -> np.ndarray:
    """Add a straight ramp of `step` DN a group to the reference pixels of `data`, in place; return what they held.

    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
    reference : ndarray of bool, shape (ny, nx)
    """
    rows, columns = np.nonzero(reference)  # once: a mask would be searched for every group
    before = data[:, :, rows, columns]
    for group in range(data.shape[1]):
        data[:, group, rows, columns] += np.float32(group * step)
    return before
