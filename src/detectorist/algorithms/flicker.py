"""1/f noise of the readout electronics, estimated on the time line on which it arose.

A detector is read through one or several outputs, pixel after pixel, with a pause at the end of every row; all
outputs run at the same time. The noise is a function of that time,

    y_k(t) = c(t) + u_k(t) + white noise,

c common to all outputs and u_k of output k alone, each a sum of Ornstein-Uhlenbeck processes with logarithmically
spaced time scales, which together stand for any spectrum that falls with frequency. Their variances come from the
image's own variograms (of each output, and between outputs), the posterior of c + u_k from one Kalman smoother over
all outputs together: masked pixels are gaps, and where one output is covered by a galaxy the others still tell c.
Cost is linear in the number of pixels.

Rows of the image are runs of this time line; columns are not. A constant of each column is estimated beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from scipy.optimize import nnls

from detectorist.errors import ParameterError, TooFewPixels

#: Pixel times that a NIRCam output spends between two rows (JDox, NIRCam detector readout).
ROW_OVERHEAD_PIX = 12
#: Pixels averaged before the smoother: what is faster than a block is hidden by the white noise of its pixels.
BLOCK_PIX = 4
#: Ornstein-Uhlenbeck processes of each kind; the spectrum between two of their scales dips by less than a tenth.
N_SCALES = 4
#: How strongly the variances of neighbouring scales are held together: as one datum of so many sigma per mean variance.
EVENNESS = 0.5
#: Fewest usable pixels from which a spectrum of the noise is estimated.
MIN_PIXELS = 500
#: Standard deviation of a Gaussian in units of its median absolute deviation.
MAD_TO_SIGMA = 1.4826
#: Order of the polynomial along x that counts as light, not as offsets of columns.
COLUMN_LIGHT_ORDER = 5


@dataclass(frozen=True)
class Readout:
    """The order in which the pixels of an image are read.

    outputs : tuple of (first column, past-last column, direction)
        One entry per output, all of the same width; direction +1 when its columns are read left to right, -1
        right to left.
    slow_direction : int
        +1 when row 0 is read first, -1 when it is read last.
    overhead_pix : int
        Pixel times between the last pixel of a row and the first of the next.
    """

    outputs: tuple[tuple[int, int, int], ...]
    slow_direction: int = 1
    overhead_pix: int = ROW_OVERHEAD_PIX

    def __post_init__(self):
        """Refuse outputs of different widths and directions that are none."""
        widths = {last - first for first, last, _ in self.outputs}
        if len(widths) != 1 or min(widths) < 1:
            raise ParameterError(f"outputs {self.outputs}: all of one positive width are needed")
        if {direction for *_, direction in self.outputs} - {-1, 1} or self.slow_direction not in (-1, 1):
            raise ParameterError("scan directions are +1 or -1")

    @property
    def width(self) -> int:
        """Columns of one output."""
        first, last, _ = self.outputs[0]
        return last - first


def alternating_readout(nx: int, n_outputs: int = 1, *, fast_direction: int = 1, slow_direction: int = 1) -> Readout:
    """Return the readout of `n_outputs` stripes of columns whose neighbours are scanned in opposite directions.

    fast_direction : int
        Direction of the leftmost output, +1 or -1.

    Raises ParameterError when `nx` is not a multiple of `n_outputs`.
    """
    if n_outputs < 1 or nx % n_outputs:
        raise ParameterError(f"{nx} columns cannot be shared by {n_outputs} outputs")
    width = nx // n_outputs
    outputs = tuple((k * width, (k + 1) * width, int(fast_direction) * (-1) ** k) for k in range(n_outputs))
    return Readout(outputs, int(slow_direction))


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


@dataclass(frozen=True)
class Flicker:
    """Estimated noise of one image.

    pattern : ndarray of float32, shape (ny, nx)
        1/f noise, mean zero: the level of the sky stays with the image.
    variance : ndarray of float32, shape (ny, nx)
        Posterior variance of `pattern`.
    used : ndarray of bool, shape (ny, nx)
        Pixels that the estimate could use: their own noise is in it.
    fast_variance : float
        Variance of the part of the noise that is faster than the smoother resolves and stays in every pixel.
    columns : ndarray of float64, shape (nx,)
        Constant of each column, mean zero; 0 where not asked for.
    column_variance : ndarray of float64, shape (nx,)
    noise : FlickerNoise
    level : float
        Mean of the image about which the noise was estimated.
    """

    pattern: np.ndarray
    variance: np.ndarray
    used: np.ndarray
    fast_variance: float
    columns: np.ndarray
    column_variance: np.ndarray
    noise: FlickerNoise
    level: float

    @property
    def total(self) -> np.ndarray:
        """Pattern and columns together, (ny, nx) float32: what to subtract."""
        return self.pattern + self.columns.astype(np.float32)

    def variance_change(self) -> np.ndarray:
        """Return what the correction adds to the variance of each pixel of the corrected image, (ny, nx) float32.

        A pixel that was not used gets the posterior variance P of the pattern. A used one has part of its own
        noise subtracted with the pattern: with white noise R its variance becomes R - P, for
        Cov(noise, estimate) = P. What is too fast to be estimated is in both.
        """
        change = np.where(self.used, -self.variance, self.variance)
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
) -> Flicker:
    """Estimate 1/f noise and its uncertainty.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        One image, ramp group or difference, any linear unit. Only its mean and its gradients along x are taken for
        light: subtract what else is known. Non-finite pixels are ignored.
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
        First estimate of the same image, perhaps with another mask; by default made here (`sketch_flicker`).

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
    A gradient of the sky along the slow direction cannot be told from slow common noise and is removed with it. Cost:
    two runs of the smoother, together about 4 us per 4 pixel times for four outputs and a tenth of it for one; peak
    memory about 50 bytes per pixel.
    """
    image, usable = _checked(image, mask, readout)
    white = _pixel_noise(image, usable)
    clip = clip_sigma * white
    if sketch is None:
        sketch = _sketch(image, usable, clip, readout, noise, columns)
    level, offsets, expected = sketch
    blocks = _Blocks(readout, image.shape[0])
    means, counts = blocks.average(image, usable, offsets, expected, clip)
    light = _gradient_light(means, counts, blocks)
    noise = noise or _fit_noise(means - light, counts, blocks)
    time_line, spread = _smooth(means - light, counts, blocks, noise, want_variance=True)
    expected = blocks.paint(time_line + light.T, straight=True)
    column_variance = np.zeros(image.shape[1])
    if columns:
        offsets, column_variance = _column_offsets(image, usable, offsets, level, expected, clip)
    pattern = blocks.paint(time_line, straight=True)
    pattern -= np.float32(pattern.mean(dtype=float))
    return Flicker(
        pattern=pattern,
        variance=blocks.paint(spread, straight=False),
        used=usable,
        fast_variance=_fast_variance(image, usable, offsets, expected, clip, noise, readout),
        columns=offsets - offsets.mean(),
        column_variance=column_variance,
        noise=noise,
        level=level,
    )


class Sketch(NamedTuple):
    """A first estimate of the noise of an image, by which outlying pixels are told."""

    level: float  # of the sky
    offsets: np.ndarray  # (nx,), level and constant of each column
    expected: np.ndarray  # (ny, nx) float32, 1/f noise and gradients of the light

    def total(self) -> np.ndarray:
        """Return noise, gradients and columns without the level, (ny, nx) float32."""
        return self.expected + (self.offsets - self.level).astype(np.float32)


def sketch_flicker(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    noise: FlickerNoise | None = None,
    columns: bool = True,
    clip_sigma: float = 4.0,
) -> Sketch:
    """Return a first estimate at 40 % of the cost, to look for sources in; parameters as in `estimate_flicker`."""
    image, usable = _checked(image, mask, readout)
    return _sketch(image, usable, clip_sigma * _pixel_noise(image, usable), readout, noise, columns)


def _sketch(image, usable, clip, readout, noise, columns):
    level = float(np.median(image[::4][usable[::4]]))
    offsets = np.full(image.shape[1], level)
    blocks = _Blocks(readout, image.shape[0])
    means, counts = blocks.average(image, usable, offsets, np.zeros((0, 0), np.float32), clip)
    light = _gradient_light(means, counts, blocks)
    noise = noise or _fit_noise(means - light, counts, blocks)
    time_line, _ = _smooth(means - light, counts, blocks, noise, want_variance=False)
    expected = blocks.paint(time_line + light.T, straight=True)
    if columns:
        offsets, _ = _column_offsets(image, usable, offsets, level, expected, clip)
    return Sketch(level, offsets, expected)


def estimate_noise(
    image: np.ndarray,
    mask: np.ndarray,
    *,
    readout: Readout,
    clip_sigma: float = 4.0,
) -> FlickerNoise:
    """Estimate the spectrum of an image's noise alone; parameters and errors as in `estimate_flicker`."""
    image, usable = _checked(image, mask, readout)
    blocks = _Blocks(readout, image.shape[0])
    offsets = np.full(image.shape[1], np.median(image[::4][usable[::4]]), float)
    unknown = np.zeros((0, 0), np.float32)
    means, counts = blocks.average(image, usable, offsets, unknown, clip_sigma * _pixel_noise(image, usable))
    return _fit_noise(means - _gradient_light(means, counts, blocks), counts, blocks)


