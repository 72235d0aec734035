"""Compiled loops of `detectorist.algorithms.spectra.outliers`.

Work arrays are (n_ints, nx): every operation runs along the row, so that the compiler turns it into vector
instructions; the sort over integrations is a network of comparisons for the same reason.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Interquartile range of a Gaussian, in standard deviations.
IQR_SIGMA = 1.349
#: Standard deviations per median absolute deviation, which one outlier among a handful of values moves less.
MAD_SIGMA = 1.4826
FEWEST_FOR_QUARTILES = 8


@njit(cache=True, nogil=True)
def flag_rows(cube, err, mask, standard, pairs, settings, result):
    """Fill `result` = (flagged (n_ints, ny, nx), judged (ny, nx)) in place; empty err and mask mean none.

    pairs (n, 2): comparisons that sort the standard integrations, from `sorting_network`.
    """
    sigma_cut, nint_min, stretch, prior = settings
    flagged, judged = result
    n_ints, ny, nx = cube.shape
    values = np.empty((n_ints, nx), np.float32)  # inf where not usable
    scale = np.ones((n_ints, nx), np.float32)
    ordered = np.empty((standard.sum(), nx), np.float32)
    stats = np.empty((3, nx), np.float32)  # median, sigma, count
    variance = np.empty(nx, np.float32)
    for y in range(ny):
        _read_row(cube, err, mask, y, values, scale)
        # Twice: what lifts a row also hides what must not count for its level.
        for _ in range(2):
            _row_statistics(values, standard, pairs, ordered, stats)
            _remove_levels(values, stats, stretch)
        _row_statistics(values, standard, pairs, ordered, stats)
        ratio = _noise_ratio(scale[0], stats, nint_min)
        for x in range(nx):
            judged[y, x] = stats[2, x] >= nint_min
        weight = n_ints / (n_ints + prior)
        for i in range(n_ints):
            _shrunk_variance(scale[i], stats[1], ratio, weight, variance)
            if standard[i]:
                _judge(values[i], stats[0], variance, judged[y], sigma_cut, flagged[i, y])
            else:
                _judge_apart(values[i], stats[0], variance, judged[y], sigma_cut, flagged[i, y])


@njit(cache=True, nogil=True)
def _read_row(cube, err, mask, y, values, scale):
    n_ints, _, nx = cube.shape
    for i in range(n_ints):
        for x in range(nx):
            v = np.float32(cube[i, y, x])
            values[i, x] = v if abs(v) < np.inf else np.float32(np.inf)
        if mask.size:
            for x in range(nx):
                if mask[i, y, x]:
                    values[i, x] = np.inf
        if err.size:
            for x in range(nx):
                e = np.float32(err[i, y, x])
                scale[i, x] = e if e > 0 and e < np.inf else np.float32(0)


@njit(cache=True, nogil=True)
def _row_statistics(values, standard, pairs, ordered, stats):
    """Median, quartile scatter and number of usable values of every pixel over the standard integrations."""
    n_ints, nx = values.shape
    count = stats[2]
    count[:] = 0
    row = 0
    for i in range(n_ints):
        if standard[i]:
            ordered[row] = values[i]
            row += 1
            for x in range(nx):
                count[x] += np.float32(values[i, x] < np.inf)
    for k in range(pairs.shape[0]):
        low, high = ordered[pairs[k, 0]], ordered[pairs[k, 1]]
        for x in range(nx):
            a, b = low[x], high[x]
            low[x] = a if a < b else b
            high[x] = b if a < b else a
    for x in range(nx):
        n = int(count[x])
        stats[0, x], stats[1, x] = _middle(ordered[:, x], n)


@njit(cache=True, nogil=True)
def _middle(ordered, n):
    """Median and standard deviation from the quartiles of the first n values of a sorted array."""
    if n < 3:
        return np.float32(np.nan), np.float32(np.nan)
    half = n // 2
    middle = ordered[half] if n % 2 else np.float32(0.5) * (ordered[half] + ordered[half - 1])
    if n < FEWEST_FOR_QUARTILES:
        return middle, np.float32(MAD_SIGMA) * np.median(np.abs(ordered[:n] - middle))
    place = np.float32(0.25 * (n - 1))
    low = int(place)
    part = place - np.float32(low)
    lower = ordered[low] + part * (ordered[low + 1] - ordered[low])
    upper = ordered[n - 1 - low] - part * (ordered[n - 1 - low] - ordered[n - 2 - low])
    return middle, (upper - lower) / np.float32(IQR_SIGMA)


@njit(cache=True, nogil=True)
def _remove_levels(values, stats, stretch):
    """Take the level of every stretch of the row, integration by integration, off: a mean clipped at 2.5 sigma."""
    n_ints, nx = values.shape
    n_parts = max(1, nx // stretch)
    for part in range(n_parts):
        start, end = part * nx // n_parts, (part + 1) * nx // n_parts
        for i in range(n_ints):
            total = np.float32(0)
            n = np.float32(0)
            for x in range(start, end):
                left = values[i, x] - stats[0, x]
                inside = abs(left) <= np.float32(2.5) * stats[1, x]
                total += left if inside else np.float32(0)
                n += np.float32(1) if inside else np.float32(0)
            level = total / max(n, np.float32(1))
            if n < 0.5 * (end - start):
                level = _median_difference(values[i, start:end], stats[0, start:end])
            for x in range(start, end):
                values[i, x] -= level


@njit(cache=True, nogil=True)
def _median_difference(values, median):
    """Return the median of what is usable: for stretches where a mean was led astray; 0 of nothing."""
    left = np.empty(values.size, np.float32)
    n = 0
    for x in range(values.size):
        difference = values[x] - median[x]
        if abs(difference) < np.inf:
            left[n] = difference
            n += 1
    return np.float32(np.median(left[:n])) if n else np.float32(0)


@njit(cache=True, nogil=True)
def _noise_ratio(scale, stats, nint_min):
    """Median over the row of measured scatter over ERR; 0 where nothing is known."""
    ratios = np.empty(scale.size, np.float32)
    n = 0
    for x in range(scale.size):
        if stats[2, x] >= nint_min and scale[x] > 0 and stats[1, x] > 0:
            ratios[n] = stats[1, x] / scale[x]
            n += 1
    return np.median(ratios[:n]) if n else np.float32(0)


@njit(cache=True, nogil=True)
def _shrunk_variance(scale, sigma, ratio, weight, variance):
    for x in range(sigma.size):
        own = sigma[x] * sigma[x]
        model = (ratio * scale[x]) ** 2
        variance[x] = weight * own + (1 - weight) * model if model > 0 else own


@njit(cache=True, nogil=True)
def _judge(values, median, variance, judged, sigma_cut, flagged):
    for x in range(values.size):
        left = values[x] - median[x]
        outlying = left * left > sigma_cut * sigma_cut * variance[x]
        flagged[x] = outlying and variance[x] > 0 and judged[x] and values[x] < np.inf


@njit(cache=True, nogil=True)
def _judge_apart(values, median, variance, judged, sigma_cut, flagged):
    """Judge an integration that is no standard by how its pixels scatter about the others' median, in this row."""
    usable = judged & (variance > 0) & (values < np.inf)
    n = usable.sum()
    if n < 3:
        return
    pulls = (values - median) / np.sqrt(variance)
    level, scatter = _middle(np.sort(pulls[usable]), n)
    for x in range(values.size):
        if usable[x]:
            flagged[x] = abs(pulls[x] - level) > sigma_cut * max(scatter, 1.0)
