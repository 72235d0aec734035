"""One integration of one pixel, in stock's own order of operations: its segments, their slopes and variances.

A ramp is a list of samples in DN (float64), NaN where saturated, with their group flags. All sums and
products are float64 and in the order of stcal's C code, since slopes are stored as float32 after a chain of
divisions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.algorithms._sorting_nb import median_of
from detectorist.engine._compiled import BORROWING
from detectorist.engine.flags import CHARGELOSS, DO_NOT_USE, JUMP, PERSISTENCE, SATURATED

#: Variances from here on mean "no information" and are stored as 0.
LARGE_VARIANCE = 1.0e6

_BUT_PERSISTENCE = 255 - PERSISTENCE


class FitRule(NamedTuple):
    """Times and conventions of a fit, as plain numbers for the kernels."""

    group_s: float
    one_group_s: float  # mean time of the frames of a first group that is alone
    first_group_alone: bool  # such a group counts; otherwise its ramp is suppressed
    suppress: bool  # suppression is still to be done
    first_group: int  # groups before it do not belong to the ramp


@njit(**BORROWING)
def weight_class(snr):
    """Return the row of the weight tables for a segment's signal-to-noise ratio (Fixsen et al. 2000, table
    1).

    A ratio that is NaN (a NaN sample at an end of the segment) fails every comparison and gets the last row,
    as in stock.
    """
    row = 0
    row += not snr < 5.0
    row += not snr < 10.0
    row += not snr < 20.0
    row += not snr < 50.0
    row += not snr < 100.0
    return row


@njit(**BORROWING)
def signal_to_noise(rise, read_noise, gain):
    """Return the ratio that chooses the weights: rise in DN over the noise of the ends; 0 for falling ramps."""
    variance = read_noise * read_noise + rise * gain
    if variance <= 0.0 or gain == 0.0:
        return 0.0
    ratio = rise * gain / np.sqrt(variance)
    return 0.0 if ratio < 0.0 else ratio


@njit(**BORROWING)
def weighted_slope(samples, start, length, row, read_noise, weights):
    """Return the slope in DN per group of samples[start : start + length]; a NaN sample counts as 0 with its
    weight.

    Abscissae are group numbers of the whole ramp and every weight carries 1 / noise^2, although both cancel:
    the rounding does not.
    """
    scale = 1.0 / (read_noise * read_noise)
    sum_w = 0.0
    sum_x = 0.0
    sum_xx = 0.0
    sum_y = 0.0
    sum_xy = 0.0
    for k in range(length):
        weight = weights[row, length, k] * scale
        x = np.float64(k + start)
        y = samples[start + k]
        if np.isnan(y):
            y = 0.0
        xw = x * weight
        sum_w += weight
        sum_x += xw
        sum_xx += x * xw
        sum_y += y * weight
        sum_xy += y * xw
    numerator = sum_w * sum_xy - sum_x * sum_y
    return numerator * (1.0 / (sum_w * sum_xx - sum_x * sum_x))


@njit(**BORROWING)
def read_variance(length, seconds, read_noise, gain):
    """Return the read-noise variance of a segment's slope; segments of one group count as two, over their own time."""
    noise = read_noise / seconds
    numerator = 12.0 * noise * noise
    n = np.float64(length)
    if length < 3:
        return numerator / (6.0 * gain * gain)
    return numerator / ((n * n * n - n) * gain * gain) if gain > 0.0 else 0.0


@njit(**BORROWING)
def find_segments(flags, starts, stops):
    """Fill starts and stops with the usable stretches of a ramp and return how many there are.

    A stretch may begin with the group that jumped, if that has no other flag: the jump happened before it.
    Single groups count only if there is nothing longer, and then only the first.
    """
    n_groups = flags.size
    count = 0
    longest = 0
    inside = False
    start = 0
    for g in range(n_groups + 1):
        good = g < n_groups and (flags[g] & _BUT_PERSISTENCE) == 0
        if good and not inside:
            after_jump = g > 0 and (flags[g - 1] & _BUT_PERSISTENCE) == JUMP
            start = g - 1 if after_jump else g
            inside = True
        elif inside and not good:
            inside = False
            if g - start > 1 or longest <= 1:
                starts[count] = start
                stops[count] = g
                count += 1
                longest = max(longest, g - start)
    if count < 2:
        return count
    if longest < 2:
        return 1
    kept = 0
    for s in range(count):
        if stops[s] - starts[s] > 1:
            starts[kept] = starts[s]
            stops[kept] = stops[s]
            kept += 1
    return kept


