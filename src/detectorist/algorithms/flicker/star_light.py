"""A joint fit of the light of a star and 1/f noise of known spectrum in one image.

The outskirts of a halo and slow 1/f noise look alike: both change smoothly from row to row. Estimated one after the
other, the one that comes first keeps some of the other. Here the light is a sum of shapes (rings about the star, waves
around them, and diffraction spikes along the rows with their feet), whose amplitudes come from generalised least
squares with the covariance of white and 1/f noise: they are determined by changes within a row, which 1/f noise cannot
produce.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import product
from operator import itemgetter

import numpy as np

from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.algorithms.flicker.stack import SmootherRun
from detectorist.algorithms.medians import typed_median
from detectorist.algorithms.stars.halo import Rings

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
#: Diffraction spikes along the rows: distance from the star at which amplitudes are told, and up to which spikes do not
#: fall; widths across the rows (sigma), all pixel; powers with which they fall (edges of the pupil: 2). Amplitudes over
#: the light of the ring at that distance that are tried.
SPIKE_PIX, SPIKE_CORE_PIX, SPIKE_WIDTHS_PIX, SPIKE_POWERS = 40.0, 10.0, (2.0, 4.0), (1.0, 2.0)
SPIKE_SHARES = (0.01, 0.1, 1.0)
#: Rows, from that of the star, at which spikes have amplitudes of their own (0 at the first and last); distance at
#: which these are expected to be half.
SPIKE_ROWS_PIX = np.array([-36.0, -24, -16, -10, -6, -3, 0, 3, 6, 10, 16, 24, 36])
SPIKE_HALF_PIX = 4.0
#: Foot of the spike along the rows (the speckles about the star have spikes of their own): width across the rows
#: (sigma), and expected light over that of the spike's core; at least a part of the halo's light at `SPIKE_PIX`, since
#: the core of a faint star's spike is told no better than noise is.
FOOT_PIX, FOOT_SHARE, FOOT_OF_HALO = 12.0, 0.1, 0.05
#: Lanes: light of single rows over that of the rings they cross, amplitudes that are tried (the bar of a mask hides
#: all of it in the rows behind it, however faint), and the farthest rows that have one of their own: wider, lanes would
#: take light from the waves.
LANE_SHARES, LANE_PIX = (0.01, 1.0), 6.0
_LANES = np.abs(SPIKE_ROWS_PIX[1:-1]) <= LANE_PIX
#: The core is measured farther from the star than its halo reaches, in its rows against those beside it.
HALO_PIX, CORE_PIX, BESIDE_PIX = 60.0, 4.0, (12.0, 24.0)
#: Expected amplitude of a ring over its light and the noise of a pixel: large, so that data alone tell it.
RING_SHARE = 30.0


def light_fit(noise: FlickerNoise | None, readout: Readout) -> Callable | None:
    """Return `fit_light` of `separate_star` for images of a known spectrum, None where no spectrum is known."""
    if noise is None or len(readout.outputs) > 1 or not noise.own.any():
        return None
    # Every round of one separation asks for the same pixels about the same star.
    polar = cache(_polar_of_image)
    return lambda image, weight, rings: fit_light(image, weight, rings, noise, readout=readout, polar=polar)


def fit_light(
    image: np.ndarray,
    weight: np.ndarray,
    rings: Rings,
    noise: FlickerNoise,
    *,
    readout: Readout,
    polar: Callable | None = None,
) -> np.ndarray:
    """Return the light, (ny, nx) float32, of an image from which that of `rings` was subtracted.

    image, weight : (ny, nx)
        As in `smooth_flicker`.
    rings : Rings
        Where the light is, and its approximate brightness: amplitudes are expected to be of that order.
    noise : FlickerNoise
        Spectrum of the image, read through one output.
    polar : callable, optional
        Returns the polar coordinates of an image, (centre, shape) given; by default they are computed.

    Cost: a run of the smoother for each of some 100 shapes, on cells of pixels.
    """
    run = SmootherRun(noise, readout, image.shape, -(-image.shape[1] // CELLS_PER_ROW))
    means, counts = run.averages(np.ascontiguousarray(image, np.float32), weight)
    shapes = _shapes(rings, *run.centres())
    informed = run.all_informed(shapes, counts)
    normal, moment = informed @ shapes.T, informed @ means
    core = spike_core(image, rings.centre)
    expected = _expectations(rings, noise, core)
    _, likeliest = max((_amplitudes(normal, moment, one) for one in expected), key=itemgetter(0))
    return _painted(rings, image.shape, likeliest, polar or _polar_of_image)


def spike_core(image: np.ndarray, centre: tuple[float, float]) -> float:
    """Return the light of the spike along the rows of a star at `centre` (y, x), unit of the image; 0 without one.

    image : (ny, nx), without the rings about the star.
    """
    y, x = np.ogrid[: image.shape[0], : image.shape[1]]
    y, far = np.abs(y - centre[0]), (np.abs(x - centre[1]) > HALO_PIX) & np.isfinite(image)
    core, beside = image[far & (y < CORE_PIX)], image[far & (y > BESIDE_PIX[0]) & (y < BESIDE_PIX[1])]
    if not core.size or not beside.size:
        return 0.0
    return max(float(typed_median(core)) - float(typed_median(beside)), 0.0)


def _amplitudes(normal, moment, expected):
    """Return logarithm of evidence for the expected amplitudes, but for a constant, and the likeliest amplitudes."""
    normal = normal + np.diag(1 / expected**2)
    amplitudes = np.linalg.solve(normal, moment)
    evidence = 0.5 * moment @ amplitudes - 0.5 * np.linalg.slogdet(normal)[1] - np.log(expected).sum()
    return float(evidence), amplitudes


def _expectations(rings, noise, core):
    """Yield for all `WAVE_SHARES`, `SPIKE_SHARES` and `LANE_SHARES` the expected amplitudes of the shapes.

    core : light of the core of the spike along the rows.
    """
    halo, white = _above_sky(rings), np.sqrt(noise.white)
    of_rings = RING_SHARE * (halo + white)
    spike = np.interp(SPIKE_PIX, rings.radii, halo)
    foot = max(FOOT_SHARE * core, FOOT_OF_HALO * spike, LEAST_WAVE * white)
    of_rows = 1 / (1 + (SPIKE_ROWS_PIX[1:-1] / SPIKE_HALF_PIX) ** 2)
    across = np.r_[np.ones(len(SPIKE_POWERS) * len(SPIKE_WIDTHS_PIX)), np.tile(of_rows, 2 * len(SPIKE_POWERS))]
    for wave_share, spike_share, lane_share in product(WAVE_SHARES, SPIKE_SHARES, LANE_SHARES):
        waves = np.maximum(wave_share * halo[::WAVE_RINGS], LEAST_WAVE * white)
        spikes = np.maximum(spike_share * spike * across, LEAST_WAVE * white)
        yield np.concatenate([of_rings, *[waves] * (2 * len(WAVES)), [foot], spikes, lane_share * of_rows[_LANES]])


def _above_sky(rings):
    """Return the light of rings above that of the faintest."""
    return rings.light - rings.light.min()


def _polar_of_image(centre, shape):
    """Return `_polar` of the pixels of an image."""
    y, x = np.ogrid[: shape[0], : shape[1]]
    return _polar(centre, y, x)


def _polar(centre, y, x):
    """Return the distance from the star, and the waves around it."""
    y, x = y - centre[0], x - centre[1]
    radius = np.hypot(y, x)
    # Powers of exp(i angle): quicker than sines of every multiple.
    unit = (x + 1j * y) / np.maximum(radius, 1e-9)
    powers = [unit**n for n in WAVES]
    return radius, [part for one in powers for part in (one.real, one.imag)]


def _along_rows(rings, radius, y, x):
    """Return shapes of spikes at distances `radius`, `y` and `x` from the star: both sides alike, and opposite; lanes.

    The first is the foot, as bright everywhere along a row: within a row nothing tells it from 1/f noise. A lane is as
    bright as the rings it crosses.
    """
    falls = [(np.maximum(radius, SPIKE_CORE_PIX) / SPIKE_PIX) ** -power for power in SPIKE_POWERS]
    side = np.clip(x / SPIKE_CORE_PIX, -1, 1)
    rows = _hats(y, SPIKE_ROWS_PIX)[1:-1]
    both = [fall * np.exp(-0.5 * (y / width) ** 2) for fall in falls for width in SPIKE_WIDTHS_PIX]
    foot = np.exp(-0.5 * (y / FOOT_PIX) ** 2) + 0 * x
    halo = np.interp(radius, rings.radii, _above_sky(rings))
    lanes = [halo * row for row, narrow in zip(rows, _LANES, strict=True) if narrow]
    return [foot, *both, *(fall * row for fall in (*falls, *(side * fall for fall in falls)) for row in rows), *lanes]


def _hats(radius, radii):
    """Return for each of `radii` what falls from 1 there to 0 at the next ones, of the shape of `radius`."""
    return [np.interp(radius, radii, one) for one in np.eye(radii.size)]


def _shapes(rings, y, x):
    """Return (n_shapes, n_cells) float32: rings, then for every wave each third one, then spikes and lanes."""
    radius, waves = _polar(rings.centre, y, x)
    wide = _hats(radius, rings.radii[::WAVE_RINGS])
    around = [wave * hat for wave in waves for hat in wide]
    along = _along_rows(rings, radius, y - rings.centre[0], x - rings.centre[1])
    return np.array([*_hats(radius, rings.radii), *around, *along], np.float32)


def _painted(rings, shape, amplitudes, polar):
    """Return the light of the amplitudes, (ny, nx) float32."""
    radius, waves = polar(rings.centre, shape)
    y, x = np.ogrid[: shape[0], : shape[1]]
    along = _along_rows(rings, radius, y - rings.centre[0], x - rings.centre[1])
    of_rings, of_waves, of_rows = np.split(amplitudes, [rings.radii.size, amplitudes.size - len(along)])
    light = np.interp(radius, rings.radii, of_rings)
    for wave, part in zip(waves, of_waves.reshape(len(waves), -1), strict=True):
        light += wave * np.interp(radius, rings.radii[::WAVE_RINGS], part)
    for row, part in zip(along, of_rows, strict=True):
        light += part * row
    return light.astype(np.float32)
