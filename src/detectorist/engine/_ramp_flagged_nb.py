"""Slopes of single integrations of single pixels: with a flag, a NaN or an odd reference value."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import BORROWING
from detectorist.engine._ramp_segments_nb import (
    LARGE_VARIANCE,
    fit_segments,
    information_without_chargeloss,
    load_ramp,
    median_rate,
)
from detectorist.engine._ramp_state_nb import inverse
from detectorist.engine.flags import CHARGELOSS, DO_NOT_USE, JUMP, PERSISTENCE, SATURATED, UNUSABLE


@njit(**BORROWING)
def add_flagged_medians(tile, data, gdq, i, p, width, rule, ramp):
    """Add the median rates of a tile's pixels with flagged groups, fitted one by one."""
    n_groups = ramp.samples.size
    for c in range(width):
        if tile.dirty[i, c]:
            alone = load_ramp(data, gdq, i, p + c, rule, ramp.samples, ramp.flags)
            if alone or n_groups == 1:
                rate = ramp.samples[0] / rule.one_group_s
            else:
                rate = median_rate(ramp.samples, ramp.flags, rule.group_s, ramp.scratch)
            if n_groups == 1 or not np.isnan(rate):
                tile.signal[c] += rate


@njit(**BORROWING)
def fit_flagged(tile, data, gdq, original_gdq, i, p, c, rule, weights, ramp, out):
    """Fit one integration of one pixel with a flag, a NaN or an odd reference value; store it and add to the sums."""
    n_groups = ramp.samples.size
    alone = load_ramp(data, gdq, i, p + c, rule, ramp.samples, ramp.flags)
    single_s = rule.one_group_s if alone else rule.group_s
    unusable, saturated, flags = _summarise(ramp.flags)
    told = np.uint32(flags & (JUMP | PERSISTENCE))
    tile.ratedq[c] |= told
    dq = tile.pixeldq[c] | told
    fitted = False
    if ramp.flags[0] & SATURATED:
        dq |= np.uint32(UNUSABLE)
    elif unusable < n_groups:
        args = (rule, single_s, tile.gain[c], tile.noise[c], tile.signal[c], weights)
        fitted = fit_segments(ramp.samples, ramp.flags, *args, ramp.starts, ramp.stops, ramp.sums) > 0
    if unusable == n_groups:
        dq |= np.uint32(DO_NOT_USE)
        if saturated == n_groups:
            dq |= np.uint32(SATURATED)

    tile.terms[i, c] = ramp.sums[3] if fitted else 0.0
    slope, poisson, read, err = _integration(fitted, dq, ramp.sums)
    if fitted:
        _add_information(tile, c, ramp.sums)
    if dq & UNUSABLE:
        slope = np.nan
    tile.counts[0, c] += (dq & DO_NOT_USE) != 0
    tile.counts[1, c] += (dq & SATURATED) != 0
    tile.counts[2, c] += saturated > 0
    if saturated > 0:  # told last: it does not make the slope unusable
        dq |= np.uint32(SATURATED)
    if tile.chargeloss[c]:
        read = _read_with_chargeloss(tile, original_gdq, i, p, c, rule, single_s, flags, read, ramp)
    out.ints[0, i, p + c] = slope
    out.ints[1, i, p + c] = poisson
    out.ints[2, i, p + c] = read
    out.ints[3, i, p + c] = err
    out.ints_dq[i, p + c] = dq


@njit(**BORROWING)
def _summarise(flags):
    """Return how many groups are unusable and how many saturated, and all flags together."""
    unusable = 0
    saturated = 0
    together = np.uint8(0)
    for g in range(flags.size):
        unusable += (flags[g] & UNUSABLE) != 0
        saturated += (flags[g] & SATURATED) != 0
        together |= flags[g]
    return unusable, saturated, together


@njit(**BORROWING)
def _integration(fitted, dq, sums):
    """Return slope, var_poisson, var_rnoise and err of an integration from the sums over its segments."""
    if not fitted:
        return 0.0, 0.0, 0.0, 0.0
    if dq & UNUSABLE:
        return np.nan, 0.0, 0.0, 0.0
    poisson = inverse(sums[0]) if sums[0] > 0.0 else 0.0
    read = inverse(sums[1])
    variance = 1.0 / sums[2]
    err = 0.0 if variance > LARGE_VARIANCE else np.sqrt(variance)
    return sums[3] * read, poisson, read, err


@njit(**BORROWING)
def _add_information(tile, c, sums):
    """Add an integration to the exposure; stock does so even where the pixel is flagged and the result discarded."""
    if sums[0] > 0.0:
        tile.sums[0, c] += sums[0]
    tile.sums[1, c] += sums[1]
    tile.sums[2, c] += sums[3]
    tile.doubt[1, c] += abs(sums[3])


@njit(**BORROWING)
def _read_with_chargeloss(tile, original_gdq, i, p, c, rule, single_s, flags, read, ramp):
    """Return the read-noise variance of an integration of a pixel with CHARGELOSS; ERR stays as it was, as in stock."""
    if flags & CHARGELOSS:
        for g in range(ramp.original.size):
            ramp.original[g] = original_gdq[i, rule.first_group + g, p + c]
        args = (single_s, tile.gain[c], tile.noise[c], ramp.starts, ramp.stops)
        information = information_without_chargeloss(ramp.original, rule, *args)
        tile.read_information[c] += information
        return inverse(information)
    if read > 0.0:
        tile.read_information[c] += 1.0 / read
    return read
