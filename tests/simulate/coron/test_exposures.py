"""Simulated coronagraphic exposures: light, detector, files, and the truth beside them."""

import hashlib

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels
from typer.testing import CliRunner

from detectorist.cli.simulate import app
from detectorist.errors import OutputError, ParameterError
from detectorist.simulate.coron import nircam_readout as coron_detector
from detectorist.simulate.coron import sky as coron_sky
from detectorist.simulate.coron.components import Companion, MaskedStar
from detectorist.simulate.coron.observation import plan_visits
from detectorist.simulate.coron.references import build_coron_cache
from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene

SCENES = {"nircam": CoronScene, "miri": MiriCoronScene}
SHAPE = (61, 81)
CENTRE = (40.0, 30.0)


def digests(folder):
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module", params=sorted(SCENES))
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    scene = SCENES[request.param]()
    return scene, folder, scene.write(folder, ints=2, groups=4, rolls=2, dithers=2, seed=4)


class TestLight:
    def test_companion_keeps_its_flux_wherever_it_lies(self):
        image = coron_sky.companion_image(Companion(rate_dn_s=500.0), SHAPE, (30.3, 24.7))
        yy, xx = np.indices(SHAPE)
        assert image.sum() == pytest.approx(500.0, rel=1e-9)
        assert (image * xx).sum() / 500 == pytest.approx(30.3, abs=1e-6)
        assert (image * yy).sum() / 500 == pytest.approx(24.7, abs=1e-6)

    def test_companion_turns_with_the_sky_and_speckles_stay(self):
        scene = CoronScene()
        observed = scene.observe(ints=1, rolls=2, dithers=0)
        first, second = (np.array(observed.companion_place(visit)) - scene.mode.centre for visit in observed.visits)
        assert np.hypot(*first) == pytest.approx(1.6 / 0.063)
        turned = np.degrees(np.arctan2(*first) - np.arctan2(*second))
        assert (turned + 180) % 360 - 180 == pytest.approx(-10.0)
        bare = scene.without("jitter", "outliers").observe(ints=1, rolls=2, dithers=0)
        assert_array_equal(*(bare.light(visit, 0).star for visit in bare.visits))

    def test_reference_star_has_mostly_the_same_speckles_and_no_companion(self):
        observed = CoronScene().without("jitter", "outliers", "dither").observe(ints=1, rolls=1, dithers=1)
        target, reference = (observed.light(visit, 0) for visit in observed.visits)
        assert not reference.companion.any()
        halo = target.star < 1_000
        correlation = np.corrcoef(target.star[halo], reference.star[halo])[0, 1]
        assert 0.99 < correlation < 0.99999
        assert reference.star.sum() / target.star.sum() == pytest.approx(2.0, rel=0.02)

    def test_moving_a_star_moves_its_centroid(self):
        star = MaskedStar(spike_dn_s=0.0, halo_dn_s=0.0)
        image = coron_sky.star_image(star, SHAPE, CENTRE, np.zeros(SHAPE), quadrants=False)
        moved = coron_sky.moved(image, 0.3, -0.2)
        yy, xx = np.indices(SHAPE)
        assert (moved * xx).sum() / moved.sum() == pytest.approx(40.3, abs=2e-3)
        assert (moved * yy).sum() / moved.sum() == pytest.approx(29.8, abs=2e-3)
        assert moved.sum() == pytest.approx(image.sum(), rel=1e-3)

    def test_quadrants_are_dark_along_their_boundaries(self):
        star = MaskedStar(spike_dn_s=0.0, core_dn_s=0.0)
        image = coron_sky.star_image(star, SHAPE, CENTRE, np.zeros(SHAPE), quadrants=True)
        tilt = np.radians(coron_sky.QUADRANT_TILT_DEG)

        def at(angle, radius=15):
            return image[round(30 + radius * np.sin(angle)), round(40 + radius * np.cos(angle))]

        assert at(tilt) < 0.15 * at(tilt + np.pi / 4)
        assert at(tilt + np.pi / 2) < 0.15 * at(tilt + np.pi / 4)

    def test_outliers_are_above_the_noise_by_what_they_should(self):
        observed = CoronScene().with_("outliers", fraction=0.01).observe(ints=2, seed=3)
        light = observed.light(observed.visits[0], 1)
        sigma = (light.outliers / observed.expected_noise(light.steady))[light.outliers > 0]
        assert sigma.size == pytest.approx(0.01 * 320 * 320, rel=0.2)
        assert sigma.min() >= 15
        assert sigma.max() <= 300
        assert np.median(np.log(sigma)) == pytest.approx(np.log(15 * 300) / 2, abs=0.15)


