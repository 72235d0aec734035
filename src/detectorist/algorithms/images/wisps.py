"""How strong a wisp of known shape is in an image, with its uncertainty.

Wisps are stray light of fixed shape per detector and filter and of varying strength, possibly of two or more components
that vary apart. `find_wisps` measures them in an image full of sources. `fit_wisps` is for images whose sources are
masked: the least-squares fit with the covariance of the 1/f noise, in the order of readout and with offsets of columns
left free: no other linear estimate without bias has a smaller error (Gauss-Markov; the Cramer-Rao limit of Gaussian
noise). Its uncertainty comes from the scatter of the residuals, strip by strip, so that faint galaxies count too.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import ndimage

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.flicker.readout import Blocks, Readout, alternating_readout
from detectorist.algorithms.flicker.smoother import estimate_flicker_coarsely, estimate_noise, smooth_blocks
from detectorist.algorithms.flicker.spectrum import fit_noise
from detectorist.algorithms.images.sources import mask_sources
from detectorist.algorithms.images.wavelets import remove_noise
from detectorist.algorithms.images.wisp_strength import measure_strength
from detectorist.errors import ParameterError, TooFewPixels

#: Rows whose residuals are taken as one sample for the uncertainty: faint galaxies are not much larger.
STRIP_ROWS = 8
#: Width (sigma) of the Gaussian that takes the noise out of a template, pixel.
TEMPLATE_SMOOTHING_PIX = 2.0
#: Rounds in which levels of columns and of rows are taken out in turn for the first strength.
ROUNDS = 3
#: A component is significant from here.
SIGNIFICANT_SIGMA = 3.0
#: An image in which a wisp of this strength would not be significant does not tell of wisps.
LEAST_KNOWN = 0.3
#: Fewest pixels with light of the template.
MIN_LIT_PIX = 800
#: Outputs of an image of which nothing else is said.
FULL_FRAME_OUTPUTS = 4


@dataclass(frozen=True)
class WispFit:
    """Strengths of the components.

    scale, error : ndarray, shape (n_components,)
        Factor of each template and its standard deviation; NaN where not measurable. Of several none is negative.
    covariance : ndarray, shape (n_components, n_components)
    least_error : ndarray, shape (n_components,)
        What the error would be with the noise alone, no faint sources: the Cramer-Rao limit of the estimated spectrum.
    significant : bool
        Whether any component is stronger than three times its error.
    residual_ratio : float
        rms of the residuals where the wisp is over that where it is not: 1 for a template that fits.
    n_blocks : int
        Blocks of pixels behind the fit.
    """

    scale: np.ndarray
    error: np.ndarray
    covariance: np.ndarray
    least_error: np.ndarray
    significant: bool
    residual_ratio: float
    n_blocks: int

    @property
    def measured(self) -> bool:
        """Whether the image tells: a wisp was found, or one of 0.3 of its template would have been."""
        return self.significant or bool((SIGNIFICANT_SIGMA * self.error <= LEAST_KNOWN).all())


@dataclass(frozen=True)
class WispModel:
    """A fitted wisp as an image.

    fit : WispFit
    image : ndarray of float32, shape (ny, nx)
        What to subtract; 0 everywhere when nothing is significant.
    variance : ndarray of float32, shape (ny, nx)
        Variance of `image` from the uncertainty of the strengths.
    mask : ndarray of bool, shape (ny, nx)
        Sources that were left out.
    displacement : tuple of float
        (y, x) of the wisp from its templates, pixel; it is in `image`.
    """

    fit: WispFit
    image: np.ndarray
    variance: np.ndarray
    mask: np.ndarray
    displacement: tuple[float, float] = (0.0, 0.0)


def require_light(templates: np.ndarray) -> np.ndarray:
    """Return templates (n, ny, nx) as float32, 0 for NaN; raises ParameterError where one has no light at all."""
    finite = np.nan_to_num(np.asarray(templates, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if finite.ndim != 3:
        raise ParameterError(f"templates of shape {finite.shape}: (n, ny, nx) is needed")
    for number, template in enumerate(finite, start=1):
        if not (template > 0).any():
            raise ParameterError(f"template {number} has no positive pixel: it holds no wisp")
    return finite


def prepare_templates(templates: np.ndarray, *, smoothing_pix: float = TEMPLATE_SMOOTHING_PIX) -> np.ndarray:
    """Return templates (n, ny, nx) as float32 without noise: 0 for NaN, smoothed by a Gaussian.

    Raises ParameterError where a template has no light at all.
    """
    prepared = require_light(templates)
    if smoothing_pix <= 0:
        return prepared
    return np.stack([ndimage.gaussian_filter(one, smoothing_pix, mode="nearest", truncate=3) for one in prepared])


@one_thread
def find_wisps(
    image: np.ndarray,
    bad: np.ndarray,
    templates: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    readout: Readout | None = None,
) -> WispModel:
    """Measure wisps in an image with stars, galaxies and stripes, and make their image.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        In the unit and flat-fielding of the templates; sky and stripes may be in it. Non-finite pixels are ignored.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    templates : ndarray of float, shape (n_components, ny, nx)
        As read; noise and NaN are taken out here.
    mask : ndarray of bool, shape (ny, nx), optional
        True on sources that must not be used; others are found.
    readout : Readout, optional
        The order in which the pixels were read; by default that of four outputs.

    Returns
    -------
    WispModel
        Strengths and errors are NaN where too little is seen of the templates' light.

    Raises
    ------
    TooFewPixels
        When components cannot be told apart.
    ParameterError
        When shapes differ or a template has no light.

    Notes
    -----
    `wisp_strength.measure_strength` on the image without a first estimate of its 1/f noise.
    """
    image, bad = np.asarray(image, np.float32), np.asarray(bad, bool)
    _require_shapes(image, bad, templates)
    clean = np.stack([remove_noise(one) for one in require_light(templates)])
    usable = ~bad & np.isfinite(image)
    readout = alternating_readout(image.shape[1], FULL_FRAME_OUTPUTS) if readout is None else readout
    filled = np.where(usable, image, 0)
    smooth, seen = _take_off_stripes(filled, ~usable, clean, readout)
    if mask is not None:
        usable &= ~mask
    try:
        found = measure_strength(smooth, usable, seen)
    except TooFewPixels as error:
        if "components" in error.numbers:
            raise
        return _unknown(clean.shape, np.zeros(bad.shape, bool) if mask is None else np.asarray(mask, bool))
    error = np.sqrt(np.diag(found.covariance))
    significant = bool((found.scale > SIGNIFICANT_SIGMA * error).any())
    fit = WispFit(
        found.scale, error, found.covariance, found.least_error, significant, found.residual_ratio, found.n_bins
    )
    nothing = np.zeros(image.shape, np.float32)
    if not significant:
        return WispModel(fit, nothing, nothing, found.excluded & ~bad)
    shifted = clean if not any(found.displacement) else _shifted(clean, found.displacement)
    wisp, variance = wisp_image(shifted, found.scale, found.covariance)
    return WispModel(fit, wisp * found.local, variance, found.excluded & ~bad, found.displacement)


def _take_off_stripes(image, bad, templates, readout):
    """Return image and templates without what a first estimate of the 1/f noise takes off each.

    It takes part of the wisps, too, where they are too faint for the mask of sources: the same part of the templates.
    Returned as they are where nothing tells of noise.
    """
    try:
        mask = bad | mask_sources(image, bad, n_outputs=len(readout.outputs)).mask
        noise = estimate_noise(image, mask, readout=readout)
        stripes = estimate_flicker_coarsely(image, mask, readout=readout, noise=noise, columns=False).total()
    except TooFewPixels:
        return image, templates
    blocks = Blocks(readout, len(image))
    nothing, anywhere = np.zeros((0, 0), np.float32), np.zeros(image.shape[1])
    taken = []
    for template in templates:
        means, counts = blocks.average(template, ~mask, anywhere, nothing, np.inf)
        line, _ = smooth_blocks(means, counts, blocks, noise, want_variance=False)
        taken.append(template - blocks.paint(line, straight=True))
    return image - stripes, np.stack(taken)


def _shifted(templates, displacement):
    """Return templates displaced by a few pixels, to first order as they were fitted."""
    gradients = [np.gradient(one) for one in templates]
    return np.stack(
        [one - displacement[0] * y - displacement[1] * x for one, (y, x) in zip(templates, gradients, strict=True)]
    ).astype(np.float32)


def _unknown(shape, mask):
    """Return the model of a wisp of which too little is seen: nothing to subtract, strengths unknown."""
    n, nothing = shape[0], np.zeros(shape[1:], np.float32)
    unknown = np.full(n, np.nan)
    fit = WispFit(unknown, unknown, np.full((n, n), np.nan), unknown, False, float("nan"), 0)
    return WispModel(fit, nothing, nothing, mask)


def _require_shapes(image, mask, templates):
    shape = np.shape(templates)
    if image.shape != mask.shape or shape[-2:] != image.shape or len(shape) != 3:
        raise ParameterError(
            f"image of shape {image.shape}, mask of shape {mask.shape}, templates of shape {shape}: "
            "(ny, nx), (ny, nx) and (n, ny, nx) are needed"
        )


def wisp_image(templates: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of scaled templates and its variance, (ny, nx) float32 each."""
    image = np.tensordot(np.asarray(scale, np.float32), templates, 1)
    variance = np.zeros(image.shape, np.float32)
    for i, first in enumerate(templates):
        for j, second in enumerate(templates):
            if covariance[i, j]:
                variance += np.float32(covariance[i, j]) * first * second
    return image, np.maximum(variance, 0)


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
        As in `find_wisps`.
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
        When the mask leaves nearly nothing where the templates have light, or components cannot be told apart.
    ParameterError
        When shapes differ.

    Notes
    -----
    The smooth templates weigh, the given ones are fitted (instrumental variables): noise of a template would otherwise
    make every strength too small by its share of the template's own variance. About 0.8 s for a full frame.
    """
    image, templates = np.asarray(image, np.float32), np.asarray(templates, np.float32)
    _require_shapes(image, mask, templates)
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
    from detectorist.algorithms.images._wisps_nb import block_planes

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
                raise TooFewPixels("wisp fit: the usable pixels cannot tell the components apart", components=pick)
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
