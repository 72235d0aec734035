"""Figures of kTC noise: the offsets that resets leave on the pixels."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_image


def draw_offsets(offset: np.ndarray, measured: np.ndarray, group: np.ndarray) -> Figure:
    """Draw what changes from reset to reset, its distribution, and a group without it.

    offset : ndarray of float, shape (n_ints, ny, nx), DN, what was subtracted
    measured : ndarray of bool, same shape, True where the offset is known
    group : ndarray of float, shape (ny, nx), DN, the first group of the first integration after the correction
    """
    known = np.where(measured, offset, np.nan)
    level = np.zeros(offset.shape[1:])
    seen = measured.any(axis=0)
    level[seen] = np.nanmean(known[:, seen], axis=0)
    single = len(offset) == 1
    # One reset alone: what is particular to it cannot be told from the pixel's own level.
    change = known[0] - (np.nanmedian(known[0]) if single else level)
    figure, axes = new_figure(1, 3, size=(12.6, 3.8))
    show_image(axes[0], change, label="offset over its mean (DN)", centred=True)
    axes[0].set(title="first integration", xlabel="column", ylabel="row")
    every = (known - (np.nanmedian(known) if single else level))[measured]
    if every.size:
        spread = 1.4826 * float(np.median(np.abs(every - np.median(every)))) or 1.0
        edges = np.linspace(-5 * spread, 5 * spread, 61)
        axes[1].hist(np.clip(every, edges[0], edges[-1]), edges, density=True, color=COLOURS[5])
        bell = np.exp(-0.5 * (edges / spread) ** 2) / (spread * np.sqrt(2 * np.pi))
        axes[1].plot(edges, bell, color=COLOURS[1], label=f"Gaussian of {spread:.1f} DN rms")
        axes[1].legend(fontsize=8)
    axes[1].set(xlabel="offset over its mean (DN)", ylabel="density (1/DN)", title="all resets")
    show_image(axes[2], group, label="DN", percentile=2)
    axes[2].set(title="first group, offsets subtracted", xlabel="column", ylabel="row")
    return figure
