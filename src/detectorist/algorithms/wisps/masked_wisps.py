"""The strength of a wisp in an image whose sources are masked.

The least-squares fit with the covariance of the 1/f noise, in the order of readout and with offsets of columns left
free: no other linear estimate without bias has a smaller error (Gauss-Markov; the Cramer-Rao limit of Gaussian noise).
Its uncertainty comes from the scatter of the residuals, strip by strip, so that faint galaxies count too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import ndimage

from detectorist.algorithms.flicker.readout import Blocks, Readout, alternating_readout
from detectorist.algorithms.flicker.smoother import smooth_blocks
from detectorist.algorithms.flicker.spectrum import fit_noise
from detectorist.algorithms.wisps.wisp_fit import (
    FULL_FRAME_OUTPUTS,
    SIGNIFICANT_SIGMA,
    TEMPLATE_SMOOTHING_PIX,
    WispFit,
    prepare_templates,
    require_shapes,
)
from detectorist.errors import TooFewPixels

#: Rows whose residuals are taken as one sample for the uncertainty: faint galaxies are not much larger.
STRIP_ROWS = 8
#: Rounds in which levels of columns and of rows are taken out in turn for the first strength.
ROUNDS = 3
#: Fewest pixels with light of the template.
MIN_LIT_PIX = 800


def fit_wisps(
    image: np.ndarray,
    mask: np.ndarray,
    templates: np.ndarray,
    *,
    smooth: np.ndarray | None = None,
    readout: Readout | None = None,
    clip_sigma: float = 4.0,
) -> WispFit:
    """Fit the strengths of wisps in the presence of 1/f noise and of offsets of columns.

    Parameters
    ----------
    image, templates, readout, clip_sigma
        As in `wisps.find_wisps`; pixels farther than `clip_sigma` from what is expected are left out.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used: bad pixels and sources.
    smooth : ndarray of float32, shape (n_components, ny, nx), optional
        Result of `prepare_templates`.

    Returns
    -------
    WispFit

    Raises
    ------
    TooFewPixels
        When nearly all light of the templates is masked, or the components cannot be separated.
    ParameterError
        When shapes differ.

    Notes
    -----
    The weights come from the smoothed templates, the given ones are fitted (instrumental variables): noise of a
    template would otherwise make every strength too small by its share of the template's own variance. About 0.8 s for
    a full frame.
    """
    image, templates = np.asarray(image, np.float32), np.asarray(templates, np.float32)
    require_shapes(image, mask, templates)
    readout = alternating_readout(image.shape[1], FULL_FRAME_OUTPUTS) if readout is None else readout
    smooth = prepare_templates(templates) if smooth is None else smooth
    usable = ~np.asarray(mask, bool) & np.isfinite(image)
    given = np.nan_to_num(templates, posinf=0.0, neginf=0.0)
    planes = np.concatenate([given, _instruments(given, smooth)])
    n = len(templates)
    # A first strength without the noise's spectrum, which the wisp would be part of.
    data = _in_readout_order(image, planes, usable, np.zeros(n), 3 * clip_sigma, readout)
    scale, _ = _solve(_without_stripes(data.instruments, data), data)
    data = _in_readout_order(image, planes, usable, scale, clip_sigma, readout)
    noise = fit_noise(data.rest(scale), data.counts, data.blocks)
    weights = np.stack([_weigh(one, data, noise) for one in data.instruments])
    scale, normal = _solve(weights, data)
    left = data.rest(scale)
    covariance = _covariance(weights, left, normal, data)
    error = np.sqrt(np.diag(covariance))
    significant = bool((scale > SIGNIFICANT_SIGMA * error).any())
    least = np.sqrt(np.abs(np.diag(np.linalg.inv(normal))))
    n_blocks = int((data.counts > 0).sum())
    return WispFit(scale, error, covariance, least, significant, _residual_ratio(left, data), n_blocks)


@dataclass(frozen=True)
class _Data:
    """Block means in the order of readout, (n_outputs, n_rows * n_blocks) each, over the same pixels.

    image : about the level of the sky. templates, instruments : (n, ...), as given and smooth. counts : pixels.
    """

    image: np.ndarray
    templates: np.ndarray
    instruments: np.ndarray
    counts: np.ndarray
    blocks: Blocks
    lit: np.ndarray

    def rest(self, scale):
        """Return the image without wisps of the given strengths and without offsets of columns."""
        rest = self.image - np.tensordot(scale.astype(np.float32), self.templates, 1)
        return _without_columns(rest, self)


def _instruments(given, smooth):
    """Return smooth templates to which the row itself does not contribute: their noise is not that of `given`.

    Weights that share the noise of what they weigh make strengths too small, by 0.3 % with a noise of 4 % of the peak:
    the inverse of the 1/f noise's covariance damps a wisp, but not white noise.
    """
    offsets = np.arange(-round(3 * TEMPLATE_SMOOTHING_PIX), round(3 * TEMPLATE_SMOOTHING_PIX) + 1)
    kernel = np.exp(-0.5 * (offsets / TEMPLATE_SMOOTHING_PIX) ** 2)
    own = np.float32(kernel.max() / kernel.sum())
    along = ndimage.gaussian_filter1d(given, TEMPLATE_SMOOTHING_PIX, axis=2, mode="nearest", truncate=3)
    return (smooth - own * along) / (1 - own)


def _in_readout_order(image, planes, usable, scale, clip_sigma, readout) -> _Data:
    """Average image and templates over blocks, outlying pixels left out."""
    from detectorist.algorithms.images._sources_nb import row_levels
    from detectorist.algorithms.wisps._wisps_nb import block_planes

    both = usable[::4, 1:] & usable[::4, :-1]
    steps = np.abs(image[::4, 1:] - image[::4, :-1])[both]
    noise = 1.0484 * float(np.median(steps)) if steps.size else 0.0  # 1.4826 / sqrt(2)
    if noise <= 0:
        raise TooFewPixels("wisp fit: the usable pixels have no scatter", n_pairs=int(steps.size))
    level = np.float32(np.median(image[::4][usable[::4]]))
    above = np.where(usable, image - level, 0)
    n = len(planes) // 2
    rest = above - np.tensordot(scale.astype(np.float32), planes[:n], 1) if scale.any() else above
    edges = np.arange(0, image.shape[1] + 1, readout.width)
    levels = row_levels(rest, usable, edges, 3.0 * noise)
    blocks = Blocks(readout, len(image))
    backwards = readout.slow_direction < 0
    found = [
        block_planes(
            above,
            planes,
            usable,
            np.ascontiguousarray(levels[:, output[0] // readout.width]),
            np.asarray(scale, float),
            clip_sigma * noise,
            *output,
            backwards,
            blocks.block_pix,
        )
        for output in readout.outputs
    ]
    means = np.stack([one for one, _ in found], axis=1)
    counts = np.array([count for _, count in found])
    instruments = means[1 + n :]
    lit = (instruments > 0.1 * planes[n:].max(axis=(1, 2))[:, None, None]).any(axis=0) & (counts > 0)
    n_lit = int(lit.sum()) * blocks.block_pix
    if n_lit < MIN_LIT_PIX:
        raise TooFewPixels(
            f"wisp fit: about {n_lit} usable pixels where the template has light; {MIN_LIT_PIX} are needed",
            n_usable=n_lit,
        )
    return _Data(means[0], means[1 : 1 + n], instruments, counts, blocks, lit)


def _rows(values, data):
    """Return values (n_outputs, n_steps) as (n_outputs, n_rows, n_blocks)."""
    return values.reshape(len(data.counts), data.blocks.n_rows, -1)


def _without_columns(values, data):
    """Return values about the mean of every column of blocks, 0 where no pixel is."""
    counts, cube = _rows(data.counts, data), _rows(values, data)
    mean = np.einsum("orb,orb->ob", counts, cube, dtype=float) / np.maximum(counts.sum(axis=1, dtype=float), 1)
    return ((cube - mean[:, None].astype(np.float32)) * (counts > 0)).reshape(values.shape)


def _without_stripes(many, data):
    """Return weights for values about a free level of every column and of every output's row: white noise only."""
    counts, weights = _rows(data.counts, data).astype(np.float32), []
    for values in many:
        left = values
        for _ in range(ROUNDS):
            cube = _rows(left, data)
            level = (counts * cube).sum(axis=2) / np.maximum(counts.sum(axis=2), 1)
            left = _without_columns((cube - level[:, :, None]).reshape(values.shape), data)
        weights.append(left * data.counts)
    return np.stack(weights)


