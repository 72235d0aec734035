"""`detectorist spectrum`: what its options become, without a fit."""

import pytest
from typer.testing import CliRunner

from detectorist.cli.app import app
from detectorist.errors import NoSuchFile, ParameterError
from detectorist.modes.lrs.spectrum import command
from detectorist.modes.lrs.spectrum.summary import with_error

ORBIT = ("--period", "0.8135", "--mid-time", "2459915.12", "--a-over-rs", "4.87")


@pytest.fixture
def asked(monkeypatch):
    """Return a function that runs the command with options, and returns the settings of the fit."""
    calls = []
    monkeypatch.setattr(command, "_fit_and_write", lambda *of: calls.append(of))

    def run(*words):
        calls.clear()
        result = CliRunner().invoke(app, ["spectrum", "out", *ORBIT, *words])
        if result.exception:
            raise result.exception
        ((_, settings, *_),) = calls
        return settings

    return run


def test_without_options(asked):
    settings = asked()
    assert (settings.orbit.period_d, settings.orbit.a_over_rs, settings.orbit.inclination_deg) == (0.8135, 4.87, 90.0)
    assert (settings.bins, settings.range_um, settings.noise, settings.event) == (24, (5.0, 12.0), "red", "transit")
    assert settings.fit_orbit is None
    assert settings.priors == {}
    assert settings.regressors == ("x_shift", "y_shift")
    assert settings.limb_darkening.fitted


@pytest.mark.parametrize(
    ("text", "bins"),
    [("24", 24), (" 7 ", 7), ("0.5um", 0.5), ("2 um", 2.0), ("5,6,8.5", [5.0, 6.0, 8.5])],
)
def test_bins_as_number_width_or_edges(asked, text, bins):
    got = asked("--bins", text).bins
    assert got == bins
    assert type(got) is type(bins)


@pytest.mark.parametrize(
    ("text", "names"),
    [("none", ()), ("mid_time", ("mid_time",)), (" mid_time , a_over_rs,", ("mid_time", "a_over_rs"))],
)
def test_what_white_light_determines(asked, text, names):
    assert asked("--fit", text).fit_orbit == names


def test_priors(asked):
    priors = asked("--prior", "depth=0.02,1e-3", "--prior", " inclination = 82.1, 0.2").priors
    assert priors == {"depth": (0.02, 0.001), "inclination": (82.1, 0.2)}


def test_no_regressors(asked):
    assert asked("--regressors", "").regressors == ()


def test_coefficients_from_numbers_or_a_table(asked, tmp_path):
    assert asked("--coefficients", "0.1,0.2").limb_darkening.at(7.0) == {"u1": 0.1, "u2": 0.2}
    table = tmp_path / "ld.csv"
    table.write_text("wavelength,u1,u2\n5,0.1,0.2\n10,0.3,0.0\n")
    assert asked("--coefficients", str(table)).limb_darkening.at(7.5) == pytest.approx({"u1": 0.2, "u2": 0.1})
    with pytest.raises(NoSuchFile, match="gone.csv: no such file"):
        asked("--coefficients", str(tmp_path / "gone.csv"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--bins", "wide"), "--bins is 'wide'; a number"),
        (("--bins", "2.5"), r"--bins is '2.5'; a number \(24\), a width \(0.5um\) or edges"),
        (("--bins", "um"), "--bins is 'um'"),
        (("--bins", "5,six"), "--bins is '5,six'; numbers separated by commas are needed"),
        (("--range", "12,5"), "--range is '12,5'; two ascending wavelengths in um are needed"),
        (("--range", "5"), "--range is '5'; two ascending"),
        (("--range", "5,7,9"), "--range is '5,7,9'; two ascending"),
        (("--range", "nan,9"), "--range is 'nan,9'; two ascending"),
        (("--range", "5,inf"), "--range is '5,inf'; two ascending"),
        (("--prior", "depth"), "--prior is 'depth'; NAME=MEAN,ERROR is needed"),
        (("--prior", "depth=1"), "--prior is 'depth=1'; NAME=MEAN,ERROR is needed"),
        (("--prior", "depth=a,b"), "--prior depth is 'a,b'; numbers"),
        (("--prior", "depth=1,0"), "prior of depth is"),
        (("--fit", "period"), "fit_orbit names 'period'"),
        (("--coefficients", "0.1;0.2"), "--coefficients is '0.1;0.2'; numbers"),
        (("--coefficients", "0.1"), "2"),
    ],
)
def test_what_makes_no_sense_is_named_with_what_is_needed(asked, words, message):
    with pytest.raises(ParameterError, match=message):
        asked(*words)


def test_a_light_curve_in_a_table_is_fitted_alone(tmp_path):
    table = tmp_path / "curve.csv"
    table.write_text("time,flux,error\n1,1,1\n")
    error = CliRunner().invoke(app, ["spectrum", str(table), str(tmp_path), *ORBIT]).exception
    assert isinstance(error, ParameterError)
    assert "curve.csv: a light curve in a table is fitted alone; 2 inputs were given" in str(error)


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (2459915.1213456, 1.94e-5, "2459915.121346 +- 0.000019"),
        (4.84385, 0.0141, "4.844 +- 0.014"),
        (82.0358, 12.3, "82 +- 12"),
        (90.0, 0.0, "90"),
        (2459915.25, float("nan"), "2459915.25"),
    ],
)
def test_numbers_have_the_decimals_of_their_errors(value, error, text):
    assert with_error(value, error) == text
