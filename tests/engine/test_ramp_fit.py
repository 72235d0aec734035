"""The engine's slopes against those of the installed stcal, bit by bit."""

import logging

import numpy as np
import pytest

from detectorist.engine import NotCovered
from detectorist.engine.ramp_fit import fit_ramps

NAMES = ("slope", "var_poisson", "var_rnoise", "err", "dq")


def stock_fit(ramps, dark, n_frames, group_s, frame_s, suppress, miri):
    from stcal.ramp_fitting.ramp_fit import ramp_fit_data
    from stcal.ramp_fitting.ramp_fit_class import RampData
    from stdatamodels.jwst.datamodels import dqflags

    copy = ramps.copy()
    ramp = RampData()
    original = copy.groupdq.copy() if np.any(copy.groupdq & 128) else None
    ramp.set_arrays(copy.data, copy.groupdq, copy.pixeldq, dark.copy(), orig_gdq=original, zeroframe=None)
    name = "MIRI" if miri else "NIRCAM"
    ramp.set_meta(name=name, frame_time=frame_s, group_time=group_s, groupgap=2, nframes=n_frames, drop_frames1=0)
    ramp.algorithm = "OLS_C"
    ramp.set_dqflags(dqflags.pixel)
    ramp.start_row, ramp.num_rows = 0, copy.data.shape[2]
    ramp.suppress_one_group_ramps = suppress and copy.data.shape[1] > 1
    return ramp_fit_data(ramp, False, copy.read_noise, copy.gain, "OLS_C", "optimal", "none")[:2]


def random_case(seed, random_ramps):
    rng = np.random.default_rng(seed)
    n_ints, n_groups = int(rng.choice([1, 1, 2, 3, 5])), int(rng.integers(1, 25))
    if seed % 12 == 0:
        n_ints = 40
    if seed % 31 == 0:
        n_ints, n_groups = 2, 140
    ny, nx = (40, 150) if n_ints * n_groups < 150 else (12, 83)
    ramps = random_ramps(rng, (n_ints, n_groups, ny, nx), heavy=seed % 3 == 0, chargeloss=seed % 5 == 0)
    if seed % 4 == 0:  # flags as jump detection leaves them, and otherwise clean
        jumps = rng.random(ramps.data.shape) < 0.02
        ramps.groupdq[...] = np.where(jumps, 4, ramps.groupdq & 2)
    dark = (rng.uniform(0, 1, (ny, nx)) * (rng.random() < 0.5)).astype(np.float32)
    return ramps, {
        "dark": dark,
        "n_frames": int(rng.choice([1, 4, 8])),
        "group_s": float(rng.uniform(0.2, 100)),
        "frame_s": float(rng.uniform(0.1, 10)),
        "suppress": bool(rng.random() < 0.7),
        "miri": bool(rng.random() < 0.4),
    }


def engine_fit(ramps, case, threads):
    return fit_ramps(
        *ramps,
        group_time_s=case["group_s"],
        frame_time_s=case["frame_s"],
        n_frames=case["n_frames"],
        dark_dn_s=case["dark"],
        suppress_one_group=case["suppress"],
        drop_unusable_groups=case["miri"],
        threads=threads,
    )


def compare(seed, random_ramps, threads=1):
    ramps, case = random_case(seed, random_ramps)
    before = ramps.copy()
    with np.errstate(all="ignore"):
        wanted = stock_fit(ramps, **case)
        try:
            got = engine_fit(ramps, case, threads)
        except NotCovered:
            assert wanted[0] is None, f"seed {seed}: the engine gave up where stock did not"
            return 0
    settings = {key: value for key, value in case.items() if key != "dark"}
    for product, stock, ours in zip(("rate", "rateints"), wanted, got, strict=True):
        for name in NAMES:
            what = f"{product} {name}, seed {seed}, {ramps.data.shape}, {settings}"
            np.testing.assert_array_equal(getattr(ours, name), stock[name], err_msg=what)
            assert getattr(ours, name).dtype == stock[name].dtype, what
    for name, array, copy in zip(ramps._fields, ramps, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"{name} changed, seed {seed}")
    return 1


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("stcal").setLevel(logging.CRITICAL)


@pytest.mark.parametrize("seed", range(36))
def test_slopes_are_those_of_stcal(seed, random_ramps):
    compare(seed, random_ramps)


@pytest.mark.parametrize("seed", [1, 12])
def test_threads_give_the_same_slopes(seed, random_ramps):
    compare(seed, random_ramps, threads=3)


@pytest.mark.long
@pytest.mark.parametrize("block", range(20))
def test_two_thousand_cases(block, random_ramps):
    fitted = sum(compare(seed, random_ramps) for seed in range(1000 + 100 * block, 1100 + 100 * block))
    assert fitted > 80
