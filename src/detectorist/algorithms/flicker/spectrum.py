"""The spectrum of an image's 1/f noise, from its variograms in readout time."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import nnls

from detectorist.algorithms.flicker.readout import BLOCK_PIX, Readout
from detectorist.errors import TooFewPixels

#: Ornstein-Uhlenbeck processes of each kind; the spectrum between two of their scales dips by less than a tenth.
N_SCALES = 4
#: How strongly the variances of neighbouring scales are held together: as one datum of so many sigma per mean variance
#: of their kind, common or own.
EVENNESS = 0.5
#: Least part of a variogram that is taken for each output's own when its error is judged.
LEAST_OWN = 0.01
#: How much stronger than groups tell the noise of rows may look in an image, in variance: fits weight groups by more
#: than their number, and slow noise, of which an image has few periods, differs from image to image.
TOLERANCE = 2.0
#: Fewest places from which the fast part of the noise is measured.
MIN_PLACES = 500


@dataclass(frozen=True)
class FlickerNoise:
    """Spectrum of the noise of an image, in its unit squared.

    white : float
        Variance of a single pixel's white noise.
    scales_pix : ndarray, shape (n_scales,)
        Time scales of the processes in pixel times.
    common, own : ndarray, shape (n_scales,)
        Stationary variances of the common and of each output's own processes. Without a second output `common` is 0.
    """

    white: float
    scales_pix: np.ndarray
    common: np.ndarray
    own: np.ndarray

    @property
    def rms(self) -> float:
        """Total standard deviation of the 1/f noise of a pixel."""
        return float(np.sqrt(self.common.sum() + self.own.sum()))


def pool_noise(noises: list[FlickerNoise]) -> FlickerNoise:
    """Return the mean spectrum of images of one shape, as of the integrations of an exposure."""
    return FlickerNoise(
        float(np.mean([noise.white for noise in noises])),
        noises[0].scales_pix,
        np.mean([noise.common for noise in noises], axis=0),
        np.mean([noise.own for noise in noises], axis=0),
    )


def hold_own_noise(noise: FlickerNoise, readout: Readout, part: float) -> FlickerNoise:
    """Return a spectrum whose outputs have at least this part of the common noise for themselves, where it is slow.

    Slow is what does not change within half a row of an output.
    """
    slow = noise.scales_pix > 0.5 * (readout.width + readout.overhead_pix)
    return replace(noise, own=np.where(slow, np.maximum(noise.own, part * noise.common), noise.own))


def scale_noise(noise: FlickerNoise, factor: float) -> FlickerNoise:
    """Return a spectrum with all variances multiplied by `factor`."""
    return replace(noise, white=factor * noise.white, common=factor * noise.common, own=factor * noise.own)


def limit_noise(noise: FlickerNoise, group_noise: FlickerNoise | None, readout: Readout) -> FlickerNoise:
    """Return the spectrum of an image, or that of its groups where light makes the noise of rows look much stronger.

    The white noise stays that of the image.
    """
    if group_noise is None or row_variance(noise, readout) <= TOLERANCE * row_variance(group_noise, readout):
        return noise
    return replace(noise, scales_pix=group_noise.scales_pix, common=group_noise.common, own=group_noise.own)


def is_limited(noise: FlickerNoise, group_noise: FlickerNoise | None) -> bool:
    """Return whether `limit_noise` gave an image the spectrum of its groups: it has their very scales then."""
    return group_noise is not None and noise.scales_pix is group_noise.scales_pix


def row_variance(noise: FlickerNoise, readout: Readout) -> float:
    """Return the variance of the mean of an output's row."""
    return float(covariance_of_means(np.zeros(1), readout.width, noise.common + noise.own, noise.scales_pix)[0])


def covariance_of_means(apart: np.ndarray, length: float, variances: np.ndarray, scales_pix: np.ndarray) -> np.ndarray:
    """Return the covariance of means over `length` pixels of Ornstein-Uhlenbeck processes that begin `apart` in time.

    apart : of any shape, pixels; 0, or a length or more. variances, scales_pix : (n_processes,).
    """
    covariance = np.zeros_like(apart)
    for variance, scale in zip(variances, scales_pix, strict=True):
        u = length / scale
        same = 2 * (u - 1 + np.exp(-u)) / u**2
        # exp(-apart / scale) times 2 (cosh u - 1) / u^2, without overflow; no exponent is positive a length apart.
        other = np.exp(np.minimum(u - apart / scale, 0)) * (1 - np.exp(-u)) ** 2 / u**2
        covariance += variance * np.where(apart < 0.5 * length, same, other)
    return covariance


