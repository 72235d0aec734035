"""Slopes of a tile of pixels: vectorised where an integration has no flag, scalar where it has one.

Data are (n_ints, n_groups, n_pix). For an integration without flags and NaN ("clean") the slope is a fixed
linear combination of the samples for each class of signal-to-noise, and its variances do not depend on the
integration. That slope differs from stock's, which sums in another order, by a few units in the last place of
float64. Results are float32: only where the uncertainty straddles a rounding boundary of float32 ("doubtful",
some 10 in a million) is stock's own sum done.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.algorithms._sorting_nb import sort_tile
from detectorist.engine._compiled import BORROWING, FIT_TILE, OPTIONS
from detectorist.engine._ramp_flagged_nb import add_flagged_medians, fit_flagged
from detectorist.engine._ramp_segments_nb import (
    LARGE_VARIANCE,
    signal_to_noise,
    weight_class,
    weighted_slope,
)
from detectorist.engine._ramp_state_nb import inverse, new_ramp, new_tile
from detectorist.engine.flags import CHARGELOSS, DO_NOT_USE, NO_GAIN_VALUE, SATURATED, UNUSABLE

_EPS = 2.2e-16
#: Bounds on the difference of the two orders of summation, in units of float64 precision: of the largest
#: sample, and of the slope (times the number of samples). Four times what the error analysis of the five sums
#: gives.
_ULP_OF_SAMPLE = 64.0
_ULP_OF_SLOPE = 32.0
_NO_CLASS = 9


@njit(**OPTIONS)
def fit_tiles(
    data, gdq, original_gdq, pixeldq, gain, noise, dark, rule, weights, coefficients, network, out, start, stop
):
    """Fit pixels start to stop; see `fit_ramps`. `original_gdq` are the flags before suppression, for CHARGELOSS."""
    n_ints = data.shape[0]
    n_groups = weights.shape[2]
    tile = new_tile(n_ints)
    ramp = new_ramp(n_groups)
    steps = np.empty((max(n_groups - 1, 1), FIT_TILE))
    slopes = np.empty((3, FIT_TILE))
    vectorised = network.shape[0] > 0
    for p in range(start, stop, FIT_TILE):
        width = min(FIT_TILE, stop - p)
        _load_pixels(tile, pixeldq, gain, noise, p, width)
        for i in range(n_ints):
            _find_dirty(tile, gdq, i, p, width, rule.first_group, n_groups, vectorised)
            if vectorised:
                _clean_medians(tile, data, i, p, width, rule, steps, network)
                _clean_slopes(tile, data, i, p, width, rule, weights, coefficients, slopes, ramp)
            add_flagged_medians(tile, data, gdq, i, p, width, rule, ramp)
        _clean_variances(tile, dark, p, width, rule.group_s, n_ints, n_groups)
        for i in range(n_ints):
            _write_clean(tile, out, i, p, width)
            for c in range(width):
                if tile.dirty[i, c]:
                    fit_flagged(tile, data, gdq, original_gdq, i, p, c, rule, weights, ramp, out)
        _resolve_doubts(tile, data, p, width, rule, weights, ramp, slopes[0])
        _write_rate(tile, out, p, width, n_ints)


@njit(**OPTIONS)
def _load_pixels(tile, pixeldq, gain, noise, p, width):
    tile.signal[:] = 0
    tile.sums[:] = 0
    tile.doubt[:] = 0
    tile.chargeloss[:] = 0
    tile.read_information[:] = 0
    tile.counts[:] = 0
    for c in range(width):
        g = gain[p + c]
        r = noise[p + c]
        dq = pixeldq[p + c]
        if g <= 0 or np.isnan(g):
            dq |= np.uint32(DO_NOT_USE | NO_GAIN_VALUE)
        tile.gain[c] = g
        tile.noise[c] = r
        tile.pixeldq[c] = dq
        tile.ratedq[c] = dq
        tile.bad[c] = not (0 < g < 1e30 and 0 < r < 1e30 and dq & UNUSABLE == 0)


@njit(**OPTIONS)
def _find_dirty(tile, gdq, i, p, width, first_group, n_groups, vectorised):
    dirty = tile.dirty[i]
    for c in range(width):
        dirty[c] = tile.bad[c] if vectorised else np.uint8(1)
    for g in range(n_groups):
        row = gdq[i, first_group + g, p : p + width]
        for c in range(width):
            dirty[c] |= row[c]
    for c in range(width):
        tile.chargeloss[c] |= dirty[c] & CHARGELOSS


@njit(**OPTIONS)
def _clean_medians(tile, data, i, p, width, rule, steps, network):
    """Add the median rate of every clean pixel; a NaN makes the integration dirty."""
    dirty = tile.dirty[i]
    n = steps.shape[0]
    group_s = rule.group_s
    last = np.empty(FIT_TILE)
    first = data[i, rule.first_group, p : p + width]
    for c in range(width):
        last[c] = np.float64(first[c]) / group_s
        dirty[c] |= np.uint8(last[c] != last[c])
    for g in range(n):
        row = data[i, rule.first_group + g + 1, p : p + width]
        to = steps[g]
        for c in range(width):
            this = np.float64(row[c]) / group_s
            to[c] = this - last[c]
            last[c] = this
        for c in range(width):
            dirty[c] |= np.uint8(to[c] != to[c])
    sort_tile(steps, network)
    low = steps[(n - 1) // 2]
    high = steps[n // 2]
    for c in range(width):
        median = (low[c] + high[c]) / 2.0
        tile.signal[c] += 0.0 if dirty[c] or np.isnan(median) else median


@njit(**OPTIONS)
def _clean_slopes(tile, data, i, p, width, rule, weights, coefficients, slopes, ramp):
    """Put the slope, DN/s, of every clean pixel into tile.terms[i] (divided by the variance later)."""
    n_groups = weights.shape[2]
    group_s = rule.group_s
    slope = slopes[0]
    largest = slopes[1]
    rows = slopes[2]
    first = data[i, rule.first_group, p : p + width]
    last = data[i, rule.first_group + n_groups - 1, p : p + width]
    _choose_weights(tile, tile.dirty[i], first, last, width, rows)
    slope[:] = 0
    largest[:] = 0
    for row in range(coefficients.shape[0]):
        present = 0
        for c in range(width):
            present += rows[c] == row
        if present:
            _combine(data, i, rule.first_group, p, width, np.float64(row), coefficients[row], rows, slope, largest)
    _note_slopes(tile, i, width, group_s, n_groups, slope, largest, rows)
    for c in range(width):
        if rows[c]:
            tile.terms[i, c] = _exact_slope(tile, data, i, p, c, rule, weights, ramp)


@njit(**BORROWING)
def _choose_weights(tile, dirty, first, last, width, rows):
    """Fill `rows` with the class of signal-to-noise of every clean pixel, _NO_CLASS of others.

    Without branches, so that it is done for several pixels at once.
    """
    noise, gain = tile.noise, tile.gain
    for c in range(width):
        rise = np.float64(last[c]) - np.float64(first[c])
        variance = noise[c] * noise[c] + rise * gain[c]
        known = variance > 0.0
        ratio = rise * gain[c] / np.sqrt(variance if known else 1.0)
        rows[c] = ratio if known else 0.0
    for c in range(width):
        row = np.float64(weight_class(rows[c]))
        rows[c] = row if dirty[c] == 0 else np.float64(_NO_CLASS)


@njit(**BORROWING)
def _note_slopes(tile, i, width, group_s, n_groups, slope, largest, doubtful):
    """Write the slopes of clean pixels and what they are unsure by, and fill `doubtful` with 1 where that matters."""
    dirty, terms, doubt = tile.dirty[i], tile.terms[i], tile.doubt[0]
    for c in range(width):
        value = slope[c] / group_s
        unsure = _EPS * (_ULP_OF_SAMPLE * largest[c] / group_s + _ULP_OF_SLOPE * n_groups * abs(value))
        clean = dirty[c] == 0
        differs = clean and np.float32(value - unsure) != np.float32(value + unsure)
        terms[c] = value
        doubt[c] += unsure if clean and not differs else 0.0
        doubtful[c] = 1.0 if differs else 0.0


@njit(**OPTIONS)
def _combine(data, i, first_group, p, width, row, factors, rows, slope, largest):
    """Add factor * sample over the groups for the columns of this class, and note their largest |sample|."""
    total = np.zeros(FIT_TILE)
    size = np.zeros(FIT_TILE)
    for g in range(factors.size):
        factor = factors[g]
        samples = data[i, first_group + g, p : p + width]
        for c in range(width):
            y = np.float64(samples[c])
            total[c] += factor * y
            size[c] = max(size[c], abs(y))
    for c in range(width):
        slope[c] = total[c] if rows[c] == row else slope[c]
        largest[c] = size[c] if rows[c] == row else largest[c]


@njit(**OPTIONS)
def _exact_slope(tile, data, i, p, c, rule, weights, ramp):
    """Return the slope of a clean integration in stock's order of operations, DN/s."""
    n_groups = ramp.samples.size
    for g in range(n_groups):
        ramp.samples[g] = data[i, rule.first_group + g, p + c]
    rise = ramp.samples[n_groups - 1] - ramp.samples[0]
    row = weight_class(signal_to_noise(rise, tile.noise[c], tile.gain[c]))
    return weighted_slope(ramp.samples, 0, n_groups, row, tile.noise[c], weights) / rule.group_s


