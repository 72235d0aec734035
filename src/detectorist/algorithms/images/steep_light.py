"""Where faint light changes too much from place to place to be described by a wide, smooth surface."""

from __future__ import annotations

import numpy as np
from scipy import ndimage

#: Bins that are compared, and how far two that tell a slope are from the place between them, in bins.
BIN_PIX, REACH = 4, 2
#: Distance over which wide light may fade to nothing at its present slope, pixel: splines on nodes 48 pixels apart
#: follow light that fades by half from node to node to 5 %.
WIDE_PIX = 48.0
#: Light that is looked at, in standard deviations of a pixel: slopes of fainter light are not known well enough.
FAINTEST = 0.1
#: Bins by which steep places grow, to their borders, where no slope is known.
GROW = 3
#: Smallest side of a place where light is wide, bins: on the ridge between two slopes it is not.
SIDE = 9
#: Mean of the steep light over the usable pixels of a whole row, in standard deviations of a pixel, from which it is
#: left out of that row, and the part of these pixels that have to be steep: below the outskirts of a round galaxy the
#: rest of the row is dark. There others tell the noise of the row, and leaving it out costs more than it is wrong by.
MOST_OF_A_ROW, MOST_PIXELS = 0.15, 0.7


def tell_steep_light(light: np.ndarray, known: np.ndarray, mask: np.ndarray, *, white: float) -> np.ndarray:
    """Return where known light is steep: the outskirts of an edge-on or small galaxy, a filament, a star.

    Parameters
    ----------
    light : ndarray of float, shape (ny, nx)
        As `model_diffuse_light` gives it, any unit; used where `known`.
    known, mask : ndarray of bool, shape (ny, nx)
        Where the light is known, and all sources.
    white : float
        Standard deviation of a pixel's white noise, unit of the light.

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        A part of `known`, in rows that have little else.
    """
    bins = np.s_[::BIN_PIX, ::BIN_PIX]
    level, here = np.asarray(light)[bins], np.asarray(known)[bins]
    steep, told = np.zeros(here.shape, bool), np.zeros(here.shape, bool)
    for one, other, place in (_pairs(0), _pairs(1)):
        both = here[one] & here[other]
        mean, change = 0.5 * (level[one] + level[other]), np.abs(level[one] - level[other])
        steep[place] |= both & (mean > FAINTEST * white) & (change * WIDE_PIX > mean * 2 * REACH * BIN_PIX)
        told[place] |= both
    steep = ndimage.binary_dilation(steep, iterations=GROW) | ~told
    wide = ndimage.binary_opening(np.pad((here & ~steep) | ~mask[bins], SIDE, mode="edge"), np.ones((SIDE, SIDE), bool))
    bright = level > FAINTEST * white
    on_pixels = np.repeat(np.repeat(~wide[SIDE:-SIDE, SIDE:-SIDE] & bright, BIN_PIX, axis=0), BIN_PIX, axis=1)
    steep = on_pixels[: known.shape[0], : known.shape[1]] & known
    used = (known | ~mask).sum(axis=1)
    light_of_steep = np.where(steep, light, 0).sum(axis=1)
    steep[(light_of_steep < MOST_OF_A_ROW * white * used) | (steep.sum(axis=1) < MOST_PIXELS * used)] = False
    return steep


def _pairs(axis):
    """Return the slices of bins on both sides of a place, and of the place, along an axis."""
    slices = (np.s_[: -2 * REACH], np.s_[2 * REACH :], np.s_[REACH:-REACH])
    return tuple((one, np.s_[:]) if axis == 0 else (np.s_[:], one) for one in slices)
