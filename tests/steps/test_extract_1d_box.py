"""Extract1DBoxStep: four arrays, errors with the background's noise, every kind of trace position."""

import inspect
import logging

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from detectorist import models
from detectorist.algorithms.spectra.extraction import extract_box
from detectorist.errors import InputError, ParameterError
from detectorist.stage_2 import BackgroundSubtractStep, Extract1DBoxStep

REGIONS = {"bkg_col_left_start": 12, "bkg_col_left_end": 22, "bkg_col_right_start": 50, "bkg_col_right_end": 68}
NY = 60
FLUX = 500 * 1.7 * np.sqrt(2 * np.pi)


@pytest.fixture
def rates(make_lrs_rateints):
    return make_lrs_rateints(n_ints=30, ny=NY)


@pytest.fixture
def subtracted(rates):
    return BackgroundSubtractStep.call(rates, **REGIONS).model


@pytest.fixture
def wavelength_map():
    return np.linspace(14, 4, NY)[:, None] + 0.001 * np.arange(72)


def test_defaults_are_those_of_the_algorithm():
    step = Extract1DBoxStep()
    for name in ("aperture_center", "aperture_left_width", "aperture_right_width", "units", "gain"):
        assert getattr(step, name) == inspect.signature(extract_box).parameters[name].default, name


def test_four_arrays_and_an_untouched_input(subtracted, wavelength_map):
    before = {name: np.array(getattr(subtracted, name)) for name in ("data", "err", "dq")}
    wavelengths, spectra, errors, widths = Extract1DBoxStep.call(
        subtracted, wavelength_map, trace_position=36, aperture_center=36, aperture_left_width=4, aperture_right_width=4
    )
    assert_array_equal(wavelengths, wavelength_map[:, 36])
    assert spectra.shape == errors.shape == (30, NY)
    assert widths.shape == (30,)
    assert_allclose(spectra, subtracted.data[..., 32:41].sum(axis=2, dtype=float), rtol=1e-6)
    assert_allclose(widths, 1.7, atol=0.02)
    for name, value in before.items():
        assert_array_equal(getattr(subtracted, name), value)


def truth(left=32, right=40):
    return (500 * np.exp(-0.5 * ((np.arange(left, right + 1) - 36) / 1.7) ** 2)).sum()


@pytest.mark.parametrize("source", ["model", "reopened", "columns"])
def test_pulls_wherever_the_background_noise_comes_from(rates, wavelength_map, tmp_path, source, caplog):
    model, bkg = BackgroundSubtractStep.call(rates, **REGIONS)
    options = {}
    if source == "reopened":
        model.save(tmp_path / "m.fits")
        model = str(tmp_path / "m.fits")
    elif source == "columns":
        rates.data -= bkg
        model, options = rates, REGIONS
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        _, spectra, errors, _ = Extract1DBoxStep.call(model, wavelength_map, **options)
    assert "noise of the background" not in caplog.text
    pull = (spectra - truth()) / errors
    assert_allclose(pull.std(), 1.0, atol=4 / np.sqrt(2 * pull.size))


def test_unknown_background_noise_is_said_once(rates, wavelength_map, caplog):
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        step = Extract1DBoxStep()
        _, _, errors, _ = step.run(rates, wavelength_map)
    lines = [r.getMessage() for r in caplog.records if "noise of the background" in r.getMessage()]
    assert len(lines) == 1
    assert "bkg_col_left_start" in lines[0]
    assert_allclose(errors, 9, rtol=1e-5)
    assert step.record["background_noise"] == "unknown"
    with pytest.raises(ParameterError, match="all of"):
        Extract1DBoxStep.call(rates, wavelength_map, bkg_col_left_start=12)


@pytest.mark.parametrize("position", [30, "30", 30.0])
def test_an_integer_position_wins(subtracted, wavelength_map, position):
    wavelengths, spectra, _, _ = Extract1DBoxStep.call(
        subtracted, wavelength_map, trace_position=position, aperture_center=36
    )
    assert_allclose(spectra, subtracted.data[..., 26:35].sum(axis=2), rtol=1e-5)
    assert_array_equal(wavelengths, wavelength_map[:, 30])


