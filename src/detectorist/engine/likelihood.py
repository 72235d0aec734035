"""Slopes of ramps, and their jumps, by likelihood: the standard code's algorithm LIKELY."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectorist.engine import NotCovered
from detectorist.engine.flags import DO_NOT_USE, JUMP, SATURATED, UNUSABLE
from detectorist.engine.ramp_fit import Slopes
from detectorist.engine.threads import over_ranges

if TYPE_CHECKING:
    from detectorist.engine._likelihood_nb import Spacing

#: With fewer groups the search for jumps has nothing to compare.
LEAST_GROUPS = 4
#: Gains of chi squared from which a difference, or two neighbours, are left out: 4.5 sigma for one and for two
#: parameters (Brandt 2024b, section 4).
THRESHOLDS = (20.25, 23.8)
#: Differences after which the determinant is brought back to 1: safe against overflow up to variances of 1e20.
_STEPS_TO_RESCALE = 10
#: Ramps that are fitted together: their differences stay in the second-level cache.
_BLOCK = 2048


class LikelihoodFit(NamedTuple):
    """Both products of the fit, chi squared of the rate image (ny, nx), and the flags with the jumps in them."""

    rate: Slopes
    rateints: Slopes
    chisq: np.ndarray
    groupdq: np.ndarray


def read_times_s(n_groups: int, *, frame_time_s: float, n_frames: int, group_gap: int) -> list[np.ndarray]:
    """Return the times of the reads averaged in each group, evenly spaced, seconds since the reset."""
    reads = np.arange(1, n_frames + 1)
    return [(reads + k * (n_frames + group_gap)) * frame_time_s for k in range(n_groups)]


def fit_ramps_by_likelihood(
    data: np.ndarray,
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    read_times_s: Sequence[np.ndarray],
    dark_dn_s: np.ndarray | None = None,
    zeroframe: np.ndarray | None = None,
    n_frames: int = 1,
    thresholds: tuple[float, float] = THRESHOLDS,
    threads: int = 1,
) -> LikelihoodFit:
    """Find jumps and fit ramps as stcal's `likely_ramp_fit` does.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
        Linearised ramps in DN. A NaN anywhere in a ramp makes its slope NaN.
    groupdq, pixeldq : ndarray of uint8, of uint32, shapes (n_ints, n_groups, ny, nx) and (ny, nx)
        A group with any flag is not used.
    gain, read_noise : ndarray of float32, shape (ny, nx)
        In e-/DN; CDS noise in DN, as in the reference files.
    read_times_s : sequence of arrays, one a group
        Times of the reads that were averaged in it.
    dark_dn_s : ndarray of float32, shape (ny, nx), or None
        Average dark current, for the Poisson variance only.
    zeroframe : ndarray of float32, shape (n_ints, ny, nx), or None
        The first read of every ramp; it becomes a group of its own when groups average several reads.
    n_frames : int
        Reads averaged in the first group; for `zeroframe` only.
    thresholds : (float, float)
        Gains of chi squared from which one difference, or two neighbours, are taken for a jump and left out.
    threads : int
        The result does not depend on it.

    Raises
    ------
    NotCovered
        When there are fewer than four groups.

    Notes
    -----
    Slopes without any usable difference are NaN with an infinite error, as in stock; whether DO_NOT_USE is set depends
    on the flags of the groups alone. Powers of determinants are numpy's, so that exact ties between two jumps, which
    rounding decides, fall as they do there. Source: Brandt 2024, PASP 136, 045004 and 045005.
    """
    n_ints, n_groups, ny, nx = data.shape
    if n_groups < LEAST_GROUPS:
        raise NotCovered(f"{n_groups} groups are fewer than the {LEAST_GROUPS} of a likelihood fit")
    times = list(read_times_s)
    ramps, flags = np.ascontiguousarray(data, np.float32), np.array(groupdq, np.uint8, order="C")
    if zeroframe is not None and len(np.atleast_1d(times[0])) > 1:
        ramps, flags = _with_zero_frame(ramps, flags, np.asarray(zeroframe, np.float32), n_frames)
        times = [times[0][:1], times[0][1:], *times[1:]]
    n_pix = ny * nx
    ramps, flags = (array.reshape(n_ints, -1, n_pix) for array in (ramps, flags))
    dark = np.zeros((ny, nx), np.float32) if dark_dn_s is None else dark_dn_s
    images = tuple(np.ascontiguousarray(a, np.float32).reshape(-1) for a in (gain, read_noise, dark))
    ints, rate = np.empty((5, n_ints, n_pix), np.float32), np.empty((5, n_pix), np.float32)
    over_ranges(_fit_pixels, n_pix, ramps, flags, images, times, thresholds, ints, rate, threads=threads)
    pixels = np.ascontiguousarray(pixeldq, np.uint32).reshape(-1)
    ints_dq = np.stack([_flags_of_ramp(groups, pixels) for groups in flags])
    rate_dq = ints_dq[0] if n_ints == 1 else _flags_of_exposure(ints_dq)
    return LikelihoodFit(
        Slopes(*rate[:4].reshape(4, ny, nx), rate_dq.reshape(ny, nx)),
        Slopes(*ints[:4].reshape(4, n_ints, ny, nx), ints_dq.reshape(n_ints, ny, nx)),
        rate[4].reshape(ny, nx),
        flags[:, -n_groups:].reshape(n_ints, n_groups, ny, nx),
    )


def _with_zero_frame(ramps, flags, zeroframe, n_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """Return ramps and flags with the first read as a group before the mean of the other reads of the first group."""
    rest = (ramps[:, :1] * n_frames - zeroframe[:, None]) / (n_frames - 1)
    ramps = np.concatenate([zeroframe[:, None], rest, ramps[:, 1:]], axis=1)
    return ramps, np.concatenate([flags[:, :1], flags], axis=1)


def _fit_pixels(ramps, flags, images, times, thresholds, ints, rate, start: int, stop: int) -> None:
    """Fit pixels start to stop of all integrations; jumps go into `flags`."""
    from detectorist.engine._likelihood_rate_nb import combine_integrations

    spacing = spacing_of(times)
    for low in range(start, stop, _BLOCK):
        pixels = slice(low, min(low + _BLOCK, stop))
        gain, read_noise, dark = (image[pixels] for image in images)
        read = (read_noise / np.sqrt(2)) ** 2  # of a single read
        for i in range(len(ramps)):
            part = np.empty((5, gain.size), np.float32)
            _fit_block(ramps[i], flags[i], pixels, spacing, (gain, read, dark), thresholds, part)
            ints[:, i, pixels] = part
    if len(ramps) == 1:
        rate[:, start:stop] = ints[:, 0, start:stop]
    else:
        combine_integrations(ints, rate, start, stop)


def _fit_block(ramps, flags, pixels: slice, spacing, images, thresholds, out) -> None:
    from detectorist.algorithms._sorting_nb import network_or_none
    from detectorist.engine._likelihood_jumps_nb import find_jumps
    from detectorist.engine._likelihood_nb import fit_differences, take_differences, take_medians

    gain, read, dark = images
    n_diffs = spacing.step_s.size
    diff, used = np.empty((n_diffs, gain.size)), np.empty((n_diffs, gain.size), np.uint8)
    take_differences(ramps, flags, spacing.step_s, pixels.start, diff, used)
    usable = used.copy()
    rate, slope = np.empty(gain.size), np.empty(gain.size)
    take_medians(diff, network_or_none(n_diffs), rate)
    with np.errstate(all="ignore"):
        reference = _reference(rate * (rate > 0), gain, read, spacing)
        find_jumps(diff, used, spacing, reference, thresholds, slope)
        flags[1:, pixels] |= np.uint8(JUMP) * (usable ^ used)
        reference = _reference(slope * (slope > 0) + dark, gain, read, spacing)
    fit_differences(diff, used, spacing, reference, out)


def _reference(rate, gain, read, spacing) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return rate over gain, squared noise of a read, and the scale that brings the determinant to 1.

    All elements of the covariance matrix times f make the determinant of the first i rows f**i times as large: the
    scale is corrected on the way, so that nothing overflows in long ramps.
    """
    from detectorist.engine._likelihood_nb import advance_determinant

    rate = rate / gain
    scale, before = np.ones_like(rate), np.ones_like(rate)
    last = rate * spacing.alpha_photons[0] + read * spacing.alpha_reads[0]
    n_diffs, first = spacing.step_s.size, 1
    while first < n_diffs:
        stop = min(n_diffs, first - first % _STEPS_TO_RESCALE + _STEPS_TO_RESCALE)
        advance_determinant(spacing, rate, read, scale, last, before, first, stop)
        factor = last ** (1 / stop)
        scale *= factor
        before /= last / factor
        last, first = np.ones_like(rate), stop
    return rate, read, scale


