"""A rate image with a known bias, width and stripes against a truth."""

import json

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from detectorist.errors import InputError
from detectorist.simulate.core.image_comparison import compare_image

SHAPE = (200, 256)


def write(folder, *, bias=0.0, width=1.0, stripes=0.0, flags=None, integrations=None, attrs=None):
    """Write a rate image whose errors are 0.1 to 0.2, and its truth."""
    rng = np.random.default_rng(1)
    wanted, err = rng.uniform(1, 3, SHAPE), rng.uniform(0.1, 0.2, SHAPE)
    data = wanted + err * (bias + width * rng.normal(size=SHAPE)) + stripes * rng.normal(size=(SHAPE[0], 1))
    flags = np.zeros(SHAPE, np.uint32) if flags is None else flags
    arrays = {"SCI": data.astype("f4"), "ERR": err.astype("f4"), "DQ": flags}
    fits.HDUList([fits.PrimaryHDU(), *(fits.ImageHDU(a, name=n) for n, a in arrays.items())]).writeto(folder / "r.fits")
    pixel, scene = ("row", "column"), json.dumps({"detector": {"outputs": 4}})
    wisp = np.full(SHAPE, 0.5)
    if integrations is None:
        rate = {
            "rate": (pixel, wanted + 0.9 * wisp),
            "light": (pixel, (wanted + 0.9 * wisp) / 0.9),
            "wisp": (pixel, wisp),
        }
    else:
        cube = ("integration", *pixel)
        rate = {"rate": (cube, np.stack([wanted - 0.3, wanted + 0.3])), "outliers": (cube, integrations)}
        rate["companion"] = (pixel, np.ones(SHAPE))
    xr.Dataset(rate, attrs={"scene": scene, **(attrs or {})}).to_netcdf(folder / "t.nc", engine="h5netcdf")
    return folder / "r.fits", folder / "t.nc"


def test_bias_and_width_are_found_and_wisps_are_no_part_of_the_truth(tmp_path):
    got = compare_image(*write(tmp_path, bias=0.3, width=1.2))
    error = 1.2 / np.sqrt(got.n_pixels)
    assert got.bias == pytest.approx(0.3, abs=5 * error)
    assert got.pull_width == pytest.approx(1.2, abs=5 * error)
    assert got.rows == pytest.approx(1.2 * got.rows_expected, rel=0.1)
    assert np.isnan(got.companion)


def test_stripes_show_in_the_rows_of_each_output(tmp_path):
    got = compare_image(*write(tmp_path, stripes=0.2))
    assert got.rows == pytest.approx(np.hypot(0.2, got.rows_expected), rel=0.2)
    assert any("rows scatter" in line for line in got.lines())


def test_flagged_pixels_and_outliers_of_integrations_are_left_out(tmp_path):
    flags, outliers = np.zeros(SHAPE, np.uint32), np.zeros((2, *SHAPE))
    flags[:50], outliers[1, 50:70] = 4, 1e4
    attrs = {"companion_y": 120.0, "companion_x": 100.0}
    got = compare_image(*write(tmp_path, bias=0.5, flags=flags, integrations=outliers, attrs=attrs))
    assert got.n_pixels == 130 * SHAPE[1]
    assert got.bias == pytest.approx(0.5, abs=0.05)
    assert abs(got.companion) < 4  # half a sigma too bright, as all around it is
    assert any("companion" in line for line in got.lines())


def test_a_companion_is_judged_above_its_surroundings(tmp_path):
    attrs = {"companion_y": 120.0, "companion_x": 100.0}
    rate, truth = write(tmp_path, width=0.0, integrations=np.zeros((2, *SHAPE)), attrs=attrs)
    distance = np.hypot(*(np.indices(SHAPE) - np.array([120, 100])[:, None, None]))
    n, n_ring = (distance <= 3).sum(), ((distance >= 6) & (distance <= 12)).sum()
    with fits.open(rate, mode="update") as opened:
        opened["ERR"].data[:] = 0.15
        opened["SCI"].data[:] += 3.0 + 0.15 * (distance <= 3)
    assert compare_image(rate, truth).companion == pytest.approx(np.sqrt(n / (1 + n / n_ring)), rel=1e-4)


def test_other_shapes_and_nothing_usable_are_refused(tmp_path):
    rate, truth = write(tmp_path, flags=np.ones(SHAPE, np.uint32))
    with pytest.raises(InputError, match="without a flag"):
        compare_image(rate, truth)
    with fits.open(rate) as file:
        for name in ("SCI", "ERR", "DQ"):
            file[name].data = file[name].data[:10]
        file.writeto(tmp_path / "small.fits")
    with pytest.raises(InputError, match="pixels"):
        compare_image(tmp_path / "small.fits", truth)
