"""When each integration of a segment was taken.

The INT_TIMES table is the place to look, but files come with an empty table, with too few rows, or with rows of the
whole exposure; then its times are picked by integration number or reconstructed from the exposure's header.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

import numpy as np
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.errors import InputError
from detectorist.models import describe

SECONDS_PER_DAY = 86400.0

log = logging.getLogger(__name__)

#: Share of the mid-times that must be valid: else all times are computed from the header.
LEAST_KNOWN = 0.5
#: Times that tell a cadence.
LEAST_ON_A_LINE = 6
#: Columns of INT_TIMES; BJD columns are Julian dates minus 2400000.5, as the standard pipeline writes them.
TABLE_DTYPE = np.dtype(
    [
        ("integration_number", "<i4"),
        ("int_start_MJD_UTC", "<f8"),
        ("int_mid_MJD_UTC", "<f8"),
        ("int_end_MJD_UTC", "<f8"),
        ("int_start_BJD_TDB", "<f8"),
        ("int_mid_BJD_TDB", "<f8"),
        ("int_end_BJD_TDB", "<f8"),
    ]
)


class IntegrationTimes(NamedTuple):
    """Times of the integrations of one segment."""

    mjd_utc: np.ndarray  # (n_ints,) mid-times, days
    bjd_tdb: np.ndarray  # (n_ints,) mid-times at the barycentre, days, minus 2400000.5; NaN where unknown
    spacing_s: float  # median spacing of the mid-times: what one integration costs, reset included
    table: np.ndarray  # (n_ints,) of TABLE_DTYPE, numbered from integration_start of the segment
    reconstructed: bool  # from the header, not from INT_TIMES
    reason: str  # why reconstructed, for a warning; empty otherwise


def integration_times(model: JwstDataModel) -> IntegrationTimes:
    """Return the times of the integrations in `model`, (n_ints, ...) of any product.

    Raises
    ------
    InputError
        When neither INT_TIMES nor the header tell the times.
    """
    n_ints = model.data.shape[0]
    table, reason = _rows_of_segment(model, n_ints)
    if table is None:
        table = _from_header(model, n_ints)
    mjd = table["int_mid_MJD_UTC"].copy()
    bjd = table["int_mid_BJD_TDB"].copy()
    if n_ints > 1:
        better = bjd if np.isfinite(bjd).sum() >= np.isfinite(mjd).sum() else mjd
        spacing = float(np.nanmedian(np.diff(better))) * SECONDS_PER_DAY
    else:
        spacing = header_cycle_s(model)
    return IntegrationTimes(mjd, bjd, spacing, table, bool(reason), reason)


def header_cycle_s(model: JwstDataModel) -> float:
    """Return from the header what one integration costs, resets between integrations included, in seconds.

    Raises
    ------
    InputError
        When the header holds neither group times nor an exposure's start, end and number of integrations.
    """
    exposure = model.meta.exposure
    group_time = exposure.group_time or exposure.frame_time
    if group_time and exposure.ngroups:
        frame_time = exposure.frame_time or group_time
        frames_beside = (exposure.nresets_between_ints or 0) - (exposure.groupgap or 0)  # no gap after the last group
        return float(group_time * exposure.ngroups + frames_beside * frame_time)
    if exposure.integration_time:
        return float(exposure.integration_time)
    if exposure.start_time and exposure.end_time and exposure.nints:
        return float((exposure.end_time - exposure.start_time) * SECONDS_PER_DAY / exposure.nints)
    raise InputError(
        f"{describe(model)}: the header has no TGROUP and NGROUPS, no EFFINTTM and no EXPSTART, EXPEND and NINTS; "
        "the duration of an integration cannot be determined"
    )


def _rows_of_segment(model: JwstDataModel, n_ints: int) -> tuple[np.ndarray | None, str]:
    """Return the rows of INT_TIMES that belong to this segment, or None and why there are none."""
    found = getattr(model, "int_times", None)
    if found is None or len(found) == 0:
        return None, "INT_TIMES is missing or empty"
    found = np.asarray(found)
    table = np.zeros(len(found), TABLE_DTYPE)
    for name in TABLE_DTYPE.names:
        if name not in found.dtype.names:
            return None, f"INT_TIMES has no column {name}"
        table[name] = found[name]
    first = model.meta.exposure.integration_start or 1
    wanted = first + np.arange(n_ints)
    place = {int(number): row for row, number in enumerate(table["integration_number"])}
    if all(int(number) in place for number in wanted):
        table = table[[place[int(number)] for number in wanted]]
    elif len(table) != n_ints:
        return None, f"INT_TIMES has {len(table)} rows for {n_ints} integrations"
    for name in TABLE_DTYPE.names[1:]:
        table[name][~(table[name] > 0)] = np.nan  # zero stands for "not computed"
    for name in TABLE_DTYPE.names[1:]:
        table[name][_off_the_cadence(table[name], table["integration_number"])] = np.nan
    mid = table["int_mid_MJD_UTC"]
    known = np.isfinite(mid)
    if known.mean() < LEAST_KNOWN or (np.diff(mid[known]) <= 0).any():
        return None, "INT_TIMES has mid-times that are missing or do not increase"
    table["integration_number"] = wanted
    _warn_of_bad_rows(model, table)
    return table, ""


def _off_the_cadence(times: np.ndarray, number: np.ndarray) -> np.ndarray:
    """Return which times lie half a cadence or more off the line of the others, shape (n_ints,) bool.

    Integrations of an exposure are equally spaced: a wrong value costs its own time only. One whose neighbours are off
    as well, or the last one if it is later than the others, may lie behind a gap, and is kept.
    """
    known, none = np.isfinite(times), np.zeros(times.size, bool)
    if known.sum() < LEAST_ON_A_LINE or (np.diff(number) <= 0).any():
        return none
    cadence = float(np.median(np.diff(times[known]) / np.diff(number[known])))
    rest = times - cadence * number
    off = known & ~(np.abs(rest - np.median(rest[known])) < 0.5 * abs(cadence))
    on = known & ~off
    before, after = np.r_[times[0] > times[1], on[:-1]], np.r_[on[1:], times[-1] < times[-2]]
    return off & before & after


def _warn_of_bad_rows(model: JwstDataModel, table: np.ndarray) -> None:
    """Say once which integrations have lost a time that the others have."""
    lost = np.zeros(len(table), bool)
    for name in TABLE_DTYPE.names[1:]:
        missing = np.isnan(table[name])
        lost |= missing & (not missing.all())
    if lost.any():
        numbers = table["integration_number"][lost]
        log.warning(
            "%s: INT_TIMES has no valid time for %d of %d integrations (number %s): these times are NaN",
            describe(model),
            lost.sum(),
            len(table),
            ", ".join(str(number) for number in numbers[:5]) + (", ..." if lost.sum() > 5 else ""),
        )


def _from_header(model: JwstDataModel, n_ints: int) -> np.ndarray:
    """Return a table of equally spaced integrations, the first of them after the resets that an exposure begins with.

    EXPSTART and DURATION count from the first reset: keyword dictionary, DURATION = ... + TFRAME (NRSTSTRT + ...).
    """
    exposure = model.meta.exposure
    if exposure.start_time is None:
        raise InputError(f"{describe(model)}: no usable INT_TIMES and no EXPSTART; the times cannot be determined")
    cycle_d = header_cycle_s(model) / SECONDS_PER_DAY
    frame_d = (exposure.frame_time or 0.0) / SECONDS_PER_DAY
    before_d = (exposure.nresets_at_start or 0) * frame_d
    resets_d = (exposure.nresets_between_ints or 0) * frame_d
    number = (exposure.integration_start or 1) + np.arange(n_ints)
    table = np.zeros(n_ints, TABLE_DTYPE)
    table["integration_number"] = number
    for scale, start in (("MJD_UTC", exposure.start_time), ("BJD_TDB", exposure.start_time_tdb)):
        begin = (np.nan if start is None else start) + before_d + (number - 1) * cycle_d
        table[f"int_start_{scale}"] = begin
        table[f"int_mid_{scale}"] = begin + 0.5 * (cycle_d - resets_d)
        table[f"int_end_{scale}"] = begin + cycle_d - resets_d
    return table
