"""Slopes of ramps: stock's optimally weighted least squares (OLS_C), bit for bit."""

from __future__ import annotations

import ctypes
import ctypes.util
from functools import cache
from typing import NamedTuple

import numpy as np

from detectorist.algorithms.ramps.fit_weights import SNR_LIMITS, WEIGHT_POWERS
from detectorist.engine import NotCovered
from detectorist.engine.flags import DO_NOT_USE, JUMP, PERSISTENCE, SATURATED
from detectorist.engine.threads import over_ranges


class Slopes(NamedTuple):
    """A rate image (ny, nx), or one per integration (n_ints, ny, nx): DN/s, (DN/s)^2, float32; dq is uint32."""

    slope: np.ndarray
    var_poisson: np.ndarray
    var_rnoise: np.ndarray
    err: np.ndarray
    dq: np.ndarray


class RampFit(NamedTuple):
    """Both products of the fit."""

    rate: Slopes
    rateints: Slopes


def fit_ramps(
    data: np.ndarray,
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    group_time_s: float,
    frame_time_s: float,
    n_frames: int,
    dark_dn_s: np.ndarray | None = None,
    suppress_one_group: bool = True,
    drop_unusable_groups: bool = False,
    threads: int = 1,
) -> RampFit:
    """Fit ramps exactly as stcal's `ramp_fit` does with algorithm OLS_C; no zero frame, no optional results.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
        Linearised ramps in DN. A NaN in a group without a flag counts as 0 with its weight, as in stock.
    groupdq, pixeldq : ndarray of uint8, of uint32, shapes (n_ints, n_groups, ny, nx) and (ny, nx)
    gain, read_noise : ndarray of float32, shape (ny, nx)
        In e-/DN; CDS noise in DN, as in the reference files.
    group_time_s, frame_time_s : float
        Time from group to group, and of one frame.
    n_frames : int
        Frames averaged into a group.
    dark_dn_s : ndarray of float32, shape (ny, nx), or None
        Average dark current, for the Poisson variance only.
    suppress_one_group : bool
        Ramps with a single good group give no slope; otherwise a good first group alone does.
    drop_unusable_groups : bool
        MIRI: leading groups, and the last one, that are DO_NOT_USE in every pixel do not belong to the ramp.
    threads : int
        The result does not depend on it.

    Raises
    ------
    NotCovered
        When no ramp is left to fit: stock then returns nothing.

    Notes
    -----
    Cost: about five passes over the data for ordinary ramps; the products and one byte per sample (MIRI) in
    memory.
    """
    suppress_one_group = suppress_one_group and data.shape[1] > 1
    flags = np.ascontiguousarray(groupdq, np.uint8)
    original = flags
    first, stop, suppressed = 0, data.shape[1], False
    if drop_unusable_groups and data.shape[1] > 1:
        flags, suppressed = flags.copy(), suppress_one_group
        if suppress_one_group:
            _suppress_one_group(flags)
        first, stop = _usable_groups(flags)
    if flags[0, first, 0, 0] & SATURATED and np.all(flags[:, first] & SATURATED):
        raise NotCovered("every ramp is saturated from its first group on")

    n_ints, n_groups, ny, nx = data.shape
    if dark_dn_s is None:
        dark_dn_s = np.zeros((ny, nx), np.float32)
    images = (np.asarray(gain, np.float32), _noise_per_group(read_noise, gain, n_frames), dark_dn_s)
    images = tuple(np.ascontiguousarray(a, np.float32).reshape(-1) for a in images)
    ramps = (np.ascontiguousarray(data, np.float32), flags, original)
    ramps = tuple(a.reshape(n_ints, n_groups, -1) for a in ramps)
    pixels = np.ascontiguousarray(pixeldq, np.uint32).reshape(-1)
    times = _times(group_time_s, frame_time_s, n_frames)
    rule = (*times, not suppress_one_group, suppress_one_group and not suppressed, first)
    return _fit(ramps, pixels, images, rule, stop - first, (ny, nx), threads)


def weights_of_classes(n_groups: int) -> np.ndarray:
    """Return the weights of groups in the slopes of whole ramps, (n_classes, n_groups).

    The slope of a ramp of three groups or more, DN per group, is the product of its samples with the weights of its
    class (`weight_classes`).
    """
    return _weight_tables(n_groups)[1].copy()


