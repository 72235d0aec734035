"""Compiled loops of `flicker`: block means in readout time, sample variograms, the Kalman smoother.

The smoother is a forward filter and a backward pass of adjoint variables (Bierman 1973; de Jong 1989): it needs
no inverse of a state covariance, and of the filter only the covariances of state and outputs are kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit

#: Steps after which covariances are made symmetric again: rounding feeds their antisymmetric part, nothing damps it.
SYMMETRY_STEPS = 32


@njit(cache=True, nogil=True)
def block_means(image, usable, columns, model, first, last, step, reverse_rows, block, clip):
    """Mean of `image - columns - model` over blocks of one output's pixels, in the order they are clocked.

    image, usable, model : (ny, nx) arrays; `model` may have size 0 for no model.
    columns : (nx,), subtracted from every row.
    first, last : first and past-last column of the output.
    step : +1 or -1, the scan direction; reverse_rows : last row read first.
    clip : pixels farther than this from the model are left out; without a model, from the clipped mean of the row.

    Returns (ny * n_blocks,) float32 means, 0 where no pixel is left, and uint16 numbers of pixels behind them.
    The model is used for clipping only; it is not subtracted.
    """
    ny = image.shape[0]
    width = last - first
    n_blocks = (width + block - 1) // block
    mean = np.zeros(ny * n_blocks, np.float32)
    count = np.zeros(ny * n_blocks, np.uint16)
    start = first if step > 0 else last - 1
    for row in range(ny):
        y = ny - 1 - row if reverse_rows else row
        centre = 0.0 if model.size else _row_level(image[y], usable[y], columns, first, last, clip)
        for b in range(n_blocks):
            total, n = 0.0, 0
            for i in range(b * block, min((b + 1) * block, width)):
                x = start + step * i
                value = image[y, x] - columns[x]
                expected = model[y, x] if model.size else centre
                if usable[y, x] and abs(value - expected) <= clip:
                    total += value
                    n += 1
            if n:
                mean[row * n_blocks + b] = total / n
                count[row * n_blocks + b] = n
    return mean, count


@njit(cache=True, nogil=True)
def _row_level(row, usable, columns, first, last, clip):
    """Mean of a stretch of a row, pixels farther than `clip` left out in steps that narrow down on it."""
    centre, limit = 0.0, np.inf
    for _ in range(4):
        total, n = 0.0, 0
        for x in range(first, last):
            value = row[x] - columns[x]
            if usable[x] and abs(value - centre) <= limit:
                total += value
                n += 1
        if n == 0:
            break
        centre = total / n
        limit = 4.0 * clip if limit == np.inf else max(clip, 0.5 * limit)
    return centre


@njit(cache=True, nogil=True)
def variogram_sums(means, counts, n_blocks, lags_row, lags_block, least):
    """Sums behind half the mean squared difference of blocks at given lags, within outputs and between them.

    means, counts : (n_outputs, n_rows * n_blocks). Blocks of fewer than `least` pixels are left out.
    lags_row, lags_block : (n_lags,), the lag in rows and blocks.

    Returns (n_lags, 4): sum of squared differences, their number, sum of products of the differences of two
    outputs, their number; and (n_lags,) the sum of 1 / count over the squared differences.
    """
    n_out, n = means.shape
    n_rows = n // n_blocks
    sums = np.zeros((lags_row.size, 4))
    white = np.zeros(lags_row.size)
    # A third of the rows of a full frame is enough; an odd stride meets every phase.
    stride = 3 if n_rows > 512 else 1
    for lag in range(lags_row.size):
        for row in range(0, n_rows - lags_row[lag], stride):
            for b in range(n_blocks - lags_block[lag]):
                i = row * n_blocks + b
                j = i + lags_row[lag] * n_blocks + lags_block[lag]
                for k in range(n_out):
                    if counts[k, i] < least or counts[k, j] < least:
                        continue
                    difference = means[k, j] - means[k, i]
                    sums[lag, 0] += difference * difference
                    sums[lag, 1] += 1.0
                    white[lag] += 1.0 / counts[k, i] + 1.0 / counts[k, j]
                    for m in range(k):
                        if counts[m, i] >= least and counts[m, j] >= least:
                            sums[lag, 2] += difference * (means[m, j] - means[m, i])
                            sums[lag, 3] += 1.0
    return sums, white


@njit(cache=True, nogil=True)
def smooth(y, noise, prior, factors, n_blocks, want_variance):
    """Posterior mean and variance of the 1/f noise of every output at every time step.

    y, noise : (n_steps, n_outputs), data and variance of their white noise; noise <= 0 marks a gap.
    prior : (n_states, n_states), stationary covariance of as many processes of each output, output by output. Only
        processes of one time scale may be correlated.
    factors : (2, n_states), decay to the next step: within a row, and from its last block to the next row's first.
    n_blocks : int, blocks in a row.

    Returns two (n_steps, n_outputs) float32 arrays; the variances are 0 unless wanted.
    """
    n_steps, n_out = y.shape
    gains = np.empty((n_steps, n_out, len(prior)), np.float32)
    levels = np.zeros((n_steps, n_out))
    decays = np.empty((2, *prior.shape))
    for f in range(2):
        decays[f] = np.outer(factors[f], factors[f])
    _filter(y, noise, prior, factors, decays, n_blocks, gains, levels)
    return _look_back(y, noise, factors, decays, n_blocks, gains, levels, want_variance)


@njit(cache=True, nogil=True)
def _filter(y, noise, prior, factors, decays, n_blocks, gains, levels):
    """Write what the past predicts of each output, and the covariance of that with the state, at every step."""
    n_steps, n_out = y.shape
    ns = len(prior)
    state = np.zeros(ns)
    cov = prior.copy()
    fresh = prior * (1.0 - decays)
    g, mg = np.zeros((n_out, ns)), np.zeros((n_out, ns))
    c, m = np.zeros((n_out, n_out)), np.zeros((n_out, n_out))
    e, work = np.zeros(n_out), np.zeros(n_out)
    for t in range(n_steps):
        if t > 0 and t % SYMMETRY_STEPS == 0:
            _symmetrise(cov)
        _predict(state, cov, g, levels[t])
        for k in range(n_out):
            for j in range(ns):
                gains[t, k, j] = g[k, j]
        _weigh(y[t], noise[t], levels[t], g, c, m, e, work)
        _product(m, g, mg)
        for k in range(n_out):
            for j in range(ns):
                state[j] += mg[k, j] * e[k]
        f = 1 if (t + 1) % n_blocks == 0 else 0
        _learn_and_advance(state, cov, g, mg, factors[f], decays[f], fresh[f])


@njit(cache=True, nogil=True)
def _look_back(y, noise, factors, decays, n_blocks, gains, levels, want_variance):
    """Join to each prediction what the present and later data say; see `smooth`."""
    n_steps, n_out = y.shape
    ns = gains.shape[2]
    mean = np.zeros((n_steps, n_out), np.float32)
    spread = np.zeros((n_steps, n_out), np.float32)
    adjoint, info = np.zeros(ns), np.zeros((ns, ns))
    g, b, mb = np.zeros((n_out, ns)), np.zeros((n_out, ns)), np.zeros((n_out, ns))
    c, m = np.zeros((n_out, n_out)), np.zeros((n_out, n_out))
    w, wr, mw = np.zeros((n_out, n_out)), np.zeros((n_out, n_out)), np.zeros((n_out, n_out))
    mine = np.repeat(np.eye(n_out), ns // n_out).reshape(n_out, ns)
    e, work = np.zeros(n_out), np.zeros(n_out)
    for t in range(n_steps - 1, -1, -1):
        f = 1 if t % n_blocks == 0 else 0
        for k in range(n_out):
            for j in range(ns):
                g[k, j] = gains[t, k, j]
        _weigh(y[t], noise[t], levels[t], g, c, m, e, work)
        _join(adjoint, g, m, e, levels[t], mean[t])
        if want_variance:
            _product(g, info, b)
            _products(g, b, w)
            _posterior_variance(c, m, w, wr, spread[t])
            _inform(info, m, w, b, mb, wr, mw, mine, decays[f])
            if t % SYMMETRY_STEPS == 0:
                _symmetrise(info)
        for i in range(ns):
            adjoint[i] *= factors[f, i]
    return mean, spread


@njit(cache=True, nogil=True)
def _join(adjoint, g, m, e, level, mean):
    """Carry the adjoint back over one step's observations, in place, and write the outputs' posterior means."""
    n_out, ns = g.shape
    n_own = ns // n_out
    for k in range(n_out):
        for j in range(ns):
            e[k] -= g[k, j] * adjoint[j]
    for k in range(n_out):
        amount = 0.0
        for n in range(n_out):
            amount += m[k, n] * e[n]
        for j in range(k * n_own, (k + 1) * n_own):
            adjoint[j] += amount
    for k in range(n_out):
        total = level[k]
        for j in range(ns):
            total += g[k, j] * adjoint[j]
        mean[k] = total


@njit(cache=True, nogil=True)
def _learn_and_advance(state, cov, g, mg, factor, decay, fresh):
    """Take from the covariance what a step's data told, g' mg, and let the time to the next step pass, in place.

    fresh : (n_states, n_states), covariance of what is new in the processes by then.

    Four outputs, as full frames have, in one pass over the matrix: it is the smoother's longest loop.
    """
    n_out, ns = g.shape
    for i in range(ns):
        if n_out == 4:
            a, b, c, d = g[0, i], g[1, i], g[2, i], g[3, i]
            for j in range(ns):
                left = cov[i, j] - a * mg[0, j] - b * mg[1, j] - c * mg[2, j] - d * mg[3, j]
                cov[i, j] = left * decay[i, j] + fresh[i, j]
        else:
            for k in range(n_out):
                a = g[k, i]
                for j in range(ns):
                    cov[i, j] -= a * mg[k, j]
            for j in range(ns):
                cov[i, j] = cov[i, j] * decay[i, j] + fresh[i, j]
        state[i] *= factor[i]


@njit(cache=True, nogil=True)
def _predict(state, cov, g, level):
    """Write what the state predicts for each output, and the covariance of that with the state."""
    n_out, ns = g.shape
    n_own = ns // n_out
    for k in range(n_out):
        first = k * n_own
        level[k] = state[first]
        for j in range(ns):
            g[k, j] = cov[first, j]
        for i in range(first + 1, first + n_own):
            level[k] += state[i]
            for j in range(ns):
                g[k, j] += cov[i, j]


@njit(cache=True, nogil=True)
def _weigh(y, noise, level, g, c, m, e, work):
    """Write the covariance c of predicted outputs, its inverse m with noise (0 where unseen), the innovations e."""
    n_out = g.shape[0]
    n_own = g.shape[1] // n_out
    for k in range(n_out):
        for n in range(n_out):
            s = 0.0
            for j in range(n * n_own, (n + 1) * n_own):
                s += g[k, j]
            c[k, n] = s
    for k in range(n_out):
        seen = noise[k] > 0.0
        e[k] = y[k] - level[k] if seen else 0.0
        for n in range(n_out):
            m[k, n] = c[k, n] if seen and noise[n] > 0.0 else 0.0
        if seen:
            m[k, k] += noise[k]
    _invert(m, work)


@njit(cache=True, nogil=True)
def _invert(matrix, work):
    """Invert a small symmetric positive definite matrix in place; rows and columns of zeros are left."""
    n = matrix.shape[0]
    for k in range(n):
        pivot = matrix[k, k]
        if pivot <= 0.0:
            continue
        for j in range(n):
            work[j] = matrix[k, j] / pivot
        for i in range(n):
            if i != k:
                factor = matrix[i, k]
                for j in range(n):
                    matrix[i, j] -= factor * work[j]
                matrix[i, k] = -factor / pivot
        for j in range(n):
            matrix[k, j] = work[j]
        matrix[k, k] = 1.0 / pivot


@njit(cache=True, nogil=True)
def _inform(info, m, w, b, mb, mwm, mw, mine, decay):
    """Carry the information on the state that later data hold back over one step's observations, in place.

    With H the outputs' view of the state and L = 1 - G' M H: info -> H' M H + L' info L, and the time since the step
    before. With mb = M B - (M + M W M) H / 2, where B = G info and W = G info G', it is info - H' mb - mb' H.

    mine : (n_outputs, n_states), H.
    """
    n_out, ns = b.shape
    n_own = ns // n_out
    _product(m, b, mb)
    _product(m, w, mw)
    _product(mw, m, mwm)
    for k in range(n_out):
        for n in range(n_out):
            amount = 0.5 * (m[k, n] + mwm[k, n])
            for j in range(n * n_own, (n + 1) * n_own):
                mb[k, j] -= amount
    for k in range(n_out):
        for i in range(k * n_own, (k + 1) * n_own):
            if n_out == 4:
                p, q, r, s = mb[0, i], mb[1, i], mb[2, i], mb[3, i]
                for j in range(ns):
                    told = p * mine[0, j] + q * mine[1, j] + r * mine[2, j] + s * mine[3, j]
                    info[i, j] = (info[i, j] - mb[k, j] - told) * decay[i, j]
            else:
                for n in range(n_out):
                    for j in range(n * n_own, (n + 1) * n_own):
                        info[i, j] -= mb[n, i]
                for j in range(ns):
                    info[i, j] = (info[i, j] - mb[k, j]) * decay[i, j]


@njit(cache=True, nogil=True)
def _posterior_variance(c, m, w, left, variance):
    """Write the diagonal of R C - R W R', R = 1 - C M: the variance of the outputs with all data joined.

    left : (n_outputs, n_outputs), for R.
    """
    n_out = c.shape[0]
    for k in range(n_out):
        for n in range(n_out):
            s = 1.0 if k == n else 0.0
            for p in range(n_out):
                s -= c[k, p] * m[p, n]
            left[k, n] = s
    for k in range(n_out):
        total = 0.0
        for n in range(n_out):
            s = c[n, k]
            for p in range(n_out):
                s -= w[n, p] * left[k, p]
            total += left[k, n] * s
        variance[k] = max(total, 0.0)


@njit(cache=True, nogil=True)
def _product(a, b, out):
    """Write the matrix product a b, a small and b wide."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            out[i, j] = 0.0
        for k in range(b.shape[0]):
            factor = a[i, k]
            for j in range(out.shape[1]):
                out[i, j] += factor * b[k, j]


