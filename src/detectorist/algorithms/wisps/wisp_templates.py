"""Templates of wisps from a user's own exposures: the light that many images of one detector and filter share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.algorithms.flicker.readout import Readout, alternating_readout
from detectorist.algorithms.flicker.row_medians import measure_pedestal
from detectorist.algorithms.images.sources import mask_sources
from detectorist.algorithms.wisps.masked_wisps import fit_wisps
from detectorist.algorithms.wisps.wisp_fit import FULL_FRAME_OUTPUTS, prepare_templates
from detectorist.errors import ParameterError, TooFewPixels

#: Fewest exposures from which light of the sky and of wisps can be told apart.
MIN_EXPOSURES = 3
#: Rows of the stack that are averaged at a time: bounds the memory.
CHUNK_ROWS = 128
#: Values farther than this from the median of the stack, in its own robust scatter, are left out.
CLIP_SIGMA = 3.0
#: Rounds of stack and strengths in turn; after the first, sources are masked, looked for in images without their wisps.
ROUNDS = 3
#: Light of the template below this part of its maximum is set to zero: noise and the sky's own structure.
LEAST_LIGHT = 0.02


@dataclass(frozen=True)
class WispTemplate:
    """A template.

    image : ndarray of float32, shape (ny, nx)
        Light of the wisp, never negative, normalised to a mean strength of 1 over the exposures.
    strength : ndarray, shape (n_exposures,)
        Strength of the wisp in each exposure.
    n_used : ndarray of uint16, shape (ny, nx)
        Exposures behind each pixel.
    """

    image: np.ndarray
    strength: np.ndarray
    n_used: np.ndarray


def stack_template(
    images: list[np.ndarray],
    bad: list[np.ndarray],
    *,
    readout: Readout | None = None,
    smoothing_pix: float = 3.0,
) -> WispTemplate:
    """Make a template from exposures of different fields.

    Parameters
    ----------
    images : list of ndarray of float, shape (ny, nx) each
        Flat-fielded rates of one detector and filter, stripes removed or not. Non-finite pixels are ignored.
    bad : list of ndarray of bool, shape (ny, nx) each
        True where a pixel must not be used; sources are found here.
    readout : Readout, optional
        The order in which the pixels were read; by default that of four outputs.
    smoothing_pix : float
        Width (sigma) of the Gaussian over the stack.

    Returns
    -------
    WispTemplate

    Raises
    ------
    TooFewPixels
        When fewer than 3 exposures are given, or none shows any common light.
    ParameterError
        When shapes differ.

    Notes
    -----
    The first stack is a clipped mean of the images above their skies: sources are elsewhere in each. Then each image's
    strength is fitted and the images, divided by it and weighted by its square, are stacked again. An image with a
    strength of less than a tenth of the mean is left out.
    """
    if len(images) < MIN_EXPOSURES:
        raise TooFewPixels(f"wisp template: {len(images)} exposures; {MIN_EXPOSURES} are needed", n=len(images))
    shape = images[0].shape
    if len(bad) != len(images) or any(one.shape != shape for one in (*images, *bad)):
        raise ParameterError("wisp template: all images and masks of one shape are needed")
    readout = alternating_readout(shape[1], FULL_FRAME_OUTPUTS) if readout is None else readout
    bad = [b | ~np.isfinite(image) for image, b in zip(images, bad, strict=True)]
    strength = np.ones(len(images))
    template = np.zeros(shape, np.float32)
    masks = bad
    for round_ in range(ROUNDS):
        if round_ > 0:
            masks = [
                b | mask_sources(image - s * template, b, n_outputs=len(readout.outputs)).mask
                for image, b, s in zip(images, bad, strength, strict=True)
            ]
        skies = [measure_pedestal(image - s * template, m) for image, s, m in zip(images, strength, masks, strict=True)]
        stack, n_used = _stack(images, masks, skies, strength)
        template = _lit(prepare_templates(stack[None], smoothing_pix=smoothing_pix)[0])
        fits = [
            fit_wisps(image, mask, template[None], readout=readout) for image, mask in zip(images, masks, strict=True)
        ]
        strength = np.array([fit.scale[0] for fit in fits])
        if not strength.any():
            raise TooFewPixels("wisp template: the exposures have no light in common", n=len(images))
        template = template * np.float32(strength.mean())
        strength = strength / strength.mean()
    return WispTemplate(template, strength, n_used)


def _stack(images, masks, skies, strength):
    """Return the clipped mean of images above their skies over their strengths, and the images behind each pixel."""
    chosen = np.flatnonzero(strength > 0.1 * strength.mean())
    shape = images[0].shape
    stack, n_used = np.zeros(shape, np.float32), np.zeros(shape, np.uint16)
    for first in range(0, shape[0], CHUNK_ROWS):
        rows = slice(first, first + CHUNK_ROWS)
        values = np.stack([(images[i][rows] - skies[i]) / strength[i] for i in chosen])
        seen = ~np.stack([masks[i][rows] for i in chosen])
        weight = seen * (strength[chosen] ** 2)[:, None, None]
        with np.errstate(invalid="ignore"):
            middle = _median(values, seen)
            scatter = 1.4826 * _median(np.abs(values - middle), seen)
            weight = np.where(np.abs(values - middle) <= CLIP_SIGMA * scatter + 1e-30, weight, 0)
        total = weight.sum(axis=0)
        stack[rows] = np.where(
            total > 0, (weight * np.where(seen, values, 0)).sum(axis=0) / np.maximum(total, 1e-30), 0
        )
        n_used[rows] = (weight > 0).sum(axis=0)
    return stack, n_used


def _median(values, seen):
    """Return the median along the first axis of what is seen, 0 where nothing is."""
    ordered = np.sort(np.where(seen, values, np.inf), axis=0)
    n = seen.sum(axis=0)
    low, high = (np.take_along_axis(ordered, np.maximum(i, 0)[None], axis=0)[0] for i in ((n - 1) // 2, n // 2))
    return np.where(n > 0, 0.5 * (low + np.where(n > 1, high, low)), 0)


def _lit(template):
    """Return the template without its faintest light and without negative values."""
    floor = LEAST_LIGHT * np.percentile(template, 99.9)
    return np.where(template > floor, template, 0).astype(np.float32)
