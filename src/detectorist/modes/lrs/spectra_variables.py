"""What the file of spectra through time holds: every variable, its dimensions, unit and meaning; and its origin."""

from __future__ import annotations

from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel

from detectorist import __version__

#: Bits of the variable `quality`: value, name.
NO_FLUX = 1  # the flux is not a number
REPLACED = 2  # a pixel within 4 columns of the trace was replaced
SATURATED = 4  # a pixel within 4 columns of the trace is saturated in part of the ramp
TIME_FROM_HEADER = 8  # INT_TIMES had no row: the time was computed from the exposure's start
_BITS = {
    NO_FLUX: "no_flux",
    REPLACED: "pixel_replaced_near_trace",
    SATURATED: "saturated_near_trace",
    TIME_FROM_HEADER: "time_computed_from_header",
}
#: Version of the metadata conventions that the file follows, cfconventions.org.
CONVENTIONS = "CF-1.11"
#: Attribute of the file -> metadata of the exposure, the first that is known.
_ORIGIN = {
    "target": ("target.catalog_name", "target.proposer_name"),
    "program": ("observation.program_number",),
    "observation": ("observation.observation_number",),
    "visit": ("observation.visit_number",),
    "crds_context": ("ref_file.crds.context_used",),
    "jwst_version": ("calibration_software_version",),
}
SPECTRAL, TEMPORAL = ("integration_number", "wavelength"), ("integration_number",)
#: Variables that are coordinates of all others along the integrations (CF: auxiliary coordinates).
TIMES = ("time_mjd_utc", "time_bjd_tdb")

Described = dict[str, tuple[tuple[str, ...], dict[str, Any]]]


def origin_of(frames: CubeModel) -> dict[str, str]:
    """Return the attributes that say where spectra come from; what the header does not tell is left out."""
    found = {}
    for attribute, keys in _ORIGIN.items():
        for key in keys:
            value = frames.meta
            for part in key.split("."):
                value = getattr(value, part, None)
            if value not in (None, ""):
                found[attribute] = str(value)
                break
    return found


def file_attributes(**known: str) -> dict[str, str]:
    """Return the attributes of the file itself: those known, never a blank one, and what it is.

    known : str
        author, contact, recipe.
    """
    named = {name: value for name, value in known.items() if value}
    return {
        "title": "Spectra through time of a MIRI LRS slitless exposure",
        "Conventions": CONVENTIONS,
        "conventions": CONVENTIONS,
        "source": "JWST MIRI low-resolution spectrometer, slitless",
        "code": f"detectorist {__version__}",
        **named,
    }


def coordinates() -> Described:
    """Return dimensions and attributes of the coordinates."""
    return {
        "integration_number": (TEMPORAL, {"units": "", "long_name": "number of the integration in its exposure"}),
        "wavelength": (
            ("wavelength",),
            {"units": "microns", "standard_name": "radiation_wavelength", "long_name": "wavelength"},
        ),
        "region_width": (("region_width",), {"units": "pixel", "long_name": "distance from the trace"}),
    }


def variables(units: str) -> Described:
    """Return dimensions and attributes of all other variables.

    units : str
        Of the flux: "DN/s", "electron/s", "MJy/sr".
    """
    of_background = "DN/s" if units == "electron/s" else units
    flux = _of(SPECTRAL, units, "count rate in the aperture")
    flux[1]["ancillary_variables"] = "flux_error quality"
    found = {
        "flux": flux,
        "flux_error": _of(SPECTRAL, units, "standard deviation of flux"),
        "background": _of(SPECTRAL, of_background, "subtracted background, median over columns, per pixel"),
        "x_shift": _of(TEMPORAL, "pixel", "shift of the trace across dispersion, positive toward higher column"),
        "y_shift": _of(TEMPORAL, "pixel", "shift along dispersion, positive toward higher row"),
        "y_shift_left": _of(
            TEMPORAL,
            "pixel",
            "shift along dispersion that the spectra still have: y_shift, or 0 where they were aligned",
        ),
        "psf_sigma": _of(TEMPORAL, "pixel", "standard deviation of a Gaussian fitted to the trace"),
        "n_outliers": _of((*SPECTRAL, "region_width"), "", "pixels replaced within region_width columns of the trace"),
        "quality": _quality(),
        "time_mjd_utc": _of(TEMPORAL, "d", "mid-time of the integration, MJD, UTC"),
        "time_bjd_tdb": _of(TEMPORAL, "d", "mid-time at the solar system barycentre, Barycentric Julian Date, TDB"),
        "exposure": _of(TEMPORAL, "1", "number of the exposure in its visit"),
    }
    for name, (_, attributes) in found.items():
        if name not in TIMES:
            attributes["coordinates"] = " ".join(TIMES)
    return found


def detector_row() -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return dimensions and attributes of the rows that wavelengths come from."""
    return _of(("wavelength",), "1", "row of the detector's subarray, from 0")


def _of(dims: tuple[str, ...], units: str, text: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    return dims, {"units": units, "long_name": text}


def _quality() -> tuple[tuple[str, ...], dict[str, Any]]:
    attributes = {
        "long_name": "quality of a spectral element, bits; 0 is good",
        "flag_masks": np.array(list(_BITS), np.uint8),
        "flag_meanings": " ".join(_BITS.values()),
    }
    return SPECTRAL, attributes
