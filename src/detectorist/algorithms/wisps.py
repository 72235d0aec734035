"""How strong a wisp of known shape is in an image, with its uncertainty.

Wisps are stray light of fixed shape per detector and filter and of varying strength, possibly of two or more components
that vary apart. Strengths, levels of rows (one per output) and levels of columns are one linear model, solved together:
stripes do not change the strength. The uncertainty comes from the scatter of the residuals, strip by strip, so that
what is left of 1/f noise and of faint galaxies counts. That 1/f noise sets the limit: along a row it is stronger than
white noise on the scale of a wisp, and waves along the rows, fitted as well, gain nothing that they do not cost.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy import ndimage

from detectorist.algorithms.sources import mask_sources
from detectorist.errors import ParameterError, TooFewPixels

#: Pixels of the square bins in which the fit is made; wisps are tens of pixels wide.
BIN_PIX = 4
#: Bins along y whose residuals are taken as one sample for the uncertainty: faint galaxies are not much larger.
STRIP_BINS = 2
#: Width (sigma) of the Gaussian that takes the noise out of a template, pixel.
TEMPLATE_SMOOTHING_PIX = 2.0
#: Rounds in which levels of columns and of rows are taken out in turn.
ROUNDS = 12
#: Rounds of looking for sources in the image without its wisps.
MASK_ROUNDS = 2
#: A component is significant from here.
SIGNIFICANT_SIGMA = 3.0
#: Fewest bins with light of the template.
MIN_BINS = 50


@dataclass(frozen=True)
class WispFit:
    """Strengths of the components.

    scale, error : ndarray, shape (n_components,)
        Factor of each template, none negative, and its standard deviation.
    covariance : ndarray, shape (n_components, n_components)
    significant : bool
        Whether any component is stronger than three times its error.
    residual_ratio : float
        rms of the residuals where the wisp is over that where it is not: 1 for a template that fits.
    n_bins : int
        Bins behind the fit.
    """

    scale: np.ndarray
    error: np.ndarray
    covariance: np.ndarray
    significant: bool
    residual_ratio: float
    n_bins: int


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
    """

    fit: WispFit
    image: np.ndarray
    variance: np.ndarray
    mask: np.ndarray


