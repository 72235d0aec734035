"""Slopes and jumps by likelihood against those of the installed stcal, and against the truth."""

import logging

import numpy as np
import pytest

from detectorist.engine import NotCovered
from detectorist.engine.likelihood import fit_ramps_by_likelihood, read_times_s

NAMES = ("slope", "var_poisson", "var_rnoise", "err", "dq")
#: Roundings of float32 that an order of summation may move: stcal adds up few ramps in another order than many.
LEAST_ULP = 4
#: What is left of sums that cancel.
CANCELLED = 1e-15
#: Changes of the time of a read, relative, that are nothing but other roundings; ramps of a case in which rounding may
#: decide otherwise here than there.
ROUNDINGS, MOST_UNDECIDED = np.outer((-1, 1), np.geomspace(1e-13, 1e-10, 16)).ravel(), 3


def stock_fit(ramps, dark, zeroframe, n_frames, group_gap, frame_s):
    from stcal.ramp_fitting.likely_fit import likely_ramp_fit
    from stcal.ramp_fitting.ramp_fit_class import RampData
    from stdatamodels.jwst.datamodels import dqflags

    copy = ramps.copy()
    ramp = RampData()
    ramp.set_arrays(copy.data, copy.groupdq, copy.pixeldq, dark.copy(), zeroframe=zeroframe)
    ramp.set_meta("NIRCAM", frame_s, (n_frames + group_gap) * frame_s, group_gap, n_frames, drop_frames1=0)
    ramp.algorithm = "LIKELY"
    ramp.set_dqflags(dqflags.pixel)
    image, integrations, _ = likely_ramp_fit(ramp, copy.read_noise, copy.gain)
    return image, integrations, ramp.groupdq


def random_case(seed, random_ramps):
    """Return ramps of 4 to 100 groups with flags anywhere, falling and empty ramps, few good groups."""
    rng = np.random.default_rng(seed)
    n_groups = int(rng.choice([4, 5, 6, 8, 12, 30, 100])) if seed % 2 else int(rng.integers(4, 25))
    n_ints = int(rng.choice([1, 2, 3, 6])) if n_groups < 30 else 2
    shape = (n_ints, n_groups, 9, 83)
    ramps = random_ramps(rng, shape, heavy=seed % 3 == 0)
    ramps.data[:, :, 0] = rng.normal(0, 8, (n_ints, n_groups, 83))  # no light
    ramps.data[:, :, 1] *= -1
    ramps.groupdq[:, 2:, 2] |= 2  # two good groups
    ramps.groupdq[:, 1:, 3] |= 2  # one
    ramps.groupdq[:, 3:, 4] |= 2  # three: which of two differences jumped is undecidable
    ramps.groupdq[:, :, 5] |= 1
    if np.all(ramps.data[:, :, 6:][np.isfinite(ramps.data[:, :, 6:])] % 8 == 0):
        ramps.read_noise[ramps.read_noise == 0] = 0.1  # no noise and rounded data: ties that rounding decides
    dark = (rng.uniform(0, 1, shape[2:]) * (rng.random() < 0.5)).astype(np.float32)
    zeroframe = ramps.data[:, 0] * np.float32(0.7) if rng.random() < 0.3 else None
    return ramps, {
        "dark": dark,
        "zeroframe": zeroframe,
        "n_frames": int(rng.choice([1, 1, 4, 8])),
        "group_gap": int(rng.choice([0, 1, 12])),
        "frame_s": float(rng.uniform(0.1, 10)),
    }


def engine_fit(ramps, case, threads=1, **settings):
    spacing = {"n_frames": case["n_frames"], "group_gap": case["group_gap"], "frame_time_s": case["frame_s"]}
    return fit_ramps_by_likelihood(
        *ramps,
        read_times_s=read_times_s(ramps.data.shape[1], **spacing),
        dark_dn_s=case["dark"],
        zeroframe=case["zeroframe"],
        n_frames=case["n_frames"],
        threads=threads,
        **settings,
    )


def assert_same_floats(got, wanted, what):
    """Every NaN and infinity in its place, all else within some units in the last place, nearly all exactly."""
    assert got.dtype == wanted.dtype, what
    same = (got == wanted) | (np.isnan(got) & np.isnan(wanted))
    assert np.mean(same) > 0.999, f"{what}: {np.mean(~same):.2%} differ"
    one, other = got[~same].astype(float), wanted[~same].astype(float)
    allowed = LEAST_ULP * np.spacing(np.abs(wanted[~same])).astype(float)
    far = ~(np.abs(one - other) <= np.maximum(allowed, CANCELLED))
    assert not far.any(), f"{what}: {far.sum()} differ, {one[far][:3]} for {other[far][:3]}"


def decided_by_rounding(ramps, case, flags):
    """Return (n_ints, ny, nx) bool, True where standard jumps change with roundings: ties, divisions by nearly 0."""
    changed = np.zeros(flags[:, 0].shape, bool)
    for one in ROUNDINGS:
        *_, again = stock_fit(ramps, **case | {"frame_s": case["frame_s"] * (1 + one)})
        changed |= (again != flags).any(axis=1)
    return changed


