"""1/f noise that slopes of bright pixels have and those of faint ones do not.

A fit of ramps gives the first and last groups more weight where photons are the larger part of the noise. The slopes
of a star's light so hold another mean of the groups' 1/f noise than those of the sky beside it, from which that of
their row is told: of ten groups, half of its variance is another's. The difference is measured by itself: the ramps of
all pixels, faint ones as well, with weights of bright ones less those of faint ones. It contains no light, since both
sets of weights give the same slope of a straight ramp.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.byte_order import native
from detectorist.algorithms.flicker.one_over_f import estimate_all, noisy_pixels, pooled_spectrum
from detectorist.algorithms.flicker.stripe_models import estimate_stripes

if TYPE_CHECKING:
    from detectorist.algorithms.flicker.readout import Readout
    from detectorist.algorithms.flicker.stripe_models import Stripes

#: Class of a ramp whose slope is no weighted sum of all its groups.
NO_CLASS = 255
#: Differences of weights that are followed, over the weights themselves (as lengths of vectors).
LEAST_DIFFERENCE = 0.1


class WeightedSlopes(NamedTuple):
    """Ramps, and how their slopes are made of their groups.

    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN.
    classes : ndarray of uint8, shape (n_ints, ny, nx)
        Which of `weights` made the slope of a ramp; `NO_CLASS` where none did, because of flags. Such a ramp is not
        used and gets no stripes.
    weights : ndarray of float, shape (n_classes, n_groups)
        A slope is their product with the groups, DN/s; the first are those of faint pixels.
    """

    ramp: np.ndarray
    classes: np.ndarray
    weights: np.ndarray


class WeightStripes(NamedTuple):
    """Result of `stripes_of_weights`, (n_ints, ny, nx) float32 each; 0 in pixels of the first class."""

    stripes: np.ndarray  # to be subtracted from slopes, DN/s
    variance: np.ndarray  # of what stays in them


@one_thread
def stripes_of_weights(
    slopes: WeightedSlopes,
    mask: np.ndarray,
    *,
    readout: Readout,
    model_type: str = "flicker",
    vertical_corr: bool = True,
) -> WeightStripes:
    """Estimate the 1/f noise of slopes beyond that of slopes of the first class.

    Parameters
    ----------
    slopes : WeightedSlopes
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.
    readout, model_type, vertical_corr : see `stripes_of_integrations`

    Raises
    ------
    ValueError
        When the shapes do not agree.

    Notes
    -----
    Where ramps bend, the difference contains light: pixels whose photon noise is large are not used, and get the noise
    of the rest of their row. Cost: for each integration a stripe estimate or two.
    """
    ramp, classes, weights = slopes
    shape = (ramp.shape[0], *ramp.shape[2:])
    if classes.shape != shape or mask.shape != shape[1:] or weights.shape[1] != ramp.shape[1]:
        raise ValueError(f"ramp {ramp.shape}, classes {classes.shape}, weights {weights.shape} do not agree")
    found = WeightStripes(np.zeros(shape, np.float32), np.zeros(shape, np.float32))
    present = np.array([bool((classes == number).any()) for number in range(len(weights))])
    basis, parts = differences(weights, present)
    unused = (classes == NO_CLASS) | mask
    settings = {"readout": readout, "model_type": model_type}
    for vector, part in zip(basis, parts.T, strict=True):
        image = np.einsum("igyx,g->iyx", native(ramp), vector.astype(np.float32))
        bad = unused | ~np.isfinite(image)
        bad |= noisy_pixels(image, bad)
        noise = pooled_spectrum(image, bad, settings)
        stripes = estimate_all(
            image, bad, partial(estimate_stripes, noise=noise, vertical_corr=vertical_corr, **settings)
        )
        _add(found, stripes, np.append(part, np.zeros(NO_CLASS + 1 - part.size)).astype(np.float32)[classes])
    return found


def differences(weights: np.ndarray, present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return vectors (k, n_groups) whose sums are the classes' weights less the first ones, and sums (n_classes, k).

    present : (n_classes,) bool, classes that pixels have. The vectors have length 1; differences that are small beside
    the weights are left out.
    """
    beyond = np.where(present[:, None], weights - weights[0], 0)
    _, lengths, vectors = np.linalg.svd(beyond, full_matrices=False)
    basis = vectors[lengths > LEAST_DIFFERENCE * np.linalg.norm(weights[0])]
    return basis, beyond @ basis.T


def _add(found: WeightStripes, stripes: list[Stripes | None], part: np.ndarray) -> None:
    """Add the stripes of one vector times the part (n_ints, ny, nx) that each slope has of it."""
    for i, (one, share) in enumerate(zip(stripes, part, strict=True)):
        if one is not None:
            found.stripes[i] += share * (one.pattern + np.float32(one.level))
            found.variance[i] += share**2 * (one.variance + one.unresolved)
