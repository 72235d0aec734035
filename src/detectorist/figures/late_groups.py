"""Figures of late groups that are left out."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_image


def draw_late_groups(last: np.ndarray, left_out: np.ndarray) -> Figure:
    """Draw the last group of the reference star, and how many groups are left out of each pixel's ramp.

    last : ndarray of float, shape (ny, nx), DN, median over integrations
    left_out : ndarray of bool, shape (n_groups, ny, nx)
    """
    figure, axes = new_figure(1, 2, size=(9.4, 3.8))
    show_image(axes[0], last, label="DN", percentile=0.5)
    axes[0].set(title="last group of the reference star", xlabel="column", ylabel="row")
    lost = left_out.sum(axis=0)
    show_image(axes[1], lost, label=f"groups of {len(left_out)}", percentile=0)
    axes[1].set(title=f"left out in {np.count_nonzero(lost):,} pixels", xlabel="column", ylabel="row")
    return figure