@njit(cache=True, nogil=True)
def _products(a, b, out):
    """Write the matrix product a b': inner products of the rows of both."""
    for i in range(out.shape[0]):
        for j in range(out.shape[1]):
            s = 0.0
            for k in range(a.shape[1]):
                s += a[i, k] * b[j, k]
            out[i, j] = s


@njit(cache=True, nogil=True)
def _symmetrise(matrix):
    """Remove the antisymmetric part."""
    for i in range(matrix.shape[0]):
        for j in range(i):
            both = 0.5 * (matrix[i, j] + matrix[j, i])
            matrix[i, j] = both
            matrix[j, i] = both


@njit(cache=True, nogil=True)
def fill_pixels(values, image, first, last, step, reverse_rows, block, straight):
    """Write one output's block values (ny * n_blocks,) on its pixels of `image`, in place.

    straight : bool, straight lines between the centres of blocks; else constant blocks.
    """
    ny = image.shape[0]
    width = last - first
    n_blocks = (width + block - 1) // block
    start = first if step > 0 else last - 1
    for row in range(ny):
        y = ny - 1 - row if reverse_rows else row
        line = values[row * n_blocks : (row + 1) * n_blocks]
        for i in range(width):
            value = line[i // block]
            if straight:
                place = min(max((i + 0.5) / block - 0.5, 0.0), n_blocks - 1.0)
                left = min(int(place), max(n_blocks - 2, 0))
                right = min(left + 1, n_blocks - 1)
                value = line[left] + (place - left) * (line[right] - line[left])
            image[y, start + step * i] = value


@njit(cache=True, nogil=True)
def column_sums(image, usable, columns, pattern, clip):
    """Sum and number of `image - columns - pattern` per column over usable pixels within `clip` of 0, both (nx,)."""
    ny, nx = image.shape
    total = np.zeros(nx)
    count = np.zeros(nx)
    for y in range(ny):
        for x in range(nx):
            value = image[y, x] - columns[x] - pattern[y, x]
            if usable[y, x] and abs(value) <= clip:
                total[x] += value
                count[x] += 1.0
    return total, count


@njit(cache=True, nogil=True)
def neighbour_sums(image, usable, columns, expected, first, last, clip):
    """Sums of squared differences of pixels 1, 4 and 16 apart in rows of one output, and their number, (4,).

    All four pixels must be usable and within `clip` of `columns + expected`, so that the three sums are over the same
    places. Every third row is read.
    """
    sums = np.zeros(4)
    values = np.zeros(last)
    good = np.zeros(last, np.bool_)
    for y in range(0, image.shape[0], 3):
        for x in range(first, last):
            values[x] = image[y, x] - columns[x]
            good[x] = usable[y, x] and abs(values[x] - expected[y, x]) <= clip
        for x in range(first, last - 16):
            if good[x] and good[x + 1] and good[x + 4] and good[x + 16]:
                sums[0] += (values[x + 1] - values[x]) ** 2
                sums[1] += (values[x + 4] - values[x]) ** 2
                sums[2] += (values[x + 16] - values[x]) ** 2
                sums[3] += 1.0
    return sums