def fit_noise(means, counts, blocks) -> FlickerNoise:
    """Fit variances of Ornstein-Uhlenbeck processes to the sample variograms, none negative.

    Half the mean squared difference at lag T is sum_j v_j (1 - exp(-T / s_j)) plus the white noise of a block, for
    common and own processes together within an output and for the common ones alone between two outputs.
    """
    from detectorist.algorithms.flicker._smoother_nb import variogram_sums

    rows, steps = blocks.lags()
    sums, inverse_counts = variogram_sums(means, counts, blocks.per_row, rows, steps, (blocks.block_pix + 1) // 2)
    lag_pix = rows * blocks.row_pix + steps * blocks.block_pix
    scales = np.geomspace(3.0 * blocks.block_pix, max(blocks.n_rows, 3) * blocks.row_pix / 3.0, N_SCALES)
    shape = 1.0 - np.exp(-lag_pix[:, None] / scales)
    within, across = 0.5 * sums[:, 0] / np.maximum(sums[:, 1], 1), 0.5 * sums[:, 2] / np.maximum(sums[:, 3], 1)
    ok, both = (sums[:, 1] > 30) & (within > 0), (sums[:, 3] > 30) & (within > 0)
    if not ok.any():
        raise TooFewPixels("1/f noise: too few pairs of usable neighbours", n_pairs=int(sums[:, 1].max()))
    white = 0.5 * inverse_counts / np.maximum(sums[:, 1], 1)
    design, data = _equations(within, across, sums, ok, both, shape, white, lag_pix / blocks.block_pix)
    found, _ = nnls(design, data)
    even = np.vstack([_evenness(found, 0), _evenness(found, 1)])
    found, _ = nnls(np.vstack([design, even]), np.r_[data, np.zeros(len(even))])
    found = _of_full_strength(found, design, data)
    least_white = 1e-3 * float(within[ok].min())
    return FlickerNoise(max(float(found[-1]), least_white), scales, found[:N_SCALES], found[N_SCALES:-1])


def _of_full_strength(found, design, data):
    """Return a solution of which the data tell the strength of either kind and of white noise, and not its evenness.

    Where they tell little, by white noise much stronger, noise that is even is above all noise that is weak.
    """
    kinds = np.zeros((found.size, 3))
    for k, part in enumerate((slice(N_SCALES), slice(N_SCALES, -1), slice(-1, None))):
        kinds[part, k] = found[part]
    used = kinds.any(axis=0)
    strength, _ = nnls(design @ kinds[:, used], data)
    return kinds[:, used] @ strength


def _equations(within, across, sums, ok, both, shape, white, repeated):
    """Return rows of the design, (n, 2 n_scales + 1), and data, each over its error.

    What is common is in both variograms, chance included: their difference tells what is each output's own far better
    than either. Pairs closer than the lag repeat each other: `repeated` times fewer are independent.
    """
    nothing, alone = np.zeros_like(shape), ok & ~both
    common_shape = shape if both.any() else nothing
    own = within - across
    spread = np.maximum(own, LEAST_OWN * within)
    parts = (
        (np.column_stack([common_shape, shape, white]), within, within, sums[:, 1], alone),
        (
            np.column_stack([nothing, shape, white]),
            own,
            np.sqrt(spread * (spread + 2 * np.abs(across))),
            sums[:, 1],
            ok & both,
        ),
        (np.column_stack([shape, nothing, 0 * white]), across, within, sums[:, 3], both),
    )
    rows, data = [], []
    for equations, values, error, number, which in parts:
        certain = np.sqrt(number[which] / repeated[which]) / error[which]
        rows.append(equations[which] * certain[:, None])
        data.append(values[which] * certain)
    return np.vstack(rows), np.concatenate(data)


def _evenness(found, kind):
    """Return equations that hold the variances of neighbouring scales of a kind to each other, within their mean.

    Least squares alone puts a smooth spectrum on a few scales; rows, which are slow, suffer from one that is all fast.
    """
    own = slice(kind * N_SCALES, (kind + 1) * N_SCALES)
    # What is next to nothing beside the rest needs no shape.
    mean = max(float(found[own].mean()), 0.01 * float(found[:-1].mean()), 1e-30)
    equations = np.zeros((N_SCALES - 1, found.size))
    equations[:, own] = np.diff(np.eye(N_SCALES), axis=0) * EVENNESS / mean
    return equations


def fast_variance(image, usable, offsets, expected, clip, noise, readout):
    """Return the variance of the 1/f noise that the smoother treats as white or that is averaged within a block.

    Half the mean squared difference of two pixels of a row grows with their distance because of the 1/f noise alone.
    For a power law f**-a, 0.6 < a < 1.7, its growth d from 1 to 4 pixels, and q d from 4 to 16, give the variance
    within a block of 4 (1.04 d / q, to 10 %) and the growth from 0 to 1 (1.06 d / q).
    """
    from detectorist.algorithms.flicker._smoother_nb import neighbour_sums

    sums = np.zeros(4)
    for first, last, _ in readout.outputs:
        sums += neighbour_sums(image, usable, offsets, expected, first, last, clip)
    if sums[3] < MIN_PLACES:
        return 0.0
    near, middle, far = 0.5 * sums[:3] / sums[3]
    growth = middle - near
    if growth <= 0 or far <= middle:
        return 0.0
    steeper = float(np.clip((far - middle) / growth, 0.5, 2.6))
    white = near - 1.06 * growth / steeper
    return float(1.04 * growth / steeper + max(noise.white - white, 0.0) / BLOCK_PIX)
