"""Frames summed up block by block: what is kept of them is what all of them together would give."""

import json

import numpy as np
import pytest
import xarray as xr

from detectorist import models
from detectorist.algorithms import dq
from detectorist.modes.lrs.frames import LrsFrames


def block(make_lrs_rateints, rng, n_ints, first):
    model = make_lrs_rateints(data=rng.normal(100, 5, (n_ints, 20, 72)))
    model.var_poisson = np.full(model.data.shape, 4.0, np.float32)
    model.meta.exposure.integration_start = first
    replaced = rng.random(model.data.shape) < 0.02
    model.dq[replaced] |= dq.OUTLIER
    models.record_step(model, "clean_outliers", "COMPLETE", {"n_cleaned": int(replaced.sum()), "each": [0.0] * 3000})
    return model, replaced


def test_blocks_add_up_to_the_whole(make_lrs_rateints, rng, tmp_path):
    frames = LrsFrames()
    raw, clean, replaced, profiles = [], [], [], []
    for n_ints, first in ((3, 1), (5, 4)):
        model, flagged = block(make_lrs_rateints, rng, n_ints, first)
        profile = rng.random(model.data.shape)
        raw.append(model.data.copy())
        frames.add_photons(model)
        frames.add_before(model, flagged.sum(axis=2), np.full(model.data.shape, 7.0))
        model.data = model.data - 7
        frames.add_after(model, profile)
        frames.add_records(model)
        clean.append(model.data)
        replaced.append(flagged)
        profiles.append(profile)
    found = frames.dataset()
    np.testing.assert_allclose(found["raw"], np.concatenate(raw).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["clean"], np.concatenate(clean).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["replaced"], np.concatenate(replaced).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["profile"], np.concatenate(profiles).mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(found["background"], 7.0)
    # Nine columns of variance 4 each.
    np.testing.assert_allclose(found["photon_error"], np.full((8, 20), 6.0))
    most = np.concatenate(replaced).sum(axis=(1, 2)).argmax()
    assert found.attrs["example_integration"] == most + 1
    np.testing.assert_array_equal(found["example_raw"], np.concatenate(raw)[most])
    np.testing.assert_allclose(found["example_clean"], np.concatenate(raw)[most] - 7)
    with xr.open_dataset(frames.write(tmp_path / "frames.nc"), engine="h5netcdf") as written:
        xr.testing.assert_identical(written.load(), found)


def test_pixels_without_value_have_no_influence(make_lrs_rateints, rng):
    model, flagged = block(make_lrs_rateints, rng, 4, 1)
    model.data[2, 5, 6] = np.nan
    frames = LrsFrames()
    frames.add_photons(model)
    frames.add_before(model, flagged.sum(axis=2), np.zeros(model.data.shape))
    model.data[2, 5, 6] = 0
    frames.add_after(model, np.ones(model.data.shape))
    assert frames.dataset()["raw"].values[5, 6] == pytest.approx(model.data[[0, 1, 3], 5, 6].mean(), rel=1e-5)


def test_records_hold_summaries_only(make_lrs_rateints, rng):
    model, _ = block(make_lrs_rateints, rng, 4, 11)
    frames = LrsFrames()
    frames.add_records(model)
    ((name, records),) = frames.records.items()
    assert name.endswith(", integrations 11 to 14")
    assert set(records["clean_outliers"]) == {"state", "n_cleaned"}
    json.dumps(records)