@njit(**OPTIONS)
def _clean_variances(tile, dark, p, width, group_s, n_ints, n_groups):
    """Turn the summed median rates into the rate of the Poisson noise, and fill the variances of clean integrations."""
    for c in range(width):
        median = tile.signal[c] / n_ints
        tile.signal[c] = median + np.float64(dark[p + c]) if median > 0.0 else np.float64(dark[p + c])
    n = np.float64(n_groups)
    for c in range(width):  # as `read_variance`, without branches
        poisson = tile.signal[c] / (group_s * tile.gain[c] * (n_groups - 1.0))
        noise = tile.noise[c] / group_s
        usual = tile.gain[c] > 0.0
        gain = tile.gain[c] if usual else 1.0
        read = 12.0 * noise * noise / ((n * n * n - n) * gain * gain)
        read = read if usual else 0.0
        bright = poisson > 0.0
        of_integration = inverse(1.0 / (poisson if bright else 1.0))
        total = 1.0 / (1.0 / (poisson + read))
        tile.variances[0, c] = poisson
        tile.variances[1, c] = read
        tile.variances[2, c] = of_integration if bright else 0.0
        tile.variances[3, c] = inverse(1.0 / read)
        err = np.sqrt(total)
        tile.variances[4, c] = 0.0 if total > LARGE_VARIANCE else err


