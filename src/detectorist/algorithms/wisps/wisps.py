"""How strong a wisp of known shape is in an image, with its uncertainty.

Wisps are stray light of fixed shape per detector and filter and of varying strength, possibly of two or more components
that vary apart. `find_wisps` measures them in an image full of unknown sources.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.flicker.readout import Blocks, Readout, alternating_readout
from detectorist.algorithms.flicker.smoother import SKETCH_BLOCK_PIX, estimate_flicker_coarsely, smooth_blocks
from detectorist.algorithms.images.sources import mask_sources
from detectorist.algorithms.wisps.wavelets import remove_noise
from detectorist.algorithms.wisps.wisp_bins import add_derivatives
from detectorist.algorithms.wisps.wisp_fit import (
    FULL_FRAME_OUTPUTS,
    SIGNIFICANT_SIGMA,
    WispFit,
    require_light,
    require_shapes,
)
from detectorist.algorithms.wisps.wisp_strength import measure_strength
from detectorist.errors import TooFewPixels


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
    blur : float
        Half the square of the width (sigma, pixel) by which the wisp is blunter than its templates, negative where it
        is sharper; it is in `image`.
    """

    fit: WispFit
    image: np.ndarray
    variance: np.ndarray
    mask: np.ndarray
    displacement: tuple[float, float] = (0.0, 0.0)
    blur: float = 0.0


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
        Strengths and errors are NaN where too little of the templates' light is usable.

    Raises
    ------
    TooFewPixels
        When components cannot be separated.
    ParameterError
        When shapes differ or a template has no light.

    Notes
    -----
    `wisp_strength.measure_strength` on the image without a first estimate of its 1/f noise.
    """
    image, bad = np.asarray(image, np.float32), np.asarray(bad, bool)
    require_shapes(image, bad, templates)
    given = require_light(templates)
    usable = ~bad & np.isfinite(image)
    readout = alternating_readout(image.shape[1], FULL_FRAME_OUTPUTS) if readout is None else readout
    filled = np.where(usable, image, 0)
    smooth, seen = _take_off_stripes(filled, ~usable, given, readout)
    if mask is not None:
        usable &= ~mask
    try:
        found = measure_strength(smooth, usable, seen)
    except TooFewPixels as error:
        if "components" in error.numbers:
            raise
        return _unknown(given.shape, np.zeros(bad.shape, bool) if mask is None else np.asarray(mask, bool))
    error = np.sqrt(np.diag(found.covariance))
    significant = bool((found.scale > SIGNIFICANT_SIGMA * error).any())
    fit = WispFit(
        found.scale, error, found.covariance, found.least_error, significant, found.residual_ratio, found.n_bins
    )
    nothing = np.zeros(image.shape, np.float32)
    if not significant:
        return WispModel(fit, nothing, nothing, found.excluded & ~bad)
    clean = np.stack([remove_noise(one) for one in given])
    adapted = np.stack([_adapted(one, found) for one in clean])
    wisp, variance = wisp_image(adapted, found.scale, found.covariance)
    wisp *= found.local
    return WispModel(fit, wisp, variance, found.excluded & ~bad, found.displacement, found.blur)


def _take_off_stripes(image, bad, templates, readout):
    """Return image and templates without what a first estimate of the 1/f noise takes off each.

    It takes part of the wisps, too, where they are too faint for the mask of sources: the same part of the templates.
    Returned as they are where nothing tells of noise.
    """
    try:
        mask = bad | mask_sources(image, bad, n_outputs=len(readout.outputs)).mask
        stripes = estimate_flicker_coarsely(image, mask, readout=readout, columns=False)
    except TooFewPixels:
        return image, templates
    blocks = Blocks(readout, len(image), block_pix=SKETCH_BLOCK_PIX)
    nothing, anywhere = np.zeros((0, 0), np.float32), np.zeros(image.shape[1])
    taken = []
    for template in templates:
        means, counts = blocks.average(template, ~mask, anywhere, nothing, np.inf)
        line, _ = smooth_blocks(means, counts, blocks, stripes.noise, want_variance=False)
        taken.append(template - blocks.paint(line, straight=True))
    return image - stripes.total(), np.stack(taken)


def _adapted(template, found):
    """Return a template displaced by a few pixels and as sharp as the wisp, to first order as it was fitted."""
    change = (-found.displacement[0], -found.displacement[1], found.blur)
    return add_derivatives(template, change, found.smoothing_pix)


def _unknown(shape, mask):
    """Return the model of a wisp of which too little is seen: nothing to subtract, strengths unknown."""
    n, nothing = shape[0], np.zeros(shape[1:], np.float32)
    unknown = np.full(n, np.nan)
    fit = WispFit(unknown, unknown, np.full((n, n), np.nan), unknown, False, float("nan"), 0)
    return WispModel(fit, nothing, nothing, mask)


def wisp_image(templates: np.ndarray, scale: np.ndarray, covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of scaled templates and its variance, (ny, nx) float32 each."""
    image = np.tensordot(np.asarray(scale, np.float32), templates, 1)
    variance = np.zeros(image.shape, np.float32)
    for i, first in enumerate(templates):
        for j, second in enumerate(templates):
            if covariance[i, j]:
                product = first * second
                product *= np.float32(covariance[i, j])
                variance += product
    return image, np.maximum(variance, 0, out=variance)
