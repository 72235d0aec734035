"""The spectrum of the 1/f noise that a rate has, told by differences of groups in which light cancels.

In one image, light that changes slowly from row to row looks like slow noise: a spectrum from that image alone grows
with the light, and the more noise is expected the more light is subtracted as noise. Light adds the same to every
group, noise does not: second differences of a ramp show the noise and nothing else.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.smoother import estimate_noise
from detectorist.algorithms.flicker.spectrum import FlickerNoise, pool_noise, scale_noise
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.ramps.fit_weights import SNR_LIMITS, WEIGHT_POWERS
from detectorist.errors import TooFewPixels

#: Pixels that tell the spectrum, in as many differences as that takes; one is used always.
ENOUGH_PIXELS, MOST_DIFFERENCES = 6e6, 6
#: Deviations from which a pixel is left out, in standard deviations of all noise.
CLIP_SIGMA = 4.0
#: Brightest part of the ramps, which tells less: photons are noise.
BRIGHTEST_PERCENT = 95.0
#: Of NIRCam, e-/DN.
USUAL_GAIN = 2.0


def noise_of_groups(
    data: np.ndarray, flags: np.ndarray, unusable: np.ndarray, *, readout: Readout, times_s: np.ndarray
) -> FlickerNoise | None:
    """Return the noise that slopes of one integration have, per s; None where the groups do not tell.

    Parameters
    ----------
    data, flags : ndarray, shape (n_ints, n_groups, ny, nx)
        Linearised ramps, DN; ramps with any flag are not used.
    unusable : ndarray of bool, shape (ny, nx)
        Reference and bad pixels.
    readout : Readout
    times_s : ndarray of float, shape (n_groups,)
        Mean times of groups since the reset.

    Notes
    -----
    The noise of groups is taken to be independent from group to group. With two groups there is no second difference:
    light cancels between the first and so much of the last as light had collected by the first. Noise of the reset is
    each pixel's own.
    """
    n_groups = data.shape[1]
    if n_groups < 2:
        return None
    images, factor = _differences(data, times_s)
    good = ~flags.any(axis=(0, 1)) & ~unusable
    rise = (data[:, -1] - data[:, 0]).mean(axis=0)
    if good.any():
        good &= rise <= np.percentile(rise[good][::7], BRIGHTEST_PERCENT)
    found = []
    for which in images:
        try:
            image = _image(data, which)
            found.append(estimate_noise(image, ~good, readout=readout, clip_sigma=_clip_sigma(image, good)))
        except TooFewPixels:
            continue
    if not found:
        return None
    noise = scale_noise(pool_noise(found), 1 / factor)
    signal = float(typed_median(rise[good][::7]))
    snr = signal / np.sqrt(max(signal, 0.0) / USUAL_GAIN + noise.white + noise.rms**2)
    return scale_noise(noise, slope_variance(n_groups, snr) / (times_s[1] - times_s[0]) ** 2)


def slope_variance(n_groups: int, snr: float) -> float:
    """Return the variance of a fitted slope per group, by noise of variance 1 of every group.

    Ramp fits weight groups by the power of their distance from the middle that the signal over its noise tells
    (`fit_weights`).
    """
    power = WEIGHT_POWERS[int(np.searchsorted(SNR_LIMITS, snr, side="right"))]
    away = np.arange(n_groups) - (n_groups - 1) / 2
    weight = np.abs(away / max(np.abs(away).max(), 0.5)) ** power * away
    return float((weight**2).sum() / (weight * away).sum() ** 2)


def _differences(data, times_s):
    """Return which samples are added with which weights, and the variance of the sum in that of a group."""
    n_ints, n_groups, ny, nx = data.shape
    weights = {0: 1.0, 1: -2.0, 2: 1.0} if n_groups > 2 else {0: 1.0, 1: -float(times_s[0] / times_s[1])}
    firsts = range(n_groups - len(weights) + 1)
    found = [[(i, first + k, weight) for k, weight in weights.items()] for i in range(n_ints) for first in firsts]
    number = int(np.clip(ENOUGH_PIXELS / (ny * nx), 1, MOST_DIFFERENCES))
    chosen = np.unique(np.linspace(0, len(found) - 1, min(number, len(found))).astype(int))
    return [found[k] for k in chosen], sum(weight**2 for weight in weights.values())


def _clip_sigma(image, good):
    """Return from how many standard deviations of white noise a pixel is left out: strong 1/f noise must not be."""
    spread, near = (
        typed_median(np.abs(values))
        for values in (
            image[good] - typed_median(image[good]),
            np.diff(image, axis=1)[good[:, 1:] & good[:, :-1]] / np.sqrt(2),
        )
    )
    return CLIP_SIGMA * max(float(spread / near), 1.0) if near > 0 else CLIP_SIGMA


def _image(data, which):
    total = np.zeros(data.shape[2:], np.float32)
    for integration, group, weight in which:
        total += np.float32(weight) * data[integration, group]
    return total
