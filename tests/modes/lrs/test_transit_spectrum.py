"""A spectrum of depths from spectra through time: truth, files, the command, and what is refused."""

import logging
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from astropy.table import Table

from detectorist.algorithms.spectra.transit_models import Orbit, PlanetModel
from detectorist.errors import DetectoristError, InputError, OutputError, ParameterError
from detectorist.modes.lrs.spectrum.files import spectrum_table, write_spectrum
from detectorist.modes.lrs.spectrum.fit import fit_spectrum, fit_white_light
from detectorist.modes.lrs.spectrum.light_curve_file import read_light_curve
from detectorist.modes.lrs.spectrum.settings import FitSettings, LimbDarkening, read_limb_darkening
from detectorist.modes.lrs.spectrum.summary import summarise_spectrum
from detectorist.modes.lrs.time_series import TimeSeries, read_time_series

ORBIT = Orbit(2.0, 2460000.1, 7.0, 87.0)
DARK = LimbDarkening("quadratic", (0.1, 0.1))
N_INTS, N_BINS = 200, 6
SIGMA = 1e-3


def make_series(seed=1, *, depth=0.012, event="transit", n_exposures=1, noise=SIGMA):
    rng = np.random.default_rng(seed)
    time = 2460000.0 + np.linspace(0, 0.2, N_INTS) + (1.0 if event == "eclipse" else 0.0)
    um = np.linspace(5.05, 11.95, 60)
    depths = depth * (1 + 0.1 * np.sin(um))
    model = PlanetModel(time, ORBIT, event=event)
    name = "eclipse_depth" if event == "eclipse" else "depth"
    relative = np.array([model({name: d, "u1": 0.1, "u2": 0.1}) for d in depths]).T
    exposure = 1 + np.arange(N_INTS) * n_exposures // N_INTS
    relative *= 1 + 0.003 * exposure[:, None] + noise * rng.normal(size=relative.shape)
    series = TimeSeries(
        um,
        1000 * relative,
        np.full_like(relative, 1000 * noise),
        time,
        exposure,
        {"x_shift": 0.01 * rng.normal(size=N_INTS), "y_shift": 0.01 * rng.normal(size=N_INTS)},
        attributes={"target": "WASP-43", "program": "01366"},
        source="made here",
    )
    return series, depths


@pytest.mark.parametrize("both", [False, True])
def test_an_integration_without_its_time_is_left_out(product, caplog, both):
    """The scale of the others stays: UTC at the observatory is up to ten minutes from the barycentre."""
    with xr.open_dataset(product, engine="h5netcdf", decode_times=False) as opened:
        dataset = opened.load()
    time = dataset["time_bjd_tdb"].values.copy()
    utc = time - 2400000.503
    time[7] = np.nan
    utc[7] = np.nan if both else utc[7]
    dataset["time_bjd_tdb"], dataset["time_mjd_utc"] = ("integration_number", time), ("integration_number", utc)
    dataset.to_netcdf(product, engine="h5netcdf")
    with caplog.at_level(logging.WARNING, logger="detectorist"):
        series = read_time_series(product)
    assert series.attributes["time_scale"] == "BJD_TDB"
    np.testing.assert_array_equal(series.time_bjd_tdb, np.delete(time, 7))
    np.testing.assert_array_equal(series.flux, np.delete(dataset["flux"].values, 7, axis=0))
    assert "time_bjd_tdb is not known for 1 of" in caplog.text
    assert "(number 8)" in caplog.text


def settings(**changed):
    return FitSettings(ORBIT, **{"limb_darkening": DARK, "bins": N_BINS, **changed})


@pytest.fixture(scope="module")
def fitted():
    return fit_spectrum(make_series()[0], settings())


@pytest.fixture
def product(tmp_path):
    """A file as the pipeline writes it."""
    series, _ = make_series()
    dims = ("integration_number", "wavelength")
    dataset = xr.Dataset(
        {
            "flux": (dims, series.flux),
            "flux_error": (dims, series.flux_error),
            "time_bjd_tdb": ("integration_number", series.time_bjd_tdb),
            "x_shift": ("integration_number", series.series["x_shift"]),
            "y_shift": ("integration_number", series.series["y_shift"]),
        },
        {"wavelength": series.wavelength, "integration_number": np.arange(1, N_INTS + 1)},
    )
    path = tmp_path / "out" / "stage_2" / "stage_2_output.nc"
    path.parent.mkdir(parents=True)
    dataset.to_netcdf(path, engine="h5netcdf")
    return path


