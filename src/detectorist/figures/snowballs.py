"""Figures of snowballs."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from detectorist.figures.style import COLOURS, new_figure


def draw_snowballs(flagged: np.ndarray, events: list[list[float]], *, n_groups: int) -> Figure:
    """Draw where jumps are flagged in any group, every event with its radius and group, and the sizes of events.

    flagged : ndarray of bool, shape (ny, nx), jumps of any group after the correction.
    events : list of [integration, group, y, x, radius, core radius], pixels, as recorded by the step.
    """
    figure, axes = new_figure(1, 2, size=(9.6, 4.4))
    axes[0].imshow(flagged, origin="lower", cmap="Greys", interpolation="nearest")
    for _, group, y, x, radius, _ in events:
        axes[0].add_patch(Circle((x, y), 3 * radius, fill=False, color=COLOURS[1], lw=0.8))
        axes[0].annotate(f"{group:.0f}", (x, y + 3 * radius), color=COLOURS[1], fontsize=7, ha="center")
    axes[0].set(xlabel="column", ylabel="row", title="jumps of any group; circles of 3 radii, group")
    radii = [event[4] for event in events]
    if radii:
        axes[1].scatter([event[1] for event in events], radii, s=18, color=COLOURS[0], label="event")
        axes[1].scatter([event[1] for event in events], [e[5] for e in events], s=18, color=COLOURS[1], label="core")
        axes[1].legend(fontsize=8)
    axes[1].set(xlabel="group", ylabel="radius (pixel)", xlim=(-0.5, n_groups - 0.5))
    return figure
