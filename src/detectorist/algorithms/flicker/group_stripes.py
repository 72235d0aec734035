"""A quick estimate of the stripes of groups, for steps such as jump detection that need ramps without stripes."""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.blas_threads import one_thread
from detectorist.algorithms.byte_order import native
from detectorist.algorithms.flicker.one_over_f import noisy_pixels, ramps_about_mean
from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.stack import CLIP_SIGMA, SmootherRun, fit_spectrum

#: Pixels averaged before the smoother.
BLOCK_PIX = 4
#: Groups, spread over the exposure, that tell the spectrum of all.
N_PROBES = 6


@one_thread
def group_stripes(
    ramp: np.ndarray, groupdq: np.ndarray, times_s: np.ndarray, mask: np.ndarray, *, readout: Readout
) -> np.ndarray:
    """Return the 1/f noise of each group relative to the line through its ramp, or to the mean of all ramps.

    Parameters
    ----------
    ramp : ndarray of float, shape (n_ints, n_groups, ny, nx)
        Linear ramps, DN, read through one output; they may contain kTC noise and unflagged jumps.
    groupdq : ndarray of uint8, same shape
        A pixel is left out from its first flagged group on.
    times_s : ndarray of float, shape (n_groups,)
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used.

    Returns
    -------
    ndarray of float32, shape of `ramp`, DN. What is common to all groups of a ramp, and slopes common to all
    integrations, are not in it.

    Raises
    ------
    TooFewPixels
        When the spectrum of the noise cannot be estimated.

    Notes
    -----
    About 30 ns a sample.
    """
    ramp = native(ramp)
    residual, good = ramps_about_mean(ramp, native(groupdq), np.asarray(times_s, float), mask)
    bad = ~good | noisy_pixels(residual, ~good)
    chosen = np.unique(np.linspace(0, len(residual) - 1, N_PROBES).astype(int))
    noise = fit_spectrum(residual[chosen], bad[chosen], readout=readout)
    shape = residual.shape[1:]
    run = SmootherRun(noise, readout, shape, BLOCK_PIX)
    limit = CLIP_SIGMA * np.sqrt(noise.white + noise.own.sum())
    nothing = np.zeros(shape, np.float32)
    for image, excluded in zip(residual, bad, strict=True):
        weight = (~excluded).astype(np.float32)
        image[:], _ = run.smooth(np.where(excluded, 0, image), weight, nothing[0], nothing, limit)
    return residual.reshape(ramp.shape)
