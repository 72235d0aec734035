"""The NIRCam scene: ingredients, frames, files and truth."""

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from stdatamodels.jwst.datamodels import Level1bModel

from detectorist.detectors import NIRCAM, nircam_frame_time_s
from detectorist.errors import InputError, OutputError, ParameterError
from detectorist.simulate.core import nircam_detector as imaging_detector
from detectorist.simulate.core.noise import expected_slope_noise
from detectorist.simulate.imaging import cosmic_rays as imaging_events
from detectorist.simulate.imaging.scene import ImagingScene
from detectorist.simulate.imaging.truth import snowball_disks

NOISE = ("photon_noise", "read_noise", "flicker", "drift", "columns", "reset_noise")
EVENTS = ("cosmic_rays", "snowballs", "bad_pixels")
QUIET = ImagingScene().with_detector(size=64, outputs=1, pattern="RAPID").without(*NOISE, *EVENTS)


def read(scene, *, n_groups=4, ints=1, seed=3, integration=0):
    observation = scene.observe(ints=ints, groups=n_groups, seed=seed)
    light = observation.sources() + observation.sky() + observation.wisp()
    return observation, light, observation.read_out(0, integration, light)


def test_ingredients_can_be_left_out_and_nothing_else_changes():
    scene = ImagingScene().with_detector(size=64, pattern="RAPID").without("bad_pixels")
    _, _, whole = read(scene)
    _, _, part = read(scene.without("cosmic_rays"))
    changed = np.any(whole.raw != part.raw, axis=0)
    struck = np.zeros((64, 64), bool)
    struck[whole.hits.row, whole.hits.column] = True
    # Capacitance spreads charge to the four neighbours.
    grown = struck | np.roll(struck, 1, 0) | np.roll(struck, -1, 0) | np.roll(struck, 1, 1) | np.roll(struck, -1, 1)
    assert not np.any(changed & ~grown)


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(ParameterError, match="snowballs"):
        ImagingScene().without("snowbals")
    with pytest.raises(ParameterError, match="MEDIUM8"):
        ImagingScene().with_detector(pattern="MEDUIM8")
    with pytest.raises(ParameterError, match="NRCB4"):
        ImagingScene().with_detector(name="NRCB44")
    with pytest.raises(ParameterError, match="outputs"):
        ImagingScene().with_detector(size=66, outputs=4)


@pytest.mark.parametrize(
    ("changes", "frame_s"),
    [({}, 10.73677), ({"subarray": "SUB320"}, 1.06904), ({"subarray": "SUB640"}, 4.18584)],
)
def test_frame_times_are_those_of_the_instrument(changes, frame_s):
    window = imaging_detector.make_window(ImagingScene().with_detector(**changes).detector)
    assert window.frame_time_s == pytest.approx(frame_s, abs=2e-5)
    assert window.frame_time_s == pytest.approx(nircam_frame_time_s(*window.shape), rel=1e-9)


def test_groups_average_their_frames():
    window = imaging_detector.make_window(ImagingScene().with_detector(size=64, pattern="MEDIUM8").detector)
    frame = window.frame_time_s
    assert window.group_time_s == pytest.approx(10 * frame)
    assert window.n_frames_read(3) == 28
    np.testing.assert_allclose(window.group_times_s(3), np.array([4.5, 14.5, 24.5]) * frame)


def test_truth_tells_the_slope_of_each_output():
    left_out = ("sky", "stars", "galaxies", "wisps", "dark", "ipc", "flat", "nonlinearity", *EVENTS)
    only_drift = [name for name in NOISE if name != "drift"]
    scene = ImagingScene().with_detector(size=64, outputs=4).without(*left_out, *only_drift)
    observation, _, readout = read(scene.with_("drift", walk_e=500.0), n_groups=6)
    rate = np.polyfit(observation.window.group_times_s(6), readout.raw.reshape(6, -1), 1)[0].reshape(64, 4, 16)
    assert np.ptp(readout.levels) > 0.1
    np.testing.assert_allclose(rate.mean(axis=(0, 2)), readout.levels, rtol=1e-3, atol=0.05)


