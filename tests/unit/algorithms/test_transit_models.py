"""Transit, eclipse and phase curve: against an integration over the star's disk that knows nothing of batman."""

import subprocess
import sys

import numpy as np
import pytest

from detectorist.algorithms.spectra.limb_darkening import from_unit_cube, require_law, to_unit_cube
from detectorist.algorithms.spectra.transit_models import Orbit, PlanetModel
from detectorist.errors import ParameterError

ORBIT = Orbit(period_d=2.0, mid_time=2459000.1, a_over_rs=7.0, inclination_deg=87.0)


def flux_of_disk(distance, radius, u, n=900):
    """Sum the light of a disk's pixels that a planet of `radius` at `distance` leaves free."""
    y, x = (np.mgrid[:n, :n] + 0.5) / n * 2 - 1
    r2 = x**2 + y**2
    mu = np.sqrt(np.clip(1 - r2, 0, None))
    light = np.where(r2 < 1, 1 - u[0] * (1 - mu) - u[1] * (1 - mu) ** 2, 0.0)
    hidden = (x - distance) ** 2 + y**2 < radius**2
    return 1 - light[hidden].sum() / light.sum()


@pytest.mark.parametrize("offset_d", [0.0, 0.02, 0.035, 0.045, 0.06])
def test_transit_hides_what_the_disk_says(offset_d):
    angle = 2 * np.pi * offset_d / ORBIT.period_d
    inclination = np.radians(ORBIT.inclination_deg)
    distance = ORBIT.a_over_rs * np.sqrt(np.sin(angle) ** 2 + (np.cos(inclination) * np.cos(angle)) ** 2)
    model = PlanetModel(np.array([ORBIT.mid_time + offset_d]), ORBIT)
    found = model({"depth": 0.015, "u1": 0.3, "u2": 0.2})[0]
    assert found == pytest.approx(flux_of_disk(distance, np.sqrt(0.015), (0.3, 0.2)), abs=4e-5)


def test_a_negative_depth_is_a_bump():
    model = PlanetModel(np.array([ORBIT.mid_time, ORBIT.mid_time + 0.5]), ORBIT, law="uniform")
    np.testing.assert_allclose(model({"depth": -0.01}) - 1, [0.01, 0], atol=1e-12)


def test_eclipse_and_phase_curve_agree_in_eclipse():
    half = 0.5 * ORBIT.period_d
    time = ORBIT.mid_time + np.array([0.0, 0.25 * ORBIT.period_d, half - 0.2, half, half + 0.2])
    eclipse = PlanetModel(time, ORBIT, event="eclipse", law="uniform")({"eclipse_depth": 0.004})
    np.testing.assert_allclose(eclipse - 1, [0.004, 0.004, 0.004, 0, 0.004], atol=1e-9)
    values = {"depth": 0.01, "eclipse_depth": 0.004, "cos1": 0.001, "sin1": 0.0005}
    whole = PlanetModel(time, ORBIT, event="phase_curve", law="uniform")(values)
    phase = 2 * np.pi * (time - ORBIT.mid_time - half) / ORBIT.period_d
    planet = 0.004 + 0.001 * (np.cos(phase) - 1) + 0.0005 * np.sin(phase)
    np.testing.assert_allclose(whole, 1 + planet * [1, 1, 1, 0, 1] - [0.01, 0, 0, 0, 0], atol=1e-9)


def test_an_integration_is_averaged():
    time = ORBIT.mid_time + np.linspace(-0.06, 0.06, 25)
    sharp, blurred = (PlanetModel(time, ORBIT, exposure_d=width)({"depth": 0.01}) for width in (0.0, 0.02))
    assert np.ptp(blurred - sharp) > 1e-4
    assert blurred.sum() == pytest.approx(sharp.sum(), abs=2e-3)


def test_the_event_nearest_to_the_data():
    assert ORBIT.centred_on(2459010.3).mid_time == pytest.approx(2459010.1)
    eclipse = ORBIT.centred_on(2459010.9, "eclipse")
    assert eclipse.mid_time + 0.5 * eclipse.period_d == pytest.approx(2459011.1)


def test_duration_of_a_central_transit():
    orbit = Orbit(10.0, 0.0, 20.0, 90.0)
    assert orbit.duration_d(0.01) == pytest.approx(10 / np.pi * np.arcsin(1.1 / 20))


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"period_d": -1.0}, "period_d is -1.0"),
        ({"a_over_rs": 0.5}, "the planet is outside its star"),
        ({"inclination_deg": 60.0}, "does not cross its star"),
        ({"eccentricity": 1.0}, "eccentricity is 1.0"),
        ({"mid_time": float("nan")}, "mid_time is nan"),
    ],
)
def test_impossible_orbits(changed, words):
    with pytest.raises(ParameterError, match=words):
        Orbit(**{**vars(ORBIT), **changed})


def test_unit_cube_holds_the_physical_coefficients_and_no_others():
    rng = np.random.default_rng(1)
    mu = np.linspace(0, 1, 51)
    for q in rng.random((200, 2)):
        u = from_unit_cube("quadratic", q)
        light = 1 - u[0] * (1 - mu) - u[1] * (1 - mu) ** 2
        assert (light > -1e-12).all()
        assert (np.diff(light) > -1e-12).all()  # nowhere brighter toward the limb
        np.testing.assert_allclose(to_unit_cube("quadratic", u), q, atol=1e-9)


@pytest.mark.parametrize(
    ("law", "coefficients", "words"),
    [
        ("cubic", None, "quadratic"),
        ("quadratic", (0.1,), "has 2 coefficients; 1 were given"),
        ("nonlinear", None, "give its coefficients"),
        ("linear", (float("nan"),), "finite numbers"),
    ],
)
def test_laws_that_cannot_be(law, coefficients, words):
    with pytest.raises(ParameterError, match=words):
        require_law(law, coefficients)


def test_batman_is_there_without_build_tools_and_still_detects_threads():
    code = (
        "import sys; from detectorist.algorithms.spectra.transit_models import _import_batman\n"
        "batman = _import_batman()\n"
        "assert not {'setuptools', 'distutils'} & sys.modules.keys()\n"
        "from batman import openmp; early = openmp.detect; late = sys.modules['batman.openmp']\n"
        "import detectorist.algorithms.spectra.transit_models as models\n"
        "models.import_module = lambda name: type('Found', (), {'detect': staticmethod(lambda: name)})\n"
        "assert early() == 'batman.openmp' and 'batman.openmp' not in sys.modules\n"
        "assert _import_batman.__globals__['sys'].modules['batman'] is batman\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
