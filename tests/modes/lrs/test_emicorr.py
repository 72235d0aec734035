"""Periodic interference of each integration by itself: in any company, engine or stock, the same bits."""

import numpy as np
import pytest
from jwst.emicorr import emicorr

from detectorist.modes.lrs.emicorr import OneByOneEmiCorrStep

NY, NX, N_GROUPS = 48, 16, 6
CLOCKS = (1, 28, 15904, 256.0)  # samples per read, clocks per row and frame, clocks per turn of the wave

#: Turns of the wave from one group to the next: 7 clocks for each row outside of the subarray.
TURN = ((NY * 28 + (1024 - NY) * 7) / 256) % 1


@pytest.fixture
def ramps(rng):
    data = rng.normal(0, 5, (5, N_GROUPS, NY, NX)) + 30 * np.arange(N_GROUPS)[:, None, None]
    clocks = np.arange(NY)[:, None] * 28 + np.arange(NX) // 4
    for i, phase in enumerate(rng.uniform(0, 1, 5)):
        for g in range(N_GROUPS):
            data[i, g] += 8 * np.sin(2 * np.pi * ((clocks / 256 + g * TURN + phase) % 1))
    data[3] *= 4  # a noisy integration must not choose the pixels of the others
    return data.astype(np.float32)


def correct(data, engine="auto"):
    wave = np.sin(2 * np.pi * (np.arange(20) + 0.5) / 20)
    step = OneByOneEmiCorrStep(engine=engine)
    pixels = np.zeros((NY, NX), np.uint32)
    return step._one_by_one(emicorr.emicorr_refwave, data.copy(), pixels, wave, *CLOCKS, fit_ints_separately=True)


def test_an_integration_does_not_depend_on_the_others(ramps):
    whole = correct(ramps)
    parts = [correct(ramps[:2]), correct(ramps[2:3]), correct(ramps[3:])]
    assert whole.tobytes() == np.concatenate(parts).tobytes()
    left, before = (np.diff(ramp, axis=0).std() for ramp in (whole[0], ramps[0]))
    assert left == pytest.approx(5 * np.sqrt(2), rel=0.05)
    assert before > 1.03 * left


def test_engine_and_stock_agree(ramps):
    assert correct(ramps[:3]).tobytes() == correct(ramps[:3], "stock").tobytes()