@pytest.mark.parametrize("column", [20, 36, 51])
def test_gaussian_fits_follow_the_trace(make_lrs_rateints, rng, wavelength_map, column):
    offsets = column + rng.uniform(-1, 1, 12)
    trace = 500 * np.exp(-0.5 * ((np.arange(72) - offsets[:, None, None]) / 1.7) ** 2)
    model = make_lrs_rateints(data=trace + 0.5 * rng.normal(size=(12, NY, 72)), err=np.full((12, NY, 72), 0.5))
    _, fixed, _, _ = Extract1DBoxStep.call(model, wavelength_map, aperture_center=column)
    step = Extract1DBoxStep(trace_position="gaussian_fits")
    wavelengths, spectra, errors, widths = step.run(model, wavelength_map)
    assert_allclose(widths, 1.7, atol=0.01)
    assert spectra.mean(axis=1).std() < 0.1 * fixed.mean(axis=1).std()
    # What is left beside the noise is the fit's own error and the interpolation, 0.05 % of the light.
    assert spectra.std() < 1.5 * errors.mean()
    assert_array_equal(wavelengths, wavelength_map[:, int(np.rint(np.median(offsets)))])


def test_electrons(subtracted, wavelength_map, tmp_path):
    from stdatamodels.jwst.datamodels import GainModel

    _, dn, dn_error, _ = Extract1DBoxStep.call(subtracted, wavelength_map)
    frame = np.full((600, 100), 9.0, np.float32)
    frame[528 : 528 + NY, :72] = 3.1
    frame[540, 36] = np.nan
    gain = GainModel(data=frame)
    gain.meta.subarray.xstart, gain.meta.subarray.ystart = 1, 1
    gain.save(tmp_path / "gain.fits")
    for given in (3.1, "3.1", gain, str(tmp_path / "gain.fits")):
        step = Extract1DBoxStep()
        step.units, step.gain = "electron/s", given
        _, electrons, errors, _ = step.run(subtracted, wavelength_map)
        assert_allclose(electrons, 3.1 * dn, rtol=1e-5)
        assert_allclose(errors, 3.1 * dn_error, rtol=1e-5)
    for bad, message in ((0, "positive"), ("nowhere.fits", "gain reference")):
        with pytest.raises(ParameterError, match=message):
            Extract1DBoxStep.call(subtracted, wavelength_map, units="electron/s", gain=bad)


@pytest.mark.parametrize("bad", [0.0, np.nan, np.inf])
def test_unknown_errors(subtracted, wavelength_map, bad):
    _, _, expected, _ = Extract1DBoxStep.call(subtracted, wavelength_map)
    subtracted.err[:, 10, 35] = bad
    _, _, errors, _ = Extract1DBoxStep.call(subtracted, wavelength_map)
    assert_allclose(errors, expected, rtol=1e-5)
    subtracted.err[:] = bad
    step = Extract1DBoxStep()
    _, _, errors, _ = step.run(subtracted, wavelength_map)
    assert_allclose(np.median(errors / expected), 1.0, atol=0.1)
    assert step.record["errors_known"] == 0


def test_nan_stays_where_it_is(subtracted, wavelength_map):
    subtracted.data[2, 5, 36] = np.nan
    step = Extract1DBoxStep()
    _, spectra, errors, widths = step.run(subtracted, wavelength_map)
    assert_array_equal(np.argwhere(np.isnan(spectra)), [[2, 5]])
    assert np.isnan(errors[2, 5])
    assert np.isfinite(widths).all()
    assert step.record["missing_values"] == 1


def test_figures_and_products(subtracted, wavelength_map, tmp_path):
    import xarray as xr

    subtracted.meta.filename = "jw_rateints.fits"
    subtracted.meta.exposure.integration_start = 31
    wavelengths, spectra, errors, widths = Extract1DBoxStep.call(
        subtracted,
        wavelength_map,
        save_results=True,
        output_dir=str(tmp_path),
        draw_psf_fits=True,
        draw_aperture=True,
        draw_spectra=True,
    )
    names = sorted(p.name for p in tmp_path.iterdir())
    assert names == [
        "jw_extract_1d_box.nc",
        "jw_rateints_extract_1d_box_aperture.png",
        "jw_rateints_extract_1d_box_psf_fits.png",
        "jw_rateints_extract_1d_box_spectra.png",
    ]
    with xr.open_dataset(tmp_path / names[0], engine="h5netcdf") as saved:
        assert_array_equal(saved.flux, spectra)
        assert_array_equal(saved.flux_error, errors)
        assert_array_equal(saved.wavelength, wavelengths)
        assert_array_equal(saved.psf_sigma, widths)
        assert saved.flux.attrs["units"] == "DN/s"
        assert saved.integration_number[0] == 31


