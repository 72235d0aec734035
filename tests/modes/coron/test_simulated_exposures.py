"""Simulated exposures of full size through `run_obs`: errors that hold, light that stays, against the truth."""

import numpy as np
import pytest
import xarray as xr
from scipy.ndimage import binary_dilation
from stdatamodels.jwst import datamodels

from detectorist.modes.coron.api import run_obs
from detectorist.modes.coron.database import Database
from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene

pytestmark = pytest.mark.long

#: The interference of MIRI's electronics is fitted for every integration by itself; its first frame is left out.
MIRI_STEPS = {"emicorr": {"skip": False, "fit_ints_separately": True}, "firstframe": {"skip": False}}


def reduce(scene, folder, steps=(), subdir="stage1", ints=10, seed=5, **keywords):
    """Simulate one exposure of the target and reduce it; return truth, rate and rateints."""
    raw = folder / "raw"
    if not raw.is_dir():
        scene.write(raw, ints=ints, rolls=1, dithers=0, backgrounds=False, seed=seed)
    files = sorted(raw.glob("*_uncal.fits"))
    record = run_obs(Database(folder, files), dict(steps), subdir, references=raw / "crds", **keywords)[0]
    assert record.state == "done", record.error
    with xr.open_dataset(next(raw.glob("*_truth.nc")), engine="h5netcdf") as truth:
        truth.load()
    rate, rateints = (datamodels.open(path) for path in record.products)
    return truth, rate, rateints


def untouched(truth, rateints):
    """Return where nothing but noise is to be expected, (n_ints, ny, nx), and what a perfect rate would be."""
    full = ((rateints.dq & 2) > 0).any(axis=0)
    if "spilled" in truth:
        full |= truth.spilled.values.max(axis=0) > 30
    good = (truth.bad_pixels.values == 0) & ~binary_dilation(full, iterations=2)
    quiet = good & (truth.cosmic_ray_group.values < 0) & (truth.outliers.values == 0)
    dark = truth.dark.values / truth.attrs["gain"]
    return quiet & ((rateints.dq & 1) == 0) & (rateints.err > 0), truth.rate.values + dark


@pytest.mark.parametrize(
    ("scene", "steps", "where"),
    [
        (CoronScene(), {}, {"stage_1overf": "ints"}),
        (CoronScene(), {}, {"stage_1overf": "groups", "rate_int_outliers": True}),
        (MiriCoronScene(), MIRI_STEPS, {}),
    ],
    ids=["nircam", "nircam on groups", "miri"],
)
def test_errors_hold(scene, steps, where, tmp_path):
    truth, rate, rateints = reduce(scene, tmp_path, steps, **where)
    keep, expected = untouched(truth, rateints)
    # About their mean: the slope that the level's drift has on average over all integrations looks like sky.
    pulls = ((rateints.data - expected) / rateints.err)[keep]
    assert 0.95 < pulls.std() < 1.05
    everywhere = keep.all(axis=0) & ((rate.dq & 1) == 0) & (rate.err > 0)
    pulls = ((rate.data - expected.mean(axis=0)) / rate.err)[everywhere]
    assert 0.95 < pulls.std() < 1.05
    struck = (truth.cosmic_ray_group.values > 0) & keep.any(axis=0) & ((rateints.dq & 1) == 0) & (rateints.err > 0)
    pulls = ((rateints.data - expected) / rateints.err)[struck & (truth.outliers.values == 0)]
    assert 1.4826 * np.median(np.abs(pulls)) < 1.5


def test_outlying_integrations_are_fitted_again_and_nothing_else(tmp_path):
    scene = CoronScene().without("cosmic_rays", "rc_pixels")
    # The removal of 1/f noise would change all pixels of an integration, if only a little.
    options = {"steps": {"jump": {"skip": True}}, "ints": 12, "skip_fnoise": True}
    truth, _, plain = reduce(scene, tmp_path, **options)
    _, _, cleaned = reduce(scene, tmp_path, subdir="again", rate_int_outliers=True, **options)
    full = binary_dilation(((plain.dq & 2) > 0).any(axis=0) | (truth.spilled.values.max(axis=0) > 30), iterations=2)
    good = np.broadcast_to((truth.bad_pixels.values == 0) & ~full, plain.data.shape)
    changed = ~np.isclose(plain.data, cleaned.data, rtol=0, atol=0, equal_nan=True) & good
    outlying = (truth.outliers.values > 0) & good
    assert outlying.sum() > 300
    assert changed[outlying].mean() >= 0.97
    assert (changed & ~outlying).sum() <= 2


def test_without_noise_to_remove_light_stays_as_it_is(tmp_path):
    """What the corrections do where there is nothing to correct: to the halo, and to the companion in it."""
    scene = CoronScene().without("flicker", "drift", "cosmic_rays", "outliers", "rc_pixels")
    off = {"refpix": {"skip": True}}
    truth, bare, rateints = reduce(scene, tmp_path, off, "bare", skip_ktc=True, skip_fnoise=True)
    for where in ("ints", "groups"):
        _, corrected, _ = reduce(scene, tmp_path, {}, where, stage_1overf=where)
        keep, expected = untouched(truth, rateints)
        keep = keep.all(axis=0) & np.isfinite(bare.data) & np.isfinite(corrected.data)
        yy, xx = np.indices(keep.shape)
        radius = np.hypot(yy - truth.attrs["star_y"], xx - truth.attrs["star_x"])
        halo = keep & (radius < 60)
        light = expected.mean(axis=0)[halo].sum()
        assert abs((corrected.data - bare.data)[halo].sum()) < 0.005 * light
        distance = np.hypot(yy - truth.attrs["companion_y"], xx - truth.attrs["companion_x"])
        aperture, ring = keep & (distance < 3), keep & (distance > 6) & (distance < 9)
        fluxes = [(image[aperture] - np.median(image[ring])).sum() for image in (bare.data, corrected.data)]
        error = np.sqrt((bare.err[aperture] ** 2).sum())
        assert abs(fluxes[1] - fluxes[0]) < 0.2 * error
        assert truth.attrs["companion_dn_s"] > 5 * error
