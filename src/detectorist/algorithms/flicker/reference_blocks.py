"""Reference pixels beside the rows as blocks of the readout: they see the noise, and no light.

A few pixels begin or end the rows of two outputs. The sky has hundreds of pixels in a row, but the noise of its light;
where stars are crowded, what is left of them moves the means of rows by more than the noise that is sought. Reference
pixels have read noise alone. What they say of an output's level is not taken from here: light that is not known is in
the level of the sky's pixels, and must not make noise at the ends of rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from detectorist.algorithms.flicker.readout import Blocks
from detectorist.algorithms.flicker.reference_rows import ReferenceRows
from detectorist.algorithms.flicker.spectrum import FlickerNoise, fit_noise, is_limited, row_variance
from detectorist.errors import TooFewPixels

#: Fewest rows in which both reference pixels and others are seen.
LEAST_ROWS = 50
#: Standard deviation of a Gaussian over its median absolute deviation.
MAD_TO_SIGMA = 1.4826


def with_references(
    means: np.ndarray, counts: np.ndarray, blocks: Blocks, noise: FlickerNoise, found: ReferenceRows
) -> tuple[np.ndarray, np.ndarray]:
    """Return means of blocks and pixels behind each, reference pixels counted as pixels that are as certain.

    Parameters
    ----------
    means, counts : ndarray, shape (n_outputs, n_steps)
        Means of the pixels that see the sky, without light, and their numbers; reference pixels are not among them.
    blocks : Blocks
    noise : FlickerNoise
        Its white noise is that of the pixels that see the sky.
    found : ReferenceRows

    Returns
    -------
    tuple of ndarray
        Of the same shape, float32; `means` and `counts` themselves change only where reference pixels are.

    Notes
    -----
    How certain reference pixels are is measured: by their differences from the rows beside them, less what the noise of
    those and noise within rows make of these. Where they do not follow the noise of the sky's pixels they count little.
    """
    means, counts = means.astype(np.float32), counts.astype(np.float32)
    for k, (rows, values, usable) in enumerate(_sides(found, blocks)):
        if not rows:
            continue
        mean_of, count_of = (one[k].reshape(blocks.n_rows, blocks.per_row) for one in (means, counts))
        about, variance = _compared(values, usable, mean_of, count_of, blocks, noise)
        for block, here in rows if np.isfinite(variance) else ():
            number = usable[:, here].sum(axis=1)
            mean = (values[:, here] * usable[:, here]).sum(axis=1) / np.maximum(number, 1) + about
            more = np.where(number > 0, noise.white / variance * number / here.size, 0)
            total = count_of[:, block] + more
            mean_of[:, block] += (mean - mean_of[:, block]) * more / np.maximum(total, 1e-6)
            count_of[:, block] = total
    return means, counts


def noise_beside_clumps(
    noise: FlickerNoise,
    group_noise: FlickerNoise | None,
    unmasked_light: float,
    blocks: Blocks,
    found: ReferenceRows | None,
) -> FlickerNoise:
    """Return the spectrum of reference pixels where light in clumps is in that of the sky's, else `noise` itself.

    group_noise : where `noise` has its spectrum already, there is no light in it. unmasked_light : variance of a pixel
        by light in clumps, 0 where there is none. found : None without reference pixels.
    """
    if unmasked_light <= 0 or found is None or is_limited(noise, group_noise):
        return noise
    return noise_of_references(blocks, found, otherwise=noise)


def noise_of_references(blocks: Blocks, found: ReferenceRows, *, otherwise: FlickerNoise) -> FlickerNoise:
    """Return the spectrum that reference pixels have, with the white noise of `otherwise`; that, if they tell none.

    In crowded fields variograms of the sky are those of stars.
    """
    shape = len(blocks.readout.outputs), blocks.n_rows * blocks.per_row
    means, counts = np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    for k, (rows, values, usable) in enumerate(_sides(found, blocks)):
        for block, here in rows:
            number = usable[:, here].sum(axis=1)
            part = slice(block, None, blocks.per_row)
            means[k, part] = (values[:, here] * usable[:, here]).sum(axis=1) / np.maximum(number, 1)
            counts[k, part] = number
    try:
        fitted = fit_noise(means, counts, blocks)
    except TooFewPixels:
        return otherwise
    return replace(fitted, white=otherwise.white)


def _sides(found, blocks):
    """Yield, output by output, blocks with the pixels that each has, values and usable pixels in the order of readout.

    The first is a list of (number of the block in its row, (n,) bool); values and usable are (n_rows, n).
    """
    order = np.arange(blocks.n_rows) if blocks.readout.slow_direction > 0 else np.arange(blocks.n_rows)[::-1]
    for first, last, direction in blocks.readout.outputs:
        inside = np.flatnonzero((found.columns >= first) & (found.columns < last))
        places = found.columns[inside] - first if direction > 0 else last - 1 - found.columns[inside]
        rows = [(block, places // blocks.block_pix == block) for block in np.unique(places // blocks.block_pix)]
        yield rows, found.values[order][:, inside], found.usable[order][:, inside]


def _compared(values, usable, means, counts, blocks, noise):
    """Return the level of the rows over that of their reference pixels, and the variance of the mean of the latter.

    inf where too few rows tell.
    """
    number, seen = usable.sum(axis=1), counts.sum(axis=1)
    both = (number == values.shape[1]) & (seen > 0)
    if both.sum() < LEAST_ROWS:
        return 0.0, np.inf
    number, seen = number[both], seen[both]
    own = (values * usable)[both].sum(axis=1) / number
    difference = (means * counts)[both].sum(axis=1) / seen - own
    weight = 1 / (noise.white / seen + noise.white / np.median(seen))
    about = float(np.average(difference, weights=weight))
    rest = difference - about
    spread = (MAD_TO_SIGMA * float(np.median(np.abs(rest)))) ** 2
    scatter = usable[both] * (values[both] - own[:, None])
    least = float((scatter.astype(float) ** 2).sum() / max((number - 1).sum(), 1)) / values.shape[1]
    return about, max(spread - float(np.median(noise.white / seen)) - _within_rows(blocks, noise), least)


def _within_rows(blocks, noise):
    """Return the variance of the first block of a row about the row's mean by 1/f noise."""
    rows = blocks.readout.width / noise.scales_pix
    shared = (1 - np.exp(-rows)) / rows  # of the first pixel and the mean
    return float(((noise.common + noise.own) * (1 - 2 * shared)).sum()) + row_variance(noise, blocks.readout)