def test_depths_in_units_of_their_errors():
    pulls, white = [], []
    for seed in range(5):
        series, depths = make_series(seed, n_exposures=1 + seed % 2)
        found = fit_spectrum(series, settings(baseline_order=0))
        truth = depths.reshape(N_BINS, -1).mean(axis=1)
        pulls.append((found.depth - truth) / found.depth_error)
        white.append((found.white.depth - depths.mean()) / found.white.depth_error)
    assert np.abs(np.mean(pulls)) < 4 / np.sqrt(np.size(pulls)) + 0.5  # bins of a scene share its orbit
    assert 0.6 < np.std(pulls) < 1.4
    assert np.abs(white).max() < 4


def test_an_eclipse(fitted):
    series, depths = make_series(event="eclipse", depth=0.005)
    found = fit_spectrum(series, settings(event="eclipse"))
    pulls = (found.depth - depths.reshape(N_BINS, -1).mean(axis=1)) / found.depth_error
    assert np.abs(pulls).max() < 4
    assert found.settings.orbital == ("mid_time",)
    assert found.white.curve.fit.value("mid_time") == pytest.approx(2460000.1, abs=0.002)


def test_covariance_and_repr(fitted):
    np.testing.assert_allclose(np.diag(fitted.correlation), 1)
    assert np.linalg.eigvalsh(fitted.covariance).min() > 0
    assert (fitted.depth_error >= fitted.depth_error_own).all()
    assert "6 bins 5-12 um" in repr(fitted)
    assert "ppm" in repr(fitted)


def test_files_hold_what_was_fitted_and_are_kept(fitted, tmp_path):
    written = write_spectrum(fitted, tmp_path)
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    table = Table.read(tmp_path / "transit_spectrum.ecsv")
    np.testing.assert_allclose(table["depth"], fitted.depth)
    np.testing.assert_allclose(table["depth_error"], fitted.depth_error)
    np.testing.assert_allclose(table["correlation"], fitted.correlation)
    assert table.meta["provenance"]["target"] == "WASP-43"
    assert table.meta["settings"]["orbit"]["period_d"] == 2.0
    assert table.meta["code"].startswith("detectorist ")
    white = Table.read(tmp_path / "white_light.ecsv")
    np.testing.assert_allclose(white["flux"], white["planet"] * white["baseline"] + white["residual"])
    curves = Table.read(tmp_path / "light_curves.ecsv")
    assert curves["residual"].shape == (N_INTS, N_BINS)
    scatter = Table.read(tmp_path / "residual_scatter.ecsv")
    assert len(set(scatter["light_curve"])) == 1 + N_BINS
    before = (tmp_path / "white_light.ecsv").read_bytes()
    with pytest.raises(OutputError, match="exists already"):
        write_spectrum(fitted, tmp_path)
    assert (tmp_path / "white_light.ecsv").read_bytes() == before
    write_spectrum(fitted, tmp_path, overwrite=True)


def test_progress_is_told_and_can_interrupt():
    seen = []
    fit_spectrum(make_series()[0], settings(bins=2), progress=lambda *told: seen.append(told))
    assert seen[0] == (0, 3, "white light")
    assert seen[-1] == (3, 3, "done")

    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit_spectrum(make_series()[0], settings(bins=2), progress=interrupt)


def test_an_interrupted_writer_leaves_nothing(fitted, tmp_path, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("detectorist.modes.lrs.spectrum.files.show_or_write", interrupted)  # after the tables
        with pytest.raises(KeyboardInterrupt):
            write_spectrum(fitted, tmp_path / "spectrum")
    assert not list(tmp_path.iterdir())
    assert all(path.is_file() for path in write_spectrum(fitted, tmp_path / "spectrum"))


def test_sampler_beside_least_squares(tmp_path):
    found = fit_spectrum(make_series()[0], settings(bins=1, fit_orbit=(), sampler=True, n_live=50))
    posterior = found.curves[0].posterior
    assert abs(posterior.median("depth") - found.depth[0]) < 0.5 * found.depth_error[0]
    write_spectrum(found, tmp_path)
    assert "depth_sampled" in Table.read(tmp_path / "transit_spectrum.ecsv").colnames


@pytest.mark.parametrize(
    ("changed", "data", "error", "words"),
    [
        ({}, {"depth": 0.0}, InputError, "no transit found in white light"),
        ({"orbit": replace(ORBIT, mid_time=2460000.7)}, {}, InputError, "no transit in the data"),
        ({"bins": [20.0, 21.0]}, {}, ParameterError, "the data from 5.05 to 11.95"),
        ({"regressors": ("z_shift",)}, {}, ParameterError, "no variable z_shift"),
        ({"priors": {"flux": (1.0, 0.1)}}, {}, ParameterError, "prior of flux"),
        ({"bins": 1000}, {}, InputError, "make the bins wider"),
        ({"orbit": replace(ORBIT, period_d=400.0)}, {}, InputError, "0 outside"),
    ],
)
def test_what_cannot_be_fitted(changed, data, error, words):
    orbit = changed.pop("orbit", ORBIT)
    with pytest.raises(error, match=words):
        fit_spectrum(make_series(**data)[0], replace(settings(**changed), orbit=orbit))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"event": "flare"}, "event is 'flare'"),
        ({"noise": "pink"}, "noise is 'pink'"),
        ({"n_harmonics": 3}, "n_harmonics is 3"),
        ({"baseline_order": 9}, "baseline_order is 9"),
        ({"fit_orbit": ("period",)}, "fit_orbit names 'period'"),
        ({"priors": {"depth": (0.1, -1.0)}}, "positive standard deviation"),
        ({"n_live": 3}, "n_live is 3"),
    ],
)
def test_settings_that_make_no_sense(changed, words):
    with pytest.raises(ParameterError, match=words):
        settings(**changed)


