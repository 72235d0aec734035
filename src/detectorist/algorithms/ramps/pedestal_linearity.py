"""A non-linearity correction from the ramps themselves, as a function of the counts above the pedestal.

Light falls on a pixel at a constant rate, so that every corrected ramp is a straight line. Non-linearity depends on the
collected charge alone. All other effects that bend ramps (decay after the reset, drift of the electronics) depend on
the number of the group and are the same in bright and faint pixels. Pixels of different brightness, which reach the
same charge at different groups, separate the two, in ramps of ten groups as well as of a hundred.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.ramps.linearity import CLIPPED_DN, SCALE_DN, LinearityFit
from detectorist.algorithms.ramps.refpix import N_OUTPUTS
from detectorist.algorithms.spectra.trace import find_trace_column
from detectorist.errors import TooFewPixels

#: Powers of the counts above the pedestal that are fitted; the linear term is 1.
POWERS = (2, 3, 4)
#: Columns on either side of the trace whose pixels take part: the wings are the faint end of the comparison.
HALF_WIDTH_PIX = 6
#: Groups that show a bend, at least.
MIN_GROUPS = 6
#: First groups that are left out: a sixth of the ramp, within these limits. The decay after a reset is short, but the
#: part of it that goes with the light looks like non-linearity: a third group costs .3 % of the slope in ramps of 12.
FIRST_GROUPS = (3, 10)
#: ... and where fewer than so many groups would be left, fewer: their noise would be worse.
WELL_KNOWN_GROUPS, FEWEST_FIRST = 8, 2
#: Pixels that rise by less than this share of the brightest ones say nothing about the bend.
FAINTEST_SHARE = 0.02
#: Pixels needed in each output.
MIN_PIXELS = 40
#: Differences between groups further than this from their median over the integrations are cosmic rays.
CLIP_SIGMA = 4.0
#: A ramp whose rise per group falls below or climbs above these shares of its start saturates, or is a bad pixel.
RISE_SHARES = (0.6, 1.3)
#: Ramps that leave more than this many times the median residual are left out.
REJECT = 5.0
MAX_ROUNDS = 5
#: Weight of the pixels of other outputs in the fit of one, whose brightest pixels may be fainter than theirs.
OTHER_OUTPUTS = 0.03
#: Half the difference between the fits of odd and of even rows that is still taken for a measurement: error of the
#: slope at the top of the ramps, as a share of it.
MOST_ERROR = 0.01
#: The corrected slope over the measured one, within the ramps: more is no detector.
SLOPE_SHARES = (0.67, 1.5)


@dataclass(frozen=True)
class _Ramps:
    signal: np.ndarray  # (n_groups used, n_pixels), DN above the pedestal over SCALE_DN
    output: np.ndarray  # (n_pixels,)
    weight: np.ndarray  # (n_pixels,)

    def only(self, chosen: np.ndarray) -> _Ramps:
        """Return the ramps of chosen pixels."""
        return _Ramps(self.signal[:, chosen], self.output[chosen], self.weight[chosen])


def fit_above_pedestal(data: np.ndarray, *, first_group: int | None = None) -> LinearityFit:
    """Fit F = s + c2 s^2 + c3 s^3 + c4 s^4 with s the measured DN above the pedestal, for each output.

    The ramps of a pixel are averaged over the integrations, without cosmic rays. Least squares on the residuals from
    straight lines, with a line for every pixel and a common course through the groups for every output; a pixel's
    weight falls as the square root of its brightness. The pedestal is the level before the first group, extrapolated
    from the first differences of bright pixels, and the slope of F is 1 there.

    Parameters
    ----------
    data : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Raw ramps, DN, column 0 being that of the detector. The last group is not used.
    first_group : int, optional
        First group used; by default a sixth of the ramp is left out, 3 groups at least (2 in ramps of fewer
        than twelve) and 10 at most.

    Returns
    -------
    LinearityFit
        `coefficients` are of powers of the measured DN, as the standard step wants them: the constant is not 0 and the
        linear term not 1, because the polynomial is one of the counts above `pedestal_dn`.

    Raises
    ------
    TooFewPixels
        Ramps too short, too few bright pixels, or no solution on which fits of odd and of even rows agree.

    Notes
    -----
    On an independent simulation with 9.5 % of non-linearity the slopes were right to 0.3 % (rms over outputs and
    signals up to the brightest pixels) for ramps of 12 to 60 groups.
    """
    n_groups = data.shape[1]
    first = _first_group(n_groups) if first_group is None else first_group
    groups = np.arange(first, n_groups - 1)
    if groups.size < MIN_GROUPS:
        raise TooFewPixels(
            f"ramps of {n_groups} groups show no bend: {first + 1 + MIN_GROUPS} groups are needed", n_groups=n_groups
        )
    columns = _columns(data, groups)
    ramps, pedestal, n_out = _sound_ramps(_mean_ramps(data, columns), columns, groups)
    coefficients, kept = _fit_robustly(ramps, groups)
    _require_agreement(ramps.only(kept), groups, coefficients)
    return _result(ramps.only(kept), groups, coefficients, pedestal, n_out + int((~kept).sum()))


def _first_group(n_groups: int) -> int:
    """Return the first group used of ramps of a length."""
    wanted = int(np.clip(n_groups // 6, *FIRST_GROUPS))
    return max(min(wanted, n_groups - 1 - WELL_KNOWN_GROUPS), FEWEST_FIRST)


def _columns(data: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the columns about the trace, reference columns left out."""
    rise = data[:, groups[-1]].astype(float) - data[:, groups[0]]
    rise[..., :N_OUTPUTS] = np.nan
    centre = find_trace_column(np.median(rise, axis=0)[None])
    return np.arange(max(centre - HALF_WIDTH_PIX, N_OUTPUTS), min(centre + HALF_WIDTH_PIX + 1, data.shape[-1]))


