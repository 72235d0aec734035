"""Hits within averaged groups are told from what they left untouched, in ramps with few groups."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.dq import JUMP_DET, SATURATED
from detectorist.algorithms.ramps.split_hits import mend_split_hits
from detectorist.engine.jump import flag_jumps

SIZE, GAIN, READ, N_FRAMES, SKY = 128, 2.0, 1.35, 8, 27.0  # DN a group
GAIN_2D = np.full((SIZE, SIZE), GAIN, np.float32)
READ_NOISE = np.full((SIZE, SIZE), READ * np.sqrt(2 * N_FRAMES), np.float32)
GOOD = np.zeros((SIZE, SIZE), bool)


def sky_ramps(rng, n_groups):
    """Return ramps of a flat sky, DN."""
    steps = rng.poisson(SKY * GAIN, (n_groups, SIZE, SIZE)) / GAIN
    return (np.cumsum(steps, axis=0) + READ * rng.normal(size=steps.shape))[None].astype(np.float32)


def searched(ramp, flags=None):
    """Return the flags of the search for jumps."""
    flags = np.zeros(ramp.shape, np.uint8) if flags is None else flags
    return flag_jumps(
        ramp, flags, GOOD.astype(np.uint32), GAIN_2D, READ_NOISE, n_frames=N_FRAMES, min_neighbor_sigma=1e9
    ).groupdq


def mended(ramp, flags, unusable=GOOD):
    """Return the result for flags."""
    return mend_split_hits(ramp, flags, unusable, GAIN_2D, READ_NOISE, n_frames=N_FRAMES)


def kept_light(ramp, flags, places):
    """Return the mean light in the differences that are kept, over the sky's."""
    kept = (flags[0, 1:] & (JUMP_DET | SATURATED)) == 0
    steps = np.diff(ramp[0], axis=0)
    return steps[:, places][kept[:, places]].mean() / SKY


@pytest.mark.parametrize("group", [1, 2])
def test_light_of_ramps_of_four_groups_is_kept_without_that_of_split_hits(rng, group):
    ramp, places = sky_ramps(rng, 4), np.zeros((SIZE, SIZE), bool)
    places[8::9, 8::9] = True
    size = rng.uniform(150, 900, places.sum()).astype(np.float32)
    ramp[0, group, places] += rng.uniform(0.15, 0.85, places.sum()).astype(np.float32) * size
    ramp[0, group + 1 :, places] += size[:, None]
    flags = searched(ramp)
    assert kept_light(ramp, flags, places) > 2
    before = flags.copy()
    found = mended(ramp, flags)
    assert_array_equal(flags, before)
    assert found.number > 0.5 * places.sum()
    assert kept_light(ramp, found.groupdq, places) == pytest.approx(1, abs=0.12)
    # Rates of whole ramps, and of those with a hit between two groups, stay as they are.
    alone = ~np.isin(np.arange(SIZE) % 9, (7, 8, 0))
    assert_array_equal(found.groupdq[0][:, alone], flags[0][:, alone])


def test_neighbours_of_split_hits_lose_the_differences_that_are_hit(rng):
    ramp = sky_ramps(rng, 4)
    ramp[0, 1, 50, 60] += 400
    ramp[0, 2:, 50, 60] += 900
    flags = searched(ramp)
    assert_array_equal(flags[0, :, 50, 60], [0, 0, JUMP_DET, JUMP_DET])
    flags[0, 1:, 50, 61] = SATURATED
    found = mended(ramp, flags).groupdq[0]
    assert_array_equal(found[:, 50, 60], [0, JUMP_DET, JUMP_DET, 0])
    assert_array_equal(found[:, 49, 60], [0, JUMP_DET, JUMP_DET, 0])
    assert_array_equal(found[:, 50, 61], [0, SATURATED, SATURATED, SATURATED])


def test_neighbours_keep_the_difference_that_is_right(rng):
    ramp = sky_ramps(rng, 4)
    ramp[0, 1, 50, 60] += 400
    ramp[0, 2:, 50, 60] += 900
    # Left of it, a hit of its own between the last groups.
    ramp[0, 3, 50, 59] += 400
    flags = np.zeros(ramp.shape, np.uint8)
    for y, x in ((50, 60), (49, 60), (51, 60), (50, 59), (50, 61)):
        flags[0, 3, y, x] = JUMP_DET
    found = mended(ramp, flags).groupdq[0]
    for y, x in ((49, 60), (51, 60), (50, 61)):
        assert_array_equal(found[:, y, x], [0, JUMP_DET, JUMP_DET, 0])
    assert_array_equal(found[:, 50, 59], [0, JUMP_DET, JUMP_DET, JUMP_DET])


def test_a_frame_may_be_hit_at_its_border(rng):
    ramp = sky_ramps(rng, 4)
    ramp[0, 1, 0, 0], ramp[0, 2:, 0, 0] = ramp[0, 1, 0, 0] + 300, ramp[0, 2:, 0, 0] + 640
    flags = np.zeros(ramp.shape, np.uint8)
    flags[0, 2:, 0, 0] = JUMP_DET
    found = mended(ramp, flags)
    assert found.number == 1
    assert_array_equal(found.groupdq[0, :, 0, 0], [0, JUMP_DET, JUMP_DET, 0])
    assert not found.groupdq[0, :, -1].any()


def test_telegraph_noise_stars_and_what_nobody_can_tell_stay(rng):
    ramp, flags = sky_ramps(rng, 4), np.zeros((1, 4, SIZE, SIZE), np.uint8)
    # A pixel that was lower in one group: what is below the others is not the light.
    ramp[0, 1, 20, 20] -= 120
    flags[0, 1:3, 20, 20] = JUMP_DET
    # Nothing around that tells, as within a snowball.
    ramp[0, 1, 60, 60] += 300
    ramp[0, 2:, 60, 60] += 640
    flags[0, 1:, 58:63, 58:63] = JUMP_DET
    flags[0, 1, 60, 60] = 0
    # Bad pixels.
    ramp[0, 1, 90, 90] += 300
    ramp[0, 2:, 90, 90] += 640
    flags[0, 2:, 90, 90] = JUMP_DET
    bad = GOOD.copy()
    bad[90, 90] = True
    found = mended(ramp, flags, bad)
    assert found.number == 0
    assert found.groupdq is flags


def test_many_differences_are_not_outvoted(rng):
    ramp = sky_ramps(rng, 7)
    ramp[0, 3, 30, 30] += 300
    ramp[0, 4:, 30, 30] += 700
    flags = searched(ramp)
    assert_array_equal(flags[0, 3:5, 30, 30], JUMP_DET)
    assert mended(ramp, flags).groupdq is flags
