"""Figures of merit of time-resolved spectra: measured once, at the reduction, and stored.

`measurements.measure` defines the numbers; COLUMNS name them, CHECKS give their limits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from detectorist.algorithms.spectra.light_curves import USEFUL_UM
from detectorist.modes.quality import OF_INPUTS, Check, Column, inputs_in_words

#: Scatter of the white light over its errors that is usual, and that is too much even if it is known poorly.
WHITE_RATIO_LIMIT, WHITE_RATIO_CLEAR = 1.15, 1.5

#: Names of the numbers that open the report.
MERITS = ("white_scatter_ppm", "white_ratio", "depth_pct", "red_ratio", "pull_width", "motion_pix")
COLUMNS = (
    Column("n_integrations", "integrations", form="d", compared=False),
    Column(
        "white_scatter_ppm",
        "white-light scatter",
        "ppm",
        "Scatter of the white light curve, 5 to 12 µm, about a first fit of the transit, slow departures left out",
        ".0f",
    ),
    Column(
        "white_residual_ppm",
        "white-light residuals",
        "ppm",
        "Standard deviation of the white light curve about a first fit of transit and straight baseline",
        ".0f",
        indexed=False,
    ),
    Column(
        "white_ratio",
        "scatter / expected",
        "",
        "White-light scatter over what the stated errors explain",
        ".2f",
        error="white_ratio_error",
    ),
    Column(
        "pull_width", "scatter / error", "", "Scatter over stated error, median over wavelengths; 1 is right", ".2f"
    ),
    Column(
        "depth_pct",
        "transit depth",
        "%",
        "Light lost in the transit, white light: a first look without knowledge of the orbit",
        ".3f",
        compared=False,
        error="depth_error_pct",
    ),
    Column(
        "error_scale",
        "error scale",
        "",
        "Factor by which the errors were multiplied to be those of the scatter; 1 where nothing had to be done",
        ".2f",
        indexed=False,
    ),
    Column("transit_mid_h", "mid-transit", "h", "From the first integration", ".4f", compared=False, indexed=False),
    Column("transit_duration_h", "duration", "h", "First to last contact", ".3f", compared=False, indexed=False),
    Column(
        "red_ratio",
        "scatter in bins",
        "",
        "Scatter of the residuals in bins over that of white noise, for the bin size where it is largest",
        ".2f",
        error="red_ratio_error",
    ),
    Column(
        "depth_shift_sigma",
        "depth shift",
        "sigma",
        "Largest change of the depth when movement or width of the trace is part of the fit",
        ".1f",
        compared=False,
        indexed=False,
    ),
    Column("replaced_pct", "replaced", "%", "Spectral elements with a pixel replaced near the trace", ".1f"),
    Column(
        "spikes_ppm",
        "spikes",
        "ppm",
        "Spectral elements brighter than before and after by 6 sigma: cosmic rays left",
        ".0f",
        compared=False,
    ),
    Column("jumps_pct", "jumps", "%", "Pixels with a cosmic ray in their ramp", ".2f", indexed=False),
    Column(
        "saturated_pct",
        "saturated",
        "%",
        "Spectral elements with a saturated pixel near the trace",
        ".1f",
        indexed=False,
    ),
    Column("motion_pix", "motion", "pixel", "Movement of the trace, rms of both axes", ".4f"),
    Column("trace_column", "trace", "", "Column of the trace", ".2f", indexed=False),
    Column(
        "aperture_offset_pix",
        "off centre",
        "pixel",
        "Distance of the trace from the middle of the aperture",
        ".2f",
        indexed=False,
    ),
    Column("background_level", "background", "DN/s", "Median background of a pixel", ".1f", indexed=False),
    Column(
        "background_error_pct",
        "background error",
        "%",
        "Half the difference of the background left and right of the trace, in the aperture, of the star's light",
        ".2f",
        indexed=False,
    ),
    Column("groups_used", "groups used", "", "Groups of a ramp that were fitted", "d", indexed=False),
)
CHECKS = (
    *OF_INPUTS,
    Check(
        "no_trace",
        "no trace was found: {value}; what was extracted is not a star's spectrum. Look at the frames",
        urgency=6,
    ),
    Check("no_white_light", "there is no white light curve: {value}", urgency=6),
    Check(
        "aperture_offset_pix",
        "the trace lies {value:.1f} pixels from the middle of the aperture (up to {high:g} is usual): light is lost, "
        'and movements change the flux. Set trace_position = "measured" or the aperture_center of the extraction',
        high=1.0,
        urgency=3,
    ),
    Check(
        "white_ratio_at_least",
        "the white light scatters at least {value:.2f} times as much as the errors explain (up to {high:g} is usual): "
        "noise that all wavelengths share is left. Look at the light curves, and at drift, width and background",
        high=WHITE_RATIO_LIMIT,
        urgency=2,
        of="white_ratio",
    ),
    Check(
        "white_ratio_beyond_chance",
        "the white light scatters {value:.2f} times as much as the errors explain, known to {white_ratio_error:.2f} "
        "from few integrations: more than chance gives. Look at the light curves, and at drift, width and background",
        high=WHITE_RATIO_CLEAR,
        urgency=2,
        of="white_ratio",
    ),
    Check(
        "red_ratio_at_least",
        "bins of the white light scatter at least {value:.2f} times as much as white noise (up to {high:g} is usual): "
        "noise lasts longer than an integration, or the transit is not well fitted. Errors of fitted depths must allow "
        "for it",
        high=1.15,
        of="red_ratio",
    ),
    Check(
        "depth_shift_sigma",
        "the transit depth changes by {value:.1f} of its errors (up to {high:g} is usual) when the {depth_shift_by} "
        "of the trace is part of the fit: use it as a regressor, and look for light lost at the edges of the "
        "aperture or of the wavelength range",
        high=2.0,
        urgency=2,
    ),
    Check(
        "pull_width",
        "single wavelengths scatter {value:.2f} times their stated errors (1 is right, up to {high:g} is usual): "
        "the errors are too small. Look at the calibration of the errors",
        high=1.1,
    ),
    Check(
        "pull_width",
        "single wavelengths scatter only {value:.2f} times their stated errors (1 is right): the errors are too large. "
        "Is the gain right?",
        low=0.9,
    ),
    Check(
        "error_scale",
        "the errors of the spectra had to be multiplied by {value:.2f} to be those of their scatter (1 is right, up to "
        "{high:g} is usual): is the gain right? Are noise or cosmic rays left?",
        high=1.2,
    ),
    Check(
        "error_scale",
        "the errors of the spectra had to be multiplied by {value:.2f} to be those of their scatter (1 is right): is "
        "the gain right?",
        low=0.8,
    ),
    Check(
        "background_error_pct",
        "the background regions left and right of the trace disagree: the star's light may be off by {value:.2f} % "
        "(up to {high:g} % is usual). Move the columns of the background, or subtract a sloping one: method col_wise",
        high=0.2,
    ),
    Check(
        "spikes_ppm",
        "{value:.0f} in a million spectral elements are brighter than before and after by 6 sigma (up to {high:g} is "
        "usual): cosmic rays are left. Lower clean_outliers.outlier_threshold",
        high=400.0,
    ),
    Check(
        "replaced_pct",
        "{value:.1f} % of the spectral elements have a replaced pixel near the trace (up to {high:g} % is usual): "
        "look at the map of replaced pixels; the threshold may be too low",
        high=10.0,
    ),
    Check(
        "saturated_pct",
        "{value:.1f} % of the spectral elements have a saturated pixel near the trace (up to {high:g} % is usual)",
        high=5.0,
    ),
    Check(
        "no_flux_pct",
        "{value:.1f} % of the spectral elements between 5 and 12 µm have no flux (up to {high:g} % is usual)",
        high=0.5,
    ),
    Check(
        "motion_pix",
        "the trace moved by {value:.3f} pixel rms (up to {high:g} is usual): look at shifts and widths",
        high=0.05,
    ),
    Check(
        "trace_changed",
        "in {value:.0f} integrations the trace is unlike that of their neighbours along most of its length (did the "
        "antenna move?): leave them out of fits",
        high=0.5,
    ),
    Check(
        "times_computed",
        "the file has no times of its integrations: they were computed from the start of the exposure",
        high=0.5,
    ),
    Check(
        "first_integration_sigma",
        "the first integration is off the line of those after it by {first_integration_pct:+.2f} %, {value:.0f} times "
        "its error (up to {high:g} is usual): the detector settles. Is there a reset reference? Leave it out of fits",
        high=6.0,
        urgency=2,
    ),
    Check(
        "showers_of_one_group",
        "group {shower_group} (from 0) looks as if a cosmic-ray shower had arrived in {value:.0f} integrations, which "
        "is no chance: a decay after the reset or a step of the electronics is left in it. Is there a reset "
        "reference? If not, drop the group",
        high=0.5,
        urgency=2,
    ),
    Check(
        "reference_columns_lost",
        "{value:.0f} reference columns could not be used: drifts of these outputs are left in",
        high=0.5,
    ),
)


def summarise(numbers: Mapping[str, Any]) -> list[str]:
    """Return a few lines on time-resolved spectra, from the numbers that `measure` found."""
    lines = [
        f"{numbers['n_integrations']} integrations, {numbers['n_wavelengths']} wavelengths; "
        f"replaced near the trace: {numbers['replaced_pct']:.2f} % of all spectral elements"
    ]
    if "no_white_light" in numbers:
        return [*lines, f"no white light curve: {numbers['no_white_light']}"]
    expected = f"white light {USEFUL_UM[0]:g}-{USEFUL_UM[1]:g} um: {numbers['white_expected_ppm']:.0f} ppm expected"
    if "white_ratio" in numbers:
        found, ratio = numbers["white_scatter_ppm"], numbers["white_ratio"]
        expected += f", {found:.0f} ppm found ({ratio:.2f} x)"
    else:
        expected += "; too few integrations to tell noise from changes of the star"
    lines.append(expected)
    if "depth_pct" in numbers:
        lines.append(
            f"transit: {numbers['depth_pct']:.4f} +- {numbers['depth_error_pct']:.4f} % deep, "
            f"{numbers['transit_duration_h']:.3f} h long (a first look)"
        )
    if "dip_h" in numbers:
        lines.append(
            f"a dip {numbers['dip_h']:.3f} h after the start: too few integrations, or too small a part of a transit, "
            "to measure its depth"
        )
    lines.append(
        f"trace moved by {numbers['x_rms_pix']:.4f} (x) and {numbers['y_rms_pix']:.4f} (y) pixel rms; "
        f"width {numbers['width_pix']:.3f} pixel"
    )
    return [*lines, *inputs_in_words(numbers)]
