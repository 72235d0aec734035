"""The numbers of a reduction that people ask for first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from detectorist.algorithms.spectra.light_curves import USEFUL_UM, point_to_point_scatter, sum_wavelengths
from detectorist.modes.lrs.spectra import NO_FLUX, REPLACED, SATURATED, TIME_FROM_HEADER


def measure(dataset: xr.Dataset, photon_error: np.ndarray | None = None) -> dict[str, Any]:
    """Return the numbers of spectra through time, as `LrsSpectra.dataset` holds them.

    photon_error : ndarray of float, shape (n_ints, n_wavelengths), optional
        Noise of the photons alone, as `LrsFrames.photon_error`.

    Returns
    -------
    dict
        Plain numbers; what cannot be measured is left out. Scatters are from one integration to the next (second
        differences), blind to a transit and to slow trends. `pull_width` is the median over wavelengths of scatter
        over stated error: 1 where the errors are right.
    """
    flux, error = np.asarray(dataset["flux"]), np.asarray(dataset["flux_error"])
    quality, wavelength = np.asarray(dataset["quality"]), np.asarray(dataset["wavelength"])
    useful = (wavelength >= USEFUL_UM[0]) & (wavelength <= USEFUL_UM[1])
    numbers: dict[str, Any] = {
        "n_integrations": flux.shape[0],
        "n_wavelengths": flux.shape[1],
        "replaced_pct": _share(quality, REPLACED),
        "saturated_pct": _share(quality, SATURATED),
        "no_flux_pct": _share(quality[:, useful], NO_FLUX) if useful.any() else 100.0,
        "times_from_header": bool((quality & TIME_FROM_HEADER).any()),
        "x_rms_pix": float(np.nanstd(dataset["x_shift"])),
        "y_rms_pix": float(np.nanstd(dataset["y_shift"])),
        "width_pix": float(np.nanmedian(dataset["psf_sigma"])),
        "background_level": float(np.nanmedian(dataset["background"])),
    }
    try:
        white = sum_wavelengths(wavelength, flux, error)
    except ValueError as problem:
        return {**numbers, "no_white_light": str(problem)}
    numbers["white_expected_ppm"] = 1e6 * float(np.median(white.error))
    if photon_error is not None and np.isfinite(photon_error).any():
        used = useful & np.isfinite(flux).all(axis=0)
        total = np.median(flux[:, used].sum(axis=1))
        photons = np.sqrt(np.nansum(photon_error[:, used].astype(float) ** 2, axis=1))
        numbers["white_photon_ppm"] = 1e6 * float(np.median(photons) / abs(total))
    if flux.shape[0] >= 3:
        numbers["white_scatter_ppm"] = 1e6 * point_to_point_scatter(white.flux)
        numbers["white_ratio"] = numbers["white_scatter_ppm"] / numbers["white_expected_ppm"]
        pulls = [
            point_to_point_scatter(flux[:, i]) / np.nanmedian(error[:, i])
            for i in np.flatnonzero(useful)
            if np.nanmedian(error[:, i]) > 0
        ]
        numbers["pull_width"] = float(np.nanmedian(pulls)) if pulls else None
    return {name: value for name, value in numbers.items() if value is not None}


def _share(quality: np.ndarray, bit: int) -> float:
    return 100.0 * float(((quality & bit) > 0).mean())


def summarise(numbers: Mapping[str, Any]) -> list[str]:
    """Return a few lines on spectra through time, from the numbers that `measure` found."""
    lines = [
        f"{numbers['n_integrations']} integrations, {numbers['n_wavelengths']} wavelengths",
        f"replaced near the trace: {numbers['replaced_pct']:.2f} % of all spectral elements",
    ]
    if "no_white_light" in numbers:
        return [*lines, f"no white light curve: {numbers['no_white_light']}"]
    lines.append(
        f"white light {USEFUL_UM[0]:g}-{USEFUL_UM[1]:g} um: expected scatter {numbers['white_expected_ppm']:.0f} ppm"
    )
    if "white_ratio" in numbers:
        found, ratio = numbers["white_scatter_ppm"], numbers["white_ratio"]
        lines[-1] += f", found {found:.0f} ppm from one integration to the next ({ratio:.2f} x)"
    lines.append(
        f"trace moved by {numbers['x_rms_pix']:.4f} (x) and {numbers['y_rms_pix']:.4f} (y) pixel rms; "
        f"width {numbers['width_pix']:.3f} pixel"
    )
    return lines