def test_from_the_command_line(subtracted, wavelength_map, tmp_path, monkeypatch):
    """No second array can be given there: the wavelengths come from the WCS."""
    from jwst.stpipe import Step

    from detectorist.stage_2 import _extract

    class Map:
        def run(self, model):
            return wavelength_map

    monkeypatch.setattr(_extract, "GetWavelengthMap", Map)
    subtracted.save(tmp_path / "jw_rateints.fits")
    Step.from_cmdline(
        [
            "detectorist.stage_2.Extract1DBoxStep",
            str(tmp_path / "jw_rateints.fits"),
            "--trace_position=gaussian_fits",
            f"--output_dir={tmp_path}",
        ]
    )
    assert (tmp_path / "jw_extract_1d_box.nc").is_file()


def test_the_map_is_that_of_the_image(subtracted, wavelength_map):
    one = Extract1DBoxStep.call(subtracted, wavelength_map[:, 36])[0]
    assert_array_equal(one, wavelength_map[:, 36])
    with pytest.raises(ParameterError, match="wavelength map has shape"):
        Extract1DBoxStep.call(subtracted, wavelength_map[:, 26:47])
    with pytest.raises(InputError, match="assign_wcs"):
        Extract1DBoxStep.call(subtracted)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"aperture_left_width": -1, "aperture_right_width": -1}, "empty"),
        ({"aperture_center": 70}, "beyond the 72 columns"),
        ({"trace_position": "gausian_fits"}, "gaussian_fits"),
        ({"trace_position": 1}, "beyond"),
    ],
)
def test_senseless_parameters(subtracted, wavelength_map, parameters, message):
    with pytest.raises(ParameterError, match=message):
        Extract1DBoxStep.call(subtracted, wavelength_map, **parameters)


def test_wrong_input(rates, nircam_rateints, make_lrs_ramp, wavelength_map):
    with pytest.raises(InputError, match="NIRCAM"):
        Extract1DBoxStep.call(nircam_rateints, wavelength_map)
    with pytest.raises(InputError, match="rateints"):
        Extract1DBoxStep.call(make_lrs_ramp(ny=20), wavelength_map)
    rates.data[:] = np.nan
    with pytest.raises(InputError, match="not one finite value"):
        Extract1DBoxStep.call(rates, wavelength_map)


def test_one_integration(make_lrs_rateints, wavelength_map):
    model = BackgroundSubtractStep.call(make_lrs_rateints(n_ints=1, ny=NY), **REGIONS).model
    _, spectra, errors, widths = Extract1DBoxStep.call(model, wavelength_map)
    assert spectra.shape == (1, NY)
    assert_allclose(((spectra - truth()) / errors).std(), 1.0, atol=0.4)
    assert_allclose(widths, 1.7, atol=0.05)


def test_a_variance_of_other_integrations_is_not_used(subtracted, wavelength_map, caplog):
    """Integrations taken out afterwards leave a variance that no longer fits."""
    models.set_background_variance(subtracted, np.ones((3, NY)))
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        _, _, errors, _ = Extract1DBoxStep.call(subtracted, wavelength_map)
    assert "noise of the background" in caplog.text
    assert_allclose(errors, 9, rtol=1e-5)


def test_agrees_with_exotic_miri(make_lrs_rateints, peers):
    """Sums of the first six integrations, cleaned by ExoTiC-MIRI, in single precision.

    Its published spectra were cleaned a second time after the background was subtracted: rows in which that replaced a
    pixel differ.
    """
    with np.load(peers / "exotic_clean_first6.npz") as cleaned, np.load(peers / "exotic_bkg_rowwise.npz") as background:
        data = cleaned["data"] - background["bkg_per_row"][:6, :, None]
    with np.load(peers / "exotic_box.npz") as golden:
        expected, widths = golden["spec"][:6], golden["sig"][:6]
    _, spectra, _, ours = Extract1DBoxStep.call(make_lrs_rateints(data=data), np.linspace(14, 4, 416))
    same = np.isclose(spectra, expected, rtol=1e-5, atol=2e-3)
    assert same.mean() > 0.6
    assert_allclose(ours, widths, rtol=0.02)