class TestSpill:
    def test_nothing_spills_below_the_well(self, rng):
        electrons = rng.uniform(0, 900, (3, 8, 8)).cumsum(axis=0)
        assert_array_equal(coron_detector.spill_charge(electrons, 3_000.0, 0.6), electrons)

    def test_one_full_pixel_feeds_its_four_neighbours(self):
        electrons = np.zeros((3, 7, 7))
        electrons[:, 3, 3] = 800, 1_600, 2_400
        held = coron_detector.spill_charge(electrons, 1_000.0, 0.6)
        assert_allclose(held[:, 3, 3], [800, 1_000, 1_000])
        for place in ((2, 3), (4, 3), (3, 2), (3, 4)):
            assert_allclose(held[:, *place], [0, 600 * 0.15, 1_400 * 0.15])
        assert held[:, 2, 2].max() == 0

    def test_full_neighbours_pass_on_and_no_charge_is_made(self):
        electrons = np.zeros((4, 15, 15))
        electrons[:, 7, 7] = np.array([5_000, 10_000, 20_000, 30_000])
        held = coron_detector.spill_charge(electrons, 1_000.0, 1.0)
        assert held.max() <= 1_000
        assert held[-1, 7, 9] > 0
        assert np.all(np.diff(held, axis=0) >= -1e-9)
        assert np.all(held.sum(axis=(1, 2)) <= electrons.sum(axis=(1, 2)) + 1e-6)

    def test_charge_arrives_also_where_light_falls(self):
        electrons = np.full((2, 5, 5), 300.0) * np.array([1, 2])[:, None, None]
        electrons[:, 2, 2] = 900, 1_800
        held = coron_detector.spill_charge(electrons, 1_000.0, 0.5)
        assert held[1, 2, 3] == pytest.approx(600 + 800 / 8)
        assert held[1, 0, 0] == 600


class TestNircamReadout:
    def test_bare_ramp_is_bias_plus_light(self):
        observed = CoronScene().only("companion", "background").observe(ints=1, groups=3, dithers=0)
        visit = observed.visits[0]
        raw = observed.read_out(visit, 0).raw.astype(float)
        light = observed.light(visit, 0).steady
        expected = observed.patterns.fixed.bias_dn + light * 1.06904 * np.arange(1, 4)[:, None, None]
        assert np.abs(raw - expected).max() <= 0.51

    def test_every_electronic_ingredient_is_what_the_truth_says(self):
        parts = {"flicker": "flicker_dn", "drift": "level_dn", "reset_noise": "ktc_dn"}
        for name, attribute in parts.items():
            observed = CoronScene().only(name).observe(ints=1, groups=3, dithers=0, seed=2)
            readout = observed.read_out(observed.visits[0], 0)
            left = readout.raw - observed.patterns.fixed.bias_dn - readout.flicker_dn - readout.ktc_dn
            left -= readout.level_dn[:, None, None]
            left[:, :, 1::2] -= readout.odd_even_dn[:, None, None]
            assert np.abs(left).max() <= 0.51
            assert np.std(getattr(readout, attribute)) > 1

    def test_delayed_pixels_are_flagged_and_curved(self):
        observed = CoronScene().only("rc_pixels", "background").observe(ints=1, groups=6, dithers=0)
        patterns = observed.patterns
        assert 10 < patterns.rc.sum() < 60
        assert_array_equal((patterns.dq & coron_detector.RC) > 0, patterns.rc)
        raw = observed.read_out(observed.visits[0], 0).raw.astype(float)
        steps = np.diff(raw, axis=0)
        assert np.all(steps[-1, patterns.rc] < 0.3 * steps[0, patterns.rc])
        assert np.abs(np.diff(steps[:, ~patterns.rc], axis=0)).max() <= 2

    def test_core_saturates_and_spills_into_its_surroundings(self):
        observed = CoronScene().without("cosmic_rays").observe(ints=1, dithers=1, rolls=1, seed=1)
        for visit, most in zip(observed.visits, (60, 120), strict=True):
            readout = observed.read_out(visit, 0)
            full = readout.raw[-1] > 44_000
            x, y = (round(value) for value in observed.mode.centre)
            assert 3 < full.sum() < most
            assert full[y, x]
            assert (readout.spilled_e > 100).sum() > 4
            assert np.ptp(np.nonzero(readout.spilled_e > 1)[0]) < 30

    def test_leaving_an_ingredient_out_changes_no_other(self):
        scenes = (CoronScene(), CoronScene().without("flicker"))
        observed = [scene.observe(ints=1, dithers=0, seed=6) for scene in scenes]
        first, second = (one.read_out(one.visits[0], 0) for one in observed)
        assert not second.flicker_dn.any()
        assert_array_equal(first.ktc_dn, second.ktc_dn)
        changed = first.raw.astype(float) - second.raw - first.flicker_dn
        assert np.abs(changed[first.raw < 60_000]).max() <= 1.01


