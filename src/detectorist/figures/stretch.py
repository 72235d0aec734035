"""Images as colours: stretches that show faint structure beside bright sources."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from matplotlib import colormaps

from detectorist.algorithms.medians import typed_median
from detectorist.figures.style import DIFFERENCE_CMAP, IMAGE_CMAP, shrink

#: Pixels of an image along its longer side.
LARGEST_PIX = 640
#: Pixels along the longer side of an image on the page of the report.
SHOWN_PIX = 384
#: Colours of a stretch; the last index stands for what is not known.
N_COLOURS, UNKNOWN = 255, 255
#: Least distance of ticks on a colour bar, as a share of it; round values of one step that are tried.
LEAST_APART, MOST_TRIED = 0.12, 60
#: Pixels that percentiles are taken of, at least, where an image has more: they are then known to a thousandth.
ENOUGH_PIXELS = 400_000
#: Colour of what is not known.
GREY = 128


@dataclass(frozen=True)
class Stretch:
    """How values become colours.

    Attributes
    ----------
    low, high : float
        Values of the first and the last colour.
    soft : float
        Linear within so much of `middle`, logarithmic beyond (asinh); 0 for linear throughout.
    middle : float
    difference : bool
        Colours diverge from the middle.
    """

    low: float
    high: float
    soft: float = 0.0
    middle: float = 0.0
    difference: bool = False

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Return values between 0 (low) and 1 (high); values outside the limits lie outside."""
        bent = self.bend(np.asarray(values, float))
        low, high = self.bend(np.array([self.low, self.high]))
        return (bent - low) / (high - low)

    def indexes(self, image: np.ndarray) -> np.ndarray:
        """Return the colours of an image as uint8, 0 to 254; 255 where it is not finite."""
        finite = np.isfinite(image)
        scaled = np.clip(self.scale(np.where(finite, image, self.low)), 0, 1)
        return np.where(finite, np.round(scaled * (N_COLOURS - 1)), UNKNOWN).astype(np.uint8)

    def palette(self) -> np.ndarray:
        """Return the colours, uint8 of shape (256, 3), the last one that of unknown values."""
        colours = colormaps[DIFFERENCE_CMAP if self.difference else IMAGE_CMAP].resampled(N_COLOURS)
        table = np.round(255 * colours(np.arange(N_COLOURS))[:, :3]).astype(np.uint8)
        return np.concatenate([table, np.full((1, 3), GREY, np.uint8)])

    def ticks(self) -> list[float]:
        """Return values for a colour bar: round values, the roundest first, far enough apart to be legible."""
        values = list(_round_values(self.low, self.high))
        found: dict[float, float] = {}
        for value, place in zip(values, self.scale(np.array(values)).tolist(), strict=True):
            if all(abs(place - other) > LEAST_APART for other in found.values()):
                found[value] = place
        return sorted(found)

    def bend(self, values: np.ndarray) -> np.ndarray:
        """Return the transformed values, linear in colour: their asinh, or themselves where the stretch is linear."""
        away = values - self.middle
        return np.arcsinh(away / self.soft) if self.soft > 0 else away

    def unbend(self, bent: np.ndarray) -> np.ndarray:
        """Return the values whose transform is given: the inverse of `bend`."""
        return self.middle + (np.sinh(bent) * self.soft if self.soft > 0 else bent)


def stretch_of(*images: np.ndarray, top: float = 99.8) -> Stretch:
    """Return one stretch for images of the same field: linear within the noise of the sky, logarithmic above.

    top : float
        Percentile of the last colour.
    """
    finite = np.concatenate([_finite(image) for image in images])
    if not finite.size:
        return Stretch(0.0, 1.0)
    level = float(typed_median(finite))
    below = finite[finite <= level]
    noise = 1.4826 * float(typed_median(level - below)) or 1e-12
    high = max(float(np.percentile(finite, top)), level + 4 * noise)
    low = max(level - 4 * noise, float(finite.min()))
    return Stretch(low, high, soft=2 * noise, middle=level) if high > low else Stretch(low, low + 1)


def _finite(image: np.ndarray) -> np.ndarray:
    """Return the finite values of an image; of a large one, of every n-th row from the middle of the first n."""
    every = max(image.size // ENOUGH_PIXELS, 1) if image.ndim == 2 else 1
    rows = image[every // 2 :: every]
    return rows[np.isfinite(rows)]


def difference_stretch(image: np.ndarray, percentile: float = 0.5) -> Stretch:
    """Return a stretch with white at 0 that leaves out `percentile` % on either side."""
    low, high = limits_of(image, percentile)
    limit = max(abs(low), abs(high)) or 1.0
    return Stretch(-limit, limit, difference=True)


def limits_of(image: np.ndarray, percentile: float = 1.0) -> tuple[float, float]:
    """Return the stretch that leaves out `percentile` % of the finite pixels on either side; (0, 1) without any."""
    finite = _finite(image)
    if not finite.size:
        return 0.0, 1.0
    low, high = np.percentile(finite, [percentile, 100 - percentile])
    return float(low), float(high) if high > low else float(low) + 1.0


def coloured(image: np.ndarray, stretch: Stretch, *, largest_pix: int = LARGEST_PIX) -> np.ndarray:
    """Return an image as uint8 of shape (ny, nx, 3), first row at the bottom of the page, shrunk to `largest_pix`.

    Pixels that are not finite are grey. Shrinking averages blocks of pixels: what is left of the noise is that of the
    mean.
    """
    small = shrink(np.asarray(image), largest_pix)
    return np.ascontiguousarray(stretch.palette()[stretch.indexes(small)][::-1])


def _round_values(low: float, high: float) -> Iterator[float]:
    """Yield round values between two: 0, multiples of 5, 2 and 1 times powers of ten, the largest first."""
    if low <= 0 <= high:
        yield 0.0
    power = int(np.floor(np.log10(max(abs(low), abs(high), 1e-30))))
    for step in (one * 10.0**k for k in range(power, power - 4, -1) for one in (5, 2, 1)):
        first, last = int(np.ceil(low / step)), int(np.floor(high / step))
        if last - first < MOST_TRIED:
            yield from (round(n * step, 3 - power + 1) for n in range(first, last + 1))
        else:
            yield from (
                round(sign * n * step, 3 - power + 1)
                for n in range(1, 10)
                for sign in (1, -1)
                if first <= sign * n <= last
            )
