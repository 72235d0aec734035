"""DEEP8: eight frames averaged in a group, twelve skipped, the sum divided by FRMDIVSR on board."""

import numpy as np
import pytest
import xarray as xr
from stdatamodels.jwst import datamodels

from detectorist.modes.coron.api import run_obs
from detectorist.modes.coron.database import Database
from detectorist.simulate.coron.scene import CoronScene


def write_exposure(folder, ints, groups, seed=5):
    scene = CoronScene().with_("detector", pattern="DEEP8").without("outliers")
    path = scene.write(folder, ints=ints, groups=groups, rolls=1, dithers=0, seed=seed)[0]
    with xr.open_dataset(str(path).replace("_uncal.fits", "_truth.nc"), engine="h5netcdf") as truth:
        return path, truth.load()


def reduce(folder, path, references):
    record = run_obs(Database(folder, [path]), {}, "stage1", references=references)[0]
    assert record.state == "done", record.error
    return [datamodels.open(product) for product in record.products]


def mad_width(values):
    return 1.4826 * np.median(np.abs(values - np.median(values)))


def test_group_scale_leaves_means_and_makes_another_divisor_good():
    from jwst.group_scale import GroupScaleStep

    with datamodels.RampModel(data=np.full((1, 2, 4, 4), 100.0, np.float32)) as ramp:
        exposure = ramp.meta.exposure
        exposure.nframes, exposure.frame_divisor = 8, 8
        means = GroupScaleStep().run(ramp)
        exposure.frame_divisor = 16
        halves = GroupScaleStep().run(ramp)
    assert (means.meta.cal_step.group_scale, means.data.max()) == ("SKIPPED", 100)
    assert (halves.meta.cal_step.group_scale, halves.data.max()) == ("COMPLETE", 200)


@pytest.mark.long
@pytest.mark.parametrize(("ints", "groups"), [(2, 4), (4, 3)])
def test_errors_hold(tmp_path, ints, groups):
    path, truth = write_exposure(tmp_path / "raw", ints, groups)
    with datamodels.open(path) as raw:
        header = raw.meta.exposure
        assert (header.readpatt, header.nframes, header.groupgap, header.frame_divisor) == ("DEEP8", 8, 12, 8)
        assert header.group_time == pytest.approx(20 * header.frame_time)
    rate, rateints = reduce(tmp_path, path, tmp_path / "raw" / "crds")
    assert rate.meta.cal_step.group_scale == "SKIPPED"
    light = truth.rate.values + truth.dark.values / truth.attrs["gain"]
    struck = (truth.cosmic_ray_group.values >= 0).any(axis=0)
    quiet = (truth.bad_pixels.values == 0) & ~struck & (rate.dq & 1 == 0) & (rate.err > 0)
    assert mad_width(((rate.data - light.mean(axis=0)) / rate.err)[quiet]) == pytest.approx(1, abs=0.05)
    quiet = quiet & (rateints.dq & 1 == 0)
    assert mad_width(((rateints.data - light) / rateints.err)[quiet]) == pytest.approx(1, abs=0.05)