class TestMiriReadout:
    def test_interference_advances_by_five_eighths_of_a_cycle(self):
        scene = MiriCoronScene().only("emi").with_("emi", amplitudes_dn=((1, 50.0),))
        observed = scene.observe(ints=1, groups=9, dithers=0, backgrounds=False, seed=1)
        raw = observed.read_out(observed.visits[0], 0).raw.astype(float) - observed.patterns.pedestal_dn
        assert_allclose(raw[0], raw[8], atol=1.01)
        phase = np.exp(-2j * np.pi * 0.625 * np.arange(8))[:, None, None]
        amplitude = 2 * np.abs((raw[:8] * phase).mean(axis=0))
        assert_allclose(amplitude, 50.0, atol=1.0)

    def test_first_and_last_frame_stand_out(self):
        scene = MiriCoronScene().only("background", "first_frame", "last_frame")
        observed = scene.observe(ints=1, groups=6, dithers=0, backgrounds=False)
        ramp = observed.read_out(observed.visits[0], 0).raw[:, :, 10:].astype(float)
        assert (ramp[0] - (2 * ramp[1] - ramp[2])).mean() == pytest.approx(-80, abs=1)
        missing = 2 * ramp[-2] - ramp[-3] - ramp[-1]
        assert missing[0::2].mean() == pytest.approx(60, abs=3)
        assert missing[1::2].mean() == pytest.approx(25, abs=3)

    def test_only_the_first_integration_of_every_exposure_starts_afresh(self):
        scene = MiriCoronScene().only("background", "reset_decay")
        observed = scene.observe(ints=2, groups=5, rolls=2, dithers=0, backgrounds=False)
        first = [observed.read_out(visit, 0).raw for visit in observed.visits]
        second = observed.read_out(observed.visits[1], 1).raw
        assert_array_equal(*first)
        assert (second.astype(float) - first[1])[0, :, 10:].mean() == pytest.approx(100, abs=2)


class TestProgramme:
    def test_kinds_rolls_and_dithers(self):
        visits = plan_visits(rolls=2, dithers=3, backgrounds=True)
        assert [visit.kind for visit in visits] == ["SCI", "SCI", "REF", "REF", "REF", "SCI_BG", "REF_BG"]
        assert [visit.number for visit in visits] == list(range(7))
        assert visits[1].roll_deg - visits[0].roll_deg == 10
        assert [visit.dither for visit in visits if visit.kind == "REF"] == [0, 1, 2]
        assert len({(visit.observation, visit.exposure) for visit in visits}) == 7

    def test_no_reference_star_no_background_of_it(self):
        kinds = [visit.kind for visit in plan_visits(rolls=1, dithers=0, backgrounds=True)]
        assert kinds == ["SCI", "SCI_BG"]

    @pytest.mark.parametrize("wrong", [{"ints": 0}, {"groups": 1}, {"rolls": 4}, {"dithers": 6}, {"seed": -1}])
    def test_impossible_numbers(self, wrong, tmp_path):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            CoronScene().write(tmp_path / "sim", **wrong)
        assert not (tmp_path / "sim").exists()

    def test_another_place_is_refused_not_ignored(self):
        with pytest.raises(ParameterError, match="this coronagraph is on NRCALONG"):
            CoronScene().with_("detector", subarray="SUB640").observe(ints=1).window  # noqa: B018


