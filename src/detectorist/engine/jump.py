"""Cosmic-ray jumps in ramps: stock's two-point-difference method, bit for bit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from detectorist.engine import NotCovered
from detectorist.engine.flags import DO_NOT_USE, JUMP, MARK, NO_GAIN_VALUE
from detectorist.engine.threads import over_ranges

#: Stock asks for three usable groups whatever its step parameter `minimum_groups` says.
_MINIMUM_GROUPS = 3

#: Differences that are sorted for a whole tile of pixels. To look at each pixel of a stack by itself takes two to five
#: times as long: its samples lie far apart in memory.
_MOST_SORTED = 1024

#: What stock reports as the number of cosmic rays when there are too few groups to look for any.
NOT_SEARCHED = -99


class Jumps(NamedTuple):
    """The flags with the jumps in them, new arrays of the input's shapes."""

    groupdq: np.ndarray
    pixeldq: np.ndarray
    n_primary: int  # flagged groups before neighbours and later groups; NOT_SEARCHED with too few groups


def flag_jumps(
    data: np.ndarray,
    groupdq: np.ndarray,
    pixeldq: np.ndarray,
    gain: np.ndarray,
    read_noise: np.ndarray,
    *,
    n_frames: int,
    threshold_sigma: float = 4.0,
    three_group_threshold_sigma: float = 6.0,
    four_group_threshold_sigma: float = 5.0,
    flag_4_neighbors: bool = True,
    min_neighbor_sigma: float = 10.0,
    max_neighbor_sigma: float = 1000.0,
    after_jump_dn: tuple[float, float] = (0.0, 0.0),
    after_jump_groups: tuple[int, int] = (0, 0),
    min_diffs_single_pass: int = 10,
    min_sigclip_ints: int = 100,
    threads: int = 1,
) -> Jumps:
    """Flag cosmic-ray jumps exactly as stcal's `detect_jumps_data` does, in one process, groups evenly spaced.

    Parameters
    ----------
    data : ndarray of float32, shape (n_ints, n_groups, ny, nx)
        Linearised ramps in DN. NaN makes both differences of its group unusable.
    groupdq, pixeldq : ndarray of uint8, of uint32, shapes (n_ints, n_groups, ny, nx) and (ny, nx)
        Flags; DO_NOT_USE and SATURATED groups are not looked at.
    gain, read_noise : ndarray of float32, shape (ny, nx)
        In e-/DN; CDS noise in DN, as in the reference files. A gain of 0, less, or NaN marks the pixel.
    n_frames : int
        Frames averaged into a group.
    threshold_sigma, three_group_threshold_sigma, four_group_threshold_sigma : float
        For four and more, for two, and for three usable differences.
    flag_4_neighbors, min_neighbor_sigma, max_neighbor_sigma
        Whether jumps between these sizes flag the four pixels around.
    after_jump_dn, after_jump_groups
        Two sizes in DN and the number of groups to flag after a jump of that size.
    min_diffs_single_pass, min_sigclip_ints : int
        From so many differences on all jumps are found at once; from so many integrations on by sigma
        clipping.
    threads : int
        The result does not depend on it.

    Raises
    ------
    NotCovered
        When a group flag that no step sets (16) is in use.

    Notes
    -----
    Cost: about ten passes over the data for ordinary ramps. Method: Anderson & Gordon 2011, PASP 123, 1237;
    Regan 2007, JWST-STScI-001212.
    """
    from detectorist.engine import _jump_spread_nb as spread

    n_ints, n_groups, ny, _ = data.shape
    data = np.ascontiguousarray(data, np.float32).reshape(n_ints, n_groups, -1)
    gain, read_noise = (np.ascontiguousarray(one, np.float32).reshape(-1) for one in (gain, read_noise))
    if np.bitwise_or.reduce(groupdq, axis=None) & MARK:
        raise NotCovered(f"the group flag {MARK}, in which it keeps notes, is set in the ramps")
    flags = np.array(groupdq, np.uint8, order="C")
    pixels = _without_gain_marked(pixeldq, gain)
    flat = flags.reshape(n_ints, n_groups, -1)
    dropped, clipped = _groups_unusable_everywhere(flat), n_ints >= min_sigclip_ints
    usable = n_groups - dropped.sum(axis=1).max()
    if usable < _MINIMUM_GROUPS and not clipped:
        over_ranges(spread.tidy, flat.shape[-1], flat, threads=threads)
        return Jumps(flags, pixels, NOT_SEARCHED)
    sizes = map(float, (threshold_sigma, four_group_threshold_sigma, three_group_threshold_sigma, n_frames))
    neighbors = (bool(flag_4_neighbors), float(min_neighbor_sigma), float(max_neighbor_sigma))
    rule = (*sizes, usable - 1 < min_diffs_single_pass, *neighbors)
    _find(data, flat, dropped, gain, read_noise, rule, clipped=clipped, threads=threads)
    n_primary = sum(over_ranges(spread.count_jumps, flat.shape[-1], flat, threads=threads))
    if flag_4_neighbors:
        over_ranges(spread.spread_to_neighbors, ny, flags, threads=threads)
    if max(after_jump_groups) > 0:
        _flag_after(data, flat, gain, after_jump_dn, after_jump_groups, threads)
    over_ranges(spread.tidy, flat.shape[-1], flat, threads=threads)
    return Jumps(flags, pixels, n_primary)


