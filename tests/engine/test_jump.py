"""The engine's jump flags against those of the installed stcal, flag by flag."""

import logging
import types
import warnings

import numpy as np
import pytest

from detectorist.engine import PROVEN_STCAL
from detectorist.engine.jump import flag_jumps


def stock_jump(ramps, n_frames, settings):
    from stcal.jump.jump import detect_jumps_data
    from stcal.jump.jump_class import JumpData
    from stdatamodels.jwst.datamodels import dqflags

    copy = ramps.copy()
    exposure = types.SimpleNamespace(nframes=n_frames)
    model = types.SimpleNamespace(
        data=copy.data,
        groupdq=copy.groupdq,
        pixeldq=copy.pixeldq,
        meta=types.SimpleNamespace(exposure=exposure),
    )
    jump = JumpData(model, copy.gain, copy.read_noise, dqflags.pixel)
    jump.nframes = n_frames
    jump.set_detection_settings(settings["threshold_sigma"], 6.0, 5.0, 1000.0, 10.0, settings["flag_4_neighbors"])
    (dn1, dn2), (n1, n2) = settings["after_jump_dn"], settings["after_jump_groups"]
    jump.set_after_jump(dn1, n1, dn2, n2)
    jump.max_cores = "none"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        groupdq, pixeldq, n_primary, _ = detect_jumps_data(jump)
    return groupdq, pixeldq, int(n_primary)


def random_case(seed, random_ramps):
    rng = np.random.default_rng(seed)
    n_ints, n_groups = int(rng.choice([1, 1, 2, 3, 5])), int(rng.integers(3, 25))
    if seed % 12 == 0:
        n_ints, n_groups = 104, int(rng.integers(3, 7))
    if seed % 31 == 0:
        n_ints, n_groups = 3, 60
    ny, nx = (40, 150) if n_ints * n_groups < 150 else (12, 83)
    ramps = random_ramps(rng, (n_ints, n_groups, ny, nx), heavy=seed % 3 == 0, chargeloss=seed % 5 == 0)
    settings = {
        "threshold_sigma": float(rng.choice([4, 3.5, 6, 15])),
        "flag_4_neighbors": bool(rng.random() < 0.8),
        "after_jump_dn": (float(rng.choice([0, 300])), 1000.0),
        "after_jump_groups": (int(rng.choice([0, 0, 2])), int(rng.choice([0, 0, 5, 70]))),
    }
    return ramps, int(rng.choice([1, 4, 8])), settings


def compare(seed, random_ramps, threads=1):
    ramps, n_frames, settings = random_case(seed, random_ramps)
    before = ramps.copy()
    with np.errstate(all="ignore"):
        wanted = stock_jump(ramps, n_frames, settings)
        got = flag_jumps(*ramps, n_frames=n_frames, threads=threads, **settings)
    what = f"seed {seed}, {ramps.data.shape}, n_frames {n_frames}, {settings}"
    np.testing.assert_array_equal(got.groupdq, wanted[0], err_msg=what)
    np.testing.assert_array_equal(got.pixeldq, wanted[1], err_msg=what)
    assert got.n_primary == wanted[2], what
    for name, array, copy in zip(ramps._fields, ramps, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"{name} changed, {what}")


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("stcal").setLevel(logging.ERROR)


def test_against_the_version_it_was_proven_for():
    import stcal

    assert stcal.__version__ == PROVEN_STCAL, "run `pytest -m long tests/engine`, then record this version"


@pytest.mark.parametrize("seed", range(24))
def test_flags_are_those_of_stcal(seed, random_ramps):
    compare(seed, random_ramps)


@pytest.mark.parametrize(
    ("n_ints", "n_groups", "size_sigma"),
    [
        (1, 13, 6.0),
        (1, 40, 4.0),
        (1, 61, 4.2),
        (1, 61, 0.0),
        (1, 140, 4.2),
        (20, 9, 4.0),
        (20, 9, 0.0),
        (95, 11, 4.2),
        (99, 12, 4.2),
        (99, 12, 0.0),
    ],
)
def test_calm_ramps_with_hits_about_the_threshold(n_ints, n_groups, size_sigma, random_ramps):
    """Most of their pixels are settled without a search; faint and bright ones, large pedestals, and long stacks."""
    rng = np.random.default_rng(n_groups)
    shape = (n_ints, n_groups, 9, 150)
    ramps = random_ramps(rng, shape)
    rate = 10 ** rng.uniform(-1, 3, shape[2:])
    noise = np.nan_to_num(np.abs(ramps.read_noise), posinf=9)
    data = np.cumsum(np.broadcast_to(rate, shape) + rng.normal(size=shape) * np.sqrt(rate / 4), axis=1) + 2e4
    data += noise / np.sqrt(2) * rng.normal(size=shape)
    where = rng.integers(1, n_groups, shape[2:])
    hit = np.arange(n_groups)[:, None, None] >= where
    data[0] += hit * size_sigma * np.sqrt(rate / 4 + noise**2) * (rng.random(shape[2:]) < 0.3)
    calm = ramps._replace(data=data.astype(np.float32), groupdq=np.zeros(shape, np.uint8))
    settings = {
        "threshold_sigma": 4.0,
        "flag_4_neighbors": True,
        "after_jump_dn": (0.0, 1000.0),
        "after_jump_groups": (0, 0),
    }
    with np.errstate(all="ignore"):
        wanted = stock_jump(calm, 1, settings)
        got = flag_jumps(*calm, n_frames=1, **settings)
    assert (wanted[0] & 4).any() or not size_sigma
    np.testing.assert_array_equal(got.groupdq, wanted[0])


@pytest.mark.parametrize("seed", [1, 12])
def test_threads_give_the_same_flags(seed, random_ramps):
    compare(seed, random_ramps, threads=3)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_cases(block, random_ramps):
    for seed in range(1000 + 100 * block, 1100 + 100 * block):
        compare(seed, random_ramps)
