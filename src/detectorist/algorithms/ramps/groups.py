"""Groups at the start and at the end of MIRI ramps that do not follow the rest of the ramp.

After a reset the first groups of a ramp carry the decay of the reset switch and the RSCD effect, and the last group is
pulled down by the reset that follows it. Both are effects of the group's number. The bend of non-linearity is not: it
depends on the accumulated signal, which pixels of different brightness reach at different groups. That separates the
two, in long ramps and in short ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms import dq

#: Pixels with less than this share of the brightest ones' slope say little about a group.
FAINTEST_SHARE = 0.08
MAX_PIXELS = 2400
#: ... and so do pixels whose slope is below this part of the noise of one difference: a dark frame has no bright ones.
MIN_SLOPE_SIGMA = 0.5
#: Pixels in a bin of brightness, at least, and number of bins, at most.
MIN_PIXELS_PER_BIN = 12
MAX_BINS = 10
#: DN; 16-bit counts at the end of their range are clipped.
CLIPPED_DN = 65000.0
#: A pixel whose differences before the last fall below this share of its slope saturates.
COLLAPSED = 0.5
#: Samples (all pixels, all groups) of the first integrations that decide, and integrations at least: more would make
#: the choice no safer, and cost memory.
DECIDING_SAMPLES = 64_000_000
MIN_DECIDING_INTS = 8
#: Signals are scaled by this (DN) in the fit, for the condition of its matrix only.
SIGNAL_SCALE_DN = 1.0e4
#: Differences below this share of the slope (a strong decay makes them negative) count as this, for the logarithm.
LOWEST_RATIO = 0.03


@dataclass(frozen=True)
class GroupStack:
    """Differences between neighbouring groups, each over its pixel's own slope, stacked in bins of brightness."""

    ratio: np.ndarray  # (2, n_bins, n_groups - 1), even and odd rows apart; 1 on average over the middle groups
    error: np.ndarray  # same shape, standard error of `ratio`
    signal: np.ndarray  # same shape, accumulated signal half-way between the groups, DN
    middle: slice  # differences taken to be sound
    n_pixels: int
    slope: np.ndarray  # (2, n_bins) slope over the middle groups, DN per group; 0 in an empty bin
    total_slope: float  # DN per group, sum over the pixels


@dataclass(frozen=True)
class SpoiledGroups:
    """Groups to leave out, and the reasons."""

    groups: tuple[int, ...]  # zero-indexed, ascending
    deviation: (
        np.ndarray
    )  # (n_groups - 1,) share by which each difference departs, of the worse row parity; 0 in the middle
    error: np.ndarray  # (n_groups - 1,) its standard error
    threshold: np.ndarray  # (n_groups - 1,) what it was compared with