def prepare_templates(templates: np.ndarray, *, smoothing_pix: float = TEMPLATE_SMOOTHING_PIX) -> np.ndarray:
    """Return templates (n, ny, nx) as float32 without noise: 0 for NaN, smoothed by a Gaussian.

    Raises ParameterError where a template has no light at all.
    """
    prepared = np.nan_to_num(np.asarray(templates, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if prepared.ndim != 3:
        raise ParameterError(f"templates of shape {prepared.shape}: (n, ny, nx) is needed")
    for number, template in enumerate(prepared, start=1):
        if not (template > 0).any():
            raise ParameterError(f"template {number} has no positive pixel: it holds no wisp")
    if smoothing_pix <= 0:
        return prepared
    return np.stack([ndimage.gaussian_filter(one, smoothing_pix, mode="nearest", truncate=3) for one in prepared])


def find_wisps(
    image: np.ndarray,
    bad: np.ndarray,
    templates: np.ndarray,
    *,
    mask: np.ndarray | None = None,
    n_outputs: int = 4,
    clip_sigma: float = 4.0,
) -> WispModel:
    """Fit wisps and make their image.

    Parameters
    ----------
    image : ndarray of float, shape (ny, nx)
        In the unit and flat-fielding of the templates; sky and stripes may be in it. Non-finite pixels are ignored.
    bad : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    templates : ndarray of float, shape (n_components, ny, nx)
        As read; noise and NaN are taken out here.
    mask : ndarray of bool, shape (ny, nx), optional
        True on sources; by default they are looked for in the image without its wisps, in two rounds.
    n_outputs : int
        Stripes of columns with a row level each.
    clip_sigma : float
        Pixels farther from the model are left out.

    Returns
    -------
    WispModel

    Raises
    ------
    TooFewPixels, ParameterError
        As `fit_wisps`, `prepare_templates` and `mask_sources`.
    """
    image, bad = np.asarray(image, np.float32), np.asarray(bad, bool)
    smooth = prepare_templates(templates)
    settings = {"n_outputs": n_outputs, "clip_sigma": clip_sigma}
    if mask is None:
        mask = np.zeros(bad.shape, bool)
        for _ in range(MASK_ROUNDS):
            fit = fit_wisps(image, bad | mask, templates, smooth=smooth, **settings)
            rest = image - np.tensordot(fit.scale.astype(np.float32), smooth, 1)
            mask = mask_sources(rest, bad, n_outputs=n_outputs).mask
    fit = fit_wisps(image, bad | mask, templates, smooth=smooth, **settings)
    wisp, variance = wisp_image(smooth, fit.scale * fit.significant, fit.covariance * fit.significant)
    return WispModel(fit, wisp, variance, mask)


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
    n_outputs: int = 4,
    clip_sigma: float = 4.0,
) -> WispFit:
    """Fit the strengths of wisps together with a level of every row, output by output, and of every column.

    Parameters
    ----------
    image, templates, n_outputs, clip_sigma
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
    make every strength too small by its share of the template's own variance. About 0.3 s for a full frame.
    """
    image, templates = np.asarray(image, np.float32), np.asarray(templates, np.float32)
    if image.shape != mask.shape or templates.shape[-2:] != image.shape or templates.ndim != 3:
        raise ParameterError(
            f"image of shape {image.shape}, mask of shape {mask.shape}, templates of shape {templates.shape}: "
            "(ny, nx), (ny, nx) and (n, ny, nx) are needed"
        )
    smooth = prepare_templates(templates) if smooth is None else smooth
    usable = ~np.asarray(mask, bool) & np.isfinite(image)
    given = np.nan_to_num(templates, posinf=0.0, neginf=0.0)
    instruments = np.stack([_binned(one) for one in smooth])
    lit = (instruments > 0.1 * instruments.max(axis=(1, 2), keepdims=True)).any(axis=0)
    scale = np.zeros(len(templates))
    for clip in (3 * clip_sigma, clip_sigma, clip_sigma):
        sums, count = _sums(image, given, usable, scale, clip, n_outputs)
        if ((count > 0) & lit).sum() < MIN_BINS:
            raise TooFewPixels(
                f"wisp fit: {int(((count > 0) & lit).sum())} usable bins of {BIN_PIX} x {BIN_PIX} pixels where the "
                f"template has light; {MIN_BINS} are needed",
                n_bins=int(((count > 0) & lit).sum()),
            )
        scale, left = _solve(sums, count, instruments)
    covariance = _covariance(left, sums, count, instruments, n_outputs)
    error = np.sqrt(np.diag(covariance))
    ratio = _rms(left, count, lit) / max(_rms(left, count, ~lit), 1e-30)
    significant = bool((scale > SIGNIFICANT_SIGMA * error).any())
    return WispFit(scale, error, covariance, significant, float(ratio), int((count > 0).sum()))


def _binned(image):
    """Return the means of an image over the bins, incomplete ones at the upper edges left out."""
    ny, nx = (n // BIN_PIX for n in image.shape)
    return image[: ny * BIN_PIX, : nx * BIN_PIX].reshape(ny, BIN_PIX, nx, BIN_PIX).mean(axis=(1, 3))


def _sums(image, templates, usable, scale, clip_sigma, n_outputs):
    """Return means (1 + n, ny, nx) over the bins, of image and templates without stripes, and their pixels."""
    from detectorist.algorithms._sources_nb import row_levels
    from detectorist.algorithms._wisps_nb import bin_planes

    both = usable[::4, 1:] & usable[::4, :-1]
    steps = np.abs(image[::4, 1:] - image[::4, :-1])[both]
    noise = 1.0484 * float(np.median(steps)) if steps.size else 0.0  # 1.4826 / sqrt(2)
    if noise <= 0:
        raise TooFewPixels("wisp fit: the usable pixels have no scatter", n_pairs=int(steps.size))
    edges = np.arange(0, image.shape[1] + 1, image.shape[1] // n_outputs)
    level = np.float32(np.median(image[::4][usable[::4]]))
    above = np.where(usable, image - level, 0)
    rest = above - np.tensordot(scale.astype(np.float32), templates, 1) if scale.any() else above
    levels = row_levels(rest, usable, edges, 3.0 * noise)
    total, count = bin_planes(above, templates, usable, levels, edges, scale, clip_sigma * noise, BIN_PIX)
    return _without_stripes(total / np.maximum(count, 1), count, n_outputs), count


def _without_stripes(means, count, n_outputs):
    """Return planes of bins (1 + n, ny, nx) about a free level of every column and of every output's row."""
    parts = np.array_split(np.arange(count.shape[1]), n_outputs)
    for _ in range(ROUNDS):
        means = means - (count * means).sum(axis=1, keepdims=True) / np.maximum(count.sum(axis=0), 1)
        for part in parts:
            weight = np.maximum(count[:, part].sum(axis=1), 1)[:, None]
            means[:, :, part] -= (count[:, part] * means[:, :, part]).sum(axis=2, keepdims=True) / weight
    return means * (count > 0)


def _solve(means, count, instruments):
    """Return strengths, none negative, and the residuals of the bins."""
    moment = np.array([np.vdot(t * count, means[0]) for t in instruments])
    normal = np.array([[np.vdot(t * count, other) for other in means[1:]] for t in instruments])
    best, best_left, least = np.zeros(len(instruments)), means[0], np.inf
    n = len(instruments)
    for size in range(n, -1, -1):
        for chosen in combinations(range(n), size):
            pick = list(chosen)
            scale = np.zeros(n)
            if pick:
                part = normal[np.ix_(pick, pick)]
                if np.linalg.cond(part) > 1e8:
                    raise TooFewPixels("wisp fit: the usable pixels cannot tell the components apart", components=pick)
                scale[pick] = np.linalg.solve(part, moment[pick])
            if (scale < 0).any():
                continue
            left = means[0] - np.tensordot(scale.astype(np.float32), means[1:], 1)
            badness = float(np.vdot(left * count, left))
            if badness < least:
                best, best_left, least = scale, left, badness
        if np.isfinite(least) and size == n:
            break
    return best, best_left


def _covariance(left, means, count, instruments, n_outputs):
    """Return the covariance of the strengths from the scatter of strips of rows, output by output.

    A strength that was held at zero gets the variance it would have if it were free.
    """
    normal = np.array([[np.vdot(t * count, other) for other in means[1:]] for t in instruments])
    strips = range(0, count.shape[0], STRIP_BINS)
    scores = []
    for part in np.array_split(np.arange(count.shape[1]), n_outputs):
        weighted = instruments[:, :, part] * (count * left)[:, part]
        scores.append(np.array([weighted[:, y : y + STRIP_BINS].sum(axis=(1, 2)) for y in strips]))
    scores = np.vstack(scores)
    inverse = np.linalg.inv(normal)
    return inverse @ (scores.T @ scores) @ inverse.T


def _rms(left, count, where):
    """Return the rms of residuals in units of what a single pixel's noise gives, over some bins."""
    weight = count * where
    return float(np.sqrt((weight * left**2 * count).sum() / max(weight.sum(), 1)))
