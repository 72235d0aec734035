"""The engine's saturation flags against those of the installed stcal, flag by flag."""

import logging

import numpy as np
import pytest

from detectorist.engine import NotCovered
from detectorist.engine.saturation import flag_saturation


def random_case(seed):
    rng = np.random.default_rng(seed)
    shape = (int(rng.integers(1, 4)), int(rng.integers(1, 9)), int(rng.integers(9, 60)), int(rng.integers(9, 90)))
    n_frames = int(rng.choice([1, 1, 2, 4, 8]))
    rate = 10 ** rng.uniform(1, 4.5, shape[2:])
    steps = rng.poisson(np.broadcast_to(rate, shape)).astype(float)
    steps[rng.random(shape) < 0.01] += 40000
    data = np.clip(np.cumsum(steps, axis=1) + rng.normal(300, 200, shape[2:]), 0, 65535).astype(np.float32)
    data[rng.random(shape) < 0.003] = 0
    threshold = rng.uniform(20000, 60000, shape[2:]).astype(np.float32)
    threshold[rng.random(shape[2:]) < 0.02] = np.nan
    threshold_dq = np.where(rng.random(shape[2:]) < 0.02, 2**21, 0).astype(np.uint32)
    groupdq = np.where(rng.random(shape[2:]) < 0.02, 1, 0).astype(np.uint8) * np.ones(shape, np.uint8)
    bias = rng.normal(300, 200, shape[2:]).astype(np.float32) if rng.random() < 0.7 else None
    zeroframe = data[:, 0] + rng.normal(0, 5, data[:, 0].shape).astype(np.float32) if rng.random() < 0.5 else None
    pattern = [[k + 1 + g * n_frames for k in range(n_frames)] for g in range(shape[1])]
    return (data, groupdq, np.zeros(shape[2:], np.uint32), threshold, threshold_dq), {
        "grow_pix": int(rng.choice([0, 1, 1, 2, 3])),
        "read_pattern": pattern if rng.random() < 0.8 else None,
        "bias": bias,
        "zeroframe": zeroframe,
    }


def stock(arrays, settings):
    from stcal.saturation.saturation import flag_saturated_pixels
    from stdatamodels.jwst.datamodels import dqflags

    logging.getLogger("stcal").setLevel(logging.ERROR)
    arrays = [array.copy() for array in arrays]
    zeroframe = settings["zeroframe"]
    return flag_saturated_pixels(
        *arrays,
        65535.0,
        dqflags.pixel,
        n_pix_grow_sat=settings["grow_pix"],
        read_pattern=settings["read_pattern"],
        bias=settings["bias"],
        zframe=None if zeroframe is None else zeroframe.copy(),
    )


def compare(seed, threads=1):
    arrays, settings = random_case(seed)
    before = [array.copy() for array in arrays]
    wanted = stock(arrays, settings)
    got = flag_saturation(*arrays, threads=threads, **settings)
    what = f"seed {seed}, {arrays[0].shape}, grow {settings['grow_pix']}"
    np.testing.assert_array_equal(got.groupdq, wanted[0], err_msg=what)
    np.testing.assert_array_equal(got.pixeldq, wanted[1], err_msg=what)
    if settings["zeroframe"] is not None:
        np.testing.assert_array_equal(got.zeroframe, wanted[2], err_msg=what)
    for array, copy in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"input changed, {what}")
    return got


@pytest.mark.parametrize("seed", range(40))
def test_flags_are_those_of_stcal(seed):
    compare(seed)


@pytest.mark.parametrize("seed", range(5))
def test_flags_may_go_into_the_given_ones(seed):
    arrays, settings = random_case(seed)
    apart = flag_saturation(*arrays, **settings).groupdq
    flags = arrays[1]
    into = np.ones_like(flags)
    np.testing.assert_array_equal(flag_saturation(*arrays, **settings, out=into).groupdq, apart)
    assert flag_saturation(*arrays, **settings, out=flags).groupdq is flags
    np.testing.assert_array_equal(flags, apart)


def test_threads_give_the_same_flags():
    compare(3, threads=3)


@pytest.mark.long
@pytest.mark.parametrize("block", range(10))
def test_two_thousand_cases(block):
    for seed in range(1000 + 200 * block, 1200 + 200 * block):
        compare(seed)


def test_counts():
    got = compare(5)
    assert got.n_saturated == np.count_nonzero(np.any(got.groupdq & 2, axis=(0, 1)))
    assert got.n_floor == np.count_nonzero(np.any(got.groupdq & 64, axis=(0, 1)))


def test_groups_saturated_before_are_left_to_stock():
    arrays, settings = random_case(1)
    arrays[1][0, 0, 3, 3] = 2
    before = arrays[1].copy()
    with pytest.raises(NotCovered, match="saturated before"):
        flag_saturation(*arrays, **settings, out=arrays[1])
    np.testing.assert_array_equal(arrays[1], before)
