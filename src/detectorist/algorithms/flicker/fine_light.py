"""Noise of rows beside light in clumps that neither masks nor nodes of wide light follow: filaments of a nebula.

Such light moves the mean of a row by more than the noise does, so that an estimate which knows of it trusts rows little
(`unmasked_light`), and leaves noise that changes from row to row. But light is as smooth from row to row as along
them. What a smooth map of the rest of an image shows beyond chance is light, or noise as slow; in what is left beside
the map, the means of rows are noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from scipy import ndimage

from detectorist.algorithms.flicker.bins_of_outputs import edges_of_bins, noise_within_rows, sums_in_bins
from detectorist.algorithms.flicker.smoother import Flicker, estimate_flicker
from detectorist.algorithms.images.local_planes import bin_image

#: Width (sigma, pixel) of the Gaussians of the maps, coarse before fine; of the bins; of the places over which the
#: power of the light is measured.
MAPS_PIX, BIN_PIX, PLACE_PIX = (20.0, 8.0), 4, 120.0
#: Power of light over that of white noise in a map from which it is light, and standard errors.
LEAST_POWER, SURE_SIGMA = 0.5, 3.0
#: Rows and columns of the bins that tell light on scales that are finer than the maps, and over how many of them.
FINEST_ROWS, FINEST_COLUMNS, FINEST_LAGS = 2, 32, 4
#: Variance of pixels by light that the maps miss, over that of white noise, up to which pixels tell noise well, and the
#: part of all pixels that must have so little.
FINER, LEAST_EVEN = 0.3, 0.2
#: Part of the pixels about a place that must be seen.
LEAST_SEEN = 0.1
#: Pixels farther than this from what is known, in sigma, tell no light.
CLIP_SIGMA = 5.0


def estimate_beside_light(image: np.ndarray, mask: np.ndarray, **settings: Any) -> Flicker:
    """Estimate 1/f noise as `estimate_flicker` does, and fast noise of rows beside light in clumps as well.

    Arguments, result and errors are those of `estimate_flicker`. Without `unmasked_light`, or without reference pixels,
    which tell the light of a whole row from its noise, it is the same estimate.

    Notes
    -----
    How crowded a field is differs from place to place, and the first estimate knows of the worst alone. A second one is
    added, of what the first has left beside the map of fine light, from places where hardly any light is finer than the
    map; among single stars it would take for noise what the first has not. Slow noise is known from the first alone,
    whose variance is larger and is returned.
    """
    found = estimate_flicker(image, mask, **settings)
    if found.unmasked_light <= 0 or settings.get("references") is None:
        return found
    white = float(np.sqrt(found.noise.white))
    rest = image - found.total - np.float32(found.level)
    usable = found.used & (np.abs(rest) < CLIP_SIGMA * white)
    fine = map_fine_light(rest, usable, white=white)
    finer = _map_finer_light(rest - fine, usable, found.noise, settings["readout"])
    even = usable & (finer < FINER * found.noise.white)
    if even.sum() < LEAST_EVEN * usable.sum():
        return found
    beside = {"unmasked_light": max(float(finer[even].mean()), 0.0), "noise": found.noise, "sketch": None}
    more = estimate_flicker(image - found.total - fine, ~even, **(settings | beside))
    return replace(found, pattern=found.pattern + more.pattern, columns=found.columns + more.columns)


def map_fine_light(rest: np.ndarray, usable: np.ndarray, *, white: float) -> np.ndarray:
    """Return light on scales of some ten pixels, (ny, nx) float32, 0 where nothing but white noise is seen.

    Parameters
    ----------
    rest : ndarray of float32, shape (ny, nx)
        Image without its noise and everything else that is known.
    usable : ndarray of bool, shape (ny, nx)
    white : float
        Standard deviation of a pixel's white noise.

    Notes
    -----
    Smooth maps, each shrunk by the power that it has beyond that of white noise, place by place (Wiener's filter). A
    third of a second for a full frame.
    """
    total, count = bin_image(np.where(usable, rest, 0), usable, BIN_PIX)
    left = np.divide(total, count, out=np.zeros_like(total), where=count > 0)
    light = np.zeros_like(left)
    for width in MAPS_PIX:
        one = _wiener(left, count, width / BIN_PIX, white)
        light += one
        left -= one
    ny, nx = rest.shape
    return ndimage.zoom(light, BIN_PIX, order=1, mode="nearest", grid_mode=True)[:ny, :nx].astype(np.float32)


def _map_finer_light(left, usable, noise, readout):
    """Return what light that the maps miss adds to the variance of pixels, as noise as uncertain, (ny, nx).

    It is told by bins of a few rows, over as many rows as the maps are smooth (`clumps`), about every place.
    """
    rows, columns = edges_of_bins(left.shape, readout, FINEST_ROWS, FINEST_COLUMNS)
    total, count = (sums_in_bins(one, rows, columns) for one in (np.where(usable, left, 0.0), usable.astype(float)))
    by_output = (len(total), len(readout.outputs), -1)
    of_row = total.reshape(by_output).sum(axis=2) / np.maximum(count.reshape(by_output).sum(axis=2), 1)
    about = total - count * np.repeat(of_row, total.shape[1] // len(readout.outputs), axis=1)
    power = about**2
    for lag in range(1, FINEST_LAGS + 1):
        power[lag:] += about[lag:] * about[:-lag]
        power[:-lag] += about[lag:] * about[:-lag]
    power -= noise.white * count + noise_within_rows(noise, readout, FINEST_ROWS, FINEST_COLUMNS) * count**2
    place = PLACE_PIX / FINEST_ROWS, PLACE_PIX / FINEST_COLUMNS
    power, count = (ndimage.gaussian_filter(one, place, mode="nearest") for one in (power, count))
    finer = power / np.maximum(count, 1e-6)
    return np.repeat(np.repeat(finer, np.diff(columns), axis=1), np.diff(rows), axis=0).astype(np.float32)


def _wiener(left, count, width, white):
    """Return a smooth map of bins, shrunk; width : of the Gaussian, bins."""
    seen = _smoothed(count, width)
    known = seen > LEAST_SEEN * BIN_PIX**2
    smooth = _smoothed(count * left, width) / np.maximum(seen, 1e-6)
    # The mean of independent pixels has the variance sum(g^2) / sum(g)^2: the square of a Gaussian is a narrower one.
    chance = white**2 * _smoothed(count, width / np.sqrt(2)) / (4 * np.pi * width**2) / np.maximum(seen, 1e-6) ** 2
    place = PLACE_PIX / BIN_PIX
    part = np.maximum(_smoothed(known.astype(float), place), 1e-6)
    power = _smoothed(np.where(known, smooth**2 - chance, 0), place) / part
    by_chance = _smoothed(np.where(known, chance, 0), place) / part
    independent = np.maximum(part * (place / width) ** 2, 1.0)
    lit = known & (power > by_chance * (LEAST_POWER + SURE_SIGMA * np.sqrt(2 / independent)))
    return np.where(lit, smooth * power / np.maximum(power + chance, 1e-300), 0)


def _smoothed(bins, width):
    return ndimage.gaussian_filter(bins, width, mode="constant")
