"""Cleaning of data that our simulator never saw, against other people's answers."""

from pathlib import Path

import numpy as np
import pytest
from stdatamodels.jwst import datamodels

from detectorist.algorithms.spectra.profile import clean_outliers
from detectorist.stage_2 import CleanOutliersStep

pytestmark = pytest.mark.thirdparty
#: Settings of the published reductions.
RECIPE = {"dq_bits_to_mask": [0], "outlier_threshold": 5.0}


@pytest.fixture
def rehearsal():
    """MIRI LRS slitless integrations in MJy/sr from a rehearsal, part of the jwst package."""
    import jwst

    path = Path(jwst.__file__).parent / "stpipe/tests/data/miri_data.fits"
    if not path.is_file():
        pytest.skip("this version of jwst comes without miri_data.fits")
    with datamodels.CubeModel(path) as model:
        yield model


def test_rehearsal_data_are_cleaned_in_spite_of_their_defects(rehearsal):
    """Half of its pixels are zeros flagged DO_NOT_USE, values span -5.9e6 to 2.7e6, errors are NaN or 0."""
    step = CleanOutliersStep(**RECIPE)
    out, P, _ = step.run(rehearsal)
    assert np.isfinite(out.data).all()
    replaced = out.dq & 16 != 0
    assert np.isfinite(out.err[replaced & (rehearsal.dq & 16 == 0)]).all()
    np.testing.assert_allclose(P.sum(axis=2), 1.0, atol=1e-5)
    assert out.data.min() > -1000
    assert out.data.max() < 30000
    assert step.record["errors_used"]
    # Its trace lies two columns right of ours, and tilts.
    assert np.isin(P[:, 160:380].argmax(axis=2), (38, 39)).mean() > 0.99


def test_rehearsal_outliers_against_those_of_the_stock_pipeline(rehearsal):
    """Without looking at flags most of the stock pipeline's outliers are found, which compares integrations.

    It flags 168 pixels. The others lie within 5 sigma of the profile: among them neighbours of an outlier that it flags
    along, and excesses of a pixel over its own median that are no excess over the trace.
    """
    stock = rehearsal.dq & 16 != 0
    found = clean_outliers(rehearsal.data, rehearsal.err, rehearsal.dq, outlier_threshold=5.0)
    assert stock.sum() == 168
    assert 0.7 < found.replaced[stock].mean() < 0.95
    # It flags outliers DO_NOT_USE: the recipe replaces every one.
    assert clean_outliers(rehearsal.data, rehearsal.err, rehearsal.dq, **RECIPE).replaced[stock].all()
    # Of the pixels it passed we replace few, most where the spectrum is brightest (signal to noise of hundreds).
    passed = (rehearsal.dq & 1) == 0
    assert found.replaced[passed].mean() < 0.006


def test_simulation_whose_errors_are_twice_too_large(thirdparty):
    with datamodels.CubeModel(thirdparty / "eureka_ngts10_lrs_rateints.fits") as model:
        step = CleanOutliersStep(**RECIPE)
        out, P, _ = step.run(model)
        untouched = (model.dq & 1) == 0
        n_found = ((out.dq & 16 != 0) & untouched).sum()
    assert 0.4 < step.record["noise_scale"] < 0.55
    assert np.isfinite(out.data).all()
    assert np.isfinite(P).all()
    assert 100 < n_found < 1000
    # Its cosmic rays differ from one integration to the next: what is left scatters as noise does.
    left = out.data - np.median(out.data, axis=0)
    assert np.abs(left[:, 100:380]).max() < 15 * 1.4826 * np.median(np.abs(left[:, 100:380]))


def test_agreement_with_the_original_in_tall_windows(peers):
    """Rows 0-250 (windows of 150 and 100), where the original's rejection works. Three things are compared.

    Pixels: ours, run on what the original left, finds nothing more there; in the shorter windows it finds the outliers
    that the original cannot see. Values: the pixels it replaced (flag OUTLIER), given to ours as unknown, come out the
    same within the errors of either fit, 0.2-0.3 of a pixel's noise. P: equal within the same noise, once the
    background is put into ours: the original's frames, and so its profile, hold it; ours is the trace alone.
    """
    left = np.load(peers / "exotic_clean_first6.npz")
    data, dq = left["data"], left["dq"]
    replaced = (dq & 16) != 0
    found = clean_outliers(data, np.full_like(data, np.nan), dq, dq_bits_to_mask=[4], outlier_threshold=5.0)
    assert not (found.replaced & ~replaced)[:, :250].any()
    assert (found.replaced & ~replaced)[:, 250:394].sum() > 30
    new, errors, _ = found.apply(data, np.full_like(data, np.nan), dq)
    tall = replaced.copy()
    tall[:, 250:] = False
    assert tall.sum() == 752
    difference = (new - data)[tall]
    assert abs(difference.mean()) < 0.2
    assert (difference / errors[tall]).std() < np.sqrt(2)
    rows = found.level[:, :, None] + found.flux[:, :, None] * found.profile
    rows = rows[:, :250, 26:47]
    noise = 1.4826 * np.median(np.abs(data[:, :250, 26:47] - rows))
    total = rows.sum(axis=2, keepdims=True)
    difference = (rows / total - left["P"][:, :250, 26:47]) * total / noise
    assert abs(difference.mean()) < 0.01
    assert difference.std() < 0.35


def test_counts_of_the_original_are_cumulative_as_ours(peers):
    """Its counts cannot be compared one by one: they hold pixels it rejected on the way and did not replace."""
    counts = np.load(peers / "exotic_clean_first6.npz")["O"]
    assert (np.diff(counts.astype(int), axis=2) >= 0).all()
    assert counts.shape[2] == 5
