"""A small coronagraphic scene whose every part is known: halo with speckles, companion, white and photon noise."""

import numpy as np
from scipy import ndimage
from scipy.special import erf

SHAPE, CENTRE, FWHM = (121, 125), (61.3, 59.6), 2.2
GAIN_E = 800.0  # electrons per DN/s
NOISE = 0.1


def halo(x=CENTRE[0], y=CENTRE[1], serial=1):
    yy, xx = np.indices(SHAPE)
    radius = np.hypot(yy - y, xx - x)
    speckles = ndimage.gaussian_filter(np.random.default_rng(serial).normal(size=SHAPE), 1.6, mode="wrap")
    speckles = ndimage.shift(speckles / speckles.std(), (y - CENTRE[1], x - CENTRE[0]), order=3, mode="nearest")
    return 90 / (1 + (radius / 7) ** 2.4) * (1 + 0.3 * speckles)


def point(x, y, flux=1.0, shape=SHAPE, fwhm=FWHM):
    sigma = fwhm / 2.3548

    def share(n, place):
        return np.diff(0.5 * erf((np.arange(n + 1) - 0.5 - place) / (np.sqrt(2) * sigma)))

    return flux * share(shape[0], y)[:, None] * share(shape[1], x)


def noisy(light, rng):
    variance = NOISE**2 + np.clip(light, 0, None) / GAIN_E
    return light + np.sqrt(variance) * rng.normal(size=light.shape), variance