def weight_classes(rise: np.ndarray, gain: np.ndarray, read_noise: np.ndarray, *, n_frames: int) -> np.ndarray:
    """Return the row of `weights_of_classes` that whole ramps get, uint8, of the shape of `rise`.

    rise : ndarray of float, shape (..., ny, nx)
        Last minus first group, DN.
    gain, read_noise, n_frames : as in `fit_ramps`
    """
    noise = _noise_per_group(read_noise, gain, n_frames)
    electrons = np.maximum(rise * gain, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = electrons / np.sqrt(noise * noise + electrons)
    return np.searchsorted(SNR_LIMITS, np.nan_to_num(ratio), side="right").astype(np.uint8)


def _fit(ramps, pixels, images, rule, n_groups: int, shape, threads: int) -> RampFit:
    from detectorist.algorithms._sorting_nb import network_or_none
    from detectorist.engine._ramp_segments_nb import FitRule
    from detectorist.engine._ramp_state_nb import Products
    from detectorist.engine._ramp_tiles_nb import fit_tiles

    n_ints, _, n_pix = ramps[0].shape
    weights, coefficients = _weight_tables(n_groups)
    network = network_or_none(n_groups - 1 if n_groups > 2 else 0)
    out = Products(
        np.empty((4, n_pix), np.float32),
        np.empty(n_pix, np.uint32),
        np.empty((4, n_ints, n_pix), np.float32),
        np.empty((n_ints, n_pix), np.uint32),
    )
    args = (*ramps, pixels, *images, FitRule(*rule), weights, coefficients, network, out)
    over_ranges(fit_tiles, n_pix, *args, threads=threads)
    return RampFit(
        Slopes(*out.rate.reshape(4, *shape), out.rate_dq.reshape(shape)),
        Slopes(*out.ints.reshape(4, n_ints, *shape), out.ints_dq.reshape(n_ints, *shape)),
    )


def _times(group_time_s: float, frame_time_s: float, n_frames: int) -> tuple[float, float]:
    """Return the times of a group and of a lone first group; both pass through a C float on the way to stock's fit."""
    frame = float(np.float32(frame_time_s))
    return float(np.float32(group_time_s)), (n_frames + 1.0) * frame / 2.0


def _noise_per_group(read_noise: np.ndarray, gain: np.ndarray, n_frames: int) -> np.ndarray:
    """Return the noise of one group in electrons; the factor is float64, the product is rounded once, as in stock."""
    noise = np.array(read_noise, np.float32)
    noise *= np.asarray(gain, np.float32) / np.sqrt(2.0 * n_frames)
    return noise


def _suppress_one_group(flags: np.ndarray) -> None:
    """Make ramps with exactly one good group DO_NOT_USE, in place, one integration at a time to spare memory."""
    for ramps in flags:
        good = np.zeros(ramps.shape[1:], np.int32)
        for plane in ramps:
            good += (plane & np.uint8(255 - PERSISTENCE)) == 0
        ramps[:, good == 1] |= np.uint8(DO_NOT_USE)


def _usable_groups(flags: np.ndarray) -> tuple[int, int]:
    """Return where a MIRI ramp begins and ends; the jump flags of the new first group go, in place.

    A jump into the first used group has no group before it, and the group is good.
    """
    first, stop = 0, flags.shape[1]
    while np.all(flags[:, first] & DO_NOT_USE):
        first += 1
        if first == stop:
            raise NotCovered("every group is DO_NOT_USE in every pixel")
        flags[:, first] &= np.uint8(255 - JUMP)
    if np.all(flags[:, stop - 1] & DO_NOT_USE):
        stop -= 1
    if stop - first < 2:
        raise NotCovered("fewer than two usable groups in a MIRI ramp")
    return first, stop


@cache
def _weight_tables(n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the weights (power, length, sample) of segments, and the slope's factors (power, sample) for a
    whole ramp.

    The weights go through the C library's single-precision power, as in stock; numpy's differs in the last
    bit.
    """
    power = ctypes.CDLL(ctypes.util.find_library("m")).powf
    power.restype, power.argtypes = ctypes.c_float, [ctypes.c_float, ctypes.c_float]
    weights = np.zeros((len(WEIGHT_POWERS), n_groups + 1, n_groups))
    for row, exponent in enumerate(WEIGHT_POWERS):
        for length in range(3, n_groups + 1):
            middle = (length - 1) / 2.0
            for k in range(length):
                weights[row, length, k] = power(abs((k - middle) * (1.0 / middle)), exponent)
    if n_groups < 3:
        return weights, np.zeros((len(WEIGHT_POWERS), n_groups))
    x, w = np.arange(n_groups), weights[:, n_groups]
    sum_w, sum_x, sum_xx = (np.sum(term, axis=1, keepdims=True) for term in (w, w * x, w * x * x))
    return weights, (sum_w * x * w - sum_x * w) / (sum_w * sum_xx - sum_x**2)
