"""One style for all figures: colour-blind safe, labelled, small files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from detectorist.figures.layout import GridLayout

#: Okabe & Ito (2008), distinguishable with all common colour-vision deficiencies.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
#: Pixels along the longer side of an image in a figure, which has no room for more.
SHOWN_PIX = 512
#: Pixels of an image that are averaged together.
STRIP_PIX = 1 << 16
#: Height of a title, in heights of its axes. matplotlib else draws all ticks to see whether one is in its way.
AT_TOP = 1.0
IMAGE_CMAP = "cividis"
DIFFERENCE_CMAP = "RdBu_r"


class _NotebookFigure(Figure):
    """A figure that notebooks display although it was made without pyplot."""

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def new_figure(n_rows: int = 1, n_cols: int = 1, *, size: tuple[float, float] | None = None, **kwargs: Any):
    """Return a figure and its axes, made without pyplot so that nothing is kept open or needs a screen."""
    figure = _NotebookFigure(figsize=size or (4.5 * n_cols, 3.2 * n_rows), layout=GridLayout(), dpi=110)
    axes = figure.subplots(n_rows, n_cols, **kwargs)
    for axis in np.ravel(axes):
        axis.set_prop_cycle(color=COLOURS)
        axis.tick_params(direction="in", top=True, right=True)
    return figure, axes


def show_image(axis: Axes, image: np.ndarray, *, label: str, percentile: float = 1.0, centred: bool = False):
    """Draw an image with a colour bar labelled `label`; the stretch leaves out `percentile` % on either side.

    Large images are averaged over blocks of pixels: matplotlib would do it pixel by pixel, for seconds.
    """
    image, extent = as_shown(image)
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, [percentile, 100 - percentile]) if finite.size else (0.0, 1.0)
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    drawn = axis.imshow(
        image,
        extent=extent,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        cmap=DIFFERENCE_CMAP if centred else IMAGE_CMAP,
    )
    axis.figure.colorbar(drawn, ax=axis, label=label)
    return drawn


def show_before_and_after(axes: Iterable[Axes], before: np.ndarray, after: np.ndarray, *, unit: str, percentile: float):
    """Draw an image before and after a correction on one colour scale, that of the corrected image."""
    images = zip(axes, (before, after), ("before", "after"), strict=True)
    drawn = [show_image(axis, image, label=f"{name} ({unit})") for axis, image, name in images]
    shown = np.ma.compressed(np.ma.masked_invalid(drawn[-1].get_array()))
    limits = np.percentile(shown, [percentile, 100 - percentile]) if shown.size else (0.0, 1.0)
    for one in drawn:
        one.set_clim(*limits)


def as_shown(image: np.ndarray) -> tuple[np.ndarray, tuple[float, float, float, float]]:
    """Return an image with no more pixels than a figure shows, and its edges (left, right, bottom, top) in pixels."""
    small = np.asarray(shrink(np.asarray(image), SHOWN_PIX), float)
    block = blocks_of(image.shape, SHOWN_PIX)
    right, top = (n * size for n, size in zip(small.shape[::-1], block[::-1], strict=True))
    return small, (-0.5, right - 0.5, -0.5, top - 0.5)


def blocks_of(shape: tuple[int, ...], largest_pix: int) -> tuple[int, int]:
    """Return rows and columns of the blocks that make one pixel where the longer side has at most `largest_pix`."""
    block = max(-(-max(shape) // largest_pix), 1)
    return min(block, shape[0]), min(block, shape[1])


def shrink(image: np.ndarray, largest_pix: int) -> np.ndarray:
    """Return an image averaged over square blocks so that its longer side has at most `largest_pix` pixels.

    Means are float64, of the finite pixels of a block; NaN where it has none.
    """
    by, bx = blocks_of(image.shape, largest_pix)
    if by == bx == 1:
        return image
    ny, nx = image.shape[0] // by, image.shape[1] // bx
    small = np.empty((ny, nx))
    rows = max(STRIP_PIX // (by * nx * bx), 1)
    for first in range(0, ny, rows):
        strip = image[first * by : min(first + rows, ny) * by, : nx * bx]
        small[first : first + rows] = _means(strip, by, bx)
    return small


def _means(strip: np.ndarray, by: int, bx: int) -> np.ndarray:
    """Return means over blocks of a piece of an image that stays in the processor's cache."""
    known = np.isfinite(strip)
    if known.all():
        return _sums(strip, by, bx, float) / (by * bx)
    count = _sums(known.view(np.uint8), by, bx, np.uint16)
    total = _sums(np.where(known, strip, 0), by, bx, float)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _sums(values: np.ndarray, by: int, bx: int, kind: type) -> np.ndarray:
    """Return sums over blocks; rows first, whose values lie side by side in memory."""
    ny, nx = values.shape[0] // by, values.shape[1] // bx
    rows = _added(np.moveaxis(values.reshape(ny, by, nx * bx), 1, 0), kind)
    return _added(np.moveaxis(rows.reshape(ny, nx, bx), 2, 0), kind)


def _added(parts: np.ndarray, kind: type) -> np.ndarray:
    """Return the sum along the first axis; of a few values along the last one, numpy takes them one by one."""
    total = parts[0].astype(kind)
    for part in parts[1:]:
        total += part
    return total