def _weigh(values, data, noise):
    """Return values times the inverse of the noise's covariance, about free offsets of columns.

    With S the smoother of the 1/f noise and R the variance of white noise, that inverse is (1 - S) / R. Offsets of
    columns lie at multiples of the row frequency, where S takes next to nothing: one turn after the other is enough.
    """
    centred = _without_columns(values, data)
    smoothed, _ = smooth_blocks(centred, data.counts, data.blocks, noise, want_variance=False)
    return data.counts * _without_columns(values - smoothed.T, data) / np.float32(noise.white)


def _solve(weights, data):
    """Return strengths, none negative, and the normal matrix."""
    moment = np.array([np.vdot(one, data.image) for one in weights])
    normal = np.array([[np.vdot(one, other) for other in data.templates] for one in weights])
    n = len(weights)
    best, least = np.zeros(n), 0.0
    for size in range(n, 0, -1):
        for chosen in combinations(range(n), size):
            pick = list(chosen)
            part = normal[np.ix_(pick, pick)]
            if np.linalg.cond(part) > 1e8:
                raise TooFewPixels("wisp fit: the usable pixels cannot separate the components", components=pick)
            scale = np.zeros(n)
            scale[pick] = np.linalg.solve(part, moment[pick])
            badness = -float(moment @ scale)
            if (scale >= 0).all() and badness < least:
                best, least = scale, badness
        if least < 0 and size == n:
            break
    return best, normal


def _covariance(weights, left, normal, data):
    """Return the covariance of the strengths from the scatter of strips of rows, output by output.

    A strength that was held at zero gets the variance it would have if it were free.
    """
    strips = np.arange(0, data.blocks.n_rows, STRIP_ROWS)
    each = [_rows(one * left, data).sum(axis=2, dtype=float) for one in weights]
    scores = np.column_stack([np.add.reduceat(one, strips, axis=1).ravel() for one in each])
    inverse = np.linalg.inv(normal)
    return inverse @ (scores.T @ scores) @ inverse.T


def _residual_ratio(left, data):
    """Return the rms of residuals in units of white noise where the wisp is, over that where it is not."""
    squares = data.counts * left.astype(float) ** 2
    rms = [
        np.sqrt(squares[where].mean()) if where.any() else np.nan for where in (data.lit, ~data.lit & (data.counts > 0))
    ]
    return float(rms[0] / max(rms[1], 1e-30))
