"""Effect of cleaning: columns of the trace before and after, and the spatial profiles."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import COLOURS, new_figure, show_image

#: Columns drawn at most.
MOST_PANELS = 6


def draw_cleaned_columns(
    before: np.ndarray, after: np.ndarray, replaced: np.ndarray, *, columns: tuple[int, int]
) -> Figure:
    """Return a figure of the brightest columns, from the integration with the most pixels replaced in them.

    before, after : ndarray of float, shape (n_ints, n_rows, n_cols)
    replaced : ndarray of bool, same shape.
    columns : first column of the profile, and the one after the last.
    """
    left, right = columns
    integration = int(replaced[:, :, left:right].sum(axis=(1, 2)).argmax())
    light = np.nan_to_num(np.nanmedian(after[integration, :, left:right], axis=0), nan=-np.inf)
    chosen = np.sort(np.argsort(light)[::-1][:MOST_PANELS]) + left
    figure, axes = new_figure(len(chosen), 1, size=(9, 1.6 * len(chosen)), sharex=True, squeeze=False)
    for axis, column in zip(axes[:, 0], chosen, strict=True):
        rows = np.flatnonzero(replaced[integration, :, column])
        axis.plot(after[integration, :, column], lw=0.8, color=COLOURS[0], label="after")
        axis.plot(rows, before[integration, rows, column], "x", ms=5, color=COLOURS[1], label="before")
        axis.plot(rows, after[integration, rows, column], ".", ms=5, color=COLOURS[2], label="new value")
        shown = after[integration, :, column][np.isfinite(after[integration, :, column])]
        if shown.size:
            low, high = shown.min(), shown.max()
            pad = 0.15 * (high - low) or 1.0
            # Outliers may be a thousand times the trace: they are drawn at the edge.
            axis.set_ylim(low - pad, high + pad)
            held = np.clip(np.nan_to_num(before[integration, rows, column], nan=low - pad), low - pad, high + pad)
            axis.lines[1].set_ydata(held)
        axis.set_ylabel(f"column {column}")
    axes[0, 0].set_title(f"integration {integration}: pixels replaced")
    axes[0, 0].legend(loc="upper left", fontsize=7, ncols=3)
    axes[-1, 0].set_xlabel("row")
    return figure


def draw_profiles(profile: np.ndarray, *, columns: tuple[int, int]) -> Figure:
    """Return a figure of the median profile of all integrations, and the scatter of single ones about it.

    profile : ndarray of float, shape (n_ints, n_rows, n_cols), sums to 1 in every row.
    """
    left, right = columns
    extent = (left - 0.5, right - 0.5, -0.5, profile.shape[1] - 0.5)
    middle = np.median(profile[:, :, left:right], axis=0)
    spread = np.median(np.abs(profile[:, :, left:right] - middle), axis=0)
    figure, axes = new_figure(1, 3, size=(12, 5))
    for axis, image, label in (
        (axes[0], middle, "share of the row's light"),
        (axes[1], spread, "median departure of one integration"),
    ):
        show_image(axis, image, label=label).set_extent(extent)
        axis.set(xlabel="column", ylabel="row")
    n_rows = profile.shape[1]
    for k, row in enumerate(np.linspace(0.1, 0.9, 5)):
        i = int(row * (n_rows - 1))
        axes[2].plot(np.arange(left, right), middle[i], color=COLOURS[k], label=f"row {i}", drawstyle="steps-mid")
    axes[2].set(xlabel="column", ylabel="share of the row's light")
    axes[2].legend(fontsize=7)
    return figure
