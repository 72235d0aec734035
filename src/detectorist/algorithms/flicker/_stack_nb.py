"""Compiled loops of `detectorist.algorithms.flicker.stack`: the Kalman smoother of one output, four processes.

With one output every innovation is a scalar, and the processes are four: mean and covariance are tuples of numbers
that stay in registers, much quicker than the smoother for any number of outputs. Filter and backward pass of
adjoint variables as in de Jong (1989).

A symmetric matrix is a tuple of ten: its diagonal, then rows 01 02 03, 12 13, 23.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Processes of the mixture. Fixed, so that the compiler unrolls; idle ones have variance 0.
N_STATES = 4
N_PAIRS = 10
#: Sets of values on the same pixels that are smoothed side by side.
N_BESIDE = 16
_NOTHING, _NO_MATRIX = (0.0,) * 4, (0.0,) * 10


@njit(cache=True, nogil=True)
def block_means(image, weight, columns, model, clip, layout, means, counts):
    """Fill means and counts (n_rows * n_blocks,) with `image - columns` over blocks in the order of readout.

    weight : (ny, nx) float32, what a pixel counts for, 0 to 1; a count is the sum of those of its block.
    model : (ny, nx), pixels farther than `clip` from `columns + model` are left out.
    layout : (block, reverse_columns, reverse_rows) as int.
    """
    block, reverse_columns, reverse_rows = layout
    ny, nx = image.shape
    n_blocks = (nx + block - 1) // block
    for row in range(ny):
        y = ny - 1 - row if reverse_rows else row
        for b in range(n_blocks):
            total = np.float32(0)
            n = np.float32(0)
            for i in range(b * block, min((b + 1) * block, nx)):
                x = nx - 1 - i if reverse_columns else i
                value = image[y, x] - columns[x]
                inside = weight[y, x] > 0 and abs(value - model[y, x]) <= clip
                total += weight[y, x] * value if inside else np.float32(0)
                n += weight[y, x] if inside else np.float32(0)
            means[row * n_blocks + b] = total / n if n > 0 else np.float32(0)
            counts[row * n_blocks + b] = n


@njit(cache=True, nogil=True)
def smooth(means, counts, white, variance, factors, n_blocks, want_spread, line, spread):
    """Fill `line` (n,) with the posterior mean of the sum of the processes and, if wanted, `spread` with its variance.

    means, counts : (n,), block means and pixels behind them; a block of none is a gap.
    white : variance of a pixel, above 0. variance : (4,), stationary. factors : (2, 4), decay within and across rows.
    """
    n = means.size
    gains = np.empty((n, N_STATES), np.float32)
    innovations = np.empty((n, 2))  # innovation over its variance, one over that variance; 0 in gaps
    _filter(means, counts, white, variance, factors, n_blocks, gains, innovations, line)
    along, across = _four(factors[0]), _four(factors[1])
    adjoint, info = _NOTHING, _NO_MATRIX
    for t in range(n - 1, -1, -1):
        scaled, inverse = innovations[t, 0], innovations[t, 1]
        g = _four(gains[t])
        change = scaled - inverse * _dot(g, adjoint)
        adjoint = (adjoint[0] + change, adjoint[1] + change, adjoint[2] + change, adjoint[3] + change)
        line[t] = line[t] + _dot(g, adjoint)
        factor = across if t % n_blocks == 0 else along
        if want_spread:
            info, spread[t] = _joined_information(info, g, inverse)
            info = _decayed_matrix(info, factor)
        adjoint = _decayed(adjoint, factor)


@njit(cache=True, nogil=True)
def smooth_many(means, counts, white, variance, factors, n_blocks, lines):
    """Fill `lines` (n_sets, n) as `smooth` fills `line`, bit for bit, for sets of means (n_sets, n) of the same counts.

    What a datum changes does not depend on its value: covariances are followed once for all sets.
    """
    n_sets, n = means.shape
    if n_sets == 0:
        return
    gains, innovations = np.empty((n, N_STATES)), np.empty((n, 2))
    _filter(means[0], counts, white, variance, factors, n_blocks, gains, innovations, lines[0])
    inverses = innovations[:, 1].copy()
    values, scaled = np.empty((n, N_BESIDE), np.float32), np.empty((n, N_BESIDE))
    for first in range(0, n_sets, N_BESIDE):
        last = min(first + N_BESIDE, n_sets)
        values[:] = 0.0
        for k in range(first, last):
            for t in range(n):
                values[t, k - first] = means[k, t]
        _smooth_beside(values, scaled, gains, inverses, factors, n_blocks)
        for k in range(first, last):
            for t in range(n):
                lines[k, t] = values[t, k - first]


@njit(cache=True, nogil=True)
def _smooth_beside(values, scaled, gains, inverses, factors, n_blocks):
    """Replace values (n, N_BESIDE) by the posterior mean of the sum of the processes; `scaled` is room as large."""
    s0, s1, s2, s3 = np.zeros((4, N_BESIDE))
    n = len(values)
    for t in range(n):
        f = factors[1] if t % n_blocks == 0 else factors[0]
        f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
        g0, g1, g2, g3 = gains[t, 0], gains[t, 1], gains[t, 2], gains[t, 3]
        inverse, line, change = inverses[t], values[t], scaled[t]
        for k in range(N_BESIDE):
            a, b, c, d = s0[k] * f0, s1[k] * f1, s2[k] * f2, s3[k] * f3
            level = a + b + c + d
            step = (line[k] - level) * inverse
            line[k] = level
            change[k] = step
            s0[k], s1[k], s2[k], s3[k] = a + g0 * step, b + g1 * step, c + g2 * step, d + g3 * step
    s0[:], s1[:], s2[:], s3[:] = 0.0, 0.0, 0.0, 0.0
    for t in range(n - 1, -1, -1):
        f = factors[1] if t % n_blocks == 0 else factors[0]
        f0, f1, f2, f3 = f[0], f[1], f[2], f[3]
        g0, g1 = np.float64(np.float32(gains[t, 0])), np.float64(np.float32(gains[t, 1]))
        g2, g3 = np.float64(np.float32(gains[t, 2])), np.float64(np.float32(gains[t, 3]))
        inverse, line, change = inverses[t], values[t], scaled[t]
        for k in range(N_BESIDE):
            step = change[k] - inverse * (g0 * s0[k] + g1 * s1[k] + g2 * s2[k] + g3 * s3[k])
            a, b, c, d = s0[k] + step, s1[k] + step, s2[k] + step, s3[k] + step
            line[k] = line[k] + (g0 * a + g1 * b + g2 * c + g3 * d)
            s0[k], s1[k], s2[k], s3[k] = a * f0, b * f1, c * f2, d * f3


@njit(cache=True, nogil=True)
def smooth_around(means, counts, white, variance, factors, n_blocks, gap, line, spread):
    """Fill `line` and `spread` as `smooth` does, each block without itself and `gap` neighbours on either side.

    The past is filtered forward, the future backward (the processes are the same both ways), and both are carried
    into the gap: their information adds, less that of the prior, which both hold. variance : all above 0.
    """
    n = means.size
    states, covs = np.empty((2, n, N_STATES)), np.empty((2, n, N_PAIRS))
    _filter_states(means, counts, white, variance, factors, n_blocks, states[0], covs[0])
    _filter_states(means[::-1], counts[::-1], white, variance, factors, n_blocks, states[1], covs[1])
    decay = np.empty((gap // n_blocks + 2, N_STATES))
    for k in range(decay.shape[0]):
        for i in range(N_STATES):
            decay[k, i] = factors[0, i] ** max(gap + 1 - k, 0) * factors[1, i] ** k
    prior = _four(variance)
    for t in range(n):
        state, cov = _carried_over(states[0], covs[0], t, t - gap - 1, prior, decay, n_blocks)
        past = _inverse(cov)
        from_past = _times(past, state)
        state, cov = _carried_over(states[1], covs[1], n - 1 - t, n - 2 - t - gap, prior, decay, n_blocks)
        future = _inverse(cov)
        from_future = _times(future, state)
        sums = _row_sums(_inverse(_information(past, future, prior)))
        line[t] = _dot(sums, from_past) + _dot(sums, from_future)
        spread[t] = _sum(sums)


@njit(cache=True, nogil=True)
def _filter_states(means, counts, white, variance, factors, n_blocks, states, covs):
    """Fill mean and covariance of the processes at every block, given all data up to it."""
    along, across, prior = _four(factors[0]), _four(factors[1]), _four(variance)
    state, cov = _NOTHING, _diagonal(prior)
    for t in range(means.size):
        if t > 0:
            state, cov = _predicted(state, cov, prior, across if t % n_blocks == 0 else along)
        g = _row_sums(cov)
        inverse = counts[t] / (counts[t] * _sum(g) + white)  # 0 in gaps
        state, cov = _updated(state, cov, g, (means[t] - _sum(state)) * inverse, inverse)
        for i in range(N_STATES):
            states[t, i] = state[i]
        for i in range(N_PAIRS):
            covs[t, i] = cov[i]


@njit(cache=True, nogil=True)
def _carried_over(states, covs, now, start, prior, decay, n_blocks):
    """Return mean and covariance at block `now` as known at block `start`; those of the prior where that is none."""
    if start < 0:
        return _NOTHING, _diagonal(prior)
    factor = _four(decay[now // n_blocks - start // n_blocks])
    m = covs[start]
    cov = m[0], m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9]
    return _predicted(_four(states[start]), cov, prior, factor)


@njit(cache=True, nogil=True)
def _filter(means, counts, white, variance, factors, n_blocks, gains, innovations, line):
    """Forward pass: predicted level in `line`, covariance of state and level in `gains`, scaled innovations."""
    along, across, prior = _four(factors[0]), _four(factors[1]), _four(variance)
    state, cov = _NOTHING, _diagonal(prior)
    for t in range(means.size):
        if t > 0:
            state, cov = _predicted(state, cov, prior, across if t % n_blocks == 0 else along)
        g = _row_sums(cov)
        for i in range(N_STATES):
            gains[t, i] = g[i]
        level = _sum(state)
        line[t] = level
        inverse = counts[t] / (counts[t] * _sum(g) + white)  # 0 in gaps
        scaled = (means[t] - level) * inverse
        innovations[t, 0], innovations[t, 1] = scaled, inverse
        state, cov = _updated(state, cov, g, scaled, inverse)


@njit(cache=True, nogil=True)
def _four(values):
    """Return an array of four as numbers of double precision."""
    return values[0] * 1.0, values[1] * 1.0, values[2] * 1.0, values[3] * 1.0


@njit(cache=True, nogil=True)
def _sum(a):
    return a[0] + a[1] + a[2] + a[3]


@njit(cache=True, nogil=True)
def _dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2] + a[3] * b[3]


@njit(cache=True, nogil=True)
def _diagonal(a):
    return a[0], a[1], a[2], a[3], 0.0, 0.0, 0.0, 0.0, 0.0, 0.0


@njit(cache=True, nogil=True)
def _row_sums(m):
    return (
        m[0] + m[4] + m[5] + m[6],
        m[4] + m[1] + m[7] + m[8],
        m[5] + m[7] + m[2] + m[9],
        m[6] + m[8] + m[9] + m[3],
    )


@njit(cache=True, nogil=True)
def _times(m, a):
    """Return the product of a symmetric matrix and a vector."""
    return (
        m[0] * a[0] + m[4] * a[1] + m[5] * a[2] + m[6] * a[3],
        m[4] * a[0] + m[1] * a[1] + m[7] * a[2] + m[8] * a[3],
        m[5] * a[0] + m[7] * a[1] + m[2] * a[2] + m[9] * a[3],
        m[6] * a[0] + m[8] * a[1] + m[9] * a[2] + m[3] * a[3],
    )


@njit(cache=True, nogil=True)
def _decayed(a, f):
    return a[0] * f[0], a[1] * f[1], a[2] * f[2], a[3] * f[3]


@njit(cache=True, nogil=True)
def _decayed_matrix(m, f):
    return (
        m[0] * f[0] * f[0],
        m[1] * f[1] * f[1],
        m[2] * f[2] * f[2],
        m[3] * f[3] * f[3],
        m[4] * f[0] * f[1],
        m[5] * f[0] * f[2],
        m[6] * f[0] * f[3],
        m[7] * f[1] * f[2],
        m[8] * f[1] * f[3],
        m[9] * f[2] * f[3],
    )


@njit(cache=True, nogil=True)
def _predicted(state, cov, variance, f):
    """Return mean and covariance of the processes one step later; `variance` is theirs where nothing is known."""
    m = _decayed_matrix(cov, f)
    m = (
        m[0] + variance[0] * (1.0 - f[0] * f[0]),
        m[1] + variance[1] * (1.0 - f[1] * f[1]),
        m[2] + variance[2] * (1.0 - f[2] * f[2]),
        m[3] + variance[3] * (1.0 - f[3] * f[3]),
        m[4],
        m[5],
        m[6],
        m[7],
        m[8],
        m[9],
    )
    return _decayed(state, f), m


@njit(cache=True, nogil=True)
def _updated(state, cov, g, scaled, inverse):
    """Return mean and covariance of the processes with one datum of the level more."""
    state = state[0] + g[0] * scaled, state[1] + g[1] * scaled, state[2] + g[2] * scaled, state[3] + g[3] * scaled
    h = g[0] * inverse, g[1] * inverse, g[2] * inverse, g[3] * inverse
    cov = (
        cov[0] - g[0] * h[0],
        cov[1] - g[1] * h[1],
        cov[2] - g[2] * h[2],
        cov[3] - g[3] * h[3],
        cov[4] - g[0] * h[1],
        cov[5] - g[0] * h[2],
        cov[6] - g[0] * h[3],
        cov[7] - g[1] * h[2],
        cov[8] - g[1] * h[3],
        cov[9] - g[2] * h[3],
    )
    return state, cov


@njit(cache=True, nogil=True)
def _joined_information(info, g, inverse):
    """Return the information of the later data with one more datum, and the level's posterior variance."""
    b = _times(info, g)
    total, along = _sum(g), _dot(g, b)
    joined = inverse * (1.0 + inverse * along)
    c = b[0] * inverse, b[1] * inverse, b[2] * inverse, b[3] * inverse
    info = (
        info[0] + joined - 2.0 * c[0],
        info[1] + joined - 2.0 * c[1],
        info[2] + joined - 2.0 * c[2],
        info[3] + joined - 2.0 * c[3],
        info[4] + joined - c[0] - c[1],
        info[5] + joined - c[0] - c[2],
        info[6] + joined - c[0] - c[3],
        info[7] + joined - c[1] - c[2],
        info[8] + joined - c[1] - c[3],
        info[9] + joined - c[2] - c[3],
    )
    reduction = along + total * (joined * total - 2.0 * inverse * along)
    return info, max(total - reduction, 0.0)


