"""Single hits and snowballs."""

import numpy as np
import pytest

from detectorist.detectors import NIRCAM
from detectorist.simulate.imaging import cosmic_rays
from detectorist.simulate.imaging.scene import ImagingScene

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs", "bad_pixels")
QUIET = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID").without(*NOISE, *EVENTS)


def read(scene, *, n_groups=4, ints=1, seed=3, integration=0):
    observation = scene.observe(ints=ints, groups=n_groups, seed=seed)
    light = observation.sources() + observation.sky() + observation.wisp()
    return observation, light, observation.read_out(0, integration, light)


def test_particles_leave_nothing_in_reference_pixels():
    # A window at the detector's corner, by hand: the middle has no reference pixels.
    import dataclasses

    scene = QUIET.without("stars", "galaxies", "ipc").with_("cosmic_rays", hits_per_s=100_000.0)
    observation = scene.observe(groups=3, seed=1)
    observation.window = dataclasses.replace(observation.window, x_start=1, y_start=1)
    reference = observation.window.reference_pixels()
    assert reference.sum() == 64**2 - 60**2
    readout = observation.read_out(0, 0, np.full((64, 64), 50.0))
    assert np.any(reference[readout.hits.row, readout.hits.column])
    rise = readout.raw[-1].astype(int) - readout.raw[0]
    assert np.abs(rise[reference]).max() <= 1
    assert rise[~reference].max() > 10


def test_a_hit_is_diluted_in_the_group_it_strikes():
    scene = QUIET.without("sky", "stars", "galaxies", "wisps", "dark", "nonlinearity", "ipc", "flat")
    scene = scene.with_detector(pattern="MEDIUM8").with_("cosmic_rays", hits_per_s=20_000.0, neighbour_fraction=0.0)
    observation, _, readout = read(scene, n_groups=6)
    hits, window = readout.hits, observation.window
    alone = [k for k in range(hits.group.size)
             if ((hits.row == hits.row[k]) & (hits.column == hits.column[k])).sum() == 1]  # fmt: skip
    assert len(alone) >= 1
    gain = NIRCAM["NRCB4"].gain
    for k in alone:
        y, x = hits.row[k], hits.column[k]
        ramp = readout.raw[:, y, x] - np.rint(observation.patterns.bias_dn[y, x])
        group, phase = divmod(int(hits.group[k]), 10)
        full = min(hits.charge_e[k], window.facts.full_well_e) / gain
        np.testing.assert_allclose(ramp[group + 1 :], full, atol=1.5)
        if phase < 8:
            assert ramp[group] == pytest.approx(full * (8 - phase) / 8, abs=1.5)


def snowball_scene(**changes):
    scene = QUIET.without("sky", "stars", "galaxies", "wisps", "dark", "nonlinearity", "ipc", "flat")
    return scene.with_detector(size=128, outputs=1, pattern="RAPID").with_(
        "snowballs", per_s=1_500.0, max_radius_pix=20.0, **changes
    )


def test_snowballs_have_a_full_core_that_widens_and_a_halo():
    scene = snowball_scene(widening_s=0.3)
    observation, _, readout = read(scene, n_groups=8)
    gain, well = NIRCAM["NRCB4"].gain, NIRCAM["NRCB4"].full_well_e
    event = next(e for e in readout.snowballs if e.frame < 5)
    yy, xx = np.mgrid[:128, :128]
    distance = np.hypot(yy - event.y, xx - event.x)
    charge = readout.raw - observation.patterns.bias_dn
    first = charge[event.frame]
    assert (first[distance < event.core_radius] > 0.999 * well / gain - 1).all()
    halo = (distance > event.core_radius + 1) & (distance < event.radius - 2)
    assert (first[halo] > 0.5 * scene.snowballs.edge_charge_e / gain).all()
    ring = (distance > event.core_radius) & (distance < event.core_radius + 1)
    assert (charge[-1][ring] > 0.999 * well / gain - 1).all()


def test_the_core_glows_in_the_next_integration():
    scene = snowball_scene().with_detector(serial=1)
    observation, _, before = read(scene, n_groups=4, ints=2)
    _, _, after = read(scene, n_groups=4, ints=2, integration=1)
    yy, xx = np.mgrid[:128, :128]
    clear = np.ones((128, 128), bool)
    for event in after.snowballs:
        clear &= np.hypot(yy - event.y, xx - event.x) > event.radius + 5
    core = np.zeros_like(clear)
    for event in before.snowballs:
        core |= np.hypot(yy - event.y, xx - event.x) < event.core_radius
    rise = after.raw[-1].astype(float) - after.raw[0]
    glow = scene.snowballs.afterglow_e_s / NIRCAM["NRCB4"].gain * 3 * observation.window.frame_time_s
    assert (clear & core).sum() > 10
    np.testing.assert_allclose(rise[clear & core], glow, rtol=0.05, atol=1.5)


def test_number_and_sizes_of_snowballs():
    parts = ImagingScene().snowballs
    drawn = [
        event for seed in range(20) for event in cosmic_rays.draw_snowballs(parts, (90, 2048, 2048), 10.7, seed, 0)
    ]
    expected = 20 * parts.per_s * 90 * 10.7
    assert abs(len(drawn) - expected) < 4 * np.sqrt(expected)
    radii = np.array([event.radius for event in drawn])
    assert radii.min() >= parts.min_radius_pix
    assert radii.max() <= parts.max_radius_pix
    assert (radii > 2 * parts.min_radius_pix).mean() == pytest.approx(2**-parts.slope, abs=0.06)
