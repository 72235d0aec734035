"""Figures of 1/f noise in coronagraphic exposures."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_before_and_after, show_image


def draw_coronagraphic_stripes(before: np.ndarray, stripes: np.ndarray, *, unit: str) -> Figure:
    """Draw one image before and after, and the stripes between; before, stripes : (ny, nx)."""
    figure, axes = new_figure(1, 3, size=(13, 3.8))
    show_before_and_after(axes[:2], before, before - stripes, unit=unit, percentile=1)
    show_image(axes[2], stripes, label=unit, centred=True)
    axes[2].set_title(f"stripes subtracted, {np.nanstd(stripes):.3g} {unit} rms")
    for axis in axes:
        axis.set(xlabel="column", ylabel="row")
    return figure
