"""1/f noise of the readout electronics, estimated on the time line on which it arose.

A detector is read through one or several outputs, pixel after pixel, with a pause at the end of every row; all
outputs run at the same time. The noise is a function of that time,

    y_k(t) = c(t) + u_k(t) + white noise,

c common to all outputs and u_k of output k alone, each a sum of Ornstein-Uhlenbeck processes with logarithmically
spaced time scales, which together can represent any spectrum that falls with frequency. Their variances come from the
image's own variograms (of each output, and between outputs), the posterior of c + u_k from one Kalman smoother over
all outputs together: masked pixels are gaps, and where one output is covered by a galaxy the others still determine c.
Cost is linear in the number of pixels.

Rows of the image are runs of this time line; columns are not. A constant of each column is estimated beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from detectorist.algorithms.flicker.column_offsets import column_offsets
from detectorist.algorithms.flicker.levels_of_outputs import levels_of_outputs
from detectorist.algorithms.flicker.readout import Blocks, Readout, alternating_readout
from detectorist.algorithms.flicker.reference_blocks import noise_beside_clumps, with_references
from detectorist.algorithms.flicker.reference_rows import ReferenceRows
from detectorist.algorithms.flicker.spectrum import (
    FlickerNoise,
    fast_variance,
    fit_noise,
    hold_own_noise,
    limit_noise,
    pool_noise,
)
from detectorist.algorithms.medians import typed_median
from detectorist.errors import ParameterError, TooFewPixels

__all__ = [
    "Flicker",
    "FlickerNoise",
    "Readout",
    "Sketch",
    "alternating_readout",
    "estimate_flicker",
    "estimate_flicker_coarsely",
    "estimate_noise",
    "pool_noise",
    "smooth_blocks",
]

#: Fewest usable pixels from which a spectrum of the noise is estimated.
MIN_PIXELS = 500
#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Rows from which the noise of a pixel is measured, or more: a frame has thousands.
NOISE_ROWS = 64
#: Pixels averaged before the smoother for a sketch, and for the variance: they change little within so many.
SKETCH_BLOCK_PIX, VARIANCE_BLOCK_PIX = 16, 32
#: Variance of noise that changes within a block, over that of white noise, up to which the block tells its variance.
WITHIN_BLOCK = 0.05


@dataclass(frozen=True)
class Flicker:
    """Estimated noise of one image.

    pattern : ndarray of float32, shape (ny, nx)
        1/f noise, mean zero over the pixels used: the level of the sky stays with the image.
    variance : ndarray of float32, shape (ny, nx)
        Posterior variance of `pattern`.
    used : ndarray of bool, shape (ny, nx)
        Pixels that the estimate could use: their own noise is in it.
    fast_variance : float
        Variance of the part of the noise that is faster than the smoother resolves and stays in every pixel.
    columns : ndarray of float64, shape (nx,)
        Constant of each column, mean zero over the pixels used; 0 unless requested.
    column_variance : ndarray of float64, shape (nx,)
    noise : FlickerNoise
    level : float
        Mean of the image about which the noise was estimated.
    unmasked_light : float
        Variance that unknown light adds to a pixel, as `estimate_flicker` was told.
    """

    pattern: np.ndarray
    variance: np.ndarray
    used: np.ndarray
    fast_variance: float
    columns: np.ndarray
    column_variance: np.ndarray
    noise: FlickerNoise
    level: float
    unmasked_light: float = 0.0

    @property
    def total(self) -> np.ndarray:
        """Pattern and columns together, (ny, nx) float32: what to subtract."""
        return self.pattern + self.columns.astype(np.float32)

    def variance_change(self) -> np.ndarray:
        """Return the change of the variance of each pixel by the correction, (ny, nx) float32.

        A pixel that was not used gets the posterior variance P of the pattern. A used one has part of its own
        noise subtracted with the pattern: with white noise R its variance becomes R - P, for
        Cov(noise, estimate) = P. Where unknown light counts as noise of Q, the pixel's own noise is a part R / (R + Q)
        of what its data bring to the estimate: R + P - 2 P R / (R + Q). What is too fast to be estimated is in both.
        """
        own_part = self.noise.white / (self.noise.white + self.unmasked_light)
        change = self.variance * np.where(self.used, np.float32(1 - 2 * own_part), np.float32(1))
        change += np.float32(self.fast_variance)
        change += self.column_variance.astype(np.float32)
        return change


def estimate_flicker(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    noise: FlickerNoise | None = None,
    columns: bool = True,
    clip_sigma: float = 4.0,
    sketch: Sketch | None = None,
    least_own: float = 0.0,
    unmasked_light: float = 0.0,
    group_noise: FlickerNoise | None = None,
    references: ReferenceRows | None = None,
) -> Flicker:
    """Estimate 1/f noise and its uncertainty.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        One image, ramp group or difference, any linear unit. Only its mean and its gradients along x are treated as
        light: subtract any other known light first. Non-finite pixels are ignored.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used: sources, bad and reference pixels.
    readout : Readout
    noise : FlickerNoise, optional
        Spectrum of the noise; by default estimated from this image. Integrations of one exposure may share theirs
        (`pool_noise`).
    columns : bool
        Also estimate a constant of each column, shrunk by its own uncertainty.
    clip_sigma : float
        Pixels farther than this from their expected value are left out.
    sketch : Sketch, optional
        First estimate of the same image, perhaps with another mask; by default made here (`estimate_flicker_coarsely`).
    least_own : float
        Least variance of each output's own slow noise over that of the common noise (`spectrum.hold_own_noise`), where
        the spectrum is estimated here.
    unmasked_light : float
        Variance of a pixel by light that is neither masked nor known, over the pixels that it lights together: counts
        as noise of the pixels, so that the means of rows are trusted less.
    group_noise : FlickerNoise, optional
        Spectrum of the image's noise as its groups tell it, which takes the place of that of the image where light
        makes this look much stronger (`spectrum.limit_noise`).
    references : ReferenceRows, optional
        Reference pixels beside the rows, which tell the noise as well, and its spectrum where there is light in clumps.

    Returns
    -------
    Flicker

    Raises
    ------
    TooFewPixels
        When less than 500 pixels are usable, or those have no scatter.
    ParameterError
        When the shapes do not fit the readout.

    Notes
    -----
    A gradient of the sky along the slow direction cannot be distinguished from slow common noise and is removed with
    it. Cost: about 1 us per 4 pixel times for four outputs and a tenth of it for one, a third more where noise changes
    too much within 32 pixels for its variance to be told by such blocks; peak memory about 50 bytes per pixel.
    """
    image, usable = _checked(image, mask, readout)
    white = _pixel_noise(image, usable)
    clip = clip_sigma * white
    if sketch is None:
        sketch = _sketch(image, usable, white, clip, readout, noise, columns, group_noise=group_noise)
    level, offsets, expected = sketch[:3]
    blocks = Blocks(readout, image.shape[0])
    means, counts = blocks.average(image, usable, offsets, expected, clip)
    light = _gradient_light(means, counts, blocks)
    noise = noise or hold_own_noise(_fit(means - light, counts, blocks, group_noise), readout, least_own)
    noise = noise_beside_clumps(noise, group_noise, unmasked_light, blocks, references)
    uncertain = replace(noise, white=noise.white + unmasked_light)
    time_line, counts = _noise_of_blocks(means - light, counts, blocks, uncertain, references)
    expected = blocks.paint(time_line + light.T, straight=True)
    column_variance = np.zeros(image.shape[1])
    if columns:
        offsets, column_variance = column_offsets(
            image, usable, offsets, expected, level=level, white=white, clip=clip, readout=readout
        )
    return Flicker(
        pattern=_about_used(blocks.paint(time_line, straight=True), usable),
        variance=_posterior_variance(counts, blocks, uncertain),
        used=usable,
        fast_variance=fast_variance(image, usable, offsets, expected, clip, noise, readout),
        columns=offsets - np.average(offsets, weights=usable.sum(axis=0)),
        column_variance=column_variance,
        noise=noise,
        level=level,
        unmasked_light=unmasked_light,
    )


def _about_used(pattern, usable):
    """Return a pattern about its mean in used pixels: what is known less well, under masks, must not move the sky."""
    return pattern - np.float32(pattern.mean(dtype=float, where=usable))


class Sketch(NamedTuple):
    """A first estimate of the noise of an image, used to recognise outlying pixels."""

    level: float  # of the sky
    offsets: np.ndarray  # (nx,), level and constant of each column
    expected: np.ndarray  # (ny, nx) float32, 1/f noise and gradients of the light
    white: float  # standard deviation of a pixel's white noise
    noise: FlickerNoise  # as given, or as estimated here

    def total(self) -> np.ndarray:
        """Return noise, gradients and columns without the level, (ny, nx) float32."""
        return self.expected + (self.offsets - self.level).astype(np.float32)


def estimate_flicker_coarsely(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    noise: FlickerNoise | None = None,
    columns: bool = True,
    clip_sigma: float = 4.0,
    sketch: Sketch | None = None,
    group_noise: FlickerNoise | None = None,
) -> Sketch:
    """Return a first estimate at a quarter of the cost, to look for sources in, or a better one of an earlier sketch.

    Parameters as in `estimate_flicker`.
    """
    image, usable = _checked(image, mask, readout)
    white = _pixel_noise(image, usable)
    return _sketch(image, usable, white, clip_sigma * white, readout, noise, columns, sketch, group_noise)


def _sketch(image, usable, white, clip, readout, noise, columns, earlier=None, group_noise=None):
    if earlier is None:
        level = float(typed_median(image[::4][usable[::4]]))
        earlier = level, np.full(image.shape[1], level), np.zeros((0, 0), np.float32)
    level, offsets, expected = earlier[:3]
    blocks = Blocks(readout, image.shape[0], block_pix=SKETCH_BLOCK_PIX)
    means, counts = blocks.average(image, usable, offsets, expected, clip)
    light = _gradient_light(means, counts, blocks)
    noise = noise or _fit(means - light, counts, blocks, group_noise)
    time_line, _ = _noise_of_blocks(means - light, counts, blocks, noise)
    expected = blocks.paint(time_line + light.T, straight=True)
    if columns:
        offsets, _ = column_offsets(
            image, usable, offsets, expected, level=level, white=white, clip=clip, readout=readout
        )
    return Sketch(level, offsets, expected, white, noise)


def estimate_noise(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    clip_sigma: float = 4.0,
) -> FlickerNoise:
    """Estimate the spectrum of an image's noise alone; parameters and errors as in `estimate_flicker`."""
    image, usable = _checked(image, mask, readout)
    blocks = Blocks(readout, image.shape[0])
    offsets = np.full(image.shape[1], typed_median(image[::4][usable[::4]]), float)
    unknown = np.zeros((0, 0), np.float32)
    means, counts = blocks.average(image, usable, offsets, unknown, clip_sigma * _pixel_noise(image, usable))
    return fit_noise(means - _gradient_light(means, counts, blocks), counts, blocks)


