"""Spectra in the formats of other programs: read by these where they are installed, by documented layout otherwise."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from astropy.table import Table

from detectorist.errors import InputError, OutputError, ParameterError
from detectorist.modes.lrs.export import FORMATS, export_spectra
from detectorist.modes.lrs.export.spectrum_fits import to_spectrum_list
from detectorist.modes.lrs.mode import LrsMode
from detectorist.modes.lrs.time_series import TimeSeries

N_INTS, N_UM = 12, 30


@pytest.fixture
def series():
    rng = np.random.default_rng(5)
    flux = 1000 + rng.normal(size=(N_INTS, N_UM))
    return TimeSeries(
        np.linspace(5, 12, N_UM),
        flux,
        np.full_like(flux, 1.5),
        2460000.25 + np.arange(N_INTS) / 100,
        np.ones(N_INTS, int),
        {
            "background": np.full_like(flux, 7.0),
            "x_shift": rng.normal(size=N_INTS),
            "psf_sigma": np.full(N_INTS, 1.8),
            "n_outliers": np.ones((N_INTS, N_UM, 5), np.int16),
        },
        attributes={"target": "WASP 43", "code": "detectorist 1", "time_scale": "BJD_TDB"},
        source="spectra.nc",
        detector_row=np.arange(380, 380 - 2 * N_UM, -2),
    )


def test_the_mode_offers_every_format():
    assert set(LrsMode.exports) == set(FORMATS)


def test_interrupted_light_curves_leave_nothing(series, tmp_path, monkeypatch):
    from detectorist.reduction import products

    written, write = [], products.write_text

    def interrupted(text, target):
        if len(written) == 2:
            raise KeyboardInterrupt
        written.append(write(text, target))

    with monkeypatch.context() as patched:
        patched.setattr(products, "write_text", interrupted)
        with pytest.raises(KeyboardInterrupt):
            export_spectra(series, "light-curves", tmp_path / "curves", bins=3)
    assert len(written) == 2
    assert not list(tmp_path.iterdir())
    assert len(export_spectra(series, "light-curves", tmp_path / "curves", bins=3)) == 4


def test_eureka_by_its_layout(series, tmp_path):
    """Names, dimensions and units of a file that Eureka! 1.4 wrote."""
    (path,) = export_spectra(series, "eureka", tmp_path / "x_SpecData.h5")
    found = xr.load_dataset(path, engine="h5netcdf")
    for name in ("stdspec", "stdvar", "optspec", "opterr", "optmask", "skylev"):
        assert found[name].dims == ("time", "x")
    assert found["wave_1d"].dims == ("x",)
    assert found["time"].attrs["time_units"] == "BMJD_TDB"
    assert found["wave_1d"].attrs["wave_units"] == "microns"
    assert found["optmask"].dtype == bool
    assert not found["optmask"].any()  # True would be left out
    np.testing.assert_allclose(found["time"], series.time_bjd_tdb - 2400000.5)
    np.testing.assert_allclose(found["stdvar"], 2.25)
    np.testing.assert_array_equal(found["x"], series.detector_row)


def test_what_is_missing_is_masked_for_eureka(series, tmp_path):
    series.flux[2, 3] = np.nan
    found = xr.load_dataset(export_spectra(series, "eureka", tmp_path / "x.h5")[0], engine="h5netcdf")
    assert found["optmask"].values.sum() == 1
    assert found["optmask"][2, 3]
    assert np.isfinite(found["optspec"]).all()


@pytest.mark.thirdparty
def test_eureka_as_eureka_writes_it(series, tmp_path):
    folder = os.environ.get("DETECTORIST_THIRDPARTY")
    if not folder:
        pytest.skip("DETECTORIST_THIRDPARTY is not set")
    theirs = xr.load_dataset(Path(folder) / "eureka_miri_S3_SpecData.h5", engine="h5netcdf")
    ours = xr.load_dataset(export_spectra(series, "eureka", tmp_path / "x.h5")[0], engine="h5netcdf")
    left_out = {"medflux", "skyerr", "y"}  # images and what belongs to them
    assert set(theirs.variables) - left_out == set(ours.variables)
    for name in set(ours.variables):
        assert ours[name].dims == theirs[name].dims
        assert ours[name].dtype.kind == theirs[name].dtype.kind
        same = {key: value for key, value in theirs[name].attrs.items() if key != "flux_units"}
        assert {key: ours[name].attrs[key] for key in same} == same
    assert (np.diff(theirs["x"]) < 0).all() == (np.diff(ours["x"]) < 0).all()


def test_astraeus_reads_eureka(series, tmp_path):
    reader = pytest.importorskip("astraeus.xarrayIO")
    (path,) = export_spectra(series, "eureka", tmp_path / "x_SpecData.h5")
    found = reader.readXR(str(path), verbose=False)
    np.testing.assert_allclose(found.optspec, series.flux)
    assert found.optspec.attrs["flux_units"] == "DN/s"


def test_rainbow_by_its_layout(series, tmp_path):
    (path,) = export_spectra(series, "rainbow", tmp_path / "x.rainbow.fits")
    with fits.open(path) as hdus:
        assert [hdu.name for hdu in hdus] == ["PRIMARY", "FLUXLIKE", "WAVELIKE", "TIMELIKE"]
        assert hdus["FLUXLIKE"].data["flux"].shape == (N_UM, N_INTS)
        assert hdus[0].header["NAME"] == "WASP 43"
    np.testing.assert_allclose(Table.read(path, hdu="TIMELIKE")["time"], series.time_bjd_tdb)


@pytest.mark.filterwarnings("ignore")
def test_chromatic_reads_a_rainbow(series, tmp_path):
    chromatic = pytest.importorskip("chromatic")
    (path,) = export_spectra(series, "rainbow", tmp_path / "x.rainbow.fits")
    found = chromatic.read_rainbow(str(path))
    np.testing.assert_allclose(found.flux.value, series.flux.T)
    np.testing.assert_allclose(found.uncertainty.value, 1.5)
    np.testing.assert_allclose(found.wavelength.to_value("um"), series.wavelength)
    np.testing.assert_allclose(found.time.to_value("d"), series.time_bjd_tdb)


def test_specutils_reads_spectra(series, tmp_path):
    specutils = pytest.importorskip("specutils")
    (path,) = export_spectra(series, "specutils", tmp_path / "x.fits")
    found = specutils.Spectrum.read(path, format="tabular-fits")
    assert found.flux.shape == (N_INTS, N_UM)
    np.testing.assert_allclose(found.flux.value, series.flux)
    np.testing.assert_allclose(found.uncertainty.array, 1.5)
    np.testing.assert_allclose(found.spectral_axis.to_value("um"), series.wavelength)
    spectra = to_spectrum_list(series)
    assert isinstance(spectra, specutils.SpectrumList)
    assert len(spectra) == N_INTS
    np.testing.assert_allclose(spectra[3].flux.value, series.flux[3])
    assert spectra[3].meta["time_bjd_tdb"] == series.time_bjd_tdb[3]


def test_spectra_by_their_layout(series, tmp_path):
    (path,) = export_spectra(series, "specutils", tmp_path / "x.fits")
    table = Table.read(path, hdu="DATA")
    assert table.colnames == ["wavelength", "flux", "uncertainty"]
    assert table["flux"].shape == (N_UM, N_INTS)
    assert fits.getheader(path)["UNIT"] == "DN/s"


def test_light_curves_by_bin(series, tmp_path):
    written = export_spectra(series, "light-curves", tmp_path / "curves", bins=3)
    assert [path.name for path in written][:2] == ["white.ecsv", "5.000-7.333um.ecsv"]
    table = Table.read(written[0])
    np.testing.assert_allclose(table["time"].mjd, series.time_bjd_tdb - 2400000.5)
    assert table["time"].scale == "tdb"
    assert np.median(table["flux"]) == pytest.approx(1)
    assert table.meta["LABEL"] == "WASP 43"


@pytest.mark.filterwarnings("ignore")
def test_lightkurve_reads_light_curves(series, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightkurve = pytest.importorskip("lightkurve")
    path = export_spectra(series, "light-curves", tmp_path / "curves", bins=3)[0]
    curve = lightkurve.LightCurve.read(path, format="ascii.ecsv")
    np.testing.assert_allclose(curve.time.jd, series.time_bjd_tdb, rtol=0, atol=1e-8)
    assert float(curve.flux_err[0]) == pytest.approx(1.5 / 1000 / np.sqrt(N_UM - 1), rel=0.1)
    assert curve.meta["LABEL"] == "WASP 43"


def test_exotic_has_all_rows_in_the_order_of_the_detector(series, tmp_path):
    (path,) = export_spectra(series, "exotic", tmp_path / "x.nc")
    found = xr.load_dataset(path, engine="h5netcdf")
    assert dict(found.sizes) == {"integration_number": N_INTS, "wavelength": 416, "region_width": 5}
    rows = np.flatnonzero(np.isfinite(found["wavelength"]))
    np.testing.assert_array_equal(rows, np.sort(series.detector_row))
    np.testing.assert_allclose(found["flux"][:, rows], series.flux[:, ::-1])
    assert found["n_outliers"].dtype == np.int16
    assert {name: found[name].attrs["units"] for name in ("flux", "x_shift")} == {"flux": "DN/s", "x_shift": "pixel"}
    assert {"flux", "flux_error", "background", "x_shift", "psf_sigma", "n_outliers"} == set(found.data_vars)


def test_nothing_is_overwritten_unless_asked(series, tmp_path):
    target = tmp_path / "x.nc"
    target.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        export_spectra(series, "exotic", target)
    assert target.read_text() == "mine"
    export_spectra(series, "exotic", target, overwrite=True)


def test_what_cannot_be_exported(series, tmp_path):
    with pytest.raises(ParameterError, match='did you mean "eureka"'):
        export_spectra(series, "eurka", tmp_path / "x")
    with pytest.raises(InputError, match="no such file"):
        export_spectra(tmp_path / "none", "eureka")
    series.attributes["time_scale"] = "JD_UTC"
    with pytest.raises(InputError, match="barycentric times are needed"):
        export_spectra(series, "eureka", tmp_path / "x.h5")


def test_the_command(series, tmp_path, capsys):
    from detectorist.cli.app import app

    (path,) = export_spectra(series, "exotic", tmp_path / "stage_2_output.nc")
    with xr.open_dataset(path, engine="h5netcdf") as opened:
        dataset = opened.load()
    dataset["time_bjd_tdb"] = ("integration_number", series.time_bjd_tdb)
    dataset.to_netcdf(path, engine="h5netcdf")
    app(["export", "eureka", str(tmp_path), "-o", str(tmp_path / "y.h5")], standalone_mode=False)
    found = xr.load_dataset(tmp_path / "y.h5", engine="h5netcdf")
    np.testing.assert_allclose(found["optspec"], series.flux)
    with pytest.raises(ParameterError, match="are known"):
        app(["export", "fortran", str(tmp_path)], standalone_mode=False)
