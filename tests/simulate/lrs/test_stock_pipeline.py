"""The standard pipeline, unchanged, finds the truth in simulated files with the references made for them."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from numpy.testing import assert_allclose

from detectorist.simulate.core import detector
from detectorist.simulate.lrs.scene import LrsScene
from detectorist.simulate.lrs.truth import expected_noise

pytestmark = pytest.mark.long

#: What published reductions of short ramps leave uncorrected.
UNCORRECTED = ("emi", "drift", "rscd")


class Run:
    """A simulated exposure after the standard steps."""

    def __init__(self, scene, folder, *extra, ints=3, groups=16, seed=8):
        self.uncal = scene.write(folder, ints=ints, groups=groups, segments=1, seed=seed)[0]
        out = folder / "stock.npz"
        script = Path(__file__).with_name("stock_pipeline.py")
        command = [sys.executable, str(script), str(out), str(self.uncal), str(folder / "crds"), *extra]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
        assert done.returncode == 0, done.stderr[-3_000:]
        self.log = done.stderr
        self.folder = folder
        with np.load(out) as stored:
            self.__dict__.update({name: stored[name] for name in stored.files})
        self.states = dict(line.split() for line in self.states)
        with xr.open_dataset(folder / "truth.nc", engine="h5netcdf") as truth:
            self.truth = truth.load()

    def undisturbed(self):
        """Return where no bad pixel, cosmic ray or flag spoils a rate, shape (n_ints, ny, nx)."""
        fine = (self.truth.bad_pixels.values == 0) & (self.truth.cosmic_ray_group.values < 0)
        return fine & ((self.dq & 5) == 0)


@pytest.fixture(scope="module")
def clean(tmp_path_factory):
    return Run(LrsScene().without(*UNCORRECTED), tmp_path_factory.mktemp("clean"), "ipc")


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory):
    scene = LrsScene().without("drift", "cosmic_rays", "read_noise")
    return Run(scene, tmp_path_factory.mktemp("disturbed"), "emicorr", "rscd")


def test_every_step_runs_with_our_references(clean):
    done = ("dq_init", "saturation", "ipc", "reset", "linearity", "dark_sub", "jump", "ramp_fit", "assign_wcs")
    assert {clean.states[name] for name in (*done, "srctype", "flat_field")} == {"COMPLETE"}
    assert clean.context == "jwst_sim.pmap"


def test_footprint_is_finite(clean):
    assert "nan" not in str(clean.footprint).lower()


def test_wavelengths_are_the_true_ones(clean):
    """Within what the pipeline's own smoothing spline leaves: a quarter of a nanometre rms, 2 nm at the worst row."""
    true = np.broadcast_to(clean.truth.wavelength.values[:, None], (416, 72))
    rows = slice(10, 391)
    assert np.all(np.isfinite(clean.wavelength[rows, 4:]))
    assert_allclose(clean.wavelength[rows, 4:], true[rows, 4:], atol=2.5e-3)
    assert np.std(clean.wavelength[rows, 36] - true[rows, 36]) < 5e-4


def test_rates_agree_with_the_truth_in_units_of_their_error(clean):
    fine = clean.undisturbed()
    light = clean.truth.light.values
    pull = ((clean.data - light) / clean.err)[fine]
    assert fine.sum() > 60_000
    assert abs(np.median(pull)) < 0.03
    # The pipeline's errors take the photon noise of an unweighted fit for that of the best one: up to 5 % too small.
    assert 0.97 < pull.std() < 1.08
    best = ((clean.data - light) / clean.truth.expected_noise.values)[fine]
    assert 0.98 < best.std() < 1.04


def test_bright_pixels_are_right_to_a_thousandth_and_their_noise(clean):
    """The brightest pixels would be 1.0 % off without the correction of the response."""
    light = clean.truth.light.values
    bright = clean.undisturbed() & (light > 1_000)
    assert bright.sum() > 100
    noise = np.sqrt((clean.truth.expected_noise.values[bright] ** 2).sum()) / light[bright].sum()
    assert noise < 1e-3
    assert abs(clean.data[bright].sum() / light[bright].sum() - 1) < 4 * noise