def count_deciding(shape: tuple[int, ...]) -> int:
    """Return how many first integrations of a ramp of this shape (n_ints, n_groups, ny, nx) a choice is made from."""
    n_ints, n_groups, ny, nx = shape
    return min(n_ints, max(DECIDING_SAMPLES // max(n_groups * ny * nx, 1), MIN_DECIDING_INTS))


def choose_groups(
    data: np.ndarray,
    groupdq: np.ndarray | None = None,
    *,
    n_sigma: float = 4.0,
    min_deviation: float = 0.003,
) -> list[int]:
    """Return the zero-indexed groups that do not follow the rest of the ramp, first ones and the last.

    For all segments of an exposure: decide on one, and give the list to the others.

    data : ndarray of float, shape (n_ints, n_groups, ny, nx), DN, pedestal included or not.
    groupdq : ndarray of uint8, same shape, or None
        Pixels with DO_NOT_USE or SATURATED in any group are left out (but not for a group that is flagged as a whole).
    n_sigma, min_deviation :
        see `find_spoiled_groups`.
    """
    stack = stack_differences(data, groupdq)
    return list(find_spoiled_groups(stack, n_sigma=n_sigma, min_deviation=min_deviation).groups)


def stack_differences(data: np.ndarray, groupdq: np.ndarray | None = None) -> GroupStack:
    """Stack the differences between neighbouring groups over bright, sound pixels and all integrations.

    data, groupdq :
        as in `choose_groups`, or disk-backed arrays indexed in the same way. Stacks are medians, robust against cosmic
        rays.

    Cost: one pass over the first, last and middle groups, and a median over at most 2400 pixels of every group. A ramp
    of two groups or without bright pixels gives a stack from which nothing can be decided; in ramps of three or four
    groups only the last one can be judged.
    """
    n_groups = data.shape[1]
    n_differences = n_groups - 1
    # Half the ramp is sound by assumption: what bends there is taken for non-linearity.
    middle = slice(max(1, int(0.4 * n_differences)) if n_differences > 2 else 0, max(n_differences - 1, 1))
    rows, columns, slope = _bright_pixels(data, groupdq, middle)
    n_bins = min(MAX_BINS, len(rows) // (2 * MIN_PIXELS_PER_BIN))
    if n_groups < 3 or n_bins < 1:
        empty = np.empty((2, 0, max(n_differences, 0)))
        return GroupStack(empty, empty, empty, middle, 0, np.empty((2, 0)), 0.0)
    # Single precision, as the data: of all bright pixels together no array in double precision is made.
    ramps = np.ascontiguousarray(data[:, :, rows, columns])
    scale = _scale_of_integrations(ramps, middle, slope)
    shape = (2, n_bins, n_differences)
    stacked, error, at_signal, of_bin = np.empty(shape), np.empty(shape), np.empty(shape), np.zeros(shape[:2])
    for parity in (0, 1):
        members = np.flatnonzero(rows % 2 == parity)
        members = members[np.argsort(slope[members], kind="stable")]
        for k, chosen in enumerate(np.array_split(members, n_bins)):
            if chosen.size < 2:
                stacked[parity, k], error[parity, k], at_signal[parity, k] = 1.0, np.inf, 0.0
                continue
            ratio, signal = _ratios(ramps[:, :, chosen], scale[:, None] * slope[chosen])
            stacked[parity, k], error[parity, k] = _stack(ratio)
            at_signal[parity, k] = np.median(signal, axis=(0, 2))
            of_bin[parity, k] = np.median(slope[chosen])
    stacked /= stacked[..., middle].mean(axis=-1, keepdims=True)
    return GroupStack(stacked, error, at_signal, middle, len(rows), of_bin, float(slope.sum()))


def _scale_of_integrations(ramps: np.ndarray, middle: slice, slope: np.ndarray) -> np.ndarray:
    """Return by what factor the light of each integration differs from the usual, shape (n_ints,).

    The star varies from one integration to the next: all pixels together tell by how much, without their noise.
    """
    level = np.empty((len(ramps), slope.size))
    for few in _batches(slope.size):
        level[:, few] = np.diff(ramps[:, :, few].astype(float), axis=1)[:, middle].mean(axis=1)
    return np.median(level / slope, axis=1)


def _ratios(ramps: np.ndarray, slopes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return differences over slopes, and the signal half-way, both (n_ints, n_differences, n_pixels).

    ramps : (n_ints, n_groups, n_pixels). slopes : (n_ints, n_pixels), DN per group.
    """
    ramps = ramps.astype(float)
    signal = 0.5 * (ramps[:, 1:] + ramps[:, :-1]) - ramps[:, :1] + slopes[:, None]
    return np.diff(ramps, axis=1) / slopes[:, None], signal


def _batches(size: int, length: int = 100) -> list[slice]:
    """Return slices of a hundred elements or less that cover `size` of them: medians take several times the memory."""
    return [slice(first, first + length) for first in range(0, size, length)]


def find_spoiled_groups(stack: GroupStack, *, n_sigma: float = 4.0, min_deviation: float = 0.003) -> SpoiledGroups:
    """Return the groups before which, or the last at which, the differences leave the course of the middle ones.

    The ratios of the middle groups are fitted by a quadratic in the accumulated signal (non-linearity), together with
    one free departure for each group outside. A first group is spoiled when the difference behind it departs, either
    way, or one after it does; the last when the difference before it is low; in even or in odd rows.

    n_sigma : float
        Smallest departure in units of its error, which includes the scatter of the middle groups.
    min_deviation : float
        Smallest departure as a fraction of the slope: smaller ones are ignored even if they are significant.
    """
    n_differences = stack.ratio.shape[-1]
    none = np.zeros(n_differences)
    if stack.ratio.shape[1] == 0 or n_differences < 2:
        return SpoiledGroups((), none, none, np.full(n_differences, np.inf))
    fits = [_fit_departures(stack, parity) for parity in (0, 1)]
    departures, errors = (np.array(each) for each in zip(*fits, strict=True))
    thresholds = np.maximum(n_sigma * errors, min_deviation)
    worse = np.argmax(np.abs(departures) / thresholds, axis=0)
    take = np.arange(n_differences)
    # With one sound difference only, a first group that departs looks like a last one that does: the last is judged.
    first_sound = stack.middle.start if stack.middle.stop - stack.middle.start > 1 else 0
    early = np.flatnonzero((np.abs(departures) > thresholds).any(axis=0)[:first_sound])
    groups = list(range(early.max() + 1)) if early.size else []
    if (departures[:, -1] < -thresholds[:, -1]).any():
        groups.append(n_differences)
    return SpoiledGroups(
        tuple(int(g) for g in groups), departures[worse, take], errors[worse, take], thresholds[worse, take]
    )


def _bright_pixels(data: np.ndarray, groupdq: np.ndarray | None, middle: slice):
    """Return rows, columns and mean slope (DN per group) of bright pixels that are sound in all integrations."""
    n_groups = data.shape[1]
    nothing = np.empty(0, int), np.empty(0, int), np.empty(0)
    if n_groups < 3:
        return nothing
    slope, end, highest = _slopes(data, middle)
    sound = np.isfinite(slope) & np.isfinite(end) & (highest < CLIPPED_DN)
    with np.errstate(invalid="ignore"):
        sound &= (end > COLLAPSED * slope) & (slope > 0)
    if groupdq is not None:
        sound &= ~_flagged(groupdq)
    if not sound.any():
        return nothing
    brightest = np.quantile(slope[sound], 0.999)
    rows, columns = np.nonzero(sound & (slope >= FAINTEST_SHARE * brightest))
    if len(rows) > MAX_PIXELS:
        # Every so-many-th in order of brightness: all of the range stays.
        order = np.argsort(slope[rows, columns], kind="stable")
        order = order[np.linspace(0, len(order) - 1, MAX_PIXELS).round().astype(int)]
        rows, columns = rows[order], columns[order]
    ramps = np.ascontiguousarray(data[:, :, rows, columns])
    finite = np.isfinite(ramps).all(axis=(0, 1))
    rows, columns = rows[finite], columns[finite]
    noise = _noise_of_differences(ramps[:, middle.start : middle.stop + 1, finite])
    bright = slope[rows, columns] > MIN_SLOPE_SIGMA * noise
    return rows[bright], columns[bright], slope[rows[bright], columns[bright]]


def _slopes(data: np.ndarray, middle: slice) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the slope over the middle groups, the one before the last group, and the largest last sample, (ny, nx).

    The slope at the end is that before the last group, whose fall is no saturation.
    """
    n_groups, ny, nx = data.shape[1:]
    before_end = max(0, n_groups - 4)
    slope, end, highest = (np.empty((ny, nx)) for _ in range(3))
    for rows in _batches(ny, 52):
        rise = data[:, middle.stop, rows].astype(float) - data[:, middle.start, rows]
        slope[rows] = np.median(rise, axis=0) / (middle.stop - middle.start)
        rise = data[:, -2, rows].astype(float) - data[:, before_end, rows]
        end[rows] = np.median(rise, axis=0) / (n_groups - 2 - before_end)
        highest[rows] = data[:, -1, rows].max(axis=0)
    return slope, end, highest


def _noise_of_differences(ramps: np.ndarray) -> float:
    """Return the noise of one difference of the fainter pixels, from ramps (n_ints, n_groups, n_pixels)."""
    if ramps.shape[-1] == 0:
        return 0.0
    if len(ramps) * (ramps.shape[1] - 1) < 2:
        return 0.0
    spread = np.empty(ramps.shape[-1])
    for few in _batches(spread.size):
        differences = np.diff(ramps[..., few].astype(float), axis=1)
        differences = differences.reshape(-1, differences.shape[-1])
        spread[few] = 1.4826 * np.median(np.abs(differences - np.median(differences, axis=0)), axis=0)
    return float(np.quantile(spread, 0.25))


def _flagged(groupdq: np.ndarray) -> np.ndarray:
    """Return the pixels (ny, nx) that are unusable in a group that is not unusable as a whole."""
    flagged = np.zeros(groupdq.shape[-2:], bool)
    for integration in groupdq:
        for group in integration:
            here = dq.has(group, dq.DO_NOT_USE | dq.SATURATED)
            if not here.all():
                flagged |= here
    return flagged


def _stack(ratio: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median over pixels and integrations and its standard error, for each difference.

    ratio : (n_ints, n_differences, n_pixels). The error is that of independent pixels or, where there are enough
    integrations, what their scatter says if it is larger (drift of the electronics is common to all pixels).
    """
    by_integration = np.median(ratio, axis=2)
    middle = np.median(by_integration, axis=0)
    n_ints, _, n_pixels = ratio.shape
    spread = 1.4826 * np.median(np.abs(ratio - middle[:, None]), axis=(0, 2))
    error = np.sqrt(np.pi / 2) * spread / np.sqrt(n_ints * n_pixels)
    if n_ints >= 4:
        scatter = by_integration.std(axis=0, ddof=1) * np.sqrt(np.pi / 2 / n_ints)
        error = np.maximum(error, scatter)
    return middle, np.maximum(error, 1e-6)


@dataclass(frozen=True)
class Residuals:
    """Residuals of the differences of one row parity from the course with accumulated signal, in logarithms."""

    left: np.ndarray  # (n_bins, n_groups - 1)
    error: np.ndarray  # same shape, of the stack alone
    design: np.ndarray  # (n_bins, n_groups - 1, n_terms), powers of the signal
    covariance: np.ndarray  # (n_terms, n_terms)
    inside: np.ndarray  # (n_groups - 1,) bool, the middle
    excess: float  # variance of the middle over that expected, 1 at least


def residuals_of(stack: GroupStack, parity: int) -> Residuals:
    """Fit non-linearity to the middle groups, and remove it from all.

    In logarithms the response at one signal over that at another is a difference of the same polynomial for pixels of
    any brightness.
    """
    error = stack.error[parity] / np.maximum(stack.ratio[parity], 10 * LOWEST_RATIO)
    response = np.log(np.maximum(stack.ratio[parity], LOWEST_RATIO))
    n_bins, n_differences = response.shape
    inside = np.zeros(n_differences, bool)
    inside[stack.middle] = True
    n_middle = int(inside.sum())
    response = response - response[:, inside].mean(axis=1, keepdims=True)
    signal = stack.signal[parity] / SIGNAL_SCALE_DN
    n_terms = min(2, n_bins // 2)
    powers = [signal**p - (signal**p)[:, inside].mean(axis=1, keepdims=True) for p in range(1, n_terms + 1)]
    design = np.stack(powers, axis=-1)
    if n_middle > 1:
        terms, covariance = _least_squares(design[:, inside], response[:, inside], error[:, inside])
    else:
        # A single sound difference has no course: brightness alone tells bend from departure.
        outside = np.flatnonzero(~inside)
        free = np.broadcast_to(np.eye(n_differences)[:, outside], (n_bins, n_differences, outside.size))
        terms, covariance = _least_squares(np.concatenate([design, free], axis=-1), response, error)
        terms, covariance = terms[:n_terms], covariance[:n_terms, :n_terms]
    left = response - design @ terms
    excess = 1.0
    if n_middle > 1:
        dof = max(n_bins * (n_middle - 1) - n_terms, 1)
        excess = max(1.0, float(np.square(left / error)[:, inside].sum() / dof))
    return Residuals(left, error, design, covariance, inside, excess)


def _fit_departures(stack: GroupStack, parity: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the departures of the groups outside the middle, and their errors."""
    found = residuals_of(stack, parity)
    weight = 1 / found.error**2
    departure = (found.left * weight).sum(axis=0) / weight.sum(axis=0)
    lever = (found.design * weight[..., None]).sum(axis=0) / weight.sum(axis=0)[:, None]
    variance = found.excess * (1 / weight.sum(axis=0) + np.einsum("gi,ij,gj->g", lever, found.covariance, lever))
    variance += _common_scatter(departure[found.inside]) ** 2
    departure[found.inside] = 0.0
    return np.expm1(departure), np.sqrt(variance)


def _least_squares(design: np.ndarray, values: np.ndarray, error: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the solution and its covariance."""
    weighted = (design / error[..., None]).reshape(-1, design.shape[-1])
    solution, *_ = np.linalg.lstsq(weighted, (values / error).ravel(), rcond=None)
    return solution, np.linalg.pinv(weighted.T @ weighted)


def _common_scatter(departures: np.ndarray) -> float:
    """Return the scatter of the middle groups that all bins of brightness share."""
    return float(1.4826 * np.median(np.abs(departures))) if departures.size >= 3 else 0.0
