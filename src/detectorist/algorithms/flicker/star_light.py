"""A joint fit of the light of a star and 1/f noise of known spectrum in one image.

The outskirts of a halo and slow 1/f noise look alike: both change smoothly from row to row. Estimated one after the
other, the one that comes first keeps some of the other. Here the light is a sum of shapes (rings about the star, and
waves around them), whose amplitudes come from generalised least squares with the covariance of white and 1/f noise:
they are determined by changes within a row, which 1/f noise cannot produce.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import itemgetter

import numpy as np

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.algorithms.flicker.stack import SmootherRun
from detectorist.algorithms.images.halo import Rings

#: Cells of pixels averaged along a row: light told here is smooth.
CELLS_PER_ROW = 40
#: Waves around the star that a ring may have: 1 is a slope, 2 the elongation behind a bar, 6 the lanes between
#: the spikes of hexagonal mirrors.
WAVES = (1, 2, 3, 4, 6)
#: Rings between those at which the amplitudes of waves may change.
WAVE_RINGS = 3
#: Amplitudes of waves over the light of their ring that are tried (the data tell which is likeliest), and what they are
#: at least, over the noise of a pixel.
WAVE_SHARES, LEAST_WAVE = (0.01, 0.03, 0.1, 0.3, 1.0), 1e-3
#: Expected amplitude of a ring over its light and the noise of a pixel: large, so that data alone tell it.
RING_SHARE = 30.0


def light_fit(noise: FlickerNoise | None, readout: Readout) -> Callable | None:
    """Return `fit_light` of `separate_star` for images of a known spectrum, None where no spectrum is known."""
    if noise is None or len(readout.outputs) > 1 or not noise.own.any():
        return None
    return lambda image, weight, rings: fit_light(image, weight, rings, noise, readout=readout)


def fit_light(
    image: np.ndarray, weight: np.ndarray, rings: Rings, noise: FlickerNoise, *, readout: Readout
) -> np.ndarray:
    """Return the light, (ny, nx) float32, of an image from which that of `rings` was subtracted.

    image, weight : (ny, nx)
        As in `smooth_flicker`.
    rings : Rings
        Where the light is, and its approximate brightness: amplitudes are expected to be of that order.
    noise : FlickerNoise
        Spectrum of the image, read through one output.

    Cost: a run of the smoother for each of some 100 shapes, on cells of pixels.
    """
    run = SmootherRun(noise, readout, image.shape, -(-image.shape[1] // CELLS_PER_ROW))
    means, counts = run.averages(np.ascontiguousarray(image, np.float32), weight)
    shapes = _shapes(rings, *run.centres())
    informed = np.array([run.informed(one, counts) for one in shapes])
    likeliest = max(
        (_amplitudes(informed, shapes, means, one) for one in _expectations(rings, noise)), key=itemgetter(0)
    )
    return _painted(rings, image.shape, likeliest[1])


def _amplitudes(informed, shapes, means, expected):
    """Return logarithm of evidence for the expected amplitudes, but for a constant, and the likeliest amplitudes."""
    normal, moment = informed @ shapes.T + np.diag(1 / expected**2), informed @ means
    amplitudes = np.linalg.solve(normal, moment)
    evidence = 0.5 * moment @ amplitudes - 0.5 * np.linalg.slogdet(normal)[1] - np.log(expected).sum()
    return float(evidence), amplitudes


def _expectations(rings, noise):
    """Return for each of `WAVE_SHARES` the expected amplitudes of rings, then of the waves."""
    halo, white = np.abs(rings.light - rings.light.min()), np.sqrt(noise.white)
    of_rings = RING_SHARE * (halo + white)
    for share in WAVE_SHARES:
        waves = np.maximum(share * halo[::WAVE_RINGS], LEAST_WAVE * white)
        yield np.concatenate([of_rings, *[waves] * (2 * len(WAVES))])


def _polar(rings, y, x):
    """Return the distance from the star, and the waves around it."""
    y, x = y - rings.centre[0], x - rings.centre[1]
    angle = np.arctan2(y, x)
    return np.hypot(y, x), [f(n * angle) for n in WAVES for f in (np.cos, np.sin)]


def _hats(radius, radii):
    """Return for each of `radii` what falls from 1 there to 0 at the next ones, of the shape of `radius`."""
    return [np.interp(radius, radii, one) for one in np.eye(radii.size)]


def _shapes(rings, y, x):
    """Return (n_shapes, n_cells) float32: every ring, then for every wave each third one."""
    radius, waves = _polar(rings, y, x)
    wide = _hats(radius, rings.radii[::WAVE_RINGS])
    return np.array(_hats(radius, rings.radii) + [wave * hat for wave in waves for hat in wide], np.float32)


def _painted(rings, shape, amplitudes):
    """Return the light of the amplitudes, (ny, nx) float32."""
    radius, waves = _polar(rings, *np.ogrid[: shape[0], : shape[1]])
    n_rings = rings.radii.size
    light = np.interp(radius, rings.radii, amplitudes[:n_rings])
    for wave, part in zip(waves, amplitudes[n_rings:].reshape(len(waves), -1), strict=True):
        light += wave * np.interp(radius, rings.radii[::WAVE_RINGS], part)
    return light.astype(np.float32)
