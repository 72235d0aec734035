"""The truth is what was exposed, and what a perfect reduction could reach."""

import numpy as np
import xarray as xr
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst import datamodels

from detectorist.simulate.lrs.scene import LrsScene
from detectorist.simulate.lrs.truth import drift_image, expected_noise, expected_white_scatter

SIZE = {"ints": 5, "groups": 6, "segments": 2, "seed": 4}


class TestTruth:
    def test_is_what_was_exposed(self, truth):
        observed = LrsScene().observe(**SIZE)
        for number in (1, 4):
            light = observed.light(number - 1)
            light[:, :4] = 0
            assert_allclose(truth.light.sel(integration=number), light, rtol=1e-6)
            assert_allclose(truth.spectrum.sel(integration=number), observed.star_rate(number - 1))
        assert_allclose(truth.spectrum_electrons, 3.1 * truth.spectrum)
        assert_allclose(truth.x_shift, observed.pointing.x_pix)

    def test_spectrum_is_what_the_pixels_hold(self, truth):
        star = truth.light - truth.background
        rows = slice(100, 390)
        assert_allclose(star[:, rows, 4:].sum("column"), truth.spectrum[:, rows], rtol=2e-4)

    def test_light_curves(self, truth):
        star = truth.spectrum / LrsScene().without("jitter").observe(**SIZE).spectrum
        assert_allclose(star[:, 100:380], truth.light_curve[:, 100:380], rtol=5e-3)
        assert truth.white_light.min() < 0.995
        assert truth.depth.sel(row=324) > truth.depth.sel(row=200)

    def test_drift_and_cosmic_rays_are_those_in_the_data(self, tmp_path):
        scene = LrsScene().only("star", "drift", "cosmic_rays").with_("cosmic_rays", hits_per_s=10.0)
        with xr.open_dataset(_write(scene, tmp_path) / "truth.nc", engine="h5netcdf") as truth:
            with datamodels.Level1bModel(next(tmp_path.glob("*_uncal.fits"))) as model:
                raw = model.data[1].astype(float)
            bare = scene.only("star").observe(ints=2, groups=8, segments=1).read_out(1).raw
            hits = truth.cosmic_ray_hits.values
            charge = np.zeros((8, 416, 72))
            for _, group, row, column, electrons in hits[:, hits[0] == 2].T:
                charge[int(group) :, int(row), int(column)] += electrons / 3.1
            left = raw - bare - drift_image(truth, 2) - charge
            assert charge.max() > 100
            assert np.abs(left).max() <= 1.01
            struck = truth.cosmic_ray_group.sel(integration=2).values
            assert_array_equal(struck >= 0, charge[-1] > 0)
            assert_array_equal(np.argmax(charge > 0, axis=0)[struck >= 0], struck[struck >= 0])

    def test_expected_noise_follows_from_what_is_stored(self, truth):
        assert_allclose(expected_noise(truth, n_groups=5)[:, :, 4:], truth.expected_noise[:, :, 4:], rtol=1e-3)
        assert np.all(expected_noise(truth, n_groups=4) > expected_noise(truth, n_groups=5))

    def test_white_scatter_of_many_ideal_ramps(self, truth):
        """Slopes of simulated ramps, photon and read noise only, scatter as the truth says they must."""
        scene = LrsScene().only("star", "photon_noise", "read_noise")
        observed = scene.observe(ints=60, groups=6, segments=1)
        box = (slice(0, 5), slice(100, 390), slice(32, 41))
        white = [
            np.tensordot(_last_minus_first(5), observed.read_out(i).raw[box], axes=(0, 0)).sum() for i in range(60)
        ]
        truth = truth.assign(light=truth.light - truth.background, dark=0 * truth.dark, hot=0 * truth.hot)
        truth["flat"] = truth["response"] = truth.flat * 0 + 1
        expected = expected_white_scatter(truth, rows=slice(100, 390), columns=slice(32, 41), n_groups=5)
        assert abs(np.std(white) / np.mean(white) / expected - 1) < 4 / np.sqrt(2 * 60)


def _last_minus_first(n_groups):
    """Weights of the last read minus the first: the best slope of a bright ramp, DN/s."""
    weights = np.zeros(n_groups)
    weights[0], weights[-1] = -1, 1
    return weights / ((n_groups - 1) * 0.15904)


def _write(scene, folder):
    scene.write(folder, ints=2, groups=8, segments=1)
    return folder
