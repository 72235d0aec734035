"""The noise in the reference pixels beside the rows, which are read with the rows and see no light.

Light that fills a frame and changes slowly from row to row looks like slow noise that all outputs share; in the
illuminated pixels the two can hardly be separated. A few reference pixels in every row are noisy one by one, but over a
hundred rows they measure such noise to a few percent of the noise of one pixel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise

#: Part of a column from which it counts as one of reference pixels.
COLUMN_PART = 0.5
#: Deviation from the median of so many rows of all columns beside it, in robust sigma, from which a value is left out.
#: Farther rows do not count: slow noise makes outliers of whole stretches, without which the level would be another.
CLIP_ROWS, CLIP_SIGMA = 31, 4.0
#: Fewest pixels that are used.
MIN_PIXELS = 100
#: Level of an output's reference pixels, over the rms of 1/f noise, up to which it is noise.
MOST_OF_NOISE = 3.0


class ReferenceRows(NamedTuple):
    """Reference pixels about the mean of their columns.

    values : (ny, n) float32, 0 where unusable. usable : (ny, n) bool. columns : (n,), where they are.
    white : float, variance of a pixel apart from the noise common to its row. means : (n,), of the columns.
    """

    values: np.ndarray
    usable: np.ndarray
    columns: np.ndarray
    white: float
    means: np.ndarray


def reference_rows(images: np.ndarray, reference: np.ndarray | None) -> ReferenceRows | None:
    """Return the reference pixels beside the rows, as means over images; None where there are none with noise.

    images : (n_images, ny, nx), with the values of reference pixels. reference : (ny, nx) bool, True on these.
    """
    if reference is None:
        return None
    columns = np.flatnonzero(reference.mean(axis=0) > COLUMN_PART)
    values = np.mean(images[:, :, columns], axis=0, dtype=np.float64)
    usable = reference[:, columns] & np.isfinite(values)
    usable &= ~reference.all(axis=1)[:, None]
    if usable.sum() < MIN_PIXELS:
        return None
    values = np.where(usable, values, np.nan)[:, usable.any(axis=0)]
    columns, usable = columns[usable.any(axis=0)], usable[:, usable.any(axis=0)]
    means = np.nanmedian(values, axis=0)
    values -= means
    deviation = np.abs(np.nan_to_num(values - _slow_noise(values, columns)))
    spread = 1.4826 * np.median(deviation[usable])
    usable &= deviation < CLIP_SIGMA * spread
    if spread <= 0 or usable.sum() < MIN_PIXELS:
        return None
    values = np.where(usable, values, 0)
    number = usable.sum(axis=0)
    beside = values.sum(axis=0) / np.maximum(number, 1)
    values = np.where(usable, values - beside, 0).astype(np.float32)
    return ReferenceRows(values, usable, columns, _white(values, usable), means + beside)


def _slow_noise(values, columns):
    """Return the running median of rows, of neighbouring columns together, (ny, n)."""
    slow = np.zeros_like(values)
    for side in np.split(np.arange(columns.size), np.flatnonzero(np.diff(columns) > 1) + 1):
        middle = np.nanmedian(np.where(np.isnan(values[:, side]).all(axis=1)[:, None], 0, values[:, side]), axis=1)
        slow[:, side] = ndimage.median_filter(middle, CLIP_ROWS, mode="nearest")[:, None]
    return slow


def output_levels(found: ReferenceRows, readout: Readout, rms: float) -> np.ndarray:
    """Return the mean of the reference pixels beside the rows of every output, (n_outputs,).

    NaN where an output has none, and where they are so far from zero that this is not noise. rms : of the 1/f noise.
    """
    levels = np.full(len(readout.outputs), np.nan)
    number = found.usable.sum(axis=0)
    for k, (first, last, _) in enumerate(readout.outputs):
        weight = number * ((found.columns >= first) & (found.columns < last))
        if weight.any():
            levels[k] = np.average(found.means, weights=weight)
    return np.where(np.abs(levels) < MOST_OF_NOISE * rms, levels, np.nan)


def over_references(pattern: np.ndarray, found: ReferenceRows, readout: Readout, rms: float) -> np.ndarray:
    """Return by how much an estimate of noise exceeds its reference pixels, (n_outputs,), NaN where none tell a level.

    pattern : (ny, nx), which has to reach the reference pixels. rms : of the 1/f noise.

    Notes
    -----
    Compared in the same pixels, what the estimate knows of noise faster than a row cancels; the mean of a whole output
    differs from that of its reference pixels by the mean of such noise over the rows.
    """
    told = output_levels(found, readout, rms)
    over = np.full(told.size, np.nan)
    for k in np.flatnonzero(np.isfinite(told)):
        first, last, _ = readout.outputs[k]
        inside = (found.columns >= first) & (found.columns < last)
        here = pattern[:, found.columns[inside]].mean(dtype=np.float64, where=found.usable[:, inside])
        over[k] = here - told[k]
    return over


def bin_references(
    found: ReferenceRows, rows: np.ndarray, readout: Readout, noise: FlickerNoise
) -> tuple[np.ndarray, np.ndarray]:
    """Return means of reference pixels and their inverse variances as values of a whole output's rows, (n_outputs, n).

    rows : (n + 1,), borders of bins of rows. The inverse variance is 0 where there are none.

    Notes
    -----
    A few neighbouring pixels also see noise that is faster than a row. Outputs see the common part of it at the same
    time; it is counted as often as outputs have reference pixels, so that their mean has the right weight.
    """
    means, certain = np.zeros((2, len(readout.outputs), len(rows) - 1))
    parts = [(found.columns >= first) & (found.columns < last) for first, last, _ in readout.outputs]
    n_seeing = sum(bool(part.any()) for part in parts)
    row_pix = readout.width + readout.overhead_pix
    fast = ((noise.own + n_seeing * noise.common) * row_pix / (row_pix + noise.scales_pix)).sum()
    for k, part in enumerate(parts):
        count = np.add.reduceat(found.usable[:, part].sum(axis=1), rows[:-1])
        seen = np.add.reduceat(found.usable[:, part].any(axis=1).astype(int), rows[:-1])
        total = np.add.reduceat(found.values[:, part].sum(axis=1, dtype=np.float64), rows[:-1])
        known = count > 0
        means[k, known] = total[known] / count[known]
        certain[k, known] = 1 / (found.white / count[known] + fast / seen[known])
    return means, certain


def _white(values, usable):
    """Return the variance of pixels about the others of their row."""
    number = usable.sum(axis=1)
    mean = values.sum(axis=1) / np.maximum(number, 1)
    left = np.where(usable, values - mean[:, None], 0)
    degrees = np.maximum(number - 1, 0).sum()
    return float((left.astype(float) ** 2).sum() / max(degrees, 1))
