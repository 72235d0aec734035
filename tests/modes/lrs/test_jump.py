"""Jumps of each integration by itself: a star that moves has none, and engine and stock agree."""

import types
import warnings

import numpy as np
import pytest
from stcal.jump.jump import detect_jumps_data
from stcal.jump.jump_class import JumpData
from stdatamodels.jwst.datamodels import dqflags

from detectorist.modes.lrs.jump import OneByOneJumpStep

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
