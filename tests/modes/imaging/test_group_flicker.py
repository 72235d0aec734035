"""What the pipeline does about the 1/f noise of groups before ramps are fitted."""

import numpy as np
from numpy.testing import assert_array_equal
from scipy import signal
from stdatamodels.jwst.datamodels import RampModel

from detectorist.algorithms import dq
from detectorist.modes.imaging.group_flicker import group_noise_of, with_noise_of_whole_ramps

SIZE, N_GROUPS = 96, 5


def make(rng, *, event=True):
    # Of one row and the next as noise that lasts for twenty rows has them.
    kicks = 10 * np.sqrt(1 - 0.95**2) * rng.normal(size=(1, N_GROUPS, SIZE + 200, 1))
    rows = signal.lfilter([1], [1, -0.95], kicks, axis=2)[:, :, 200:]
    data = (rows + 2 * rng.normal(size=(1, N_GROUPS, SIZE, SIZE))).astype(np.float32)
    model = RampModel(data=data, groupdq=np.zeros(data.shape, np.uint8), pixeldq=np.zeros((SIZE, SIZE), np.uint32))
    model.meta.exposure.group_time = model.meta.exposure.frame_time = 2.0
    model.meta.exposure.nframes = 1
    model.meta.subarray.name = "SUB160"
    if event:
        y, x = np.mgrid[:SIZE, :SIZE]
        model.groupdq[0, 2][np.hypot(y - 40, x - 50) < 20] |= dq.JUMP_DET
    return model


def test_ramps_of_an_event_are_levelled_while_they_are_fitted_and_then_as_they_were(rng):
    model = make(rng)
    before = model.data.copy()
    event = dq.has(model.groupdq[0, 2], dq.JUMP_DET)
    with with_noise_of_whole_ramps(model):
        changed = (model.data != before).any(axis=(0, 1))
        assert changed[event].all()
        last = (model.data[0, 4] - model.data[0, 3])[35:45, 40:60].mean(axis=1)
        assert last.std() < 0.6 * (before[0, 4] - before[0, 3])[35:45, 40:60].mean(axis=1).std()
    assert_array_equal(model.data, before)


def test_without_a_large_event_nothing_changes(rng):
    model = make(rng, event=False)
    before = model.data.copy()
    with with_noise_of_whole_ramps(model):
        assert_array_equal(model.data, before)


def test_groups_tell_the_noise_of_the_rate(rng):
    model = make(rng)
    found = group_noise_of(model)
    # Slopes of five groups have a tenth of the variance of one, two seconds apart.
    assert 0.5 < found.rms / (10 * np.sqrt(0.1) / 2) < 1.6
    model.meta.exposure.group_time = None
    assert group_noise_of(model) is None
