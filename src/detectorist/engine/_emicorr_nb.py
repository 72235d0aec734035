"""Sums over millions of samples for the fit and the removal of periodic interference in MIRI ramps."""

from __future__ import annotations

import numpy as np
from numba import njit

from detectorist.engine._compiled import OPTIONS, TILE

#: numpy adds up to so many values with eight running sums, and halves longer stretches.
_PAIRWISE_BLOCK = 128
_ACCUMULATORS = 8


@njit(**OPTIONS)
def scatter_over_groups(data, out, start, stop):
    """Fill `out` (n_ints, n_pix) with the standard deviation over the groups, in float32 as numpy has it.

    data : (n_ints, n_groups, n_pix). Integrations start to stop.
    """
    _, n_groups, n_pix = data.shape
    n = np.float32(n_groups)
    mean = np.empty(TILE, np.float32)
    total = np.empty(TILE, np.float32)
    for i in range(start, stop):
        for p in range(0, n_pix, TILE):
            width = min(TILE, n_pix - p)
            mean[:] = 0
            total[:] = 0
            for g in range(n_groups):
                row = data[i, g, p : p + width]
                for c in range(width):
                    mean[c] += row[c]
            for c in range(width):
                mean[c] /= n
            for g in range(n_groups):
                row = data[i, g, p : p + width]
                for c in range(width):
                    away = row[c] - mean[c]
                    total[c] += away * away
            for c in range(width):
                out[i, p + c] = np.sqrt(total[c] / n)


@njit(**OPTIONS)
def sum_by_phase(data, usable, phase_bin, sums, counts, start, stop):
    """Add up samples that share a phase, rows first: sums (n_ints, n_bins, n_groups), counts (n_ints, n_bins).

    data : (n_ints, n_groups, ny, nx); usable : (n_ints, ny, nx); phase_bin : (ny, nx // 4), -1 for columns left out.
    Four neighbouring columns are read at the same time. Integrations start to stop.
    """
    _, n_groups, ny, _ = data.shape
    n_times = phase_bin.shape[1]
    total = np.empty(sums.shape[1])
    for i in range(start, stop):
        for g in range(n_groups):
            total[:] = 0
            for y in range(ny):
                row = data[i, g, y]
                good = usable[i, y]
                for k in range(n_times):
                    b = phase_bin[y, k]
                    if b < 0:
                        continue
                    for output in range(4):
                        x = 4 * k + output
                        total[b] += np.float64(row[x] * np.float32(good[x]))
            for b in range(total.size):  # a slice would take seconds to compile
                sums[i, b, g] = total[b]
        for y in range(ny):
            for k in range(n_times):
                b = phase_bin[y, k]
                if b >= 0:
                    for output in range(4):
                        counts[i, b] += usable[i, y, 4 * k + output]


def pairwise_plan(n: int) -> np.ndarray:
    """Return how numpy adds up `n` values: blocks (start, stop) and how many sums to unite after each, (n_blocks, 3).

    numpy halves long stretches recursively. A list of what that comes to replaces the recursion, since numba crashes
    on recursive kernels that it loads from its cache.
    """
    blocks: list[list[int]] = []

    def add(start: int, stop: int) -> None:
        if stop - start <= _PAIRWISE_BLOCK:
            blocks.append([start, stop, 0])
            return
        half = (stop - start) // 2
        half -= half % _ACCUMULATORS
        add(start, start + half)
        add(start + half, stop)
        blocks[-1][2] += 1

    add(0, n)
    return np.array(blocks, np.int64)


@njit(**OPTIONS)
def pairwise_sum(values, plan):
    """Return the sum in numpy's order of additions, to the last bit."""
    waiting = np.empty(64)
    n = 0
    for k in range(plan.shape[0]):
        waiting[n] = _block_sum(values, plan[k, 0], plan[k, 1])
        n += 1
        for _ in range(plan[k, 2]):
            n -= 1
            waiting[n - 1] += waiting[n]
    return waiting[0]


@njit(**OPTIONS)
def _block_sum(values, start, stop):
    n = stop - start
    if n < _ACCUMULATORS:
        total = 0.0
        for k in range(start, stop):
            total += values[k]
        return total
    r = values[start : start + 8].copy()
    whole = n - n % 8
    for k in range(8, whole, 8):
        for a in range(8):
            r[a] += values[start + k + a]
    total = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]))
    for k in range(start + whole, stop):
        total += values[k]
    return total


@njit(**OPTIONS)
def nearest_trials(trials, offset, out):
    """Fill out[k] with the trial phase nearest to trial k plus `offset`, in turns; the first one of equals.

    Nearest from above only: stock takes the remainder by 1, which is never negative, for the distance.
    """
    for k in range(trials.size):
        best = np.inf
        for j in range(trials.size):
            turn = trials[j] - trials[k] - offset
            turn -= np.floor(turn)
            if turn < best:
                best = turn
                out[k] = j