def test_a_ramp_without_noise_rises_by_the_light():
    scene = QUIET.without("nonlinearity", "ipc").with_("sky", level_dn_s=400.0).with_detector(pattern="SHALLOW4")
    observation, light, readout = read(scene, n_groups=5)
    times = observation.window.group_times_s(5)
    rate = np.polyfit(times, readout.raw.reshape(5, -1), 1)[0].reshape(64, 64)
    gain = NIRCAM["NRCB4"].gain
    expected = light * observation.patterns.response + observation.patterns.dark_e_s / gain
    np.testing.assert_allclose(rate, expected, atol=2 / (times[-1] - times[0]))


def test_reference_pixels_see_no_light_but_the_drifts():
    scene = ImagingScene().with_detector(size=2048)
    window = imaging_detector.make_window(scene.detector)
    assert window.name == "FULL"
    assert window.reference_pixels().sum() == 2048**2 - 2040**2
    patterns = imaging_detector.fixed_patterns(scene, window)
    assert patterns.response[window.reference_pixels()].max() == 0
    assert (patterns.dq[window.reference_pixels()] == imaging_detector.REFERENCE_PIXEL).all()


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


def test_capacitance_is_undone_to_second_order():
    image = np.zeros((9, 9))
    image[4, 4] = 1.0
    from scipy.ndimage import convolve

    seen = convolve(image, imaging_detector.coupling_kernel(0.005))
    assert seen[4, 5] == pytest.approx(0.005)
    undone = convolve(seen, imaging_detector.decoupling_kernel(0.005))
    np.testing.assert_allclose(undone, image, atol=2e-4)
    assert imaging_detector.decoupling_kernel(0.0) == pytest.approx(np.pad([[1.0]], 1))


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
        event for seed in range(20) for event in imaging_events.draw_snowballs(parts, (90, 2048, 2048), 10.7, seed, 0)
    ]
    expected = 20 * parts.per_s * 90 * 10.7
    assert abs(len(drawn) - expected) < 4 * np.sqrt(expected)
    radii = np.array([event.radius for event in drawn])
    assert radii.min() >= parts.min_radius_pix
    assert radii.max() <= parts.max_radius_pix
    assert (radii > 2 * parts.min_radius_pix).mean() == pytest.approx(2**-parts.slope, abs=0.06)


def test_noise_of_the_best_slope_of_averaged_groups():
    n_groups, n_frames, n_skipped, frame_s, rate, read, gain = 5, 4, 1, 2.0, 3.0, 6.0, 2.0
    rng = np.random.default_rng(2)
    frames = np.arange(n_groups * (n_frames + n_skipped))
    averaged = frames.reshape(n_groups, -1)[:, :n_frames]
    charge = rng.poisson(rate * gain * frame_s, (20_000, frames.size)).cumsum(axis=1) / gain
    reads = charge + read * rng.normal(size=charge.shape)
    steps = np.diff(reads[:, averaged].mean(axis=2), axis=1) / (frame_s * (n_frames + n_skipped))
    weights = np.linalg.solve(np.cov(steps.T), np.ones(n_groups - 1))
    best = steps @ (weights / weights.sum())
    expected = expected_slope_noise(
        np.array(rate), gain=gain, read_noise_dn=read, group_time_s=frame_s * (n_frames + n_skipped),
        n_groups=n_groups, n_frames=n_frames, frame_time_s=frame_s,
    )  # fmt: skip
    assert best.std() == pytest.approx(float(expected), rel=0.015)


def test_wisps_only_where_the_instrument_has_them():
    assert QUIET.observe().wisp().max() > 0.05
    assert QUIET.with_detector(name="NRCB1").observe().wisp_templates is None
    assert QUIET.with_detector(filter="F277W").observe().wisp_templates is None
    templates = QUIET.observe().wisp_templates
    np.testing.assert_allclose(QUIET.with_("wisps", strengths=(1, 0)).observe().wisp(), templates[0], rtol=1e-6)


def test_dithers_move_the_field_but_not_the_wisps():
    observation = QUIET.with_detector(size=256).observe(exposures=2, seed=3)
    x, y = observation.dither(1)
    first, second = observation.sources(0), observation.sources(1)
    assert (x, y) != (0.0, 0.0)
    assert np.abs(first - second).max() > 0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    target = tmp_path_factory.mktemp("sim")
    scene = ImagingScene().with_detector(size=64, outputs=4, pattern="SHALLOW4").with_("snowballs", per_s=20_000.0)
    scene.write(target, groups=4, ints=2, exposures=2, seed=5)
    return target