def compare(seed, random_ramps, threads=1):
    ramps, case = random_case(seed, random_ramps)
    before = ramps.copy()
    with np.errstate(all="ignore"):
        *wanted, flags = stock_fit(ramps, **case)
    got = engine_fit(ramps, case, threads)
    settings = {key: value for key, value in case.items() if np.isscalar(value)}
    what = f"seed {seed}, {ramps.data.shape}, {settings}"
    other = (got.groupdq != flags).any(axis=1)
    if other.any():
        with np.errstate(all="ignore"):
            other &= decided_by_rounding(ramps, case, flags)
        assert other.sum() <= MOST_UNDECIDED, what
    same = ~other[:, None] & np.ones(flags.shape, bool)
    np.testing.assert_array_equal(got.groupdq[same], flags[same], err_msg=f"jumps, {what}")
    decided = {"rate": ~other.any(axis=0), "rateints": ~other}
    for (product, fit), stock, ours in zip(decided.items(), wanted, got[:2], strict=True):
        np.testing.assert_array_equal(ours.dq[fit], stock["dq"][fit], err_msg=f"{product}, {what}")
        for name in NAMES[:-1]:
            assert_same_floats(getattr(ours, name)[fit], stock[name][fit], f"{product} {name}, {what}")
    fit = decided["rate"]
    assert_same_floats(got.chisq[fit], wanted[0]["chisq"][fit], f"chi squared, {what}")
    for name, array, copy in zip(ramps._fields, ramps, before, strict=True):
        np.testing.assert_array_equal(array, copy, err_msg=f"{name} changed, seed {seed}")
    return got


@pytest.fixture(autouse=True)
def _quiet():
    logging.getLogger("stcal").setLevel(logging.CRITICAL)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("seed", range(14))
def test_slopes_and_jumps_are_those_of_stcal(seed, random_ramps):
    compare(seed, random_ramps)


@pytest.mark.parametrize("seed", [3, 8])
def test_threads_give_the_same(seed, random_ramps):
    ramps, case = random_case(seed, random_ramps)
    one, three = (engine_fit(ramps, case, threads) for threads in (1, 3))
    np.testing.assert_array_equal(one.groupdq, three.groupdq)
    for ours, again in zip(one[:2], three[:2], strict=True):
        for name in NAMES:
            np.testing.assert_array_equal(getattr(ours, name), getattr(again, name))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("block", range(10))
def test_many_cases(block, random_ramps):
    for seed in range(1000 + 30 * block, 1030 + 30 * block):
        compare(seed, random_ramps)


def test_three_groups_are_not_covered(random_ramps, rng):
    ramps = random_ramps(rng, (1, 3, 4, 5))
    with pytest.raises(NotCovered, match="3 groups"):
        fit_ramps_by_likelihood(*ramps, read_times_s=read_times_s(3, frame_time_s=1, n_frames=1, group_gap=0))


def simulate(rng, rate, shape, *, gain=5.5, read_noise_dn=6.0, n_frames=1, frame_s=0.159, jump_dn=0.0):
    """Return ramps (DN) whose averaged frames share photons, the noise of a read being that of CDS over sqrt 2."""
    n_ints, n_groups, n_pix = shape
    steps = rng.poisson(rate * gain * frame_s, (n_ints, n_groups * n_frames, n_pix)) / gain
    reads = np.cumsum(steps, axis=1) + rng.normal(0, read_noise_dn / np.sqrt(2), steps.shape)
    data = reads.reshape(n_ints, n_groups, n_frames, n_pix).mean(axis=2)
    hit = rng.integers(1, n_groups, (n_ints, n_pix))
    data += jump_dn * (np.arange(n_groups)[:, None] >= hit[:, None])
    data = data.astype(np.float32)[:, :, None]
    image = np.ones((1, n_pix), np.float32)
    flags = np.zeros(data.shape, np.uint8), np.zeros((1, n_pix), np.uint32)
    times = read_times_s(n_groups, frame_time_s=frame_s, n_frames=n_frames, group_gap=0)
    return (data, *flags, image * np.float32(gain), image * np.float32(read_noise_dn)), times, hit


@pytest.mark.parametrize(("rate", "n_groups", "n_frames"), [(2, 12, 1), (50, 12, 1), (2000, 30, 1), (300, 10, 4)])
def test_the_true_rate_comes_out_within_its_error(rate, n_groups, n_frames, rng):
    ramps, times, _ = simulate(rng, rate, (20, n_groups, 1000), n_frames=n_frames)
    ints = fit_ramps_by_likelihood(*ramps, read_times_s=times).rateints
    pull = ((ints.slope - rate) / ints.err).ravel()
    assert abs(np.std(pull) - 1) < 0.03
    # Read noise makes the errors of rates that came out high larger than of those that came out low: below one percent
    # of an error, but more than the error of this mean, for the faint ones.
    assert abs(np.mean(ints.slope) - rate) < 4 * np.median(ints.err) / np.sqrt(pull.size)
    np.testing.assert_allclose(ints.err**2, ints.var_poisson + ints.var_rnoise, rtol=1e-3)


@pytest.mark.parametrize("n_frames", [1, 4])
def test_a_jump_is_found_where_it_is(n_frames, rng):
    """Of 20 sigma, in another group of every ramp; averaged groups may lose both differences around it."""
    ramps, times, hit = simulate(rng, 100, (4, 15, 500), n_frames=n_frames, jump_dn=20 * 6.0)
    fit = fit_ramps_by_likelihood(*ramps, read_times_s=times)
    flagged = fit.groupdq[:, :, 0] & 4 > 0
    found = np.take_along_axis(flagged, hit[:, None], axis=1)
    assert found.mean() > 0.998
    others = flagged.sum(axis=1) - found[:, 0]
    assert others.mean() < 0.02 if n_frames == 1 else others.mean() < 1
    pull = (fit.rateints.slope - 100) / fit.rateints.err
    assert abs(np.std(pull) - 1) < 0.05
    assert abs(np.mean(pull)) < 0.1


def test_without_jumps_few_are_found(rng):
    ramps, times, _ = simulate(rng, 100, (10, 20, 2000))
    fit = fit_ramps_by_likelihood(*ramps, read_times_s=times)
    assert np.mean(fit.groupdq & 4 > 0) < 3e-5  # 7e-6 for one of two sides at 4.5 sigma