def _fit(means, counts, blocks, group_noise):
    return limit_noise(fit_noise(means, counts, blocks), group_noise, blocks.readout)


def _checked(image, mask, readout):
    """Return the image as float32 and its usable pixels, or say what is wrong with them."""
    image, mask = np.asarray(image), np.asarray(mask)
    if image.ndim != 2 or image.shape != mask.shape:
        raise ParameterError(f"image of shape {image.shape}, mask of shape {mask.shape}: both (ny, nx) are needed")
    covered = sorted(output[:2] for output in readout.outputs)
    edges = [0, *(last for _, last in covered)]
    if [first for first, _ in covered] != edges[:-1] or edges[-1] != image.shape[1]:
        raise ParameterError(f"outputs {readout.outputs} do not cover {image.shape[1]} columns")
    usable = ~mask.astype(bool) & np.isfinite(image)
    n_usable = int(usable[::4].sum())
    if n_usable < MIN_PIXELS / 4:
        raise TooFewPixels(
            f"1/f noise: {int(usable.sum())} usable pixels; {MIN_PIXELS} are needed", n_usable=int(usable.sum())
        )
    return np.ascontiguousarray(np.where(usable, image, 0), np.float32), usable


def _pixel_noise(image, usable):
    """Return the standard deviation of a pixel from neighbours in a row: they share slower noise and most light."""
    step = int(np.clip(len(image) // NOISE_ROWS, 1, 16))
    both = usable[::step, 1:] & usable[::step, :-1]
    difference = np.abs((image[::step, 1:] - image[::step, :-1])[both])
    white = MAD_TO_SIGMA * float(typed_median(difference)) / np.sqrt(2) if difference.size else 0.0
    if white <= 0:
        raise TooFewPixels("1/f noise: the usable pixels have no scatter", n_pairs=int(difference.size))
    return white


def _gradient_light(means, counts, blocks):
    """Return light that varies along x, of the shape of `means`, as far as it shows within the outputs.

    The level of an output in a row is the noise's to explain, so gradients are measured from what varies inside it:
    terms x, x^2 and xy, each shrunk by its error. That comes from the scatter between rows and between columns, which
    have offsets of their own.
    """
    n_rows, per_row = blocks.n_rows, blocks.per_row
    half = 0.5 * blocks.readout.width * len(means)
    y = np.linspace(-1, 1, n_rows, dtype=np.float32)[:, None] * blocks.readout.slow_direction
    normal, moment, outputs = np.zeros((3, 3)), np.zeros(3), []
    for k in range(len(means)):
        x = ((blocks.columns(k) - half + 0.5)[None, :] / half).astype(np.float32)
        weight = counts[k].reshape(n_rows, per_row).astype(np.float32)
        shapes = [np.broadcast_to(x, weight.shape), np.broadcast_to(x * x, weight.shape), x * y]
        centred = [_centred(t, weight) for t in shapes]
        data = _centred(means[k].reshape(n_rows, per_row), weight)
        normal += [[np.vdot(weight * a, b) for b in centred] for a in centred]
        moment += [np.vdot(weight * a, data) for a in centred]
        outputs.append((weight, shapes, centred, data))
    if np.linalg.cond(normal) > 1e10:
        return np.zeros_like(means)
    inverse = np.linalg.inv(normal)
    slopes = inverse @ moment
    scatter = np.zeros((3, 3))
    for axis in (0, 1):
        parts = []
        for weight, _, centred, data in outputs:
            left = weight * (data - sum(c * t for c, t in zip(slopes, centred, strict=True)))
            parts.append(np.column_stack([(left * t).sum(axis=axis) for t in centred]))
        sums = np.vstack(parts) if axis == 0 else np.sum(parts, axis=0)
        scatter += sums.T @ sums
    variance = np.diag(inverse @ scatter @ inverse)
    shrunk = slopes * np.clip(1 - 4 * variance / np.maximum(slopes**2, 1e-300), 0, 1)
    light = [sum(c * t for c, t in zip(shrunk, shapes, strict=True)).ravel() for _, shapes, *_ in outputs]
    return np.array(light, np.float32)


def _centred(values, weight):
    """Return values (n_rows, n_blocks) about the weighted mean of their row."""
    return values - (weight * values).sum(axis=1, keepdims=True) / np.maximum(weight.sum(axis=1, keepdims=True), 1)


def _noise_of_blocks(means, counts, blocks, noise, references=None):
    """Return levels of the outputs and 1/f noise together, (n_steps, n_outputs), and how many pixels told it."""
    levels = levels_of_outputs(means, counts, blocks, noise).astype(np.float32)
    if references is not None:
        means, counts = with_references(means, counts, blocks, noise, references)
    found, _ = smooth_blocks(means - levels[:, None], counts, blocks, noise, want_variance=False)
    return found + levels, counts


def _posterior_variance(counts, blocks, noise):
    """Return the variance of the 1/f noise of pixels, (ny, nx) float32, from coarser blocks where these tell it."""
    factor = VARIANCE_BLOCK_PIX // blocks.block_pix
    changes = float((noise.common + noise.own) @ (1 - np.exp(-VARIANCE_BLOCK_PIX / noise.scales_pix)))
    if blocks.per_row % factor == 0 and changes < WITHIN_BLOCK * noise.white:
        counts = counts.reshape(len(counts), -1, factor).sum(axis=2)
        blocks = Blocks(blocks.readout, blocks.n_rows, block_pix=VARIANCE_BLOCK_PIX)
    _, spread = smooth_blocks(np.zeros(counts.shape, np.float32), counts, blocks, noise, want_variance=True)
    return blocks.paint(spread, straight=False)


def smooth_blocks(
    means: np.ndarray, counts: np.ndarray, blocks: Blocks, noise: FlickerNoise, *, want_variance: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return posterior mean and variance (n_steps, n_outputs) of the 1/f noise of blocks.

    means, counts : ndarray, shape (n_outputs, n_steps)
        Means of blocks and the pixels behind each, none where 0.

    Processes without variance cost nothing, and where no output has noise of its own all are one.
    """
    from detectorist.algorithms.flicker._smoother_nb import smooth

    kept = (noise.common > 0) | (noise.own > 0)
    if not kept.any():
        return np.zeros(means.T.shape, np.float32), np.zeros(means.T.shape, np.float32)
    white = np.where(counts > 0, noise.white / np.where(counts > 0, counts, 1), 0.0)
    data = (means, white) if noise.own.any() else _of_all_outputs(means, white)
    n = len(data[0])
    found = smooth(
        *(np.ascontiguousarray(one.T, float) for one in data),
        np.kron(np.ones((n, n)), np.diag(noise.common[kept])) + np.kron(np.eye(n), np.diag(noise.own[kept])),
        np.tile(blocks.decay(noise.scales_pix[kept]), n),
        blocks.per_row,
        want_variance,
    )
    return found if n == len(means) else tuple(np.repeat(one, len(means), axis=1) for one in found)


def _of_all_outputs(means, white):
    """Return the mean of what the outputs say at the same time, weighted, and its variance, (1, n_steps) each."""
    weight = np.where(white > 0, 1 / np.where(white > 0, white, 1), 0.0)
    total = weight.sum(axis=0, keepdims=True)
    variance = np.where(total > 0, 1 / np.where(total > 0, total, 1), 0.0)
    return (weight * means).sum(axis=0, keepdims=True) * variance, variance
