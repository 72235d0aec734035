"""Figures that show how well a MIRI LRS time series was reduced: frames, cleaning, background, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.colors import FuncNorm
from matplotlib.figure import Figure

from detectorist.algorithms.spectra.fixed_wavelengths import flux_of
from detectorist.algorithms.spectra.light_curves import (
    USEFUL_UM,
    LightCurve,
    hours_since_first,
    point_to_point_scatter,
    sum_wavelengths,
)
from detectorist.figures.stretch import Stretch, limits_of, stretch_of
from detectorist.figures.style import AT_TOP, COLOURS, IMAGE_CMAP, new_figure

#: Width (micron) of the bins of spectroscopic light curves.
BIN_UM = 1.0
#: Colours of the bins, blue to red as their light is; told apart on a white page and on a dark one.
SPECTRAL_COLOURS = ("#3a6fd8", "#1f9bb5", "#2a9d5c", "#93a31b", "#d99a00", "#d9622b", "#c2415f", "#9a55b8")
#: Second differences need that many integrations to tell a scatter.
LEAST_INTEGRATIONS = 8
#: Columns to either side of the trace that the profile is drawn over.
PROFILE_HALF_WIDTH = 12


def draw_frames(frames: Mapping[str, np.ndarray], example: int) -> Figure:
    """Mean frame and one integration, before and after subtraction of the background and cleaning, with one stretch.

    frames : mapping
        `raw`, `clean`, `example_raw`, `example_clean`, each ndarray of float, shape (n_rows, n_cols).
    example : int
        Number of the integration.
    """
    figure, axes = new_figure(4, 1, size=(5.6, 6.4), sharex=True, sharey=True)
    titles = {
        "raw": "mean of all integrations, raw",
        "clean": "mean, background subtracted and cleaned",
        "example_raw": f"integration {example}, the one with most pixels replaced, raw",
        "example_clean": f"integration {example}, background subtracted and cleaned",
    }
    # Reference columns have a level of their own.
    shown = {name: np.asarray(frames[name], float)[:, 4:] for name in titles}
    stretch = stretch_of(shown["clean"])
    for axis, (name, title) in zip(axes, titles.items(), strict=True):
        _along_rows(axis, shown[name], first_column=4, label="DN/s", stretch=stretch)
        axis.set_title(title, fontsize=9, loc="left", y=AT_TOP)
    axes[-1].set_xlabel("row (dispersion)")
    return figure


def draw_replaced(replaced: np.ndarray) -> Figure:
    """Share of the integrations in which each pixel was replaced, shape (n_rows, n_cols), 0 to 1."""
    figure, axis = new_figure(size=(5.6, 2.2))
    _along_rows(axis, 100 * np.asarray(replaced), label="integrations (%)", stretch=Stretch(0, 100))
    axis.set_xlabel("row (dispersion)")
    return figure


def draw_profile(profile: np.ndarray, trace_column: int = 36) -> Figure:
    """Mean spatial profile about the trace as an image and as cuts, shape (n_rows, n_cols), share of a row's light."""
    profile = np.asarray(profile)
    first = max(trace_column - PROFILE_HALF_WIDTH, 0)
    shown = profile[:, first : trace_column + PROFILE_HALF_WIDTH + 1]
    figure, (upper, lower) = new_figure(2, 1, size=(5.6, 5.2))
    _along_rows(
        upper, shown, first_column=first, label="share of the row's light", stretch=Stretch(*limits_of(shown, 0))
    )
    upper.set_xlabel("row (dispersion)")
    columns = first + np.arange(shown.shape[1])
    rows = np.linspace(0.35, 0.93, 4) * (len(profile) - 1)
    for colour, row in zip(COLOURS, rows.astype(int), strict=False):
        lower.step(columns, shown[row], where="mid", color=colour, lw=1.2, label=f"row {row}")
    lower.set(xlabel="column", ylabel="share of the row's light")
    lower.legend(frameon=False, fontsize=8)
    return figure


