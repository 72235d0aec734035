"""Figures of merit of a coronagraphic exposure: measured once, at the reduction, and stored."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.images.patches import nanmedian
from detectorist.algorithms.medians import typed_median
from detectorist.modes.quality import (
    OF_INPUTS,
    Check,
    Column,
    inputs_in_words,
    without_unknown,
)

#: Part of the pixels that count as bright when integrations are compared, and integrations that this takes.
BRIGHT_SHARE, LEAST_COMPARED = 0.01, 3
#: Part of the pixels, the faintest of the mean, on which rows are measured: the halo of the star is left out.
FAINT_SHARE = 0.7
#: Integrations whose rows are measured.
MOST_MEASURED = 12
#: Part of a row that is usable for its mean to count, and rows that a scatter needs.
LEAST_USABLE, LEAST_ROWS = 0.1, 8
#: Standard deviations from the median of the integrations beyond which an unflagged value is left from a cosmic ray.
SPIKE_SIGMA = 8.0
#: Records of the steps -> numbers of the exposure: step, name there, name here.
_RECORDED = (
    ("subtract_ktc", "ktc_rms_dn", "ktc_rms_dn"),
    ("subtract_ktc", "ramps_unmeasured", "ktc_unmeasured"),
    ("subtract_1overf", "stripes_rms", "stripes_rms"),
    ("subtract_1overf", "images_unmeasured", "stripes_unmeasured"),
    ("apply_rateints_outliers", "outliers", "outliers"),
    ("mask_groups", "pixels_masked", "pixels_masked"),
)

#: Names of the numbers that open the report.
MERITS = ("pull_width", "row_ratio", "integration_unlike", "stripes_rms", "stripes_rms_dn", "ktc_rms_dn", "spikes_ppm")
COLUMNS = (
    Column("type", "type", "", "SCI, REF or a background of these", "s", compared=False),
    Column("integrations", "integrations", "", "", "d", compared=False),
    Column("ktc_rms_dn", "kTC noise", "DN", "Rms of the reset offsets that were subtracted", ".1f"),
    Column("stripes_rms", "1/f noise", "DN/s", "Rms of the 1/f noise that was subtracted from integrations", ".3g"),
    Column("stripes_rms_dn", "1/f noise", "DN", "Rms of the 1/f noise that was subtracted from groups", ".3g"),
    Column(
        "pull_width", "scatter / error", "", "Scatter between integrations over the stated errors; 1 is right", ".2f"
    ),
    Column("row_ratio", "rows / white", "", "Scatter of the rows of an integration over what white noise gives", ".2f"),
    Column(
        "column_ratio",
        "columns / white",
        "",
        "Scatter of the columns of an integration over what white noise gives",
        ".2f",
        indexed=False,
    ),
    Column("outliers", "outliers", "", "Outliers across integrations that were flagged", "d", indexed=False),
    Column(
        "outliers_ppm", "outliers", "ppm", "Outliers flagged, of all pixels of all integrations", ".1f", indexed=False
    ),
    Column(
        "spikes_ppm",
        "spikes",
        "ppm",
        "Unflagged values 8 sigma brighter than in the other integrations: cosmic rays left",
        ".1f",
        compared=False,
    ),
    Column(
        "integration_unlike",
        "odd integration",
        "",
        "Largest departure of one integration from their median where the star is bright, over its errors",
        ".2f",
    ),
    Column("jumps_pct", "jumps", "%", "Pixels of an integration with a cosmic ray in their ramp", ".2f", indexed=False),
    Column("saturated_pct", "saturated", "%", "Pixels of an integration that saturate", ".2f", indexed=False),
    Column("unusable_pct", "unusable", "%", "Pixels of an integration that cannot be used", ".2f"),
    Column(
        "pixels_masked",
        "late groups",
        "pixel",
        "Pixels whose late groups were left out",
        "d",
        compared=False,
        indexed=False,
    ),
)
CHECKS = (
    *OF_INPUTS,
    Check(
        "stripes_unmeasured",
        "1/f noise could not be measured in {value:.0f} images, which were left alone: too many pixels are masked",
        high=0.5,
        urgency=2,
    ),
    Check(
        "pull_width",
        "integrations differ by {value:.2f} times their stated errors (1 is right, up to {high:g} is usual): the "
        "errors are too small, or noise is left. Look at the integrations without their median",
        high=1.25,
    ),
    Check(
        "pull_width",
        "integrations differ by only {value:.2f} times their stated errors (1 is right): the errors are too large",
        low=0.8,
    ),
    Check(
        "row_ratio",
        "rows scatter {value:.1f} times as much as white noise explains (up to {high:g} is usual): 1/f noise is left. "
        "Look at the integrations and at subtract_1overf",
        high=2.5,
    ),
    Check(
        "column_ratio",
        "columns scatter {value:.1f} times as much as white noise explains (up to {high:g} is usual): look at the "
        "integrations for vertical stripes; subtract_1overf can subtract them (vertical noise)",
        high=2.5,
    ),
    Check(
        "spikes_ppm",
        "{value:.0f} in a million values are brighter than in the other integrations by 8 sigma and carry no flag (up "
        "to {high:g} is usual): cosmic rays are left. Run with --outliers (rate_int_outliers in a recipe or in "
        "run_obs)",
        high=200.0,
    ),
    Check(
        "ktc_unmeasured_pct",
        "the offset of {value:.1f} % of the ramps could not be measured (up to {high:g} % is usual): they have no "
        "usable group",
        high=5.0,
    ),
    Check(
        "integration_unlike",
        "one integration differs from the others by {value:.1f} times its errors where the star is bright (up to "
        "{high:g} is usual): has the star moved or changed? Look at the integrations without their median",
        high=1.25,
    ),
    Check(
        "unusable_pct",
        "{value:.1f} % of the pixels cannot be used in an integration (up to {high:g} % is usual)",
        high=10.0,
    ),
)


def measure(
    rate: np.ndarray,
    cube: np.ndarray,
    errors: np.ndarray,
    flags: np.ndarray,
    records: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
) -> dict[str, Any]:
    """Return the numbers of an exposure; numbers that cannot be measured are left out.

    rate : ndarray of float, shape (ny, nx), DN/s
    cube, errors, flags : ndarray, shape (n_ints, ny, nx)
        Rates of the integrations, their standard deviations, DQ.
    records : mapping
        {step: numbers}.
    """
    numbers: dict[str, Any] = {
        here: records[step][name] for step, name, here in _RECORDED if records.get(step, {}).get(name) is not None
    }
    if records.get("subtract_1overf", {}).get("unit") == "DN":
        numbers["stripes_rms_dn"] = numbers.pop("stripes_rms")
    numbers["integrations"] = len(cube)
    for name, bit in (("jumps_pct", dq.JUMP_DET), ("saturated_pct", dq.SATURATED), ("unusable_pct", dq.DO_NOT_USE)):
        numbers[name] = 100.0 * float(dq.has(flags, bit).mean())
    if "outliers" in numbers:
        numbers["outliers_ppm"] = 1e6 * numbers["outliers"] / flags.size
    if "ktc_unmeasured" in numbers:
        numbers["ktc_unmeasured_pct"] = 100.0 * numbers["ktc_unmeasured"] / flags.size
    if len(cube) >= LEAST_COMPARED:
        numbers |= _of_integrations(rate, cube, errors, flags)
    return without_unknown(numbers)


def _of_integrations(rate: np.ndarray, cube: np.ndarray, errors: np.ndarray, flags: np.ndarray) -> dict[str, Any]:
    """Return what sets integrations apart from each other: noise, rows, cosmic rays, a star that moves."""
    usable = ~dq.has(flags, dq.DO_NOT_USE) & np.isfinite(cube) & (errors > 0)
    values = np.where(usable, cube, np.nan)
    some = usable.any(axis=0)
    middle = np.full(cube.shape[1:], np.nan)
    middle[some] = nanmedian(values[:, some], axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        away = (values - middle) / np.where(usable, errors, np.nan)
        pulls = np.diff(values, axis=0) / np.hypot(errors[1:], errors[:-1])
    known = np.abs(pulls[np.isfinite(pulls)])
    n_usable = int(usable.sum())
    return {
        "pull_width": 1.4826 * float(typed_median(known)) if known.size else None,
        "spikes_ppm": 1e6 * float((np.nan_to_num(away) > SPIKE_SIGMA).sum()) / n_usable if n_usable else None,
        "integration_unlike": largest_departure(rate, away, usable.all(axis=0)),
        **_of_rows(values - middle, middle),
    }


def _of_rows(residuals: np.ndarray, middle: np.ndarray) -> dict[str, Any]:
    """Return the scatter of rows and of columns of integrations over white noise, where the star is faint: medians."""
    finite = np.isfinite(middle)
    if not finite.any():
        return {}
    bright = ~finite | (middle > np.quantile(middle[finite], FAINT_SHARE))
    chosen = residuals[:: max(len(residuals) // MOST_MEASURED, 1)]
    numbers = {}
    for name, images, mask in (("row_ratio", chosen, bright), ("column_ratio", chosen.transpose(0, 2, 1), bright.T)):
        ratios = np.array([_line_ratio(image, mask) for image in images])
        numbers[name] = float(np.median(ratios[np.isfinite(ratios)])) if np.isfinite(ratios).any() else None
    return numbers


def _line_ratio(image: np.ndarray, mask: np.ndarray) -> float:
    """Return the scatter of the means of rows over what the scatter of pixels along them explains; NaN: too few."""
    free = ~mask & np.isfinite(image)
    steps = np.diff(image, axis=1)[free[:, 1:] & free[:, :-1]]
    count = free.sum(axis=1)
    rows = count >= LEAST_USABLE * image.shape[1]
    if rows.sum() < LEAST_ROWS or not steps.size:
        return float("nan")
    pixel = 1.4826 * float(typed_median(np.abs(steps))) / np.sqrt(2)
    means = np.where(free, image, 0).sum(axis=1)[rows] / count[rows]
    spread = 1.4826 * float(np.median(np.abs(means - np.median(means))))
    white = pixel / np.sqrt(float(np.median(count[rows])))
    return spread / white if white > 0 else float("nan")


def largest_departure(rate: np.ndarray, away: np.ndarray, usable: np.ndarray) -> float:
    """Return how far one integration departs from the median of all where the star is bright, in its errors.

    rate : ndarray of float, shape (ny, nx)
    away : ndarray of float, shape (n_ints, ny, nx)
        Departure from the median of the integrations over the error.
    usable : ndarray of bool, shape (ny, nx)
        In all integrations.

    The robust scatter over the brightest pixels of the rate, of the integration that departs most; about 0.9 where
    noise alone makes them differ (each takes part in the median). NaN if there is nothing to compare.
    """
    usable = usable & np.isfinite(rate)
    if not usable.any():
        return float("nan")
    bright = usable & (rate >= np.quantile(rate[usable], 1 - BRIGHT_SHARE))
    departures = np.abs(away[:, bright])
    known = np.isfinite(departures).any(axis=1)
    return float(1.4826 * np.nanmedian(departures[known], axis=1).max()) if known.any() else float("nan")


def summarise(numbers: Mapping[str, Any]) -> list[str]:
    """Return a line on an exposure, from the numbers that `measure` found."""
    count = numbers.get("integrations")
    part = f" ({numbers['part']})" if numbers.get("part") else ""
    parts = [f"{numbers['type']}, {count} integration{'' if count == 1 else 's'}{part}"] if "type" in numbers else []
    if "ktc_rms_dn" in numbers:
        parts.append(f"kTC noise of {numbers['ktc_rms_dn']:.1f} DN rms removed")
    for key, unit in (("stripes_rms", "DN/s"), ("stripes_rms_dn", "DN")):
        if key in numbers:
            parts.append(f"1/f noise of {numbers[key]:.3g} {unit} rms removed")
    if "pull_width" in numbers:
        parts.append(f"integrations scatter {numbers['pull_width']:.2f} x their errors")
    parts += inputs_in_words(numbers)
    return ["; ".join(parts)] if parts else []
