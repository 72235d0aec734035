"""Hits that are even in both differences of three groups are told from stars by their sharpness."""

import numpy as np
from numpy.testing import assert_array_equal

from detectorist.algorithms.dq import JUMP_DET
from detectorist.algorithms.ramps.lone_hits import flag_lone_hits

SIZE, GAIN, READ, N_FRAMES, SKY = 96, 2.0, 1.35, 8, 27.0  # DN a group
GAIN_2D = np.full((SIZE, SIZE), GAIN, np.float32)
READ_NOISE = np.full((SIZE, SIZE), READ * np.sqrt(2 * N_FRAMES), np.float32)
GOOD = np.zeros((SIZE, SIZE), bool)


def ramps(rng, light, n_groups=3):
    """Return ramps of light (ny, nx), DN a group, and no flags."""
    steps = rng.poisson(light * GAIN, (n_groups, SIZE, SIZE)) / GAIN
    data = (np.cumsum(steps, axis=0) + READ * rng.normal(size=steps.shape))[None].astype(np.float32)
    return data, np.zeros(data.shape, np.uint8)


def found(data, flags, unusable=GOOD):
    """Return the result for flags."""
    return flag_lone_hits(data, flags, unusable, GAIN_2D, READ_NOISE, n_frames=N_FRAMES)


def test_even_hits_are_flagged_and_their_neighbours_stay(rng):
    light, hit = np.full((SIZE, SIZE), SKY), np.zeros((SIZE, SIZE), bool)
    hit[8::12, 8::12] = True
    data, flags = ramps(rng, light)
    data[0, 1, hit] += 150
    data[0, 2, hit] += 300
    # Beside one of them, two neighbours are lost.
    flags[0, 1:, 20, [19, 21]] = JUMP_DET
    before = flags.copy()
    result = found(data, flags)
    assert_array_equal(flags, before)
    assert result.number == 2 * hit.sum()
    assert_array_equal((result.groupdq != flags)[0], [GOOD, hit, hit])
    assert (result.groupdq[0, 1:, hit] == JUMP_DET).all()


def test_the_sharpest_stars_and_faint_spikes_stay(rng):
    y, x = np.mgrid[:SIZE, :SIZE]
    dy, dx = (np.abs(np.mod(one + 6, 12) - 6) for one in (y, x))
    star = np.select([dy + dx == 0, dy + dx == 1], [1.0, 0.12], 0) * (y < SIZE - 6)
    data, flags = ramps(rng, SKY + star * np.geomspace(100, 20000, SIZE)[:, None])
    data[0, :, 30, 30] += np.float32([0, 30, 60])
    assert found(data, flags).groupdq is flags


def test_of_more_groups_and_of_bad_pixels_nothing_is_lost(rng):
    for n_groups, bad in ((4, GOOD), (3, ~GOOD)):
        data, flags = ramps(rng, np.full((SIZE, SIZE), SKY), n_groups)
        data[0, :, 40, 40] += 300 * np.arange(n_groups)
        result = found(data, flags, bad)
        assert result.groupdq is flags
        assert result.number == 0