class TestFiles:
    def test_names_and_sizes(self, written):
        scene, folder, paths = written
        detector = scene.mode.detector.lower()
        assert len(paths) == (4 if detector == "nrcalong" else 6)
        assert paths[0].name == f"jw09999001001_03102_00001_{detector}_uncal.fits"
        others = {path.name.replace("_uncal.fits", "_truth.nc") for path in paths}
        assert {path.name for path in folder.iterdir()} == {*(path.name for path in paths), *others, "crds"}

    def test_headers_tell_the_kinds_apart(self, written):
        scene, _, paths = written
        mode, seen = scene.mode, []
        for path in paths:
            with datamodels.Level1bModel(path) as model:
                meta = model.meta
                assert model.data.shape == (2, 4, *mode.shape)
                assert (meta.exposure.type, meta.exposure.readpatt) == (mode.exposure_type, mode.read_pattern)
                assert (meta.instrument.coronagraph, meta.subarray.name) == (mode.coronagraph, mode.subarray.name)
                assert meta.exposure.noutputs == mode.n_outputs
                assert meta.filename == path.name
                seen.append((meta.exposure.psf_reference, meta.observation.bkgdtarg, meta.wcsinfo.roll_ref))
                assert len(model.int_times) == 2
        plain = [(False, False, 100.0), (False, False, 110.0), (True, False, 110.0), (True, False, 110.0)]
        empty = [(False, True, 100.0), (True, True, 110.0)]
        assert seen == plain + (empty if mode.instrument == "MIRI" else [])

    def test_group_time(self, written):
        with datamodels.Level1bModel(written[2][0]) as model:
            expected = 1.06904 if written[0].mode.instrument == "NIRCAM" else 0.23968
            assert model.meta.exposure.group_time == pytest.approx(expected, abs=1e-9)

    def test_truth_is_what_was_exposed(self, written):
        scene, _, paths = written
        observed = scene.observe(ints=2, groups=4, rolls=2, dithers=2, seed=4)
        for visit, path in list(zip(observed.visits, paths, strict=True))[1:3]:
            with xr.open_dataset(str(path).replace("_uncal.fits", "_truth.nc"), engine="h5netcdf") as truth:
                light = observed.light(visit, 1)
                assert_allclose(truth.rate[1], light.steady * truth.response.values, rtol=1e-6, atol=1e-6)
                assert_allclose(truth.outliers[1], light.outliers * truth.response.values, rtol=1e-6)
                assert truth.attrs["kind"] == visit.kind
                assert_allclose(truth.companion.sum(), truth.attrs["companion_dn_s"], rtol=1e-4)
                with datamodels.Level1bModel(path) as model:
                    assert_array_equal(model.data[1], observed.read_out(visit, 1).raw)

    @pytest.mark.parametrize("scene", [CoronScene(), MiriCoronScene()], ids=["nircam", "miri"])
    def test_same_seed_same_bytes_and_no_other(self, scene, tmp_path):
        for name, seed in (("one", 4), ("again", 4), ("other", 5)):
            scene.write(tmp_path / name, ints=1, groups=2, rolls=1, dithers=0, backgrounds=False, seed=seed)
        first, again, other = (digests(tmp_path / name) for name in ("one", "again", "other"))
        assert first == again
        assert {name for name in first if first[name] == other[name]} == {n for n in first if n.startswith("crds/")}

    def test_no_overwriting_unless_told_so(self, written):
        scene, folder, _ = written
        before = digests(folder)
        with pytest.raises(OutputError, match="already"):
            scene.write(folder, ints=1, groups=2)
        assert digests(folder) == before


class TestReferences:
    def test_both_instruments_share_one_cache(self, tmp_path):
        cache = build_coron_cache(tmp_path / "crds", n_groups=5)
        for instrument in ("nircam", "miri"):
            kinds = {path.name.split("_")[2] for path in (cache / "references/jwst" / instrument).iterdir()}
            common = {"mask", "saturation", "ipc", "linearity", "dark", "gain", "readnoise"}
            assert kinds == common | ({"superbias"} if instrument == "nircam" else {"reset", "rscd", "emicorr"})

    def test_mask_keeps_the_meaning_of_its_flags(self, written):
        scene, folder, _ = written
        instrument = scene.mode.instrument.lower()
        with datamodels.MaskModel(
            folder / f"crds/references/jwst/{instrument}/sim_{instrument}_mask_0001.fits"
        ) as mask:
            expected = scene.observe(ints=1).patterns.dq
            assert_array_equal(mask.dq, expected)
            assert np.any(expected & (2**14 if instrument == "nircam" else 2**31))