@njit(cache=True, nogil=True)
def _information(past, future, prior):
    """Return the information of past and future together; both hold the prior, which counts once."""
    return (
        past[0] + future[0] - 1.0 / prior[0],
        past[1] + future[1] - 1.0 / prior[1],
        past[2] + future[2] - 1.0 / prior[2],
        past[3] + future[3] - 1.0 / prior[3],
        past[4] + future[4],
        past[5] + future[5],
        past[6] + future[6],
        past[7] + future[7],
        past[8] + future[8],
        past[9] + future[9],
    )


@njit(cache=True, nogil=True)
def _inverse(m):
    """Return the inverse of a positive definite matrix, by blocks of 2 x 2: [[A, B], [B', D]]."""
    a, b, d = (m[0], m[4], m[1]), (m[5], m[6], m[7], m[8]), (m[2], m[9], m[3])
    one = 1.0 / (a[0] * a[2] - a[1] * a[1])
    i = a[2] * one, -a[1] * one, a[0] * one  # 1 / A
    p = (  # B / A
        i[0] * b[0] + i[1] * b[2],
        i[0] * b[1] + i[1] * b[3],
        i[1] * b[0] + i[2] * b[2],
        i[1] * b[1] + i[2] * b[3],
    )
    s = (  # D - B' B / A
        d[0] - b[0] * p[0] - b[2] * p[2],
        d[1] - b[0] * p[1] - b[2] * p[3],
        d[2] - b[1] * p[1] - b[3] * p[3],
    )
    one = 1.0 / (s[0] * s[2] - s[1] * s[1])
    j = s[2] * one, -s[1] * one, s[0] * one
    q = (
        p[0] * j[0] + p[1] * j[1],
        p[0] * j[1] + p[1] * j[2],
        p[2] * j[0] + p[3] * j[1],
        p[2] * j[1] + p[3] * j[2],
    )
    return (
        i[0] + q[0] * p[0] + q[1] * p[1],
        i[2] + q[2] * p[2] + q[3] * p[3],
        j[0],
        j[2],
        i[1] + q[0] * p[2] + q[1] * p[3],
        -q[0],
        -q[1],
        -q[2],
        -q[3],
        j[1],
    )


@njit(cache=True, nogil=True)
def paint(line, pattern, layout, straight):
    """Write block values on their pixels (ny, nx): straight lines between the centres of blocks, or constant blocks."""
    block, reverse_columns, reverse_rows = layout
    ny, nx = pattern.shape
    n_blocks = (nx + block - 1) // block
    lefts, rights, parts = np.empty(nx, np.int64), np.empty(nx, np.int64), np.empty(nx)
    for i in range(nx):
        place = (i + 0.5) / block - 0.5
        lefts[i] = min(max(int(np.floor(place)), 0), max(n_blocks - 2, 0))
        parts[i] = min(max(place - lefts[i], 0.0), 1.0)
        rights[i] = min(lefts[i] + 1, n_blocks - 1)
        if not straight:
            lefts[i] = i // block
    for row in range(ny):
        out = pattern[ny - 1 - row if reverse_rows else row]
        own = line[row * n_blocks : (row + 1) * n_blocks]
        for i in range(nx):
            x = nx - 1 - i if reverse_columns else i
            if straight:
                out[x] = own[lefts[i]] * (1 - parts[i]) + own[rights[i]] * parts[i]
            else:
                out[x] = own[lefts[i]]
