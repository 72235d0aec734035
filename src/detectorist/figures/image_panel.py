"""Images side by side, each with its own stretch, axes and colour bar."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.colors import FuncNorm, ListedColormap
from matplotlib.figure import Figure

from detectorist.figures.picture import Picture
from detectorist.figures.stretch import N_COLOURS
from detectorist.figures.style import new_figure

#: Width of an image, inch, and limits of its height.
WIDTH, LOWEST, HIGHEST = 4.6, 2.0, 6.0
#: Letters of a title in one line.
TITLE_LETTERS = 38


def draw_images(images: Sequence[Picture], *, title: str = "") -> Figure:
    """Draw images in a row; non-finite pixels are grey."""
    ny, nx = images[0].image.shape
    height = float(np.clip(WIDTH * 0.8 * ny / nx, LOWEST, HIGHEST)) + 0.8
    figure, axes = new_figure(1, len(images), size=(WIDTH * len(images), height), squeeze=False)
    for axis, shown in zip(axes[0], images, strict=True):
        stretch = shown.stretch
        palette = stretch.palette() / 255
        colours = ListedColormap(palette[:N_COLOURS]).with_extremes(bad=palette[N_COLOURS])
        norm = FuncNorm((stretch.bend, stretch.unbend), stretch.low, stretch.high)
        drawn = axis.imshow(shown.image, origin="lower", interpolation="nearest", cmap=colours, norm=norm)
        axis.set(title=textwrap.fill(shown.label, TITLE_LETTERS), xlabel=shown.x_label, ylabel=shown.y_label)
        figure.colorbar(drawn, ax=axis, label=shown.unit, ticks=stretch.ticks(), format="%g", fraction=0.046, pad=0.03)
    if title:
        figure.suptitle(title)
    return figure
