"""The noise of rows in ramps that lost groups to a large event.

What 1/f noise makes of a slope depends on the groups that are fitted. The noise of a rate is told by whole ramps; in
the region of a snowball, which lost some of the groups, it is another, and the region stands out as a patch of another
level. What sets the groups of whole ramps apart from their lines is noise, without light. Taken from the ramps in the
region, row by row, it leaves them the noise that the others have, which is subtracted with theirs.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.medians import typed_median

#: Fewest groups beside whose line something is left, and fewest pixels that tell an output's row.
LEAST_GROUPS, LEAST_PIXELS = 3, 16
#: Pixels of an output's row that are enough: of more, every so many are looked at.
ENOUGH_PIXELS = 256
#: Deviations, and slopes above the usual, from which a pixel is left out, in robust sigma.
CLIP_SIGMA = 4.0


def noise_beside_lines(
    ramp: np.ndarray, flags: np.ndarray, unusable: np.ndarray, rows: np.ndarray, readout: Readout
) -> np.ndarray:
    """Return what sets the groups of some rows apart from the lines through whole ramps, (n_groups, n, n_outputs).

    Parameters
    ----------
    ramp, flags : ndarray, shape (n_groups, ny, nx)
        Linearised ramps of one integration, DN; ramps with any flag are not used.
    unusable : ndarray of bool, shape (ny, nx)
    rows : ndarray of int, shape (n,)
        In order.
    readout : Readout

    Notes
    -----
    Means are shrunk by their errors. Rows without enough pixels are interpolated; everything is 0 where hardly any
    has enough, and for fewer than three groups.
    """
    n_groups = len(ramp)
    found = np.zeros((n_groups, rows.size, len(readout.outputs)))
    if n_groups < LEAST_GROUPS or not rows.size:
        return found
    times = np.arange(n_groups) - (n_groups - 1) / 2
    step = max(readout.width // ENOUGH_PIXELS, 1)
    for k, (first, last, _) in enumerate(readout.outputs):
        columns = slice(first, last, step)
        part = ramp[:, rows, columns].astype(np.float32)
        whole = ~flags[:, rows, columns].any(axis=0) & ~unusable[rows, columns] & np.isfinite(part).all(axis=0)
        if not whole.any():
            continue
        part -= part.mean(axis=0)
        slope = np.tensordot((times / (times**2).sum()).astype(np.float32), part, 1)
        # Photons of sources are noise. A slope does not depend on what is beside the line: this favours no group.
        about = slope - typed_median(slope[whole])
        whole &= about < CLIP_SIGMA * 1.4826 * typed_median(np.abs(about[whole]))
        places = np.flatnonzero(whole)
        for group, time in enumerate(times):
            found[group, :, k] = _row_means(part[group] - np.float32(time) * slope, whole, places)
    return found


def _row_means(image, usable, places):
    """Return the means of rows, (n,), as far as they are certain; `places` are those of usable pixels, flat."""
    values = np.take(image, places)
    distances = np.abs(values)
    limit = CLIP_SIGMA * (1.4826 * float(typed_median(distances)))
    used = usable & (np.abs(image) < limit)
    number = used.sum(axis=1, dtype=np.int32)
    known = number >= LEAST_PIXELS
    if known.sum() < 2:
        return np.zeros(len(image))
    mean = np.where(used, image, 0).sum(axis=1, dtype=np.float64)[known] / number[known]
    error = values[distances < limit].var(dtype=np.float64) / number[known]
    variance = max(float(np.mean(mean**2 - error)), 0.0)
    shrunk = mean * variance / np.maximum(variance + error, np.finfo(float).tiny)
    return np.interp(np.arange(len(image)), np.flatnonzero(known), shrunk)


def without_noise_beside_lines(
    data: np.ndarray, flags: np.ndarray, unusable: np.ndarray, events: np.ndarray, readout: Readout
) -> tuple[np.ndarray, ...]:
    """Take the noise of groups from the ramps of large events, in place; return where, and what they held before.

    data, flags : ndarray, shape (n_ints, n_groups, ny, nx)
    unusable : ndarray of bool, shape (ny, nx)
    events : ndarray of bool, shape (n_ints, ny, nx)
        Regions of large events.

    Returns
    -------
    tuple of ndarray
        Integration, row and column of every pixel, and its ramp, (n, n_groups).
    """
    where = np.nonzero(events)
    integration, y, x = where
    before = data[integration, :, y, x]
    starts = np.array([first for first, *_ in readout.outputs])
    for index in np.unique(integration):
        here = integration == index
        rows = np.unique(y[here])
        noise = noise_beside_lines(data[index], flags[index], unusable | events[index], rows, readout)
        row, output = np.searchsorted(rows, y[here]), np.searchsorted(starts, x[here], side="right") - 1
        data[index, :, y[here], x[here]] -= noise[:, row, output].T.astype(data.dtype)
    return (*where, before)
