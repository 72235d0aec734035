"""Strengths of the components of a wisp as a fit gives them, and the templates that go into fits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from detectorist.errors import ParameterError

#: Width (sigma) of the Gaussian that takes the noise out of a template, pixel.
TEMPLATE_SMOOTHING_PIX = 2.0
#: A component is significant from here.
SIGNIFICANT_SIGMA = 3.0
#: An image in which a wisp of this strength would not be significant does not tell of wisps.
LEAST_KNOWN = 0.3
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
        """Whether the image constrains the wisp: one was found, or one of 0.3 of its template would have been."""
        return self.significant or bool((SIGNIFICANT_SIGMA * self.error <= LEAST_KNOWN).all())


def require_light(templates: np.ndarray) -> np.ndarray:
    """Return templates (n, ny, nx) as float32, 0 for NaN; raises ParameterError where one has no light at all."""
    finite = np.nan_to_num(np.asarray(templates, np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    if finite.ndim != 3:
        raise ParameterError(f"templates of shape {finite.shape}: (n, ny, nx) is needed")
    for number, template in enumerate(finite, start=1):
        if not (template > 0).any():
            raise ParameterError(f"template {number} has no positive pixel: it contains no wisp")
    return finite


def prepare_templates(templates: np.ndarray, *, smoothing_pix: float = TEMPLATE_SMOOTHING_PIX) -> np.ndarray:
    """Return templates (n, ny, nx) as float32 without noise: 0 for NaN, smoothed by a Gaussian.

    Raises ParameterError where a template has no light at all.
    """
    prepared = require_light(templates)
    if smoothing_pix <= 0:
        return prepared
    return np.stack([ndimage.gaussian_filter(one, smoothing_pix, mode="nearest", truncate=3) for one in prepared])


def require_shapes(image: np.ndarray, mask: np.ndarray, templates: np.ndarray) -> None:
    """Raise ParameterError where image, mask and templates do not fit each other."""
    shape = np.shape(templates)
    if image.shape != mask.shape or shape[-2:] != image.shape or len(shape) != 3:
        raise ParameterError(
            f"image of shape {image.shape}, mask of shape {mask.shape}, templates of shape {shape}: "
            "(ny, nx), (ny, nx) and (n, ny, nx) are needed"
        )
