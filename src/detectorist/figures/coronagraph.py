"""Figures of coronagraphic exposures: noise against distance from the star, spectrum of the 1/f noise."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from detectorist.figures.image_quality import binned_power, white_level
from detectorist.figures.style import COLOURS, new_figure


def draw_radial_noise(curves: Mapping[str, tuple[np.ndarray, np.ndarray]], star: float) -> Figure:
    """Draw five times the noise in an aperture against the distance from the star, in units of the star's light.

    curves : mapping of label to (radius in pixels, noise)
        As `measure_radial_noise`.
    star : float
        Light of the star that passes the mask, unit of the image.
    """
    figure, axis = new_figure(size=(5.6, 3.6))
    for number, (label, (radius, noise)) in enumerate(curves.items()):
        axis.plot(radius, 5 * noise / star, "o-", ms=3, lw=1.2, color=COLOURS[number], label=label)
    axis.set(
        xlabel="distance from the star (pixel)", ylabel="5 × noise in an aperture\n/ light of the star", yscale="log"
    )
    axis.legend(frameon=False, fontsize=8)
    return figure


def draw_flicker_spectrum(images: Mapping[str, np.ndarray], mask: np.ndarray) -> Figure:
    """Draw the power of row medians against frequency along the rows, before and after 1/f noise was subtracted.

    images : mapping of label to ndarray of float, shape (n_ints, ny, nx)
        Integrations without their median.
    mask : ndarray of bool, shape (ny, nx), True where the star is bright or a pixel is bad
    """
    figure, axis = new_figure(size=(5.6, 3.6))
    colours = {"before": COLOURS[1], "after": COLOURS[0]}
    for label, cube in images.items():
        frequency, power = binned_power(cube, mask)
        axis.plot(frequency, power, lw=1.3, color=colours.get(label, COLOURS[2]), label=label)
    last = list(images.values())[-1]
    white = float(np.nanmean([white_level(image, mask) for image in last]))
    axis.axhline(white, ls="--", lw=1, color=COLOURS[6], label="white noise alone")
    axis.set(xlabel="frequency (1/row)", ylabel="power of row medians (DN²/s²)", xscale="log", yscale="log")
    axis.legend(frameon=False, fontsize=8)
    return figure


def draw_contrast(
    curves: Mapping[str, tuple[np.ndarray, np.ndarray]], *, star: float | None = None, unit: str = ""
) -> Figure:
    """Draw the contrast of the faintest detectable companion against its separation from the star.

    curves : mapping of label to (separation in arcsec, limit)
        Flux with the false-alarm rate of 5 sigma.
    star : float, optional
        Flux of the star; limits are drawn relative to it.
    unit : str
        Of fluxes.
    """
    figure, axis = new_figure(size=(5.6, 3.6))
    for number, (label, (separation, limit)) in enumerate(curves.items()):
        style = {"lw": 1.2, "color": COLOURS[number % len(COLOURS)], "label": label}
        axis.plot(separation, limit / star if star else limit, **style)
    axis.set(
        xlabel="separation (arcsec)", ylabel="5 σ contrast" if star else f"5 σ limit of flux ({unit})", yscale="log"
    )
    axis.legend(frameon=False, fontsize=7)
    return figure
