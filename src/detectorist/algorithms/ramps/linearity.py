"""A non-linearity correction from the ramps themselves.

Each ramp is taken to be nearly linear over a section of its groups; the straight line of that section is extrapolated
to the rest of the ramp. One polynomial for each of the detector's outputs maps measured DN to it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.ramps.refpix import N_OUTPUTS
from detectorist.errors import ParameterError, TooFewPixels

#: Columns of the subarray on which the star's light falls, 0-based, both ends included.
TRACE_COLUMNS = (34, 35, 36, 37, 38)
#: Powers of the measured DN that are fitted; the constant is 0 and the linear term 1.
POWERS = (2, 3, 4)
#: Shortest section (groups) that gives a slope worth continuing, and shortest that can show a bend.
MIN_GROUPS_FIT = 5
MIN_GROUPS_DERIVE = 8
#: A difference between groups this far off the smooth course of its ramp is a cosmic ray: the ramp is left out.
JUMP_SIGMA = 6.0
#: DN; 16-bit counts at the end of their range are clipped.
CLIPPED_DN = 65000.0
#: Weight that holds the slopes of the linear section against departures from straight lines: a change of slope by 0.1 %
#: in all ramps costs as much as departures of 0.02 % of their rise. Measured on curves that set in early and late: less
#: lets the scale drift by a percent, more leaves bends where the section is not quite linear.
ANCHOR = 0.2
#: Weight of another output's ramps in the fit of one. The trace lights the outputs unequally: where an output has no
#: ramp as bright as its brightest pixels outside the rows used, its curve follows the others'. Where it has, some 3 %
#: of the difference between outputs is lost.
OTHER_OUTPUTS = 0.01
#: Powers are of DN over this, for the condition of the fit only.
SCALE_DN = 3.0e4


@dataclass(frozen=True)
class LinearityFit:
    """A polynomial for each output, and the ramps it came from."""

    coefficients: np.ndarray  # (4, 5) float64, outputs by powers 0 to 4 of measured DN
    n_ramps: np.ndarray  # (4,) ramps used
    n_left_out: int  # ramps with flags, clipped counts, NaN or jumps
    range_dn: np.ndarray  # (4, 2) lowest and highest measured DN used
    left_pct: np.ndarray  # (4,) rms departure of corrected mean ramps from straight lines, % of their signal
    measured: list[np.ndarray]  # per output (n_ramps, n_groups used), DN
    lines: list[np.ndarray]  # per output, same shape: the continued straight lines, DN
    pedestal_dn: float = 0.0  # counts at which the correction's slope is 1


def fit_linearity(
    data: np.ndarray,
    groupdq: np.ndarray | None = None,
    *,
    group_idx_start_fit: int = 10,
    group_idx_end_fit: int = 40,
    group_idx_start_derive: int = 10,
    group_idx_end_derive: int = -1,
    row_idx_start_used: int = 350,
    row_idx_end_used: int = 386,
    trace_columns: tuple[int, ...] = TRACE_COLUMNS,
) -> LinearityFit:
    """Fit F = DN + c2 DN^2 + c3 DN^3 + c4 DN^4 so that corrected ramps are straight.

    DN is the measured count, pedestal included: what the standard pipeline's linearity step raises to powers. A
    polynomial without constant that bends only far above a pedestal of thousands of DN shifts a ramp as a whole; since
    a constant does not matter to a ramp, each one has a free offset in the fit: the corrected ramp has to follow the
    straight line through its own corrected section. The scale is set by that section too: its slopes are kept near the
    measured ones, but not exactly, so that a slightly bent section is straightened as well.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Raw ramps, DN. Every integration is a separate sample.
    groupdq : ndarray of uint8, same shape, or None
        A ramp with DO_NOT_USE, SATURATED or JUMP_DET in the groups used is left out; of a group flagged DO_NOT_USE in
        all pixels, only that group.
    group_idx_start_fit, group_idx_end_fit : int
        Groups taken to be linear; the end is exclusive, and counted from the end of the ramp when negative.
    group_idx_start_derive, group_idx_end_derive : int
        Groups to be corrected, likewise: -1 is up to the last but one.
    row_idx_start_used, row_idx_end_used : int
        Rows of the subarray, end exclusive.
    trace_columns : tuple of int
        Columns of the subarray; column mod 4 is the output.

    Raises
    ------
    ParameterError
        When groups, rows or columns do not exist, are too few, or leave an output without a ramp.
    TooFewPixels
        When ramps do not rise in the linear section: nothing is illuminated.

    Notes
    -----
    Ordinary least squares on counts (not on differences, whose noise would enter the powers and flatten the
    correction). The bend is as precise as the slopes of the linear section: with photon noise, about 1 % over the
    square root of the number of ramps.
    """
    _check_array(data, row_idx_start_used, row_idx_end_used, trace_columns)
    n_groups = data.shape[1]
    fit = _section("group_idx", "fit", group_idx_start_fit, group_idx_end_fit, n_groups, MIN_GROUPS_FIT)
    derive = _section("group_idx", "derive", group_idx_start_derive, group_idx_end_derive, n_groups, MIN_GROUPS_DERIVE)
    if derive[-1] <= fit[-1]:
        raise ParameterError(
            f"the groups to derive from end at {derive[-1]}, not after those taken to be linear, which end at "
            f"{fit[-1]}: the curvature cannot be measured",
            derive_end=int(derive[-1]),
            fit_end=int(fit[-1]),
        )
    rows = slice(row_idx_start_used, row_idx_end_used)
    outputs = np.array([column % N_OUTPUTS for column in trace_columns])
    ramps, sound = _ramps(data, groupdq, rows, trace_columns, fit, derive)
    samples = [_samples(ramps[..., outputs == k], sound[..., outputs == k], k) for k in range(N_OUTPUTS)]
    systems = [_equations(each, fit, derive) for each in samples]
    coefficients = np.array([_solve(systems, output) for output in range(N_OUTPUTS)])
    measured = [each[:, derive] for each in samples]
    lines = [_lines(each, of_output, fit, derive) for each, of_output in zip(samples, coefficients, strict=True)]
    n_ramps = np.array([len(each) for each in samples])
    return LinearityFit(
        coefficients,
        n_ramps,
        int(sound.size - n_ramps.sum()),
        np.array([[each.min(), each.max()] for each in measured]),
        np.array([_left_pct(each, c, derive) for each, c in zip(measured, coefficients, strict=True)]),
        measured,
        lines,
    )


def correct_linearity(data: np.ndarray, coefficients: np.ndarray, *, first_column: int = 0) -> np.ndarray:
    """Return DN corrected by the polynomial of each output.

    data : ndarray of float, shape (..., nx), measured DN, pedestal included.
    coefficients : ndarray, shape (4, n_powers), lowest power first.
    first_column : int
        Column of the detector (0-based) under the first one of `data`.
    """
    corrected = np.empty_like(data, dtype=float)
    for column in range(data.shape[-1]):
        of_output = coefficients[(first_column + column) % N_OUTPUTS]
        corrected[..., column] = np.polynomial.polynomial.polyval(data[..., column].astype(float), of_output)
    return corrected


def detector_coefficients(coefficients: np.ndarray, shape: tuple[int, int], *, n_reference: int = N_OUTPUTS):
    """Return the coefficients of every pixel of a detector, 0 in the reference columns.

    coefficients : ndarray, shape (4, n_powers).
    shape : (ny, nx) of the detector.
    n_reference : int
        Reference columns on the left; the standard step leaves a pixel alone whose linear term is 0.
    Returns float32, shape (n_powers, ny, nx).
    """
    output = np.arange(shape[1]) % N_OUTPUTS
    by_column = np.ascontiguousarray(coefficients[output].T).astype(np.float32)
    by_column[:, :n_reference] = 0.0
    return np.repeat(by_column[:, None, :], shape[0], axis=1)


def _check_array(data: np.ndarray, row_start: int, row_end: int, columns: tuple[int, ...]) -> None:
    ny, nx = data.shape[-2:]
    if not 0 <= row_start < row_end <= ny:
        raise ParameterError(
            f"rows {row_start} to {row_end} (row_idx_start_used, row_idx_end_used), end exclusive, do not lie in "
            f"the {ny} rows of the data",
            row_start=row_start,
            row_end=row_end,
            n_rows=ny,
        )
    if not 0 <= min(columns) <= max(columns) < nx:
        raise ParameterError(f"trace columns {columns} do not lie in the {nx} columns of the data", n_columns=nx)
    if {column % N_OUTPUTS for column in columns} != set(range(N_OUTPUTS)):
        raise ParameterError(f"trace columns {columns} do not cover all {N_OUTPUTS} outputs")


def _section(name: str, which: str, start: int, end: int, n_groups: int, needed: int) -> np.ndarray:
    """Return the indices of the groups of a section, or say what is wrong with it."""
    stop = end if end >= 0 else n_groups + end
    if not 0 <= start < n_groups or not start < stop <= n_groups or stop - start < needed:
        raise ParameterError(
            f"{name}_start_{which} = {start} and {name}_end_{which} = {end} (exclusive) choose "
            f"{max(min(stop, n_groups) - start, 0)} of {n_groups} groups; at least {needed} groups within the ramp "
            "are needed",
            start=start,
            end=end,
            n_groups=n_groups,
            needed=needed,
        )
    return np.arange(start, stop)


def _ramps(data, groupdq, rows, columns, fit, derive) -> tuple[np.ndarray, np.ndarray]:
    """Return ramps (n_ints, n_groups, n_rows, n_columns) as float, and which of them are sound."""
    take = (slice(None), slice(None), rows, list(columns))
    ramps = np.ascontiguousarray(data[take], float)
    groups = np.union1d(fit, derive)
    used = ramps[:, groups]
    sound = (np.isfinite(used) & (used < CLIPPED_DN)).all(axis=1)
    if groupdq is not None:
        flagged = dq.has(groupdq[take], dq.DO_NOT_USE | dq.SATURATED | dq.JUMP_DET)
        # A group dropped on purpose is flagged everywhere: it says nothing about a pixel.
        flagged &= ~flagged.all(axis=(0, 2, 3), keepdims=True)
        sound &= ~flagged[:, groups].any(axis=1)
    return ramps, sound & ~_has_jump(used, groups)


def _has_jump(used: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return which ramps, (n_ints, n_rows, n_columns), have a difference far off a smooth course."""
    spacing = np.diff(groups)
    differences = np.nan_to_num(np.diff(used, axis=1) / spacing[:, None, None], posinf=0.0, neginf=0.0)
    flat = np.moveaxis(differences, 1, 0).reshape(len(spacing), -1)
    time = np.linspace(-1, 1, len(spacing))
    course = np.polynomial.polynomial.polyval(time, np.polynomial.polynomial.polyfit(time, flat, 2)).T
    distance = np.abs(flat - course)
    scale = np.maximum(1.4826 * np.median(distance, axis=0), 1e-6)
    return (distance > JUMP_SIGMA * scale).any(axis=0).reshape(used.shape[0], *used.shape[2:])