def test_files(folder):
    names = sorted(path.name for path in folder.iterdir())
    stem = "jw09999002001_02101_0000{}_nrcb4_{}"
    assert names == [
        "crds", *(stem.format(n, e) for n in (1, 2) for e in ("truth.nc", "uncal.fits")), "wisps"
    ]  # fmt: skip
    assert {path.name for path in (folder / "wisps").iterdir()} == {
        "wisps_nrcb4_f200w.fits",
        "WISP_NRCB4_F200W_CLEAR.fits",
        "components",
    }
    with Level1bModel(folder / stem.format(1, "uncal.fits")) as model:
        assert model.data.shape == (2, 4, 64, 64)
        assert model.data.dtype == np.uint16
        assert model.zeroframe.shape == (2, 64, 64)
        assert model.meta.exposure.nframes == 4
        assert model.meta.exposure.groupgap == 1
        assert model.meta.exposure.noutputs == 4
        assert model.meta.subarray.slowaxis == 2


def test_truth(folder):
    path = next(folder.glob("*_00001_*_truth.nc"))
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        truth = opened.load()
    assert truth.sizes["integration"] == 2
    assert truth.attrs["wisp_strengths"].tolist() == [0.8, 0.8]
    assert truth.stripes.values.std() > 0
    assert truth.expected_noise.values[8:-8, 8:-8].min() > 0
    assert truth.sizes["snowball"] > 0
    disks = snowball_disks(truth, (2, 4, 64, 64))
    assert disks.any()
    assert disks.sum() < disks.size


def test_the_same_seed_gives_the_same_bytes(folder, tmp_path):
    scene = ImagingScene().with_detector(size=64, outputs=4, pattern="SHALLOW4").with_("snowballs", per_s=20_000.0)
    scene.write(tmp_path, groups=4, ints=2, exposures=2, seed=5)
    for path in sorted(folder.glob("*_uncal.fits")):
        assert path.read_bytes() == (tmp_path / path.name).read_bytes()


def test_nothing_is_overwritten_unasked(folder):
    with pytest.raises(OutputError, match="there already"):
        ImagingScene().with_detector(size=64).write(folder, groups=2)


def test_a_hot_pixel_map_of_the_whole_detector(tmp_path):
    whole = np.zeros((2048, 2048), np.uint8)
    whole[1000:1003, 1024] = 1
    fits.PrimaryHDU(whole).writeto(tmp_path / "hot.fits.gz")
    scene = QUIET.with_("bad_pixels", hot_map=str(tmp_path / "hot.fits.gz"), dead_fraction=0.0)
    patterns = scene.observe().patterns
    assert (patterns.dq > 0).sum() == 3
    assert ((patterns.hot_dn_s > 0) == (patterns.dq > 0)).all()
    fits.PrimaryHDU(whole[:100]).writeto(tmp_path / "part.fits")
    with pytest.raises(InputError, match="whole detector"):
        scene.with_("bad_pixels", hot_map=str(tmp_path / "part.fits")).observe().patterns  # noqa: B018


def test_the_on_sky_map_of_a_detector(thirdparty):
    scene = (
        ImagingScene()
        .with_detector(size=512)
        .with_("bad_pixels", hot_map=str(thirdparty / "grizli_newhot_NRCB4.fits.gz"), dead_fraction=0.0)
    )
    patterns = scene.observe().patterns
    assert 20 < (patterns.dq > 0).sum() < 300


def test_the_command(tmp_path):
    from typer.testing import CliRunner

    from detectorist.cli.simulate import app

    words = ["imaging", "-o", str(tmp_path), "--size", "64", "--groups", "3", "--pattern", "RAPID", "--seed", "3"]
    result = CliRunner().invoke(app, [*words, "--sky", "1.5", "--without", "snowballs"])
    assert result.exit_code == 0, result.output
    assert "wisp templates" in result.output
    with xr.open_dataset(next(tmp_path.glob("*_truth.nc")), engine="h5netcdf") as truth:
        assert truth.attrs["left_out"] == "snowballs"
        assert float(truth.light.median()) == pytest.approx(1.5, abs=0.1)