def draw_background(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Background along the rows, and how its mean runs in time.

    arrays : mapping
        `background` (n_ints, n_rows) as in the dataset.
    """
    background = np.asarray(arrays["background"], float)
    figure, (upper, lower) = new_figure(2, 1, size=(5.6, 5.2))
    low, middle, high = np.nanpercentile(background, [16, 50, 84], axis=0)
    rows = np.arange(background.shape[1])
    upper.fill_between(rows, low, high, alpha=0.3, lw=0, color=COLOURS[0], label="68 % of the integrations")
    upper.plot(rows, middle, lw=1, label="median")
    upper.set(xlabel="row (dispersion)", ylabel="background (DN/s per pixel)")
    upper.legend(frameon=False, fontsize=8)
    lower.plot(np.arange(1, len(background) + 1), np.nanmean(background, axis=1), ".", ms=4)
    lower.set(xlabel="integration", ylabel="mean of all rows (DN/s per pixel)")
    lower.ticklabel_format(useOffset=False)
    return figure


def draw_spectroscopic(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Light curves of bins of 1 micron, one above the other, spaced by their scatter."""
    hours = hours_of(arrays)
    curves = spectroscopic(arrays)
    figure, axis = new_figure(size=(5.6, 0.9 + 0.56 * max(len(curves), 1)))
    for (start, curve), level, colour in zip(curves, offsets([c for _, c in curves]), SPECTRAL_COLOURS, strict=False):
        axis.axhline(100 * level, lw=0.5, color=colour, alpha=0.5)
        shifted = 100 * (curve.flux - 1 + level)
        axis.errorbar(hours, shifted, 100 * curve.error, fmt=".", ms=3, lw=0.5, alpha=0.8, color=colour)
        axis.annotate(
            f"{start:g}-{start + BIN_UM:g} µm",
            (1.01, 100 * level),
            xycoords=("axes fraction", "data"),
            fontsize=8,
            va="center",
            color=colour,
            annotation_clip=False,
        )
    axis.set(xlabel="time from the first integration (h)", ylabel="flux over its median - 1 (%), shifted")
    return figure


def offsets(curves: Sequence[LightCurve]) -> list[float]:
    """Return the shift of each light curve that separates it from the one below by their scatter; 0 for the first.

    What counts is the range of the curve, outliers apart, and two standard deviations from point to point.
    """
    levels: list[float] = []
    top = 0.0
    for curve in curves:
        low, high = np.percentile(curve.flux, [1, 99]) - 1
        gap = 2 * point_to_point_scatter(curve.flux) if curve.flux.size >= 3 else float(np.median(curve.error))
        levels.append(top + gap - float(low) if levels else 0.0)
        top = levels[-1] + float(high) + gap
    return levels


def white_light(arrays: Mapping[str, np.ndarray], range_um: tuple[float, float] = USEFUL_UM) -> LightCurve:
    """Return the light curve of a range of wavelengths, movement along the dispersion undone.

    Raises ValueError where no wavelength has flux in all integrations.
    """
    wavelength, error = (np.asarray(arrays[name], float) for name in ("wavelength", "flux_error"))
    return sum_wavelengths(wavelength, flux_of(arrays), error, range_um=range_um)


def spectroscopic(arrays: Mapping[str, np.ndarray]) -> list[tuple[float, LightCurve]]:
    """Return (first wavelength, LightCurve) of every bin that has flux in all integrations."""
    curves = []
    for start in np.arange(USEFUL_UM[0], USEFUL_UM[1], BIN_UM):
        try:
            curves.append((float(start), white_light(arrays, (start, start + BIN_UM))))
        except ValueError:
            continue
    return curves


def draw_errors(arrays: Mapping[str, np.ndarray]) -> Figure:
    """Scatter over stated error: second differences of single wavelengths against a unit Gaussian, and by wavelength.

    arrays : mapping
        `flux`, `flux_error` (n_ints, n_wavelengths), at least 8 integrations, and `wavelength`.
    """
    wavelength = np.asarray(arrays["wavelength"], float)
    used = (wavelength >= USEFUL_UM[0]) & (wavelength <= USEFUL_UM[1])
    flux = np.asarray(arrays["flux"], float)[:, used]
    error = np.asarray(arrays["flux_error"], float)[:, used]
    variance = error[2:] ** 2 + 4 * error[1:-1] ** 2 + error[:-2] ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        pulls = (flux[2:] - 2 * flux[1:-1] + flux[:-2]) / np.sqrt(variance)
        widths = point_to_point_scatter(flux) / np.median(error, axis=0)
    figure, (upper, lower) = new_figure(2, 1, size=(5.6, 5.2))
    edges = np.linspace(-6, 6, 49)
    known = pulls[np.isfinite(pulls)]
    upper.hist(np.clip(known, -6, 6), edges, density=True, color=COLOURS[5], label="found")
    upper.plot(edges, np.exp(-(edges**2) / 2) / np.sqrt(2 * np.pi), color=COLOURS[1], label="errors right")
    upper.set(xlabel="second difference / stated error", ylabel="density", yscale="log", ylim=(1e-5, 1))
    upper.legend(frameon=False, fontsize=8, loc="upper left")
    lower.plot(wavelength[used], widths, ".", ms=3)
    lower.axhline(1, color=COLOURS[1], lw=1)
    lower.set(xlabel="wavelength (µm)", ylabel="scatter / stated error", ylim=(0, None))
    return figure


def draw_groups(deviation_pct: Sequence[float], dropped: Sequence[int]) -> Figure:
    """Deviation of each step of the mean ramp from the slope of its straight part, and the groups that were dropped.

    deviation_pct : sequence of float, length n_groups - 1
    """
    figure, axis = new_figure(size=(5.6, 2.8))
    steps = np.arange(len(deviation_pct))
    gone = np.isin(steps, dropped) | np.isin(steps + 1, dropped)
    values = np.asarray(deviation_pct, float)
    axis.axhline(0, lw=0.8, color=COLOURS[6])
    axis.plot(steps + 0.5, values, lw=0.6, color=COLOURS[0])
    axis.plot(steps[~gone] + 0.5, values[~gone], "o", ms=4, color=COLOURS[0], label="used")
    axis.plot(steps[gone] + 0.5, values[gone], "x", ms=6, color=COLOURS[1], label="with a dropped group")
    axis.set(xlabel="between groups", ylabel="step of the ramp\noff its slope (%)", yscale="symlog")
    axis.legend(frameon=False, fontsize=8)
    return figure


def relative_flux(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return flux over its median in time minus 1, in percent, useful wavelengths ascending: (n_ints, n_useful)."""
    wavelength = np.asarray(arrays["wavelength"], float)
    flux = np.asarray(arrays["flux"], float)
    level = np.full(flux.shape[1], np.nan)
    measured = np.isfinite(flux).any(axis=0)
    level[measured] = np.nanmedian(flux[:, measured], axis=0)
    used = np.flatnonzero((wavelength >= USEFUL_UM[0]) & (wavelength <= USEFUL_UM[1]) & (level > 0))
    used = used[np.argsort(wavelength[used])]
    return 100 * (flux[:, used] / level[used] - 1)


def hours_of(arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the time since the first integration; its number where times are unknown."""
    return hours_since_first(np.asarray(arrays["time_mjd_utc"], float))


def _along_rows(axis, image: np.ndarray, *, label: str, stretch: Stretch, first_column: int = 0) -> None:
    """Draw a detector image with the rows to the right: dispersion runs along them."""
    drawn = axis.imshow(
        image.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=IMAGE_CMAP,
        norm=FuncNorm((stretch.bend, stretch.unbend), stretch.low, stretch.high),
        extent=(-0.5, image.shape[0] - 0.5, first_column - 0.5, first_column + image.shape[1] - 0.5),
    )
    axis.set_ylabel("column")
    bar = axis.figure.colorbar(drawn, ax=axis, label=label, ticks=stretch.ticks(), format="%g")
    bar.ax.minorticks_off()