class TestCommand:
    def test_writes_and_says_what(self, tmp_path):
        small = ("--ints", 1, "--groups", 2, "--rolls", 1, "--dithers", 1)
        result = run("-o", tmp_path / "sim", *small, "--without", "flicker", "--companion", 77)
        assert result.exit_code == 0, result.output
        assert "jw09999002001_03102_00001_nrcalong_uncal.fits (REF)" in result.output
        with xr.open_dataset(next((tmp_path / "sim").glob("*001001*_truth.nc")), engine="h5netcdf") as truth:
            assert truth.attrs["left_out"] == "flicker"
            assert truth.attrs["companion_dn_s"] == 77

    def test_miri_has_backgrounds_unless_told_otherwise(self, tmp_path):
        small = ("--instrument", "miri", "--ints", 1, "--groups", 2, "--rolls", 1, "--dithers", 0, "--quiet")
        result = run("-o", tmp_path / "sim", *small)
        assert (result.exit_code, result.output) == (0, "")
        assert len(list((tmp_path / "sim").glob("*_mirimage_uncal.fits"))) == 2

    def test_unknown_ingredient_writes_nothing(self, tmp_path):
        result = run("-o", tmp_path / "sim", "--without", "cosmics")
        assert isinstance(result.exception, ParameterError)
        assert not (tmp_path / "sim").exists()


def run(*arguments):
    return CliRunner().invoke(app, ["coron", *map(str, arguments)])


class TestReadoutPatterns:
    #: Without what is random in every frame.
    QUIET = ("photon_noise", "read_noise", "reset_noise", "flicker", "drift", "cosmic_rays", "outliers", "rc_pixels")

    def test_groups_are_means_of_frames_and_the_first_frame_is_kept(self):
        scenes = [
            CoronScene().without(*self.QUIET, "jitter").with_("detector", pattern=p) for p in ("RAPID", "SHALLOW4")
        ]
        rapid, shallow = (scene.observe(ints=1, groups=n, seed=3) for scene, n in zip(scenes, (9, 2), strict=True))
        frames = rapid.read_out(rapid.visits[0], 0).raw.astype(float)
        got = shallow.read_out(shallow.visits[0], 0)
        # SHALLOW4: four frames averaged, one skipped.
        assert_allclose(got.raw[0], frames[:4].mean(axis=0), atol=1.01)
        assert_allclose(got.raw[1], frames[5:9].mean(axis=0), atol=1.01)
        assert_allclose(
            got.raw[1, 100:110], frames[5:8].mean(axis=0)[100:110] + 0.5 * (frames[7] - frames[6])[100:110], atol=2
        )
        assert_array_equal(got.zero_frame, frames[0])
        assert rapid.read_out(rapid.visits[0], 0).zero_frame is None

    def test_noise_is_what_the_statistics_allow(self):
        without = ("flicker", "drift", "cosmic_rays", "outliers", "rc_pixels", "bad_pixels", "nonlinearity", "star")
        scene = CoronScene().without(*without).with_("detector", pattern="BRIGHT2")
        observed = scene.observe(ints=1, groups=5, seed=2)
        visit = observed.visits[0]
        light = observed.light(visit, 0)
        ramp = observed.read_out(visit, 0, light).raw.astype(float)
        weights = np.arange(5) - 2.0
        slope = np.tensordot(weights / (weights**2).sum(), ramp, axes=1) / observed.group_time_s
        left = slope - observed.collected_rate(light.steady)
        assert left.std() == pytest.approx(np.median(observed.expected_noise(light.steady)), rel=0.03)
        assert abs(left.mean()) < 4 * left.std() / np.sqrt(left.size) + 0.02

    def test_files_say_so(self, tmp_path):
        scene = CoronScene().with_("detector", pattern="MEDIUM2")
        path = scene.write(tmp_path, ints=1, groups=2, rolls=1, dithers=0, seed=1)[0]
        with datamodels.open(path) as model:
            exposure = model.meta.exposure
            assert (exposure.readpatt, exposure.nframes, exposure.groupgap) == ("MEDIUM2", 2, 8)
            assert exposure.group_time == pytest.approx(10 * exposure.frame_time)
            assert exposure.integration_time == pytest.approx(12 * exposure.frame_time)
            assert exposure.zero_frame
            assert model.zeroframe.shape == (1, 320, 320)
        with xr.open_dataset(next(tmp_path.glob("*_truth.nc")), engine="h5netcdf") as truth:
            assert truth.attrs["n_frames"] == 2
            assert truth.cosmic_ray_group.max() <= 1

    def test_what_does_not_exist_is_refused(self, tmp_path):
        with pytest.raises(ParameterError, match="readout pattern"):
            CoronScene().with_("detector", pattern="FAST").observe(ints=1).window  # noqa: B018
        result = run("-o", tmp_path / "sim", "--instrument", "miri", "--pattern", "RAPID")
        assert "--pattern is NIRCam" in str(result.exception)
