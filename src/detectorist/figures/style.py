"""One style for all figures: colour-blind safe, labelled, small files."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

#: Okabe & Ito (2008), distinguishable with all common colour-vision deficiencies.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
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
    figure = _NotebookFigure(figsize=size or (4.5 * n_cols, 3.2 * n_rows), layout="constrained", dpi=110)
    axes = figure.subplots(n_rows, n_cols, **kwargs)
    for axis in np.ravel(axes):
        axis.set_prop_cycle(color=COLOURS)
        axis.tick_params(direction="in", top=True, right=True)
    return figure, axes


def show_image(axis: Axes, image: np.ndarray, *, label: str, percentile: float = 1.0, centred: bool = False):
    """Draw an image with a colour bar labelled `label`; the stretch leaves out `percentile` % on either side."""
    finite = image[np.isfinite(image)]
    low, high = np.percentile(finite, [percentile, 100 - percentile]) if finite.size else (0.0, 1.0)
    if centred:
        high = max(abs(low), abs(high))
        low = -high
    drawn = axis.imshow(
        image,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=high,
        cmap=DIFFERENCE_CMAP if centred else IMAGE_CMAP,
    )
    axis.figure.colorbar(drawn, ax=axis, label=label)
    return drawn
