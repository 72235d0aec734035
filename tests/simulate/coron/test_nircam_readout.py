"""What NIRCam's detector makes of the light, frame by frame."""

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels
from typer.testing import CliRunner

from detectorist.cli.simulate import app
from detectorist.detectors import PIXEL_TIME_S
from detectorist.errors import ParameterError
from detectorist.simulate.core import quality_flags
from detectorist.simulate.core.flight_noise import SPECTRA
from detectorist.simulate.core.noise_spectra import band_variance
from detectorist.simulate.coron.scene import CoronScene


def run(*arguments):
    return CliRunner().invoke(app, ["coron", *map(str, arguments)])


class TestNircamReadout:
    def test_bare_ramp_is_bias_plus_light(self):
        observed = CoronScene().only("companion", "background").observe(ints=1, groups=3, dithers=0)
        visit = observed.visits[0]
        raw = observed.read_out(visit, 0).raw.astype(float)
        light = observed.light(visit, 0).steady
        expected = observed.patterns.fixed.bias_dn + light * 1.06904 * np.arange(1, 4)[:, None, None]
        assert np.abs(raw - expected).max() <= 0.51

    def test_every_electronic_component_is_what_the_truth_says(self):
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
        assert_array_equal((patterns.dq & quality_flags.RC) > 0, patterns.rc)
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

    def test_leaving_a_component_out_changes_no_other(self):
        scenes = (CoronScene(), CoronScene().without("flicker"))
        observed = [scene.observe(ints=1, dithers=0, seed=6) for scene in scenes]
        first, second = (one.read_out(one.visits[0], 0) for one in observed)
        assert not second.flicker_dn.any()
        assert_array_equal(first.ktc_dn, second.ktc_dn)
        changed = first.raw.astype(float) - second.raw - first.flicker_dn
        assert np.abs(changed[first.raw < 60_000]).max() <= 1.01


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
        assert "--pattern applies to NIRCam" in str(result.exception)


class TestMeasuredFlicker:
    def test_a_frame_is_as_strong_as_measured(self):
        scene = CoronScene().only("flicker").with_("flicker", measured="nrca3-2022")
        observed = scene.observe(ints=1, groups=8, dithers=0, rolls=1, seed=3)
        frames = observed.read_out(observed.visits[0], 0).flicker_dn * observed.gain
        fast = (1 / observed.frame_time_s, np.inf)
        expected = sum(band_variance(PIXEL_TIME_S, one, fast) for one in vars(SPECTRA["nrca3-2022"]).values())
        assert np.sqrt(frames.var(axis=(1, 2)).mean()) == pytest.approx(np.sqrt(expected), rel=0.1)

    def test_an_unknown_spectrum_is_named(self, tmp_path):
        result = run("-o", tmp_path / "sim", "--ints", 1, "--groups", 2, "--flicker", "nrcb9-1999")
        assert "nrca3-2022" in str(result.exception)

    def test_miri_has_none(self, tmp_path):
        result = run("-o", tmp_path / "sim", "--instrument", "miri", "--flicker", "nrca3-2022")
        assert isinstance(result.exception, ParameterError)
        assert not (tmp_path / "sim").exists()
