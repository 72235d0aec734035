"""What is kept of a tile of pixels, or of one ramp, while its slopes are fitted; and where the results go."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from detectorist.engine._compiled import FIT_TILE, OPTIONS
from detectorist.engine._ramp_segments_nb import LARGE_VARIANCE


class Products(NamedTuple):
    """Where the results go: rate (4, n_pix) and rateints (4, n_ints, n_pix): slope, var_poisson, var_rnoise, err."""

    rate: np.ndarray
    rate_dq: np.ndarray
    ints: np.ndarray
    ints_dq: np.ndarray


class Tile(NamedTuple):
    """State of the pixels of a tile, one column each."""

    gain: np.ndarray
    noise: np.ndarray  # e- of one group
    signal: np.ndarray  # DN/s: median rate, then the rate that makes the Poisson noise
    variances: np.ndarray  # (5,): clean segment's poisson, read; clean integration's poisson, read, err
    sums: np.ndarray  # (3,): of 1/var_poisson, 1/var_rnoise, slope/var_rnoise
    doubt: np.ndarray  # (2,): summed uncertainty of clean slopes, summed |terms|
    terms: np.ndarray  # (n_ints,): slope / var_rnoise of each integration
    dirty: np.ndarray  # (n_ints,)
    bad: np.ndarray
    pixeldq: np.ndarray
    ratedq: np.ndarray
    chargeloss: np.ndarray  # any integration has the flag
    read_information: np.ndarray
    counts: np.ndarray  # (3,): integrations DO_NOT_USE, SATURATED, with a saturated group


class Ramp(NamedTuple):
    """Work space for one integration of one pixel."""

    samples: np.ndarray
    flags: np.ndarray
    original: np.ndarray
    starts: np.ndarray
    stops: np.ndarray
    scratch: np.ndarray
    sums: np.ndarray


@njit(**OPTIONS)
def new_tile(n_ints):
    """Return room for the results of FIT_TILE pixels in n_ints integrations."""
    return Tile(
        np.empty(FIT_TILE),
        np.empty(FIT_TILE),
        np.empty(FIT_TILE),
        np.empty((5, FIT_TILE)),
        np.empty((3, FIT_TILE)),
        np.empty((2, FIT_TILE)),
        np.empty((n_ints, FIT_TILE)),
        np.empty((n_ints, FIT_TILE), np.uint8),
        np.empty(FIT_TILE, np.uint8),
        np.empty(FIT_TILE, np.uint32),
        np.empty(FIT_TILE, np.uint32),
        np.empty(FIT_TILE, np.uint8),
        np.empty(FIT_TILE),
        np.empty((3, FIT_TILE), np.int64),
    )


@njit(**OPTIONS)
def new_ramp(n_groups):
    """Return room for one ramp of n_groups and its segments."""
    return Ramp(
        np.empty(n_groups),
        np.empty(n_groups, np.uint8),
        np.empty(n_groups, np.uint8),
        np.empty(n_groups + 1, np.int64),
        np.empty(n_groups + 1, np.int64),
        np.empty(n_groups),
        np.empty(4),
    )


@njit(**OPTIONS)
def inverse(information):
    """Return the variance of an amount of information, 0 where it is too large to mean anything."""
    variance = 1.0 / information
    return 0.0 if variance >= LARGE_VARIANCE else variance