def test_the_command(product, tmp_path, capsys):
    from detectorist.cli.app import app

    orbit = ["--period", "2", "--mid-time", "59999.6", "--a-over-rs", "7", "--inclination", "87"]
    arguments = ["spectrum", str(product.parents[1]), *orbit, "--coefficients", "0.1,0.1", "--bins", "2um", "--quiet"]
    app(arguments, standalone_mode=False)
    table = Table.read(product.parents[1] / "spectrum" / "transit_spectrum.ecsv")
    assert len(table) == 3
    with pytest.raises(OutputError, match="exists already"):
        app(arguments, standalone_mode=False)
    app([*arguments, "--overwrite"], standalone_mode=False)
    for wrong, words in (
        (["--bins", "many"], "--bins"),
        (["--range", "9,5"], "--range"),
        (["--prior", "a"], "--prior"),
    ):
        with pytest.raises(ParameterError, match=words):
            app([*arguments, *wrong, "--overwrite"], standalone_mode=False)


def test_a_table_with_a_light_curve(tmp_path):
    series, depths = make_series()
    path = tmp_path / "curve.csv"
    flux = series.flux.mean(axis=1)
    rows = Table(
        {"bmjd_tdb": series.time_bjd_tdb - 2400000.5, "relative_flux": flux, "error": flux * SIGMA / np.sqrt(60)}
    )
    rows.write(path, format="ascii.csv")
    curve = read_light_curve(path)
    found = fit_white_light(curve.time, curve.flux, curve.error, settings())
    assert abs(found.depth - depths.mean()) < 4 * found.depth_error
    path.write_text("time,flux\n1,2\n")
    with pytest.raises(InputError, match="error .* is needed"):
        read_light_curve(path)
    with pytest.raises(InputError, match="no such file"):
        read_light_curve(tmp_path / "none.csv")
    with pytest.raises(InputError, match="do not agree"):
        fit_white_light(curve.time, curve.flux[:-1], curve.error, settings())


def test_coefficients_that_vary_with_wavelength(tmp_path):
    path = tmp_path / "dark.csv"
    path.write_text("wavelength,u1,u2\n5,0.1,0.2\n10,0.0,0.1\n")
    assert read_limb_darkening("quadratic", path).at(7.5) == pytest.approx({"u1": 0.05, "u2": 0.15})
    with pytest.raises(InputError, match="u3, u4 needed"):
        read_limb_darkening("nonlinear", path)
    with pytest.raises(DetectoristError, match="ascending"):
        LimbDarkening("linear", [[0.1], [0.2]], [6, 5])


def test_old_and_new_files_are_read_alike(product, tmp_path):
    """Before, wavelengths fell, were unknown in places, and times were less 2400000.5."""
    new = read_time_series(product)
    with xr.open_dataset(product, engine="h5netcdf") as opened:
        old = opened.load().isel(wavelength=slice(None, None, -1))
    old = old.assign_coords(wavelength=old.wavelength.where(old.wavelength > 5.1))
    old["time_bjd_tdb"] = old.time_bjd_tdb - 2400000.5
    old.to_netcdf(tmp_path / "old.nc", engine="h5netcdf")
    found = read_time_series(tmp_path / "old.nc")
    np.testing.assert_allclose(found.time_bjd_tdb, new.time_bjd_tdb, rtol=0, atol=1e-8)
    np.testing.assert_array_equal(found.wavelength, new.wavelength[1:])
    np.testing.assert_array_equal(found.flux, new.flux[:, 1:])


