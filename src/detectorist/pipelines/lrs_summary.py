"""The numbers of a reduction that people ask for first."""

from __future__ import annotations

import numpy as np
import xarray as xr

from detectorist.algorithms.light_curves import USEFUL_UM, point_to_point_scatter, sum_wavelengths
from detectorist.pipelines.lrs_spectra import REPLACED


def summarise(dataset: xr.Dataset) -> list[str]:
    """Return a few lines on spectra through time, as `LrsSpectra.dataset` holds them."""
    n_ints, n_wavelengths = dataset["flux"].shape
    flux, error = dataset["flux"].values, dataset["flux_error"].values
    replaced = ((dataset["quality"].values & REPLACED) > 0).mean()
    lines = [
        f"{n_ints} integrations, {n_wavelengths} wavelengths",
        f"replaced near the trace: {100 * replaced:.2f} % of all spectral elements",
    ]
    try:
        white = sum_wavelengths(dataset["wavelength"].values, flux, error)
    except ValueError as problem:
        return [*lines, f"no white light curve: {problem}"]
    expected = float(np.median(white.error))
    lines.append(f"white light {USEFUL_UM[0]:g}-{USEFUL_UM[1]:g} um: expected scatter {1e6 * expected:.0f} ppm")
    if n_ints >= 3:
        scatter = point_to_point_scatter(white.flux)
        lines[-1] += f", found {1e6 * scatter:.0f} ppm from one integration to the next ({scatter / expected:.2f} x)"
    lines.append(
        f"trace moved by {np.nanstd(dataset['x_shift']):.4f} (x) and {np.nanstd(dataset['y_shift']):.4f} (y) pixel rms; "
        f"width {np.nanmedian(dataset['psf_sigma']):.3f} pixel"
    )
    return lines