def _mean_ramps(data: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return the mean ramp of every pixel, (n_groups, ny, n_columns), differences clipped about their median."""
    taken = np.asarray(data[..., columns], np.float32)
    steps = np.diff(taken, axis=1)
    middle = np.median(steps, axis=0)
    reach = CLIP_SIGMA * 1.4826 * np.median(np.abs(steps - middle), axis=0)
    np.clip(steps, middle - reach, middle + reach, out=steps)
    mean = np.concatenate([np.median(taken[:, :1], axis=0), steps.mean(axis=0, dtype=float)])
    mean = np.cumsum(mean, axis=0)
    return np.where(taken.max(axis=(0, 1)) < CLIPPED_DN, mean, np.nan)


def _sound_ramps(mean: np.ndarray, columns: np.ndarray, groups: np.ndarray) -> tuple[_Ramps, float, int]:
    """Return ramps above the pedestal of pixels bright enough that do not saturate, the pedestal, how many are out."""
    used = mean[groups]
    rise = used[-1] - used[0]
    steps = np.diff(used, axis=0)
    start = np.median(steps[: max(4, len(groups) // 4)], axis=0)
    end = steps[-3:].mean(axis=0)
    finite = np.isfinite(rise)
    peak = np.quantile(rise[finite], 0.998) if finite.any() else 0.0
    with np.errstate(invalid="ignore"):
        bright = finite & (rise > FAINTEST_SHARE * peak) & (rise > 0)
        sound = bright & (end > RISE_SHARES[0] * start) & (end < RISE_SHARES[1] * start)
        leading = sound & (rise > 0.2 * peak)
    rows, taken = np.nonzero(sound)
    output = columns[taken] % N_OUTPUTS
    counts = np.bincount(output, minlength=N_OUTPUTS)
    if counts.min() < MIN_PIXELS or not leading.any():
        raise TooFewPixels(
            f"{counts.min()} bright pixels without saturation in one of the outputs: {MIN_PIXELS} are needed for a "
            "linearity correction from the data",
            n_usable=int(counts.min()),
            needed=MIN_PIXELS,
        )
    pedestal = float(np.median((used[0] - (groups[0] + 1) * start)[leading]))
    weight = np.sqrt(peak / np.maximum(rise[rows, taken], 0.05 * peak))
    order = np.argsort(rows, kind="stable")  # odd and even ones are compared later
    ramps = _Ramps((used[:, rows, taken] - pedestal)[:, order] / SCALE_DN, output[order], weight[order])
    return ramps, pedestal, int(bright.sum() - sound.sum())


def _straight(groups: np.ndarray) -> np.ndarray:
    """Return the matrix that takes the straight line out of ramps (n_groups, n_pixels)."""
    design = np.stack([np.ones(groups.size), groups - groups.mean()], axis=1)
    return np.eye(groups.size) - design @ np.linalg.pinv(design)


def _bent(signal: np.ndarray, weight: np.ndarray, straight: np.ndarray) -> np.ndarray:
    """Return what ramps leave of straight lines and of the course that they share, times their weights."""
    left = straight @ signal
    share = weight**2 / np.sum(weight**2)
    return (left - (left @ share)[:, None]) * weight


def _fit(ramps: _Ramps, groups: np.ndarray) -> np.ndarray:
    """Return the coefficients of POWERS in units of SCALE_DN, (4, n_powers)."""
    straight, systems = _straight(groups), []
    for output in range(N_OUTPUTS):
        own = ramps.only(ramps.output == output)
        design = np.stack([_bent(own.signal**power, own.weight, straight).ravel() for power in POWERS], axis=1)
        systems.append((design.T @ design, -design.T @ _bent(own.signal, own.weight, straight).ravel()))
    found = []
    for output in range(N_OUTPUTS):
        share = [1.0 if other == output else OTHER_OUTPUTS for other in range(N_OUTPUTS)]
        matrix = sum(s * system[0] for s, system in zip(share, systems, strict=True))
        right = sum(s * system[1] for s, system in zip(share, systems, strict=True))
        found.append(np.linalg.lstsq(matrix, right, rcond=None)[0])
    return np.array(found)


def _corrected(ramps: _Ramps, coefficients: np.ndarray) -> np.ndarray:
    powers = np.stack([ramps.signal**power for power in POWERS], axis=-1)
    return ramps.signal + (powers * coefficients[ramps.output]).sum(axis=-1)


def _fit_robustly(ramps: _Ramps, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients and which ramps they are from: hot pixels have a course of their own."""
    straight, kept = _straight(groups), np.ones(ramps.output.size, bool)
    for _ in range(MAX_ROUNDS):
        coefficients = _fit(ramps.only(kept), groups)
        left = _bent(_corrected(ramps, coefficients), ramps.weight, straight)
        size = np.sqrt(np.square(left).mean(axis=0))
        before, kept = kept, size < REJECT * np.median(size[kept])
        if np.bincount(ramps.output[kept], minlength=N_OUTPUTS).min() < MIN_PIXELS:
            raise TooFewPixels("the ramps of an output follow no common curve", n_usable=int(kept.sum()))
        if (before == kept).all():
            break
    return coefficients, kept


def _slope_factors(coefficients: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Return dF/ds at each signal, (4, n_signals)."""
    powers = np.array(POWERS)
    return 1 + (coefficients[:, :, None] * powers[:, None] * signal ** (powers[:, None] - 1)).sum(axis=1)


def _require_agreement(ramps: _Ramps, groups: np.ndarray, coefficients: np.ndarray) -> None:
    """Refuse a curve that is no detector's, or on which two halves of the pixels do not agree."""
    top = np.quantile(ramps.signal[-1], 0.99)
    curve = _slope_factors(coefficients, np.linspace(0, top, 50))
    halves = [_slope_factors(_fit(ramps.only(slice(k, None, 2)), groups), np.array([top])) for k in (0, 1)]
    error = float(0.5 * np.sqrt(np.mean((halves[0] - halves[1]) ** 2)))
    sane = np.isfinite(curve).all() and curve.min() > SLOPE_SHARES[0] and curve.max() < SLOPE_SHARES[1]
    if not sane or not error < MOST_ERROR:
        raise TooFewPixels(
            f"the ramps do not constrain the non-linearity: slopes are changed by factors of {curve.min():.3f} to "
            f"{curve.max():.3f}, uncertain by {error:.3f} (at most {MOST_ERROR:g})",
            error=error,
        )


def _result(
    ramps: _Ramps, groups: np.ndarray, coefficients: np.ndarray, pedestal: float, n_left_out: int
) -> LinearityFit:
    straight = _straight(groups)
    line = np.eye(groups.size) - straight
    corrected = _corrected(ramps, coefficients)
    measured, lines, left = [], [], []
    for output in range(N_OUTPUTS):
        own = ramps.output == output
        measured.append((ramps.signal[:, own] * SCALE_DN + pedestal).T)
        lines.append((line @ corrected[:, own] * SCALE_DN + pedestal).T)
        part = _bent(corrected[:, own], np.ones(int(own.sum())), straight)
        left.append(100 * np.sqrt(np.square(part).mean()) / np.median(np.ptp(corrected[:, own], axis=0)))
    return LinearityFit(
        _in_measured_dn(coefficients, pedestal),
        np.bincount(ramps.output, minlength=N_OUTPUTS),
        n_left_out,
        np.array([[each.min(), each.max()] for each in measured]),
        np.array(left),
        measured,
        lines,
        pedestal_dn=pedestal,
    )


def _in_measured_dn(coefficients: np.ndarray, pedestal: float) -> np.ndarray:
    """Return the polynomials of s = DN - pedestal, plus the pedestal, by powers 0 to 4 of the measured DN."""
    above = np.polynomial.Polynomial([-pedestal, 1.0])
    expanded = np.zeros((N_OUTPUTS, max(POWERS) + 1))
    for output, own in enumerate(coefficients):
        total = above + pedestal
        for power, value in zip(POWERS, own, strict=True):
            total = total + value / SCALE_DN ** (power - 1) * above**power
        expanded[output, : total.coef.size] = total.coef
    return expanded