def test_exposures_are_joined_in_time(product, tmp_path):
    with xr.open_dataset(product, engine="h5netcdf") as opened:
        later = opened.load()
    later["time_bjd_tdb"] = later.time_bjd_tdb + 0.5
    later.to_netcdf(tmp_path / "later.nc", engine="h5netcdf")
    joined = read_time_series([tmp_path / "later.nc", product])
    assert joined.flux.shape == (2 * N_INTS, 60)
    np.testing.assert_array_equal(np.unique(joined.exposure), [1, 2])
    assert (np.diff(joined.time_bjd_tdb) > 0).all()
    with pytest.raises(InputError, match="overlap"):
        read_time_series([product, product])
    later.assign_coords(wavelength=later.wavelength + 0.1).to_netcdf(tmp_path / "other.nc", engine="h5netcdf")
    with pytest.raises(InputError, match="its wavelengths are not those"):
        read_time_series([product, tmp_path / "other.nc"])


def test_files_that_are_none(tmp_path):
    with pytest.raises(InputError, match="no such file or folder"):
        read_time_series(tmp_path / "nowhere")
    with pytest.raises(InputError, match="was an LRS exposure reduced there"):
        read_time_series(tmp_path)
    (tmp_path / "x.nc").write_text("not a NetCDF file")
    with pytest.raises(InputError, match="not readable"):
        read_time_series(tmp_path / "x.nc")


def test_a_central_transit_in_red_noise_keeps_its_errors():
    """The orbit is found at 90 degrees, where the flux has no slope by the inclination."""
    series, depths = make_series(noise=2e-4)
    rng = np.random.default_rng(3)
    central = PlanetModel(series.time_bjd_tdb, replace(ORBIT, inclination_deg=90.0))
    red = np.zeros(N_INTS)
    for k in range(1, N_INTS):
        red[k] = 0.9 * red[k - 1] + 2e-4 * rng.normal()
    relative = np.array([central({"depth": d, "u1": 0.1, "u2": 0.1}) for d in depths]).T
    flux = 1000 * (relative + red[:, None] + 2e-4 * rng.normal(size=relative.shape))
    found = fit_spectrum(replace(series, flux=flux), settings(regressors=()))
    assert found.white.curve.fit.value("inclination_deg") > 89
    assert found.white.curve.fit.planet.min() < 0.99
    true = depths.reshape(N_BINS, -1).mean(axis=1)
    off = found.depth - true
    assert off @ np.linalg.solve(found.covariance, off) < 22.5  # 0.1 % of chi2 with 6 degrees of freedom
    assert (found.depth_error < 2e-3).all()
    assert (found.depth_error > 5e-5).all()


def test_bins_with_the_same_noise_are_told_of(monkeypatch, caplog):
    monkeypatch.setattr("detectorist.modes.lrs.spectrum.result.LEAST_EIGENVALUE", 2.0)
    found = fit_spectrum(make_series()[0], settings())
    (concern,) = found.concerns
    assert "cannot be inverted" in concern
    assert concern in caplog.text
    assert f"concern: {concern}" in summarise_spectrum(found)
    assert spectrum_table(found).meta["concerns"] == [concern]


def test_depths_are_those_of_fixed_wavelengths():
    """The trace lies .05 pixels lower in transit, on a spectrum that rises steeply along the rows."""
    series, depths = make_series(noise=SIGMA / 4)
    rows = 400 - np.arange(60)  # wavelengths ascend, rows descend
    star = np.exp(rows / 40.0)
    inside = series.flux.mean(axis=1) < np.median(series.flux[:5])
    y = -0.05 * inside + 0.002 * np.random.default_rng(2).normal(size=N_INTS)
    relative = series.flux / series.flux.mean()
    flux = relative * star * (1 - y[:, None] / 40.0)  # light of row r is that of r - y
    error = star * series.flux_error / series.flux.mean()
    moved = replace(series, flux=flux, flux_error=error, detector_row=rows)
    wanted = np.average(depths, weights=star)
    pulls = {}
    for name, more in (("as it is", {}), ("known", {"y_shift_left": y})):
        found = fit_spectrum(replace(moved, series={**series.series, **more}), settings(bins=1, fit_orbit=()))
        (fitted,) = found.curves
        pulls[name] = (fitted.fit.value("depth") - wanted) / fitted.fit.error("depth")
    assert abs(pulls["known"]) < 3 < abs(pulls["as it is"])