def pool_noise(noises: list[FlickerNoise]) -> FlickerNoise:
    """Return the mean spectrum of images of one shape, as of the integrations of an exposure."""
    return FlickerNoise(
        float(np.mean([noise.white for noise in noises])),
        noises[0].scales_pix,
        np.mean([noise.common for noise in noises], axis=0),
        np.mean([noise.own for noise in noises], axis=0),
    )


class _Blocks:
    """Means of a few neighbouring pixels, in the order of readout: arrays (n_outputs, n_rows * n_blocks)."""

    def __init__(self, readout: Readout, n_rows: int):
        self.readout, self.n_rows = readout, n_rows
        self.per_row = -(-readout.width // BLOCK_PIX)
        self.row_pix = readout.width + readout.overhead_pix

    def average(self, image, usable, offsets, model, clip):
        """Return means (float32) and counts (uint16) of the blocks."""
        from detectorist.algorithms._flicker_nb import block_means

        backwards = self.readout.slow_direction < 0
        pairs = [
            block_means(image, usable, offsets, model, *output, backwards, BLOCK_PIX, clip)
            for output in self.readout.outputs
        ]
        return np.array([mean for mean, _ in pairs]), np.array([count for _, count in pairs])

    def paint(self, values, *, straight):
        """Return values (n_steps, n_outputs) of the blocks on the pixels, (ny, nx) float32."""
        from detectorist.algorithms._flicker_nb import fill_pixels

        backwards = self.readout.slow_direction < 0
        image = np.zeros((self.n_rows, max(last for _, last, _ in self.readout.outputs)), np.float32)
        for k, output in enumerate(self.readout.outputs):
            one = np.ascontiguousarray(values[:, k])
            fill_pixels(one, image, *output, backwards, BLOCK_PIX, straight)
        return image

    def decay(self, scales_pix):
        """Return the factors (2, n_states) from one block to the next and from a row to the next."""
        across = self.row_pix - (self.per_row - 1) * BLOCK_PIX
        return np.exp(-np.array([[BLOCK_PIX], [across]]) / scales_pix)

    def lags(self):
        """Return lags in rows and in blocks, (n_lags,) each: doubling, to half a row and a third of the rows."""
        within = 2 ** np.arange(int(np.log2(max(self.per_row // 2, 1))) + 1)
        within = within[within < self.per_row]
        rows = 2 ** np.arange(int(np.log2(max(self.n_rows // 3, 1))) + 1)
        return np.r_[0 * within, rows], np.r_[within, 0 * rows]

    def columns(self, k):
        """Return the centres (per_row,) of output k's blocks on the detector, in the order of readout."""
        first, last, direction = self.readout.outputs[k]
        centres = np.minimum((np.arange(self.per_row) + 0.5) * BLOCK_PIX, self.readout.width) - 0.5
        return first + centres if direction > 0 else last - 1 - centres


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
    both = usable[::4, 1:] & usable[::4, :-1]
    difference = np.abs((image[::4, 1:] - image[::4, :-1])[both])
    white = MAD_TO_SIGMA * float(np.median(difference)) / np.sqrt(2) if difference.size else 0.0
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


def _fit_noise(means, counts, blocks) -> FlickerNoise:
    """Fit variances of Ornstein-Uhlenbeck processes to the sample variograms, none negative.

    Half the mean squared difference at lag T is sum_j v_j (1 - exp(-T / s_j)) plus the white noise of a block, for
    common and own processes together within an output and for the common ones alone between two outputs.
    """
    from detectorist.algorithms._flicker_nb import variogram_sums

    rows, steps = blocks.lags()
    sums, inverse_counts = variogram_sums(means, counts, blocks.per_row, rows, steps, (BLOCK_PIX + 1) // 2)
    lag_pix = rows * blocks.row_pix + steps * BLOCK_PIX
    scales = np.geomspace(3.0 * BLOCK_PIX, max(blocks.n_rows, 3) * blocks.row_pix / 3.0, N_SCALES)
    shape = 1.0 - np.exp(-lag_pix[:, None] / scales)
    within, across = 0.5 * sums[:, 0] / np.maximum(sums[:, 1], 1), 0.5 * sums[:, 2] / np.maximum(sums[:, 3], 1)
    ok, both = (sums[:, 1] > 30) & (within > 0), (sums[:, 3] > 30) & (within > 0)
    if not ok.any():
        raise TooFewPixels("1/f noise: too few pairs of usable neighbours", n_pairs=int(sums[:, 1].max()))
    common_shape = shape if both.any() else np.zeros_like(shape)
    white = 0.5 * inverse_counts / np.maximum(sums[:, 1], 1)
    nothing = np.zeros_like(shape)
    design = np.vstack(
        [
            np.column_stack([common_shape, shape, white])[ok],
            np.column_stack([shape, nothing, 0 * white])[both],
        ]
    )
    # Pairs closer than the lag repeat each other: that many fewer are independent.
    independent = lag_pix / BLOCK_PIX
    certain = np.r_[
        np.sqrt(sums[ok, 1] / independent[ok]) / within[ok], np.sqrt(sums[both, 3] / independent[both]) / within[both]
    ]
    design, data = design * certain[:, None], np.r_[within[ok], across[both]] * certain
    found, _ = nnls(design, data)
    # Least squares alone puts a smooth spectrum on a few scales: neighbours are held to each other within their mean.
    pairs = np.diff(np.eye(N_SCALES), axis=0) * EVENNESS * N_SCALES / max(found[:-1].sum(), 1e-30)
    even = np.zeros((2 * len(pairs), found.size))
    even[: len(pairs), :N_SCALES] = even[len(pairs) :, N_SCALES:-1] = pairs
    found, _ = nnls(np.vstack([design, even]), np.r_[data, np.zeros(len(even))])
    least_white = 1e-3 * float(within[ok].min())
    return FlickerNoise(max(float(found[-1]), least_white), scales, found[:N_SCALES], found[N_SCALES:-1])


def _smooth(means, counts, blocks, noise, *, want_variance):
    """Return posterior mean and variance (n_steps, n_outputs) of the blocks; idle processes cost nothing."""
    from detectorist.algorithms._flicker_nb import smooth

    n_outputs = len(means)
    common, own = noise.common > 0, noise.own > 0
    if not (common.any() or own.any()):
        return np.zeros(means.T.shape, np.float32), np.zeros(means.T.shape, np.float32)
    scales = np.r_[noise.scales_pix[common], np.tile(noise.scales_pix[own], n_outputs)]
    variance = np.r_[noise.common[common], np.tile(noise.own[own], n_outputs)]
    white = np.where(counts > 0, noise.white / np.maximum(counts, 1), 0.0)
    return smooth(
        np.ascontiguousarray(means.T, float),
        np.ascontiguousarray(white.T),
        variance,
        blocks.decay(scales),
        blocks.per_row,
        int(common.sum()),
        int(own.sum()),
        want_variance,
    )


def _fast_variance(image, usable, offsets, expected, clip, noise, readout):
    """Return the variance of the part of the 1/f noise that the smoother takes for white or that a block averages out.

    Half the mean squared difference of two pixels of a row grows with their distance by the noise between, whatever
    the white noise. For a power law f**-a, 0.6 < a < 1.7, its growth d from 1 to 4 pixels and q times that from 4
    to 16 tell the variance within a block of 4 (1.04 d / q, to 10 %) and the growth from 0 to 1 (1.06 d / q).
    """
    from detectorist.algorithms._flicker_nb import neighbour_sums

    sums = np.zeros(4)
    for first, last, _ in readout.outputs:
        sums += neighbour_sums(image, usable, offsets, expected, first, last, clip)
    if sums[3] < MIN_PIXELS:
        return 0.0
    near, middle, far = 0.5 * sums[:3] / sums[3]
    growth = middle - near
    if growth <= 0 or far <= middle:
        return 0.0
    steeper = float(np.clip((far - middle) / growth, 0.5, 2.6))
    white = near - 1.06 * growth / steeper
    return float(1.04 * growth / steeper + max(noise.white - white, 0.0) / BLOCK_PIX)


def _column_offsets(image, usable, offsets, level, pattern, clip):
    """Return level plus offset of each column, shrunk by its error, and the offsets' variance, both (nx,)."""
    from detectorist.algorithms._flicker_nb import column_sums

    total, count = column_sums(image, usable, offsets, pattern, clip)
    seen = count > 0
    raw = np.where(seen, offsets - level + total / np.maximum(count, 1), 0.0)
    x = np.linspace(-1, 1, raw.size)
    if seen.sum() > 10 * COLUMN_LIGHT_ORDER:
        light = legendre.legfit(x[seen], raw[seen], COLUMN_LIGHT_ORDER, w=np.sqrt(count[seen]))
        # What columns at random would give: their scatter over the norm of each polynomial.
        scatter = MAD_TO_SIGMA * np.median(np.abs(np.diff(raw[seen]))) / np.sqrt(2)
        chance = scatter**2 * (2 * np.arange(light.size) + 1) / seen.sum()
        light *= np.clip(1 - 4 * chance / np.maximum(light**2, 1e-300), 0, 1)
        raw = np.where(seen, raw - legendre.legval(x, light), 0.0)
    error = np.full(raw.size, np.inf)
    error[seen] = (clip / 4.0) ** 2 / count[seen]
    typical = (MAD_TO_SIGMA * np.median(np.abs(raw[seen]))) ** 2 if seen.any() else 0.0
    spread = max(typical - float(np.median(error[seen])) if seen.any() else 0.0, 0.0)
    share = np.where(seen, spread / np.maximum(spread + error, 1e-300), 0.0)
    return level + share * raw, np.full(raw.size, spread) * (1.0 - share)
