"""Extract1DOptimalStep: as the box, with weights; read noise in every form."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from stdatamodels.jwst.datamodels import ReadnoiseModel

from detectorist import models
from detectorist.algorithms.spectra.extraction import extract_optimal
from detectorist.errors import InputError, ParameterError
from detectorist.stage_2 import BackgroundSubtractStep, Extract1DBoxStep, Extract1DOptimalStep

NY, N_GROUPS, GROUP_TIME = 60, 64, 10 / 63
GAIN, READ_NOISE, SKY = 5.5, 3.0, 30.0
PROFILE = np.exp(-0.5 * ((np.arange(72) - 36) / 1.7) ** 2)
PROFILE = PROFILE / PROFILE.sum() * np.ones((NY, 1))
FLUX = np.linspace(300, 3000, NY)
WAVELENGTHS = np.linspace(14, 4, NY)


@pytest.fixture
def rates(make_lrs_rateints, rng):
    ideal = FLUX[:, None] * PROFILE + SKY
    err = np.broadcast_to(np.sqrt(READ_NOISE**2 + ideal / (GAIN * 10)), (40, NY, 72))
    model = make_lrs_rateints(data=ideal + err * rng.normal(size=err.shape), err=err, n_groups=N_GROUPS)
    model.meta.exposure.group_time = GROUP_TIME
    return model


@pytest.fixture
def subtracted(rates):
    return BackgroundSubtractStep.call(rates, bkg_col_left_start=12, bkg_col_left_end=22).model


def near_one(pull):
    assert_allclose(pull.std(), 1.0, atol=4 / np.sqrt(2 * pull.size))


def test_defaults_are_those_of_the_algorithm():
    step = Extract1DOptimalStep()
    signature = inspect.signature(extract_optimal).parameters
    names = [
        name for name in signature if hasattr(step, name) and signature[name].kind is inspect.Parameter.KEYWORD_ONLY
    ]
    names.remove("background_variance")  # a method of the step
    assert {"aperture_center", "aperture_left_width", "median_spatial_profile", "units", "gain"} <= set(names)
    for name in names:
        assert getattr(step, name) == signature[name].default, name


@pytest.mark.parametrize("units", ["DN/s", "electron/s"])
@pytest.mark.parametrize("readnoise", ["none", "float", "2d", "3d", "model"])
def test_pulls_with_every_kind_of_read_noise(subtracted, units, readnoise):
    cds = READ_NOISE * np.sqrt(2) * GROUP_TIME * np.sqrt(N_GROUPS * (N_GROUPS**2 - 1) / 12)
    reference = ReadnoiseModel(data=np.full((NY, 72), cds, np.float32))
    given = {
        "none": None,
        "float": READ_NOISE,
        "2d": np.full((NY, 72), READ_NOISE),
        "3d": np.full((40, NY, 72), READ_NOISE),
        "model": reference,
    }[readnoise]
    step = Extract1DOptimalStep(units=units, gain=GAIN)
    wavelengths, spectra, errors, widths = step.run(subtracted, WAVELENGTHS, PROFILE, given)
    factor = GAIN if units == "electron/s" else 1.0
    near_one((spectra - factor * FLUX) / errors)
    assert_array_equal(wavelengths, WAVELENGTHS)
    assert_allclose(widths, 1.7, atol=0.05)
    assert step.record["noise_from"] == ("errors" if given is None else "read noise and gain")


def test_less_noise_than_a_box(subtracted):
    _, _, box, _ = Extract1DBoxStep.call(subtracted, WAVELENGTHS)
    _, _, optimal, _ = Extract1DOptimalStep.call(subtracted, WAVELENGTHS, PROFILE)
    assert (optimal.mean(axis=0) < box.mean(axis=0)).all()


@pytest.mark.parametrize("median_spatial_profile", [False, True])
def test_a_profile_of_its_own(subtracted, median_spatial_profile):
    before = subtracted.data.copy()
    _, spectra, errors, _ = Extract1DOptimalStep.call(
        subtracted, WAVELENGTHS, median_spatial_profile=median_spatial_profile
    )
    pull = (spectra - FLUX) / errors
    assert_allclose(pull.std(), 1.0, atol=0.1)
    assert_array_equal(subtracted.data, before)


def test_a_trace_elsewhere(subtracted):
    for name in ("data", "err"):
        setattr(subtracted, name, np.roll(getattr(subtracted, name), -10, axis=2))
    _, spectra, errors, _ = Extract1DOptimalStep.call(subtracted, WAVELENGTHS, trace_position="gaussian_fits")
    assert_allclose(((spectra - FLUX) / errors).std(), 1.0, atol=0.1)


def test_dropped_groups_shorten_the_ramp(subtracted):
    step = Extract1DOptimalStep(gain=GAIN)
    whole = step.run(subtracted, WAVELENGTHS, PROFILE, 0.0)[2]
    models.record_step(subtracted, "drop_groups", "COMPLETE", {"groups": list(range(32))})
    half = step.run(subtracted, WAVELENGTHS, PROFILE, 0.0)[2]
    bright = slice(-10, None)
    # The star's photon noise grows as the time is halved; that of the sky is measured and stays.
    assert 1.1 < (half / whole)[:, bright].mean() < np.sqrt(63 / 31)


def test_product_and_figures(subtracted, tmp_path):
    subtracted.meta.filename = "jw_rateints.fits"
    Extract1DOptimalStep.call(
        subtracted, WAVELENGTHS, PROFILE, save_results=True, output_dir=str(tmp_path), draw_spectra=True
    )
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "jw_extract_1d_optimal.nc",
        "jw_rateints_extract_1d_optimal_spectra.png",
    ]


def test_bad_input(subtracted, nircam_rateints):
    with pytest.raises(InputError, match="NIRCAM"):
        Extract1DOptimalStep.call(nircam_rateints, WAVELENGTHS)
    with pytest.raises(ParameterError, match="P has shape"):
        Extract1DOptimalStep.call(subtracted, WAVELENGTHS, PROFILE[:, 20:40], 3.0)
    with pytest.raises(ParameterError, match="readnoise has shape"):
        Extract1DOptimalStep.call(subtracted, WAVELENGTHS, PROFILE, np.ones(7), gain=GAIN)
    with pytest.raises(ParameterError, match="gain is 0"):
        Extract1DOptimalStep.call(subtracted, WAVELENGTHS, PROFILE, 3.0, gain=0)
    subtracted.meta.exposure.group_time = None
    with pytest.raises(ParameterError, match="TGROUP"):
        Extract1DOptimalStep.call(subtracted, WAVELENGTHS, PROFILE, 3.0, gain=GAIN)


@pytest.mark.parametrize("median_spatial_profile", [False, True])
def test_near_exotic_miri(make_lrs_rateints, peers, median_spatial_profile):
    """Other weights on the same pixels: the spectra differ by less than their noise, and not on average.

    ExoTiC-MIRI adds the read noise to the variance as it is, not squared, and photons without a gain: its weights are
    nearly P over the signal, ours P over the variance. Its own profiles, and its second cleaning, are not published:
    ours stand for them.
    """
    with np.load(peers / "exotic_clean_first6.npz") as cleaned, np.load(peers / "exotic_bkg_rowwise.npz") as background:
        raw, level = cleaned["data"], background["bkg_per_row"][:6, :, None]
    with np.load(peers / f"exotic_opt_medianprofile{int(median_spatial_profile)}.npz") as golden:
        expected, their_errors = golden["spec"][:6], golden["err"][:6]
    model = make_lrs_rateints(data=raw - level, err=np.sqrt(9 + np.maximum(raw, 0) / 55))
    _, spectra, errors, _ = Extract1DOptimalStep.call(
        model, np.linspace(14, 4, 416), median_spatial_profile=median_spatial_profile
    )
    rows = slice(60, 380)
    difference, ratio = (spectra - expected)[:, rows], (spectra / expected)[:, rows]
    assert 1.4826 * np.median(abs(difference)) < np.median(errors[:, rows])
    assert abs(np.median(ratio) - 1) < 0.005
    assert np.median(their_errors[:, rows]) > 1.8 * np.median(errors[:, rows])
