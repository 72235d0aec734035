"""Jumps of each integration by itself: a star that moves has none, and engine and stock agree."""

import copy
import types
import warnings

import numpy as np
import pytest
from stcal.jump.jump import detect_jumps_data
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst.datamodels import dqflags

from detectorist.engine.jump import flag_jumps
from detectorist.modes.lrs.jump import OneByOneJumpStep, _threshold_factor, _with_small_hits

N_INTS, N_GROUPS, NY, NX = 8, 12, 24, 40
GAIN, READ_DN, SIGMA = 4.0, 6.0, 4.5
JUMP = dqflags.group["JUMP_DET"]


@pytest.fixture
def ramps(rng):
    """Ramps of a star that moves after the fifth integration, and places of strong hits: (n, 4)."""
    columns = np.arange(NX)
    center = np.where(np.arange(N_INTS) < 5, 18.0, 18.15)[:, None]
    light = 2500 * np.exp(-0.5 * ((columns - center) / 1.2) ** 2) + 20
    rise = np.broadcast_to(light[:, None, None], (N_INTS, N_GROUPS, NY, NX))
    data = np.cumsum(rng.poisson(rise * GAIN) / GAIN, axis=1) + READ_DN * rng.normal(size=rise.shape)
    hits = np.stack([rng.integers(0, size, 30) for size in (N_INTS, N_GROUPS - 4, NY, NX)], axis=1)
    hits[:, 1] += 2
    for k, g, y, x in hits:
        data[k, g:, y, x] += 40 * np.sqrt(rise[k, g, y, x] / GAIN + 2 * READ_DN**2)
    return data.astype(np.float32), hits


def settings_for(data):
    plane = np.ones((NY, NX), np.float32)
    model = types.SimpleNamespace(
        data=data,
        groupdq=np.zeros(data.shape, np.uint8),
        pixeldq=np.zeros((NY, NX), np.uint32),
        meta=types.SimpleNamespace(exposure=types.SimpleNamespace(nframes=1)),
    )
    jump = JumpData(model, GAIN * plane, np.sqrt(2).astype(np.float32) * READ_DN * plane, dqflags.pixel)
    jump.nframes = 1
    jump.set_detection_settings(SIGMA, SIGMA, SIGMA, 1000.0, 15.0, False)
    jump.set_after_jump(0, 0, 0, 0)
    jump.max_cores = "none"
    return jump


def flags_of(data, engine="auto"):
    step = OneByOneJumpStep(engine=engine)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return step._one_by_one(detect_jumps_data, settings_for(data.copy()))


def test_a_star_that_moves_has_no_jumps_and_hits_are_found(ramps):
    data, hits = ramps
    found = (flags_of(data)[0] & JUMP) > 0
    assert found[tuple(hits.T)].all()
    chance = found.copy()
    struck = np.zeros((N_INTS, NY, NX), bool)
    struck[hits[:, 0], hits[:, 2], hits[:, 3]] = True
    chance[np.broadcast_to(struck[:, None], chance.shape)] = False
    # 7e-6 of normal values lie beyond 4.5 sigma, and photons have a longer tail.
    assert chance.mean() < 1e-4


@pytest.mark.parametrize("n_groups", [5, 6, 7, 9, 12])
@pytest.mark.parametrize("light", [20.0, 2500.0])
def test_chance_flags_are_as_few_in_short_ramps(rng, n_groups, light):
    """With the threshold as it is, 5 groups have 5e-4 of them; 40 sigma are found in any ramp."""
    rise = np.full((2, n_groups, 10 * NY, 10 * NX), light)
    data = np.cumsum(rng.poisson(rise * GAIN) / GAIN, axis=1) + READ_DN * rng.normal(size=rise.shape)
    data[:, 2:, 7, 9] += 40 * np.sqrt(light / GAIN + 2 * READ_DN**2)
    plane, flags = np.ones(rise.shape[2:], np.float32), np.zeros((1, *rise.shape[1:]), np.uint8)
    found = [
        flag_jumps(
            one[None].astype(np.float32), flags, np.zeros(plane.shape, np.uint32), GAIN * plane,
            np.float32(np.sqrt(2) * READ_DN) * plane, n_frames=1, flag_4_neighbors=False,
            threshold_sigma=SIGMA * _threshold_factor(n_groups - 1),
        ).groupdq
        for one in data
    ]  # fmt: skip
    jumps = (np.concatenate(found) & JUMP) > 0
    assert jumps[:, 2, 7, 9].all()
    jumps[:, :, 7, 9] = False
    assert jumps.mean() < 1.3e-4


def test_the_step_raises_its_threshold_by_the_groups_that_are_left(ramps):
    """Groups dropped in all pixels do not count; twelve that are left change nothing."""
    data, _ = ramps
    few = settings_for(data.copy())
    few.gdq[:, 5:] |= 1
    counted = {}
    for raised in (False, True):
        step = OneByOneJumpStep(raise_for_few_groups=raised)
        counted[raised] = [
            int(((step._one_by_one(detect_jumps_data, settings)[0] & JUMP) > 0).sum())
            for settings in (copy.deepcopy(few), settings_for(data.copy()))
        ]
    assert counted[True][0] < counted[False][0]
    assert counted[True][1] == counted[False][1]


def test_small_hits_are_searched_for_with_all_integrations(ramps):
    """Six sigma in the sky, of which the search within each ramp misses some; a star that moves still has no jumps."""
    data, _ = ramps
    rows = np.arange(NY)
    data[3, 7:, rows, 35] += 6 * np.sqrt(20 / GAIN + 2 * READ_DN**2)
    flags = {}
    for searched in (False, True):
        step = OneByOneJumpStep(raise_for_few_groups=True, find_small_hits=searched)
        flags[searched], _, n_hits, _ = step._one_by_one(detect_jumps_data, settings_for(data.copy()))
        assert n_hits == ((flags[searched] & JUMP) > 0).sum()
    found = {searched: (flags[searched][3, 7, :, 35] & JUMP) > 0 for searched in flags}
    assert found[False].sum() < NY
    assert found[True].sum() >= NY - 1
    new = ((flags[True] ^ flags[False]) & JUMP) > 0
    new[3, 7, :, 35] = False
    assert new.mean() < 3e-5


def test_small_hits_are_left_where_groups_are_uneven(ramps):
    settings = settings_for(ramps[0].copy())
    settings.dt_group = np.ones(N_GROUPS - 1)
    found = _with_small_hits(settings, (settings.gdq, settings.pdq, 7, 0))
    assert found[0] is settings.gdq
    assert found[2] == 7


def test_together_the_moved_integrations_would_be_full_of_jumps(ramps):
    """What is avoided: should the standard step no longer do this, ours has no reason left."""
    flags = OneByOneJumpStep.covered(settings_for(ramps[0]))[0]
    assert ((flags[5:, :, :, 15:22] & JUMP) > 0).mean() > 0.02


def test_an_integration_does_not_depend_on_the_others(ramps):
    whole, pixels, n_hits, n_events = flags_of(ramps[0])
    parts = [flags_of(ramps[0][:3]), flags_of(ramps[0][3:])]
    np.testing.assert_array_equal(whole, np.concatenate([part[0] for part in parts]))
    assert (n_hits, n_events) == (sum(part[2] for part in parts), 0)
    assert not pixels.any()


def test_engine_and_stock_agree(ramps):
    data, _ = ramps
    ours, stock = flags_of(data[:3]), flags_of(data[:3], "stock")
    np.testing.assert_array_equal(ours[0], stock[0])
    np.testing.assert_array_equal(ours[1], stock[1])
    assert ours[2] == stock[2]