@njit(**BORROWING)
def _write_clean(tile, out, i, p, width):
    """Store one integration as if all its pixels were clean, and add the information of those that are to the sums.

    What is stored for others is replaced when they are fitted.
    """
    dirty, terms = tile.dirty[i], tile.terms[i]
    for c in range(width):
        clean = dirty[c] == 0
        poisson = tile.variances[0, c]
        read = tile.variances[1, c]
        term = terms[c] / read
        terms[c] = term
        out.ints[0, i, p + c] = term * tile.variances[3, c]
        information = 1.0 / (poisson if poisson > 0.0 else 1.0)
        tile.sums[0, c] += information if clean and poisson > 0.0 else 0.0
        information = 1.0 / read
        tile.sums[1, c] += information if clean else 0.0
        tile.sums[2, c] += term if clean else 0.0
        tile.doubt[1, c] += abs(term) if clean else 0.0
    for c in range(width):
        out.ints[1, i, p + c] = tile.variances[2, c]
        out.ints[2, i, p + c] = tile.variances[3, c]
        out.ints[3, i, p + c] = tile.variances[4, c]
    for c in range(width):
        out.ints_dq[i, p + c] = tile.pixeldq[c]
    for c in range(width):
        if tile.chargeloss[c] and dirty[c] == 0 and tile.variances[3, c] > 0.0:
            tile.read_information[c] += 1.0 / tile.variances[3, c]


@njit(**OPTIONS)
def _resolve_doubts(tile, data, p, width, rule, weights, ramp, work):
    """Sum the clean slopes again in stock's order where the rate lies too near a rounding boundary of float32."""
    n_ints = data.shape[0]
    for c in range(width):
        read = tile.variances[1, c]
        rate = tile.sums[2, c] / tile.sums[1, c]
        unsure = tile.doubt[0, c] / read + _EPS * (n_ints + 8.0) * tile.doubt[1, c]
        unsure /= tile.sums[1, c]
        differs = np.float32(rate - unsure) != np.float32(rate + unsure)
        work[c] = 1.0 if differs and tile.doubt[1, c] != 0.0 else 0.0
    for c in range(width):
        if work[c] == 0.0:
            continue
        total = 0.0
        for i in range(n_ints):
            if tile.dirty[i, c] == 0:
                tile.terms[i, c] = _exact_slope(tile, data, i, p, c, rule, weights, ramp) / tile.variances[1, c]
            total += tile.terms[i, c]
        tile.sums[2, c] = total


@njit(**BORROWING)
def _write_rate(tile, out, p, width, n_ints):
    """Store the exposure's slope from the sums over its integrations."""
    ratedq, counts = tile.ratedq, tile.counts
    for c in range(width):
        ratedq[c] |= np.uint32(DO_NOT_USE) if counts[0, c] == n_ints else np.uint32(0)
        ratedq[c] |= np.uint32(SATURATED) if counts[1, c] == n_ints else np.uint32(0)
    for c in range(width):
        poisson = max(_inverse_or_same(tile.sums[0, c]), 0.0)
        read = _inverse_or_same(tile.sums[1, c])
        err = np.sqrt(poisson + read)
        unusable = ratedq[c] & UNUSABLE != 0
        slope = tile.sums[2, c]
        out.rate[0, p + c] = np.nan if unusable else slope * read
        out.rate[1, p + c] = 0.0 if unusable else poisson
        out.rate[2, p + c] = 0.0 if unusable else read
        out.rate[3, p + c] = 0.0 if unusable else err
    for c in range(width):
        if tile.chargeloss[c]:
            information = tile.read_information[c]
            usual = 0.0 if ratedq[c] & UNUSABLE else _inverse_or_same(tile.sums[1, c])
            read = 1.0 / information if information > 0.0 else usual
            out.rate[2, p + c] = 0.0 if read >= LARGE_VARIANCE else read
    for c in range(width):  # told last: it does not make the slope unusable
        out.rate_dq[p + c] = ratedq[c] | (np.uint32(SATURATED) if counts[2, c] > 0 else np.uint32(0))


@njit(**BORROWING)
def _inverse_or_same(information):
    some = information > 0.0
    variance = 1.0 / (information if some else 1.0)
    variance = variance if some else information
    return 0.0 if variance >= LARGE_VARIANCE else variance
