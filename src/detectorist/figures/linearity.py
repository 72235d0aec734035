"""Figures of a linearity correction derived from the data."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.ramps.linearity import LinearityFit
from detectorist.figures.style import COLOURS, new_figure

#: Points drawn for each output: more only make the file larger.
MAX_POINTS = 4000


def draw_linearity(fit: LinearityFit) -> Figure:
    """Draw, for each output, the nonlinearity against measured DN, the fitted polynomial, and the residuals."""
    figure, axes = new_figure(1, 2, size=(9.0, 3.6))
    for output, coefficients in enumerate(fit.coefficients):
        measured, lines = fit.measured[output], fit.lines[output]
        corrected = np.polynomial.polynomial.polyval(measured, coefficients)
        # Each ramp has an offset of its own: the first group is the common zero.
        correction = corrected - measured
        wanted = lines - measured - (lines - corrected).mean(axis=1, keepdims=True)
        every = max(1, measured.size // MAX_POINTS)
        colour = COLOURS[output]
        axes[0].plot(measured.ravel()[::every], wanted.ravel()[::every], ".", ms=1, alpha=0.3, color=colour)
        order = np.argsort(measured.ravel()[::every])
        axes[0].plot(
            measured.ravel()[::every][order],
            correction.ravel()[::every][order],
            color=colour,
            label=f"output {output}",
        )
        left = (lines - corrected) - (lines - corrected).mean(axis=1, keepdims=True)
        axes[1].plot(100 * (left / np.ptp(lines, axis=1)[:, None]).mean(axis=0), color=colour)
    axes[0].set(xlabel="measured (DN, with pedestal)", ylabel="correction (DN)")
    axes[0].legend(fontsize=7)
    axes[1].axhline(0, color="k", lw=0.6)
    axes[1].set(xlabel="group since the first derived", ylabel="left (% of signal)")
    return figure