@njit(**BORROWING)
def median_rate(samples, flags, group_s, scratch):
    """Return the median difference in DN/s without jumps and DO_NOT_USE; the first sample where none is left."""
    n_groups = flags.size
    last = np.nan if flags[0] & DO_NOT_USE else samples[0] / group_s
    first = last
    m = 0
    for g in range(1, n_groups):
        this = np.nan if flags[g] & DO_NOT_USE else samples[g] / group_s
        step = this - last
        if not (flags[g] & JUMP or np.isnan(step)):
            scratch[m] = step
            m += 1
        last = this
    return first if m == 0 else median_of(scratch, m)


@njit(**BORROWING)
def fit_segments(samples, flags, rule, single_s, gain, read_noise, signal_rate, weights, starts, stops, sums):
    """Fit every segment and add up its information; returns the number of segments.

    signal_rate : median rate plus dark, DN/s, for the Poisson variance.
    single_s : time of a segment of one group.
    sums : float64, shape (4,), filled with the sums of 1/var_poisson, 1/var_rnoise, 1/var, slope/var_rnoise.
    """
    sums[:] = 0
    count = find_segments(flags, starts, stops)
    for s in range(count):
        first = starts[s]
        length = stops[s] - first
        if length == 1:
            seconds = single_s
            slope = samples[first] / seconds
            poisson = signal_rate / (seconds * gain)
        elif length == 2:
            seconds = rule.group_s
            slope = (samples[first + 1] - samples[first]) / seconds
            poisson = signal_rate / (seconds * gain)
        else:
            seconds = rule.group_s
            rise = samples[first + length - 1] - samples[first]
            row = weight_class(signal_to_noise(rise, read_noise, gain))
            slope = weighted_slope(samples, first, length, row, read_noise, weights) / seconds
            poisson = signal_rate / (seconds * gain * (np.float64(length) - 1.0))
        read = read_variance(length, seconds, read_noise, gain)
        if poisson > 0.0:
            sums[0] += 1.0 / poisson
        sums[1] += 1.0 / read
        sums[2] += 1.0 / (poisson + read)
        sums[3] += slope / read
    return count


@njit(**BORROWING)
def information_without_chargeloss(flags, rule, single_s, gain, read_noise, starts, stops):
    """Return the sum of 1/var_rnoise that the integration would have without its CHARGELOSS flags (changes
    `flags`).

    Charge migration takes groups from the slope, not from the knowledge of the read noise: stock reports the
    latter.
    """
    for g in range(flags.size):
        if flags[g] & CHARGELOSS:
            flags[g] ^= np.uint8(DO_NOT_USE | CHARGELOSS)
    total = 0.0
    for s in range(find_segments(flags, starts, stops)):
        length = stops[s] - starts[s]
        variance = read_variance(length, single_s if length == 1 else rule.group_s, read_noise, gain)
        if variance > 0.0:
            total += 1.0 / variance
    return total


@njit(**BORROWING)
def load_ramp(data, gdq, i, p, rule, samples, flags):
    """Fill samples (NaN where saturated) and flags; return whether the first group alone counts.

    A ramp with one good group is made DO_NOT_USE where that is asked for. What counts as good differs:
    PERSISTENCE is forgiven when ramps are suppressed, and not when the first group is looked for.
    """
    n_groups = flags.size
    good = 0
    clean = 0
    for g in range(n_groups):
        flags[g] = gdq[i, rule.first_group + g, p]
        good += (flags[g] & _BUT_PERSISTENCE) == 0
        clean += flags[g] == 0
        samples[g] = np.nan if flags[g] & SATURATED else np.float64(data[i, rule.first_group + g, p])
    if rule.suppress and good == 1 and n_groups > 1:
        for g in range(n_groups):
            flags[g] |= DO_NOT_USE
    return rule.first_group_alone and clean == 1 and flags[0] == 0