def _without_gain_marked(pixeldq: np.ndarray, gain: np.ndarray) -> np.ndarray:
    pixels = np.array(pixeldq, np.uint32)
    pixels.reshape(-1)[(gain <= 0) | np.isnan(gain)] |= np.uint32(NO_GAIN_VALUE | DO_NOT_USE)
    return pixels


def _find(data, flags, dropped, gain, read_noise, rule, *, clipped: bool, threads: int) -> None:
    """Set JUMP and MARK in `flags`, (n_ints, n_groups, n_pix), by the rule that the number of integrations asks for.

    dropped : groups that no pixel can use, (n_ints, n_groups).
    """
    from detectorist.algorithms._sorting_nb import network_or_none
    from detectorist.engine._jump_clipped_nb import flag_tiles_clipped
    from detectorist.engine._jump_pixel_nb import JumpRule
    from detectorist.engine._jump_tiles_nb import flag_tiles

    n_pix = data.shape[-1]
    rule = JumpRule(*rule)
    if clipped:
        over_ranges(flag_tiles_clipped, n_pix, data, flags, gain, read_noise, rule, threads=threads)
        _clear_groups_all_jump(flags)
    else:
        n_differences = int(np.sum(~(dropped[:, 1:] | dropped[:, :-1])))
        network = network_or_none(n_differences, longest=_MOST_SORTED)
        args = (data, flags, dropped, n_differences, gain, read_noise, rule, network)
        over_ranges(flag_tiles, n_pix, *args, threads=threads)


def _flag_after(data, flags, gain, sizes_dn, groups, threads: int) -> None:
    from detectorist.engine import _jump_spread_nb as spread

    typical_gain = np.nanmedian(gain)  # stock turns DN into electrons with one gain for all pixels, in float32
    first_e, second_e = (float(np.float32(size) * typical_gain) for size in sizes_dn)
    args = (data, flags, gain, first_e, int(groups[0]), second_e, int(groups[1]))
    over_ranges(spread.flag_after_jumps, flags.shape[-1], *args, threads=threads)


def _groups_unusable_everywhere(flags: np.ndarray) -> np.ndarray:
    """Return which groups are DO_NOT_USE in every pixel, (n_ints, n_groups); stops at the first usable pixel."""
    return np.array(
        [[bool(plane[0] & DO_NOT_USE) and bool(np.all(plane & DO_NOT_USE)) for plane in groups] for groups in flags]
    )


def _clear_groups_all_jump(flags: np.ndarray) -> None:
    """Take the jumps out of a group in which every pixel is jump or DO_NOT_USE, as stock does after sigma clipping."""
    for plane in flags.reshape(-1, flags.shape[-1]):
        if plane[0] & (JUMP | DO_NOT_USE) and np.all(plane & (JUMP | DO_NOT_USE)):
            plane[(plane & ~np.uint8(MARK)) == JUMP] = 0
