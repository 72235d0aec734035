"""Parts of hits beside flagged differences are flagged, told by the rest of the ramp or by the pixels around."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from detectorist.algorithms.dq import DO_NOT_USE, JUMP_DET, SATURATED
from detectorist.algorithms.ramps.hit_rests import flag_hit_rests

SIZE, GAIN, READ, N_FRAMES, SKY = 128, 2.0, 1.35, 8, 27.0  # DN a group
SIGMA = np.sqrt(SKY / GAIN + 2 * READ**2)  # of a difference
GAIN_2D = np.full((SIZE, SIZE), GAIN, np.float32)
READ_NOISE = np.full((SIZE, SIZE), READ * np.sqrt(2 * N_FRAMES), np.float32)
GOOD = np.zeros((SIZE, SIZE), bool)


def sky_ramps(rng, n_groups, light=SKY):
    """Return ramps of light, DN, and no flags."""
    steps = rng.poisson(light * GAIN, (n_groups, SIZE, SIZE)) / GAIN
    data = (np.cumsum(steps, axis=0) + READ * rng.normal(size=steps.shape))[None].astype(np.float32)
    return data, np.zeros(data.shape, np.uint8)


def found(data, flags, unusable=GOOD):
    """Return the result for flags."""
    return flag_hit_rests(data, flags, unusable, GAIN_2D, READ_NOISE, n_frames=N_FRAMES)


@pytest.mark.parametrize("n_groups", [4, 5, 7])
@pytest.mark.parametrize("before", [True, False])
def test_a_part_below_the_threshold_of_the_search_is_flagged_beside_a_flagged_one(rng, n_groups, before):
    data, flags = sky_ramps(rng, n_groups)
    places = np.zeros((SIZE, SIZE), bool)
    places[4::7, 4::7] = True
    # A hit in group 1 raises the differences that end with groups 1 and 2.
    shares = (0.1, 0.9) if before else (0.9, 0.1)
    data[0, 1, places] += shares[0] * 80 * SIGMA
    data[0, 2:, places] += 80 * SIGMA
    flagged, other = (2, 1) if before else (1, 2)
    flags[0, flagged, places] = JUMP_DET
    asked = flags.copy()
    result = found(data, flags)
    assert_array_equal(flags, asked)
    assert (result.groupdq[0, other, places] == JUMP_DET).mean() > 0.9
    assert result.number > 0.9 * places.sum()
    changed = result.groupdq != flags
    # By chance a difference exceeds three sigma once in 740.
    changed[0, other] &= ~places
    assert changed.sum() < 0.01 * places.sum() * n_groups + 3


def test_differences_without_a_hit_are_flagged_as_rarely_as_chance_makes_them(rng):
    data, flags = sky_ramps(rng, 6)
    flags[0, 3] = JUMP_DET
    data[0, 3:] += 300
    changed = found(data, flags).groupdq != flags
    assert 0 < changed[0, [2, 4]].mean() < 0.005
    assert not changed[0, [0, 1, 3, 5]].any()


def test_in_three_groups_the_pixels_around_tell(rng):
    data, flags = sky_ramps(rng, 3)
    hit, clean = [np.zeros((SIZE, SIZE), bool) for _ in range(2)]
    hit[10::20, 10::20] = clean[20::20, 20::20] = True
    data[0, 1, hit] += 6 * SIGMA
    data[0, 2:, hit] += 60 * SIGMA
    data[0, 2:, clean] += 60 * SIGMA
    flags[0, 2, hit | clean] = JUMP_DET
    result = found(data, flags).groupdq[0]
    assert (result[1, hit] == JUMP_DET).mean() > 0.9
    assert not result[1, clean].any()
    assert_array_equal(result[2], flags[0, 2])


def test_the_middle_of_a_star_keeps_its_difference(rng):
    y, x = np.mgrid[:SIZE, :SIZE]
    offsets = [(np.mod(one + 8, 16) - 8) ** 2 for one in (y, x)]
    stars = SKY + 2000 * np.exp(-0.5 * sum(offsets) / 0.8**2)
    data, flags = sky_ramps(rng, 3, stars)
    middles = sum(offsets) == 0
    data[0, 2:, middles] += 5000
    flags[0, 2, middles] = JUMP_DET
    assert found(data, flags).groupdq is flags


def test_what_nobody_can_tell_and_bad_pixels_stay(rng):
    data, flags = sky_ramps(rng, 3)
    data[0, 1:, 60, 60] += 100
    data[0, 2:, 60, 60] += 500
    flags[0, 1:, 58:63, 58:63] = JUMP_DET
    flags[0, 1, 60, 60] = 0
    for row, flag in ((90, SATURATED), (100, DO_NOT_USE)):
        data[0, 1:, row, 90] += 500
        data[0, 2:, row, 90] += 100
        flags[0, 1:, row, 90] = JUMP_DET, flag
    data[0, 1:, 20, 20] += 500
    data[0, 2:, 20, 20] += 100
    flags[0, 1, 20, 20] = JUMP_DET
    bad = GOOD.copy()
    bad[20, 20] = True
    result = found(data, flags, bad)
    assert result.number == 0
    assert result.groupdq is flags
