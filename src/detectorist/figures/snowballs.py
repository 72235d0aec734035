"""Figures of snowballs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import PatchCollection
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from detectorist.figures.style import AT_TOP, COLOURS, as_shown, new_figure

#: Maps side by side; more groups share a map.
MOST_MAPS = 12
#: Circles smaller than that part of the image are drawn that large: a snowball of 10 pixels would be a speck.
LEAST_DRAWN = 0.015


def draw_snowballs(flagged: np.ndarray, events: list[list[float]], *, n_groups: int) -> Figure:
    """Draw where jumps are flagged in any group, every event with its radius and group, and the sizes of events.

    flagged : ndarray of bool, shape (ny, nx), jumps of any group after the correction.
    events : list of [integration, group, y, x, radius, core radius], pixels, as recorded by the step.
    """
    figure, axes = new_figure(1, 2, size=(9.6, 4.4), width_ratios=(1.1, 1))
    small, extent = as_shown(flagged)
    axes[0].imshow(small > 0, extent=extent, origin="lower", cmap="Greys", interpolation="nearest")
    for _, group, y, x, radius, _ in events:
        axes[0].add_patch(Circle((x, y), 3 * radius, fill=False, color=COLOURS[1], lw=0.8))
        axes[0].annotate(f"{group:.0f}", (x, y + 3 * radius), color=COLOURS[1], fontsize=7, ha="center")
    axes[0].set(xlabel="column", ylabel="row")
    axes[0].set_title("jumps; circles: 3 radii, with the group", y=AT_TOP)
    if events:
        cored = [event for event in events if event[5] > 0]
        axes[1].scatter([e[1] for e in events], [e[4] for e in events], s=18, color=COLOURS[0], label="event")
        axes[1].scatter([e[1] for e in cored], [e[5] for e in cored], s=18, color=COLOURS[1], label="saturated core")
        axes[1].legend(fontsize=8)
    axes[1].set(xlabel="group", ylabel="radius (pixel)", xlim=(-0.5, n_groups - 0.5))
    return figure


def draw_snowball_groups(events: Sequence[Sequence[float]], shape: tuple[int, int], *, n_groups: int) -> Figure:
    """Draw a map of every group: the events that arrive in it, and the cores of earlier ones, still saturated.

    events : sequence of [integration, group, y, x, radius, core radius], pixels, as recorded by the step; those of
        all integrations are drawn together.
    shape : (ny, nx)
    """
    shared = -(-n_groups // MOST_MAPS)
    starts = range(0, n_groups, shared)
    # As few empty places as may be.
    n_columns = min((4, 3, 5), key=lambda n: -len(starts) % n) if len(starts) > 3 else len(starts)
    n_rows = -(-len(starts) // n_columns)
    figure, axes = new_figure(
        n_rows, n_columns, size=(1.9 * n_columns, 2.1 * n_rows), sharex=True, sharey=True, squeeze=False
    )
    least = LEAST_DRAWN * max(shape)
    for axis, start in zip(axes.flat, starts, strict=False):
        here = [event for event in events if start <= event[1] < start + shared]
        earlier = [event for event in events if event[1] < start and event[5] > 0]
        for some, radius_of, colour in ((earlier, 5, COLOURS[5]), (here, 4, COLOURS[1])):
            circles = [Circle((event[3], event[2]), max(event[radius_of], least)) for event in some]
            axis.add_collection(PatchCollection(circles, facecolor=colour, edgecolor="none", alpha=0.9))
        name = f"group {start}" if shared == 1 else f"groups {start}-{min(start + shared, n_groups) - 1}"
        axis.set_title(f"{name}: {len(here)} new", fontsize=8, y=AT_TOP)
        axis.set(xlim=(-0.5, shape[1] - 0.5), ylim=(-0.5, shape[0] - 0.5), aspect="equal")
        axis.tick_params(labelsize=7)
    for axis in axes.flat[len(starts) :]:
        axis.remove()
    for label, colour in (("new", COLOURS[1]), ("core of an earlier one, still saturated", COLOURS[5])):
        axes[0, 0].scatter([], [], s=18, color=colour, label=label)
    figure.legend(loc="outside upper center", ncols=2, fontsize=8, frameon=False)
    figure.supxlabel("column", fontsize=8)
    figure.supylabel("row", fontsize=8)
    return figure
