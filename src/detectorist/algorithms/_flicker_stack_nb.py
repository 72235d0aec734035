"""Compiled loops of `detectorist.algorithms.flicker_stack`: the Kalman smoother of one output, four processes.

With one output every innovation is a scalar, and with a fixed number of processes all small loops unroll:
twenty times quicker than the smoother for any number of outputs. Filter and backward pass of adjoint
variables as in de Jong (1989).
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Processes of the mixture. Fixed, so that the compiler unrolls; idle ones have variance 0.
N_STATES = 4


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
    white : variance of a pixel. variance : (4,), stationary. factors : (2, 4), decay within and across rows.
    """
    n = means.size
    gains = np.empty((n, N_STATES), np.float32)
    innovations = np.empty((n, 2))  # innovation over its variance, one over that variance; 0 in gaps
    _filter(means, counts, white, variance, factors, n_blocks, gains, innovations, line)
    adjoint = np.zeros(N_STATES)
    info = np.zeros((N_STATES, N_STATES))
    for t in range(n - 1, -1, -1):
        inverse = innovations[t, 1]
        g = gains[t]
        along = 0.0
        for j in range(N_STATES):
            along += g[j] * adjoint[j]
        change = innovations[t, 0] - inverse * along
        level = np.float64(line[t])
        for j in range(N_STATES):
            adjoint[j] += change
        for j in range(N_STATES):
            level += g[j] * adjoint[j]
        line[t] = level
        if want_spread:
            spread[t] = _carry_information(info, g, inverse)
        row_end = 1 if t % n_blocks == 0 else 0
        for j in range(N_STATES):
            adjoint[j] *= factors[row_end, j]
            if want_spread:
                for k in range(N_STATES):
                    info[j, k] *= factors[row_end, j] * factors[row_end, k]