@njit(**OPTIONS)
def chi_squared_terms(waves, y, weights, shapes, factors, sum_y, sum_ty, plan, out, start, stop):
    """Fill out[i, k] with the three sums of integration i and trial phase k that make chi squared a parabola.

    waves : (n_trials, n_groups, n_bins); y : (n_ints, n_groups, n_bins); weights, sum_y, sum_ty : (n_ints, n_bins);
    shapes : (n_trials, n_bins); factors : (4, n_trials, n_bins); plan : of `pairwise_plan`
    for n_bins; out : (n_ints, n_trials, 3).
    """
    n_trials, _, n_bins = waves.shape
    product = np.empty(n_bins)
    linear = np.empty(n_bins)
    square = np.empty(n_bins)
    for i in range(start, stop):
        for k in range(n_trials):
            _sum_of_products(waves[k], y[i], product)
            for b in range(n_bins):
                square[b] = weights[i, b] * shapes[k, b]
                linear[b] = (
                    factors[0, k, b] * sum_y[i, b]
                    - factors[1, k, b] * sum_y[i, b]
                    - factors[2, k, b] * sum_ty[i, b]
                    + factors[3, k, b] * sum_ty[i, b]
                )
            out[i, k, 0] = pairwise_sum(square, plan)
            out[i, k, 1] = pairwise_sum(linear, plan)
            out[i, k, 2] = pairwise_sum(product, plan)


@njit(**OPTIONS)
def _sum_of_products(wave, y, out):
    """Fill `out` (n_bins) with the sums over groups of wave * y, added as numpy adds a row of up to 128 values."""
    n_groups, n_bins = wave.shape
    running = np.empty((_ACCUMULATORS, n_bins))
    whole = n_groups - n_groups % _ACCUMULATORS
    for g in range(whole):
        to = running[g % _ACCUMULATORS]
        a = wave[g]
        c = y[g]
        if g < _ACCUMULATORS:
            for b in range(n_bins):
                to[b] = a[b] * c[b]
        else:
            for b in range(n_bins):
                to[b] += a[b] * c[b]
    if whole:
        for b in range(n_bins):
            low = (running[0, b] + running[1, b]) + (running[2, b] + running[3, b])
            out[b] = low + ((running[4, b] + running[5, b]) + (running[6, b] + running[7, b]))
    else:
        out[:] = 0
    for g in range(whole, n_groups):
        a = wave[g]
        c = y[g]
        for b in range(n_bins):
            out[b] += a[b] * c[b]


@njit(**OPTIONS)
def evaluate_waves(template, trials, table, low, out):
    """Fill out[k] with the wave at the phases of `template` plus trial k, in turns, all but for the last digits.

    template : (n_groups, n_bins); table, low : as in `subtract_wave`; out : (n_trials, n_groups, n_bins).
    """
    n = table.shape[0] - 1
    for k in range(trials.size):
        for g in range(template.shape[0]):
            for b in range(template.shape[1]):
                turn = template[g, b] + trials[k]
                turn -= np.floor(turn)
                at = min(max(np.int64((turn - low) * n), 0), n)
                x = turn - table[at, 0]
                out[k, g, b] = table[at, 1] + x * (table[at, 2] + x * (table[at, 3] + x * table[at, 4]))


@njit(**OPTIONS)
def evaluate_cubic_spline(knots, coefficients, at, out):
    """Fill `out` with a cubic spline at the places `at`, both (n,): de Boor's recursion in scipy's order, same bits.

    knots : about equally spaced, so that the interval of a place can be guessed.
    """
    first, last = 3, coefficients.size - 1
    per_interval = (last - first) / (knots[last] - knots[first])
    share, before = np.empty(4), np.empty(4)
    for p in range(at.size):
        x = at[p]
        own = min(max(first + np.int64((x - knots[first]) * per_interval), first), last)
        while own > first and x < knots[own]:
            own -= 1
        while own < last and x >= knots[own + 1]:
            own += 1
        share[0] = 1.0
        for order in range(1, 4):
            for m in range(order):
                before[m] = share[m]
            share[0] = 0.0
            for m in range(1, order + 1):
                right, left = knots[own + m], knots[own + m - order]
                step = before[m - 1] / (right - left)
                share[m - 1] += step * (right - x)
                share[m] = step * (x - left)
        value = 0.0
        for m in range(4):
            value += coefficients[own - 3 + m] * share[m]
        out[p] = value


@njit(**OPTIONS)
def subtract_wave(data, phase, steps, offsets, amplitudes, table, low, margin, doubtful, start, stop):
    """Subtract amplitude * wave(phase + step of the group + offset of the integration), in place.

    table : (n_intervals, 5): centre and the coefficients of the wave's cubic, in equal intervals from `low`. Rows with
    a sample whose float32 result depends on the last digits of the wave are left alone and noted in `doubtful`
    (n_ints, n_groups, ny). Integrations start to stop.
    """
    n_groups, ny = data.shape[1:3]
    n_times = phase.shape[1]
    wave = np.empty(n_times)
    n = table.shape[0] - 1
    for i in range(start, stop):
        amplitude = amplitudes[i]
        unsure = abs(amplitude) * margin
        for g in range(n_groups):
            for y in range(ny):
                for k in range(n_times):
                    turn = phase[y, k] + steps[g] + offsets[i]
                    turn -= np.floor(turn)
                    at = min(max(np.int64((turn - low) * n), 0), n)
                    x = turn - table[at, 0]
                    wave[k] = amplitude * (table[at, 1] + x * (table[at, 2] + x * (table[at, 3] + x * table[at, 4])))
                row = data[i, g, y]
                sure = True
                for k in range(n_times):
                    for x4 in range(4 * k, 4 * k + 4):
                        value = np.float64(row[x4]) - wave[k]
                        sure &= np.float32(value - unsure) == np.float32(value + unsure)
                if not sure:
                    doubtful[i, g, y] = 1
                    continue
                for k in range(n_times):
                    for x4 in range(4 * k, 4 * k + 4):
                        row[x4] = np.float64(row[x4]) - wave[k]