def _samples(ramps: np.ndarray, sound: np.ndarray, output: int) -> np.ndarray:
    """Return the sound ramps of an output, (n_ramps, n_groups)."""
    samples = np.moveaxis(ramps, 1, -1)[sound]
    if len(samples) < 1:
        raise ParameterError(
            f"output {output}: none of {sound.size} ramps is free of flags, saturation and cosmic rays",
            output=output,
            n_ramps=int(sound.size),
        )
    return samples


def _equations(samples: np.ndarray, fit: np.ndarray, derive: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the normal equations (matrix, right side) of one output's ramps, in DN over SCALE_DN."""
    scaled = samples / SCALE_DN
    design = np.stack([_bent(scaled**power, fit, derive).ravel() for power in POWERS], axis=1)
    slope = _slope(scaled, fit)
    # Relative change of a ramp's slope per unit of each power, weighted like a departure over the whole ramp.
    weight = ANCHOR * slope * len(derive) ** 1.5
    with np.errstate(divide="ignore", invalid="ignore"):
        anchor = np.stack([_slope(scaled**power, fit) / slope * weight for power in POWERS], axis=1)
    wanted = -_bent(scaled, fit, derive).ravel()
    return design.T @ design + anchor.T @ anchor, design.T @ wanted


def _solve(systems: list[tuple[np.ndarray, np.ndarray]], output: int) -> np.ndarray:
    """Return the coefficients of an output, powers 0 to 4; ramps of the other outputs count a little."""
    weights = np.full(len(systems), OTHER_OUTPUTS)
    weights[output] = 1.0
    matrix = sum(w * system[0] for w, system in zip(weights, systems, strict=True))
    right = sum(w * system[1] for w, system in zip(weights, systems, strict=True))
    if not (np.isfinite(matrix).all() and np.isfinite(right).all()):  # a slope of zero anchors nothing
        raise TooFewPixels("ramps do not rise in the groups taken to be linear; is there a source in the frame?")
    solution = np.linalg.lstsq(matrix, right, rcond=None)[0]
    # In units of SCALE_DN the linear term is 1 as well.
    return np.r_[0.0, 1.0, solution / SCALE_DN ** (np.array(POWERS) - 1)]


def _lines(samples: np.ndarray, coefficients: np.ndarray, fit: np.ndarray, derive: np.ndarray) -> np.ndarray:
    """Return the straight lines of the corrected ramps' own sections."""
    corrected = np.polynomial.polynomial.polyval(samples, coefficients)
    return corrected[:, derive] - _bent(corrected, fit, derive)


def _slope(ramps: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Return the slope per group over the section taken to be linear. ramps : (n_ramps, n_groups)."""
    time = fit - fit.mean()
    return ramps[:, fit] @ time / (time @ time)


def _bent(ramps: np.ndarray, fit: np.ndarray, derive: np.ndarray) -> np.ndarray:
    """Return ramps minus the straight line of their section, without a common offset; linear in `ramps`."""
    left = ramps[:, derive] - _slope(ramps, fit)[:, None] * derive
    return left - left.mean(axis=1, keepdims=True)


def _left_pct(measured: np.ndarray, coefficients: np.ndarray, groups: np.ndarray) -> float:
    """Return how far the mean corrected ramp, each over its own rise, is from straight, % rms."""
    corrected = np.polynomial.polynomial.polyval(measured, coefficients)
    rise = np.median(np.diff(corrected, axis=1), axis=1) * (groups[-1] - groups[0])
    mean = ((corrected - corrected[:, :1]) / rise[:, None]).mean(axis=0)
    line = np.polynomial.polynomial.polyfit(groups, mean, 1)
    return float(100 * np.std(mean - np.polynomial.polynomial.polyval(groups, line)))
