"""Figures of the reference-pixel correction."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.style import new_figure, show_image


def draw_reference_correction(reads: np.ndarray, drift: np.ndarray) -> Figure:
    """Draw the drift of one integration and what is left in the reference columns.

    reads : ndarray, shape (n_groups, ny, 4), DN, before the correction.
    drift : ndarray, same shape, DN relative to the first group.
    """
    left = reads - reads[:1] - drift
    figure, axes = new_figure(2, 2, size=(9.0, 6.4))
    show_image(axes[0, 0], drift.mean(axis=-1), label="drift, mean of outputs (DN)", centred=True)
    axes[0, 0].set(xlabel="row", ylabel="group")
    show_image(axes[0, 1], left.mean(axis=-1), label="left in reference pixels (DN)", centred=True)
    axes[0, 1].set(xlabel="row", ylabel="group")
    last = reads[-1] - reads[0]
    for output in range(drift.shape[-1]):
        (line,) = axes[1, 0].plot(drift[-1, ::2, output], lw=1.2, label=f"output {output}")
        axes[1, 0].plot(last[::2, output], ".", ms=1.5, alpha=0.4, color=line.get_color())
        axes[1, 1].plot(np.nanmean(drift[..., output], axis=1), lw=1.2)
    axes[1, 0].set(xlabel="row / 2 (even rows)", ylabel="last group - first (DN)", title="reads and correction")
    axes[1, 0].legend(fontsize=7, ncols=2)
    axes[1, 1].set(xlabel="group", ylabel="mean drift (DN)")
    return figure