@njit(cache=True, nogil=True)
def smooth_around(means, counts, white, variance, factors, n_blocks, gap, line, spread):
    """Fill `line` and `spread` as `smooth` does, each block without itself and `gap` neighbours on either side.

    The past is filtered forward, the future backward (the processes are the same both ways), and both are carried
    into the gap: their information adds, less that of the prior, which both hold. variance : all above 0.
    """
    n = means.size
    states, covs = np.empty((2, n, N_STATES)), np.empty((2, n, N_STATES, N_STATES))
    _filter_states(means, counts, white, variance, factors, n_blocks, states[0], covs[0])
    _filter_states(means[::-1], counts[::-1], white, variance, factors, n_blocks, states[1], covs[1])
    decay = np.empty((gap // n_blocks + 2, N_STATES))
    for k in range(decay.shape[0]):
        for i in range(N_STATES):
            decay[k, i] = factors[0, i] ** max(gap + 1 - k, 0) * factors[1, i] ** k
    state, weighted = np.empty(N_STATES), np.empty(N_STATES)
    cov, info = np.empty((N_STATES, N_STATES)), np.empty((N_STATES, N_STATES))
    for t in range(n):
        weighted[:] = 0.0
        info[:] = 0.0
        for i in range(N_STATES):
            info[i, i] = -1.0 / variance[i]
        for way in range(2):
            now = t if way == 0 else n - 1 - t
            _carry_over(states[way], covs[way], now, now - gap - 1, variance, decay, n_blocks, state, cov)
            _invert(cov)
            for i in range(N_STATES):
                for j in range(N_STATES):
                    weighted[i] += cov[i, j] * state[j]
                    info[i, j] += cov[i, j]
        _invert(info)
        level = total = 0.0
        for i in range(N_STATES):
            for j in range(N_STATES):
                level += info[i, j] * weighted[j]
                total += info[i, j]
        line[t], spread[t] = level, total


@njit(cache=True, nogil=True)
def _filter_states(means, counts, white, variance, factors, n_blocks, states, covs):
    """Fill mean and covariance of the processes at every block, given all data up to it."""
    state = np.zeros(N_STATES)
    cov = np.zeros((N_STATES, N_STATES))
    g = np.zeros(N_STATES)
    for i in range(N_STATES):
        cov[i, i] = variance[i]
    for t in range(means.size):
        if t > 0:
            _propagate(state, cov, variance, factors[1 if t % n_blocks == 0 else 0])
        if counts[t] > 0:
            level = total = 0.0
            for i in range(N_STATES):
                g[i] = cov[i, 0] + cov[i, 1] + cov[i, 2] + cov[i, 3]
                level += state[i]
                total += g[i]
            inverse = 1.0 / (total + white / counts[t])
            scaled = (means[t] - level) * inverse
            for i in range(N_STATES):
                state[i] += g[i] * scaled
                for j in range(N_STATES):
                    cov[i, j] -= g[i] * g[j] * inverse
        states[t] = state
        covs[t] = cov


@njit(cache=True, nogil=True)
def _carry_over(states, covs, now, start, variance, decay, n_blocks, state, cov):
    """Fill mean and covariance at block `now` as known at block `start`; those of the prior where that is none."""
    state[:] = 0.0
    cov[:] = 0.0
    if start < 0:
        for i in range(N_STATES):
            cov[i, i] = variance[i]
        return
    factor = decay[now // n_blocks - start // n_blocks]
    for i in range(N_STATES):
        state[i] = states[start, i]
        for j in range(N_STATES):
            cov[i, j] = covs[start, i, j]
    _propagate(state, cov, variance, factor)


@njit(cache=True, nogil=True)
def _invert(matrix):
    """Replace a symmetric positive definite matrix (4, 4) by its inverse (Gauss-Jordan)."""
    for k in range(N_STATES):
        pivot = 1.0 / matrix[k, k]
        matrix[k, k] = 1.0
        for j in range(N_STATES):
            matrix[k, j] *= pivot
        for i in range(N_STATES):
            if i != k:
                part = matrix[i, k]
                matrix[i, k] = 0.0
                for j in range(N_STATES):
                    matrix[i, j] -= part * matrix[k, j]


@njit(cache=True, nogil=True)
def _filter(means, counts, white, variance, factors, n_blocks, gains, innovations, line):
    """Forward pass: predicted level in `line`, covariance of state and level in `gains`, scaled innovations."""
    state = np.zeros(N_STATES)
    cov = np.zeros((N_STATES, N_STATES))
    g = np.zeros(N_STATES)
    for i in range(N_STATES):
        cov[i, i] = variance[i]
    for t in range(means.size):
        if t > 0:
            _propagate(state, cov, variance, factors[1 if t % n_blocks == 0 else 0])
        level = state[0] + state[1] + state[2] + state[3]
        total = 0.0
        for i in range(N_STATES):
            g[i] = cov[i, 0] + cov[i, 1] + cov[i, 2] + cov[i, 3]
            total += g[i]
            gains[t, i] = g[i]
        line[t] = level
        innovations[t, 0] = innovations[t, 1] = 0.0
        if counts[t] > 0:
            inverse = 1.0 / (total + white / counts[t])
            scaled = (means[t] - level) * inverse
            innovations[t, 0], innovations[t, 1] = scaled, inverse
            for i in range(N_STATES):
                state[i] += g[i] * scaled
                for j in range(N_STATES):
                    cov[i, j] -= g[i] * g[j] * inverse


@njit(cache=True, nogil=True)
def _propagate(state, cov, variance, factor):
    for i in range(N_STATES):
        state[i] *= factor[i]
        for j in range(N_STATES):
            cov[i, j] *= factor[i] * factor[j]
        cov[i, i] += variance[i] * (1.0 - factor[i] * factor[i])


@njit(cache=True, nogil=True)
def _carry_information(info, g, inverse):
    """Join one step's datum to the information of the later ones, in place; return the level's posterior variance."""
    b = np.zeros(N_STATES)
    total = along = 0.0
    for i in range(N_STATES):
        for j in range(N_STATES):
            b[i] += info[i, j] * g[j]
        total += g[i]
    for i in range(N_STATES):
        along += g[i] * b[i]
    joined = inverse * (1.0 + inverse * along)
    for i in range(N_STATES):
        for j in range(N_STATES):
            info[i, j] += joined - inverse * (b[i] + b[j])
    reduction = 0.0
    for i in range(N_STATES):
        for j in range(N_STATES):
            reduction += g[i] * info[i, j] * g[j]
    return max(total - reduction, 0.0)


@njit(cache=True, nogil=True)
def paint(line, pattern, layout, straight):
    """Write block values on their pixels (ny, nx): straight lines between the centres of blocks, or constant blocks."""
    block, reverse_columns, reverse_rows = layout
    ny, nx = pattern.shape
    n_blocks = (nx + block - 1) // block
    for row in range(ny):
        y = ny - 1 - row if reverse_rows else row
        base = row * n_blocks
        for i in range(nx):
            x = nx - 1 - i if reverse_columns else i
            if straight:
                place = (i + 0.5) / block - 0.5
                left = min(max(int(np.floor(place)), 0), max(n_blocks - 2, 0))
                part = min(max(place - left, 0.0), 1.0)
                right = min(left + 1, n_blocks - 1)
                pattern[y, x] = line[base + left] * (1 - part) + line[base + right] * part
            else:
                pattern[y, x] = line[base + i // block]
