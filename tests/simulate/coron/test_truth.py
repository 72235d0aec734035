"""The truth beside an exposure tells what was drawn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene
from detectorist.simulate.coron.truth import TruthRecorder


def recorded(scene, ints=2, visit=0, **changes):
    exposures = scene.observe(**{"ints": ints, "groups": 3, "rolls": 1, "dithers": 1, "seed": 3} | changes)
    chosen = exposures.visits[visit]
    recorder = TruthRecorder(exposures, chosen)
    readouts = []
    for k in range(ints):
        light = exposures.light(chosen, k)
        readouts.append(exposures.read_out(chosen, k, light))
        recorder.add(k, light, readouts[-1])
    return exposures, readouts, recorder.dataset()


@pytest.fixture(scope="module")
def nircam():
    return recorded(CoronScene().with_("cosmic_rays", hits_per_s=30.0))


def test_every_array_has_its_unit_and_meaning(nircam):
    _, _, truth = nircam
    assert truth.integration.values.tolist() == [1, 2]
    for name, array in truth.data_vars.items():
        assert array.attrs["units"], name
        assert array.attrs["long_name"], name
    assert set(TruthRecorder.encoding(truth)) == {name for name, array in truth.items() if array.ndim > 1}


def test_the_slope_of_the_stripes_is_that_of_a_fit(nircam):
    exposures, readouts, truth = nircam
    times = exposures.group_time_s * np.arange(3)
    for k, readout in enumerate(readouts):
        slope = np.polyfit(times, readout.flicker_dn[:, 5, 10:20], 1)[0]
        assert_allclose(truth.flicker_slope[k, 5, 10:20], slope, rtol=1e-4, atol=1e-5)
        assert_allclose(truth.level[k], readout.level_dn)
        assert_allclose(truth.ktc[k], readout.ktc_dn, rtol=1e-6)


def test_light_before_and_after_the_flat(nircam):
    _, _, truth = nircam
    steady = truth.star + truth.companion + truth.background
    # The images are means of the integrations, which differ by their jitter.
    assert_allclose((steady * truth.response).values, truth.rate.mean("integration").values, rtol=1e-4, atol=1e-3)
    dead = (truth.bad_pixels.values & 1024) > 0
    assert dead.any()
    assert not truth.rate.values[:, dead].any()


def test_the_group_of_a_hit_is_that_of_its_step(nircam):
    _, readouts, truth = nircam
    for k, readout in enumerate(readouts):
        group = truth.cosmic_ray_group[k].values
        hits = readout.cosmic_rays
        struck = np.zeros(group.shape, bool)
        struck[hits.row, hits.column] = True
        assert_array_equal(group >= 0, struck)
        assert set(np.unique(group)) == {-1, 0, 1, 2}


def test_offsets_and_attributes(nircam):
    exposures, _, truth = nircam
    visit = exposures.visits[0]
    assert [(float(x), float(y)) for x, y in zip(truth.x_offset, truth.y_offset, strict=True)] == [
        exposures.offset_pix(visit, k) for k in range(2)
    ]
    assert (truth.attrs["star_x"], truth.attrs["star_y"]) == (149.1, 173.2)
    assert (truth.attrs["companion_x"], truth.attrs["companion_y"]) == exposures.companion_place(visit)
    assert (truth.attrs["seed"], truth.attrs["kind"], truth.attrs["n_groups"]) == (3, "SCI", 3)
    assert truth.attrs["left_out"] == ""


def test_miri_has_a_phase_and_nothing_of_nircam():
    scene = MiriCoronScene().without("cosmic_rays", "flat")
    exposures, readouts, truth = recorded(scene, ints=1, visit=1)
    assert_allclose(truth.emi_phase, [readouts[0].emi_phase_cycles])
    assert not {"ktc", "flicker_slope", "spilled", "odd_even"} & set(truth.data_vars)
    assert truth.attrs["left_out"] == "cosmic_rays flat"
    # The reference star has no companion.
    assert np.isnan(truth.attrs["companion_x"])
    assert truth.attrs["companion_dn_s"] == 0
    assert not truth.companion.values.any()
    assert (truth.cosmic_ray_group.values == -1).all()
    assert_allclose(truth.zero_level, exposures.patterns.pedestal_dn, rtol=1e-6)
