"""Spectra through time to light curves in bins of wavelength."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from detectorist.errors import InputError, ParameterError


@dataclass(frozen=True)
class BinnedSpectra:
    """Light curves in bins of wavelength.

    Attributes
    ----------
    low, high, centre : ndarray of float, shape (n_bins,)
        Micron; the centre is the mean wavelength of the light.
    flux, flux_error : ndarray of float, shape (n_bins, n_ints)
        Relative to the median of the bin.
    n_elements : ndarray of int, shape (n_bins,)
        Spectral elements in each bin.
    """

    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    flux: np.ndarray
    flux_error: np.ndarray
    n_elements: np.ndarray


def bin_edges(bins: int | float | Sequence[float], range_um: tuple[float, float], wavelength: np.ndarray) -> np.ndarray:
    """Return the edges of bins, micron, ascending, shape (n_bins + 1,).

    bins : int, float or sequence of float
        A number of bins of equal width (int), the width in micron (float), or the edges themselves.
    wavelength : ndarray of float, shape (n_wavelengths,)
        Of the data, for the error.

    Raises
    ------
    ParameterError
        When the bins are invalid, or contain no data.
    """
    low, high = range_um
    if np.ndim(bins) == 1:
        edges = np.asarray(bins, float)
    elif isinstance(bins, int | np.integer):
        edges = np.linspace(low, high, int(bins) + 1) if bins > 0 else np.zeros(0)
    else:
        n_whole = int(np.floor((high - low) / bins + 1e-9)) if bins > 0 else 0
        edges = low + bins * np.arange(n_whole + 1)
    if edges.size < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise ParameterError(
            f"bins are {bins} between {low:g} and {high:g} um; a positive number of bins, their width in um or "
            "ascending edges are needed"
        )
    inside = (wavelength >= edges[0]) & (wavelength < edges[-1])
    if not inside.any():
        raise ParameterError(
            f"bins reach from {edges[0]:g} to {edges[-1]:g} um; the data from {np.nanmin(wavelength):.2f} to "
            f"{np.nanmax(wavelength):.2f} um"
        )
    return edges


def bin_spectra(wavelength: np.ndarray, flux: np.ndarray, flux_error: np.ndarray, edges: np.ndarray) -> BinnedSpectra:
    """Return the sums of flux in bins of wavelength.

    wavelength : ndarray of float, shape (n_wavelengths,)
        Micron; elements without one are left out.
    flux, flux_error : ndarray of float, shape (n_ints, n_wavelengths)
        Any unit; errors independent from one element to the next. An element without flux in any integration is left
        out of all of them, so that a sum covers the same wavelengths at all times.
    edges : ndarray of float, shape (n_bins + 1,)
        Ascending; a bin includes its lower edge.

    Raises
    ------
    InputError
        When a bin has no usable element, or no light.
    """
    usable = np.isfinite(wavelength) & np.isfinite(flux).all(axis=0) & np.isfinite(flux_error).all(axis=0)
    place = np.digitize(np.where(usable, wavelength, -np.inf), edges) - 1
    n_bins = edges.size - 1
    centre, sums, errors, counts = [], [], [], []
    for number in range(n_bins):
        chosen = np.flatnonzero(place == number)
        if chosen.size == 0:
            raise InputError(
                f"no wavelength between {edges[number]:.3f} and {edges[number + 1]:.3f} um has flux in all "
                "integrations; make the bins wider",
                bin=number,
            )
        total = flux[:, chosen].sum(axis=1, dtype=float)
        level = float(np.median(total))
        if not level > 0:
            raise InputError(f"the flux from {edges[number]:.3f} to {edges[number + 1]:.3f} um is {level:g}: no light")
        light = np.clip(np.median(flux[:, chosen], axis=0), 0, None).astype(float)
        centre.append(np.average(wavelength[chosen], weights=light if light.sum() > 0 else None))
        sums.append(total / level)
        errors.append(np.sqrt((flux_error[:, chosen].astype(float) ** 2).sum(axis=1)) / level)
        counts.append(chosen.size)
    return BinnedSpectra(edges[:-1], edges[1:], np.array(centre), np.array(sums), np.array(errors), np.array(counts))
