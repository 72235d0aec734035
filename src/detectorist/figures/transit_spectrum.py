"""Figures of a transit or eclipse spectrum: depths, light curves with residuals, Allan plot, correlations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from detectorist.algorithms.spectra.red_noise import BinnedScatter
from detectorist.figures.style import COLOURS, new_figure

#: Points of a light curve that a figure shows; more are averaged.
MOST_POINTS = 400


def draw_depths(wavelength: np.ndarray, half_width: np.ndarray, depth: np.ndarray, error: np.ndarray) -> Figure:
    """Depths with their errors over wavelength.

    wavelength, half_width : ndarray of float, shape (n_bins,)
        Micron.
    depth, error : ndarray of float, shape (n_bins,)
    """
    figure, axis = new_figure(size=(6.4, 3.6))
    axis.errorbar(wavelength, 1e6 * depth, 1e6 * error, half_width, fmt="o", ms=4, elinewidth=1)
    axis.set(xlabel="wavelength (µm)", ylabel="depth (ppm)")
    return figure


def draw_fit(
    time: np.ndarray,
    flux: np.ndarray,
    baseline: np.ndarray,
    planet: np.ndarray,
    used: np.ndarray,
    *,
    exposure: np.ndarray,
    time_label: str = "BJD TDB",
) -> Figure:
    """Light curve with its model, the baseline divided out, and residuals below.

    time, flux, baseline, planet : ndarray of float, shape (n_ints,)
        Days; relative flux; what multiplies star and planet; these.
    used : ndarray of bool, shape (n_ints,)
        False for integrations that were left out: crosses.
    exposure : ndarray of int, shape (n_ints,)
        Averages do not reach over the end of an exposure.
    """
    figure, (top, below) = new_figure(2, 1, size=(6.4, 5.0), sharex=True, height_ratios=(2, 1))
    hours = 24 * (time - time[0])
    corrected = flux / baseline
    left = 1e6 * (corrected - planet)
    top.plot(hours[used], corrected[used], ".", ms=2, alpha=0.35, color=COLOURS[5])
    below.plot(hours[used], left[used], ".", ms=2, alpha=0.35, color=COLOURS[5])
    for axis, values in ((top, corrected), (below, left)):
        axis.plot(hours[~used], values[~used], "x", ms=4, color=COLOURS[1])
        mean_time, mean, error = _averages(hours[used], values[used], exposure[used])
        axis.errorbar(mean_time, mean, error, fmt="o", ms=3, elinewidth=0.8, color=COLOURS[0])
        axis.set_ylim(*_span(values[used]))
    top.plot(hours, planet, lw=1.2, color=COLOURS[1])
    below.axhline(0, lw=1, color=COLOURS[1])
    top.set_ylabel("flux over baseline")
    below.set(xlabel=f"hours from {time_label} {time[0]:.5f}", ylabel="residual (ppm)")
    return figure


def draw_allan(curves: dict[str, BinnedScatter], cadence_s: float) -> Figure:
    """Scatter of binned residuals against bin size, with that of white noise.

    curves : dict of str to BinnedScatter
        By label; the first is drawn with its errors and Allan deviation.
    cadence_s : float
        Time between integrations, s.
    """
    figure, axis = new_figure(size=(6.0, 4.2))
    for number, (label, scatter) in enumerate(curves.items()):
        minutes = scatter.sizes * cadence_s / 60
        if number == 0:
            axis.errorbar(minutes, 1e6 * scatter.scatter, 1e6 * scatter.scatter_error, fmt="o-", ms=4, label=label)
            axis.plot(minutes, 1e6 * scatter.allan, "s", ms=3, mfc="none", label="Allan deviation")
            axis.plot(minutes, 1e6 * scatter.white, "--", color=COLOURS[1], label="white noise")
            scale = scatter
            continue
        level = scale.scatter[0] / scatter.scatter[0]
        axis.plot(minutes, 1e6 * level * scatter.scatter, lw=0.6, alpha=0.4, color=COLOURS[6], zorder=0)
    if len(curves) > 1:
        axis.plot([], [], lw=0.6, alpha=0.4, color=COLOURS[6], label="bins of wavelength, scaled to white light")
    axis.set(xlabel="minutes per bin", ylabel="scatter of residuals (ppm)", xscale="log", yscale="log")
    axis.legend(frameon=False, fontsize="small")
    return figure


def draw_correlation(correlation: np.ndarray, wavelength: np.ndarray) -> Figure:
    """Draw the correlation matrix of the depths, shape (n_bins, n_bins)."""
    figure, axis = new_figure(size=(5.0, 4.2))
    image = axis.imshow(correlation, origin="lower", cmap="RdBu_r", vmin=-1, vmax=1)
    figure.colorbar(image, ax=axis, label="correlation")
    ticks = np.linspace(0, len(wavelength) - 1, min(6, len(wavelength))).round().astype(int)
    labels = [f"{um:.1f}" for um in wavelength[ticks]]
    axis.set_xticks(ticks, labels)
    axis.set_yticks(ticks, labels)
    axis.set(xlabel="wavelength (µm)", ylabel="wavelength (µm)")
    return figure


def draw_curves(time: np.ndarray, corrected: Sequence[np.ndarray], planet: Sequence[np.ndarray], labels: Sequence[str]):
    """Draw all light curves of a spectrum, baselines divided out, one above the other."""
    figure, axis = new_figure(size=(6.0, min(2.5 + 0.3 * len(labels), 12.0)))
    hours = 24 * (time - time[0])
    averages = [_averages(hours, curve, np.ones(time.size, int), most=80) for curve in corrected]
    # Noise counts where it is larger than the transit; a few outliers do not.
    ranges = [*planet, *(np.percentile(mean, [2, 98]) for _, mean, _ in averages)]
    step = 1.5 * max(float(np.ptp(one)) for one in ranges)
    for number, (means, model, label) in enumerate(zip(averages, planet, labels, strict=True)):
        colour = COLOURS[number % 2]
        axis.plot(means[0], means[1] + number * step, ".", ms=3, color=colour)
        axis.plot(hours, model + number * step, lw=0.8, color=COLOURS[6])
        axis.text(hours[-1], model[-1] + number * step, f" {label}", fontsize="x-small", va="center", color=colour)
    axis.set(xlabel="hours from the first integration", ylabel="flux over baseline, shifted")
    return figure


def _span(values: np.ndarray) -> tuple[float, float]:
    """Return axis limits that show all integrations used; those left out may lie outside."""
    low, high = float(values.min()), float(values.max())
    margin = 0.08 * (high - low) or 1e-6
    return low - margin, high + margin


def _averages(
    hours: np.ndarray, values: np.ndarray, exposure: np.ndarray, *, most: int = MOST_POINTS // 5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return means in about `most` bins: (hours, value, error of the mean)."""
    size = max(values.size // most, 1)
    rows = []
    for number in np.unique(exposure):
        inside = np.flatnonzero(exposure == number)
        for piece in np.array_split(inside, max(inside.size // size, 1)):
            spread = values[piece].std(ddof=1) / np.sqrt(piece.size) if piece.size > 2 else 0.0
            rows.append((hours[piece].mean(), values[piece].mean(), spread))
    columns = np.array(rows).T
    return columns[0], columns[1], columns[2]
