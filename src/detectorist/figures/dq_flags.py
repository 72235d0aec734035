"""Figures of the data-quality flags: how many pixels carry them, and where."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_image

#: Maps side by side.
MOST_MAPS = 8


def draw_flags(dq: np.ndarray, *, bits: dict[str, int]) -> Figure:
    """Return a figure with the share of pixels of every flag, and maps of how often a pixel carries the commonest.

    dq : ndarray of unsigned int, shape (n_ints, n_rows, n_cols).
    bits : names of the flags to draw, with their values.
    """
    shares = {name: (dq & dq.dtype.type(value) != 0).mean(axis=0) for name, value in bits.items()}
    ordered = sorted(shares, key=lambda name: -shares[name].mean())
    n_maps = min(len(ordered), MOST_MAPS)
    figure, axes = new_figure(1, 1 + n_maps, size=(5 + 1.9 * n_maps, 5), squeeze=False, width_ratios=[2, *[1] * n_maps])
    bars = axes[0, 0]
    drawn = bars.barh(ordered[::-1], [100 * shares[name].mean() for name in ordered[::-1]], color=COLOURS[0])
    # Shares span orders of magnitude: short bars are told by their numbers.
    bars.bar_label(drawn, fmt="%.3g", padding=2, fontsize=8)
    bars.margins(x=0.2)
    bars.set(xlabel="pixels flagged (%)", ylabel="flag", title="" if ordered else "no flags set")
    for axis, name in zip(axes[0, 1:], ordered, strict=False):
        show_image(axis, 100 * shares[name], label="integrations (%)", percentile=0)
        axis.set_title(name.replace("_", " ").lower(), fontsize=8)
        axis.set(xlabel="column", ylabel="row")
    return figure
