"""Motion of the trace: the measured shifts, and how well a moved template describes an integration."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.spectra.alignment import Shifts, Template, squared_residuals
from detectorist.figures.style import COLOURS, new_figure

#: Integrations drawn at most.
MOST_CURVES = 5


def draw_trace_positions(shifts: Shifts) -> Figure:
    """Return a figure of the shifts with their errors against time, and against each other."""
    figure, (x_axis, y_axis, both) = new_figure(1, 3, size=(12, 3.6))
    number = np.arange(len(shifts.x_pix))
    for axis, value, error, label in (
        (x_axis, shifts.x_pix, shifts.x_error_pix, "x, across the dispersion (pixel)"),
        (y_axis, shifts.y_pix, shifts.y_error_pix, "y, along the dispersion (pixel)"),
    ):
        axis.errorbar(number, value, error, fmt=".", ms=4, lw=0.8)
        axis.set(xlabel="integration", ylabel=label)
    both.errorbar(shifts.x_pix, shifts.y_pix, shifts.y_error_pix, shifts.x_error_pix, fmt=".", ms=4, lw=0.8)
    both.set(xlabel="x (pixel)", ylabel="y (pixel)")
    return figure


def draw_fits(data: np.ndarray, template: Template, shifts: Shifts) -> Figure:
    """Return a figure of chi squared against trial shifts for a few integrations, minimum and solution marked.

    data : ndarray of float, shape (n_ints, n_rows, n_cols), as given to `measure_shifts`
    """
    figure, axes = new_figure(1, 2, size=(9, 3.8))
    measured = np.flatnonzero(np.isfinite(shifts.x_pix))
    chosen = measured[np.unique(np.linspace(0, len(measured) - 1, min(MOST_CURVES, len(measured))).astype(int))]
    for axis, along, name in ((axes[0], 0, "x, across the dispersion"), (axes[1], 1, "y, along the dispersion")):
        errors = np.nanmedian((shifts.x_error_pix, shifts.y_error_pix)[along]) if measured.size else 0.01
        for k, i in enumerate(chosen):
            best = np.array([shifts.x_pix[i], shifts.y_pix[i]])
            trial = best[along] + np.linspace(-4, 4, 21) * errors
            chi2 = []
            for value in trial:
                moved = best.copy()
                moved[along] = value
                chi2.append(squared_residuals(data[i], template, *moved))
            colour = COLOURS[k % len(COLOURS)]
            axis.plot(trial, np.array(chi2) - min(chi2), lw=1, color=colour, label=f"integration {i}")
            axis.axvline(best[along], lw=0.6, ls=":", color=colour)
        axis.set(xlabel=f"{name} (pixel)", ylabel="chi squared over its minimum")
        axis.locator_params(axis="x", nbins=6)
    if chosen.size:
        axes[0].legend(frameon=False, fontsize=8)
    return figure