def spacing_of(times: Sequence[np.ndarray]) -> Spacing:
    """Return the noise shares of the differences of groups with these read times (045004, eqs. 4, 11, 28, 29)."""
    from detectorist.engine._likelihood_nb import Spacing

    reads = [np.atleast_1d(group) for group in times]
    number = np.array([group.size for group in reads])
    mean = np.array([np.mean(group) for group in reads])
    # The variance of the mean of reads that share their photons: each counts as often as it is summed.
    shared = np.array([np.sum((2 * group.size - 1 - 2 * np.arange(group.size)) * group) for group in reads]) / number**2
    step = mean[1:] - mean[:-1]
    return Spacing(
        step,
        (shared[:-1] + shared[1:] - 2 * mean[:-1]) / step**2,
        (1 / number[:-1] + 1 / number[1:]) / step**2,
        (mean[1:-1] - shared[1:-1]) / (step[1:] * step[:-1]),
        -1 / (number[1:-1] * step[1:] * step[:-1]),
        (number[1:-1] > 1).astype(np.uint8),
    )


def _flags_of_ramp(groups: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the flags of an integration: what any group has of SATURATED and JUMP, DO_NOT_USE when none is usable."""
    together = np.bitwise_or.reduce(groups, axis=0) & np.uint8(SATURATED | JUMP)
    unusable = np.all(groups & np.uint8(UNUSABLE), axis=0)
    return pixels | together | (np.uint32(DO_NOT_USE) * unusable)


def _flags_of_exposure(ints_dq: np.ndarray) -> np.ndarray:
    """Return the flags of the exposure: those of any integration, DO_NOT_USE of all."""
    unusable = np.bitwise_and.reduce(ints_dq, axis=0) & np.uint32(DO_NOT_USE)
    return np.bitwise_or.reduce(ints_dq, axis=0) & ~np.uint32(DO_NOT_USE) | unusable
