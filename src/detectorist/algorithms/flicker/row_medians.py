"""1/f noise removed by rows: clipped medians of each output's part of a row, then of columns.

The method of the CEERS survey (Bagley et al. 2023, ApJ 946 L12, section 3.1.3): an output's part of a row of which too
much is masked takes the median of the whole row instead. What varies within a row stays; `flicker` takes that too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.byte_order import native
from detectorist.errors import ParameterError, TooFewPixels

#: Fewest usable pixels from which the level of the sky is measured.
MIN_PIXELS = 100


@dataclass(frozen=True)
class RowStripes:
    """Offsets of rows and columns.

    horizontal : ndarray, shape (ny, n_outputs)
        Offset of every output's part of every row, unit of the image, mean zero over those measured; 0 elsewhere.
    horizontal_variance : ndarray, shape (ny, n_outputs)
        Variance of `horizontal`; 0 where nothing is subtracted.
    whole_row : ndarray of bool, shape (ny, n_outputs)
        Where the median of the whole row stands in for that of the part.
    vertical, vertical_variance : ndarray, shape (nx,)
        Offset of every column after the rows, mean zero over those measured, and its variance.
    pedestal : float
        Level of the sky, in none of the offsets.
    """

    horizontal: np.ndarray
    horizontal_variance: np.ndarray
    whole_row: np.ndarray
    vertical: np.ndarray
    vertical_variance: np.ndarray
    pedestal: float

    def horizontal_image(self) -> np.ndarray:
        """Return the horizontal stripes as an image, (ny, nx) float32."""
        return self._spread(self.horizontal)

    def vertical_image(self) -> np.ndarray:
        """Return the vertical stripes as an image, (ny, nx) float32."""
        return np.repeat(self.vertical.astype(np.float32)[None, :], len(self.horizontal), axis=0)

    def variance_image(self) -> np.ndarray:
        """Return the variance that subtracting both adds, (ny, nx) float32."""
        return self._spread(self.horizontal_variance) + self.vertical_variance.astype(np.float32)

    def _spread(self, levels):
        width = self.vertical.size // levels.shape[1]
        return np.repeat(levels.astype(np.float32), width, axis=1)


def measure_pedestal(image: np.ndarray, mask: np.ndarray, *, clip_sigma: float = 3.0) -> float:
    """Return the level of the sky: the median of usable pixels, clipped, at any level and in any unit.

    image, mask : (ny, nx); True in the mask excludes, non-finite pixels are ignored. Raises TooFewPixels below 100.
    """
    from detectorist.algorithms.flicker._row_medians_nb import clipped_median

    values = image[np.isfinite(image) & ~mask]
    values = values.astype(values.dtype.newbyteorder("="))  # files come in the other byte order
    if values.size < MIN_PIXELS:
        raise TooFewPixels(
            f"sky level: {values.size} usable pixels; {MIN_PIXELS} are needed", n_usable=int(values.size)
        )
    return float(clipped_median(np.sort(native(values)), clip_sigma)[0])


def median_stripes(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    n_outputs: int = 4,
    thresh: float = 0.8,
    clip_sigma: float = 3.0,
) -> RowStripes:
    """Measure the offsets of rows, output by output, and of columns.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        Flat-fielded, outputs side by side along x, any linear unit. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used: sources, bad and reference pixels.
    n_outputs : int
        Stripes of columns read through an output each.
    thresh : float
        Masked fraction of an output's part of a row above which the whole row's median is taken.
    clip_sigma : float
        Values farther from the median are clipped, repeatedly.

    Returns
    -------
    RowStripes

    Raises
    ------
    TooFewPixels
        When less than 100 pixels are usable.
    ParameterError
        When the outputs do not share the columns evenly or `thresh` is not between 0 and 1.
    """
    from detectorist.algorithms.flicker._row_medians_nb import row_medians

    image, mask = np.asarray(image), np.asarray(mask, bool)
    if n_outputs < 1 or image.shape[1] % n_outputs:
        raise ParameterError(f"{image.shape[1]} columns cannot be shared by {n_outputs} outputs")
    if not 0 <= thresh <= 1:
        raise ParameterError(f"thresh is {thresh}: a fraction between 0 and 1 is needed")
    pedestal = measure_pedestal(image, mask)
    usable = ~mask & np.isfinite(image)
    left = np.where(usable, image - pedestal, 0).astype(np.float32)
    nx = image.shape[1]
    width = nx // n_outputs
    level, variance, count = row_medians(left, usable, np.arange(0, nx + 1, width), clip_sigma)
    whole, whole_variance, whole_count = row_medians(left, usable, np.array([0, nx]), clip_sigma)
    fallback = count < (1 - thresh) * width
    fallback |= count == 0
    seen = ~fallback | (whole_count > 0)
    level = _about_mean(np.where(fallback, whole, level), seen)
    variance = np.where(seen, np.where(fallback, whole_variance, variance), 0.0)
    left -= np.repeat(level.astype(np.float32), width, axis=1)
    turned = np.ascontiguousarray(left.T), np.ascontiguousarray(usable.T)
    columns = [part[:, 0] for part in row_medians(*turned, np.array([0, len(image)]), clip_sigma)]
    vertical = _about_mean(columns[0], columns[2] > 0)
    vertical_variance = np.where(columns[2] > 0, columns[1], 0.0)
    return RowStripes(level, variance, fallback, vertical, vertical_variance, pedestal)


def _about_mean(levels, seen):
    """Return levels minus their mean, 0 where not seen: the level of the sky stays with the image."""
    return np.where(seen, levels - levels[seen].mean(), 0.0)