def test_dead_and_unusable_pixels_become_nan(clean):
    unusable = (clean.truth.bad_pixels.values & 1) != 0
    assert unusable.sum() > 30
    assert np.all(np.isnan(clean.data[:, unusable]))


def test_reference_pixels_stay_usable(clean):
    assert np.all(clean.dq[:, :, :4] & 2**31)
    assert np.all((clean.groupdq[:, :-1, :, :4] & 1) == 0)


def test_cosmic_rays_are_found_in_their_group(clean):
    hits = clean.truth.cosmic_ray_hits.values
    strong = hits[:, (hits[4] > 5_000) & (hits[1] > 0) & (hits[1] < 14) & (hits[3] > 3)].astype(int)
    usable = clean.truth.bad_pixels.values == 0
    found = [
        bool(clean.groupdq[integration - 1, group, row, column] & 4)
        for integration, group, row, column, _ in strong.T
        if usable[row, column]
    ]
    assert len(found) > 0
    assert np.mean(found) > 0.8


def test_interference_is_removed(disturbed):
    """What emicorr subtracts is the wave that was put in, integration by integration."""
    assert disturbed.states["emicorr"] == "COMPLETE"
    from stdatamodels.jwst.datamodels import Level1bModel

    with np.load(f"{disturbed.folder / 'stock.npz'}.emicorr.npz") as stored, Level1bModel(disturbed.uncal) as model:
        removed = model.data.astype(float) - stored["data"]
    clocks = detector.pixel_clocks(416, 72, row_clocks=28, n_outputs=4)
    scene = LrsScene()
    for integration, phase in enumerate(disturbed.truth.emi_phase.values):
        wave = detector.interference(
            clocks,
            16,
            frame_clocks=15_904,
            period_clocks=256.0,
            amplitudes_dn=scene.emi.amplitudes_dn,
            phase_cycles=float(phase),
        )
        # A wave has no mean that a fit could find: compare without it.
        left = (wave - wave.mean()) - (removed[integration] - removed[integration].mean())
        assert left.std() < 0.05 * wave.std()


def test_first_groups_are_dropped_by_rscd(disturbed):
    assert disturbed.states["rscd"] == "COMPLETE"
    skipped = (disturbed.groupdq[:, :, 200, 30] & 1) != 0
    assert skipped[0].tolist() == [True] + [False] * 14 + [True]
    assert skipped[1].tolist() == [True] * 2 + [False] * 13 + [True]


def test_nothing_is_left_of_reset_and_rscd(disturbed):
    fine = disturbed.undisturbed()
    light = disturbed.truth.light.values
    noise = expected_noise(disturbed.truth, n_groups=13)
    pull = ((disturbed.data - light) / noise)[fine & (light > 20)]
    assert abs(pull.mean()) < 0.05
    assert 0.9 < pull.std() < 1.15


def test_long_ramps_with_a_late_curve(tmp_path):
    """A hundred groups up to where 6 % is lost: linear again to a thousandth, dark subtracted, nothing saturated."""
    scene = LrsScene.for_long_ramps().without(*UNCORRECTED, "cosmic_rays", "last_frame")
    run = Run(scene, tmp_path, ints=1, groups=100)
    assert run.states["dark_sub"] == "COMPLETE"
    light = run.truth.light.values[0]
    # Hot pixels saturate, and take their neighbours with them.
    unsaturated = ~np.any(run.groupdq[0] & 2, axis=0)
    bright = run.undisturbed()[0] & unsaturated & (light > 1_500)
    time = 0.15904 * np.arange(1, 101)
    signal = run.linear[0][:, bright] - run.truth.pedestal.values[bright]
    true = light[bright] * run.truth.response.values[bright] * time[:, None]
    assert true.max() > 45_000
    departure = (signal - true).mean(axis=1) / true.mean(axis=1)
    # Shot noise of a mean over the pixels.
    allowed = 4 * np.sqrt(true.mean(axis=1) / 3.1 / bright.sum()) / true.mean(axis=1)
    assert np.all(np.abs(departure[20:]) < 1e-3 + allowed[20:])
