"""Stripes of small frames that light fills: its shape, not a mask, separates it from noise.

A bright star in a small subarray lights all of it. Hardly a pixel is left beside the sources then, and those that are
left hold light as well: rows levelled by them take light for noise, and lose far more of it than the noise was. What a
coronagraph shows is such a frame always, so the separation of a star from stripes (`one_over_f`) serves here, too.
"""

from __future__ import annotations

import numpy as np

from detectorist.algorithms.flicker.one_over_f import stripes_of_integrations
from detectorist.algorithms.flicker.readout import Readout
from detectorist.algorithms.flicker.spectrum import FlickerNoise
from detectorist.errors import TooFewPixels

#: Part of the good pixels that must be free of light for rows to be measured beside the sources.
LEAST_FREE = 0.6


def light_fills(usable: np.ndarray, left_out: np.ndarray) -> bool:
    """Return whether light leaves too few of the usable pixels, both (ny, nx) bool."""
    return int((usable & ~left_out).sum()) < LEAST_FREE * int(usable.sum())


def stripes_in_light(
    images: np.ndarray, bad: np.ndarray, *, readout: Readout, columns: bool, group_noise: FlickerNoise | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return what to subtract from images that light fills, and what that adds to the variance of a pixel.

    Parameters
    ----------
    images : ndarray of float, shape (n_images, ny, nx)
        Rates of one field, any linear unit.
    bad : ndarray of bool, same shape
        True where a pixel must not be used.
    readout : Readout
    columns : bool
        Also one offset for each column.
    group_noise : FlickerNoise, optional
        See `destripe`.

    Returns
    -------
    tuple of ndarray
        Stripes and change of variance, (n_images, ny, nx) float32. Levels of whole images stay as they are.

    Raises
    ------
    TooFewPixels
        When no image has enough pixels in which light is faint or smooth.
    """
    found = stripes_of_integrations(images, bad, readout=readout, vertical_corr=columns, group_noise=group_noise)
    if not found.measured.any():
        raise TooFewPixels("1/f noise: light fills the frame, and is nowhere faint or smooth enough", n_usable=0)
    return found.stripes.astype(np.float32), np.asarray(found.variance, np.float32)
