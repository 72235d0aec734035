"""Light at fixed wavelengths, where the spectrum moves along the dispersion over fixed rows.

A sum of rows is one of fixed wavelengths only while the trace stands still: where it moves by y, light of y rows enters
at one end of the sum and light of y rows leaves at the other. At the short end of MIRI LRS, where a star is brightest,
.02 pixels change the sum of 5 to 12 micron by 250 ppm.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def undo_movement(flux: np.ndarray, detector_row: np.ndarray, y_shift: np.ndarray) -> np.ndarray:
    """Return the light that every element would have, had the trace not moved along the dispersion.

    F(r) + y dS/dr, S being the median spectrum in units of the integration's own brightness: first order, so that
    elements are not resampled and their errors stay independent. In a sum the slopes cancel but for the ends.

    Parameters
    ----------
    flux : ndarray of float, shape (n_ints, n_wavelengths)
    detector_row : ndarray of int, shape (n_wavelengths,)
        Rows of the elements, ascending or descending.
    y_shift : ndarray of float, shape (n_ints,)
        Shift of the trace, pixels, positive toward higher rows. An integration without one stays as it is.

    Returns
    -------
    ndarray of float64, shape of `flux`

    Notes
    -----
    The error of the shift, some .002 pixels, is not added to that of the flux: in white light it is a tenth of it.
    """
    flux = np.asarray(flux, float)
    spectrum = _median_spectrum(flux)
    if spectrum is None:
        return flux
    moved = np.nan_to_num(np.asarray(y_shift, float))
    slope = np.gradient(spectrum, np.asarray(detector_row, float))
    return flux + (moved * _brightness(flux, spectrum))[:, None] * slope


def flux_of(dataset: Mapping[Any, Any]) -> np.ndarray:
    """Return the flux of a dataset at fixed wavelengths, shape (n_ints, n_wavelengths).

    dataset : mapping of str to array
        `flux` and, where the trace's movement is known, `detector_row` and `y_shift_left`, as the pipeline writes them.
        Without these the flux is returned as it is.
    """
    flux = np.asarray(dataset["flux"], float)
    rows, moved = dataset.get("detector_row"), dataset.get("y_shift_left")
    if rows is None or moved is None or flux.shape[1] < 2:
        return flux
    return undo_movement(flux, np.asarray(rows), np.asarray(moved))


def _median_spectrum(flux: np.ndarray) -> np.ndarray | None:
    """Return the median over the integrations, gaps interpolated; None where nothing was measured."""
    known = np.isfinite(flux).any(axis=0)
    if not known.any():
        return None
    median = np.nanmedian(flux[:, known], axis=0)
    places = np.arange(flux.shape[1])
    return np.interp(places, places[known], median)


def _brightness(flux: np.ndarray, spectrum: np.ndarray) -> np.ndarray:
    """Return the light of every integration over that of the median spectrum, shape (n_ints,)."""
    measured = np.isfinite(flux)
    usual = np.where(measured, spectrum, 0.0).sum(axis=1)
    found = np.where(measured, flux, 0.0).sum(axis=1)
    return np.divide(found, usual, out=np.ones(len(flux)), where=usual > 0)
