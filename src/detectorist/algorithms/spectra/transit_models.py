"""Relative flux of a star and its planet through time: transit, eclipse and phase curve, by batman."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib import import_module
from types import ModuleType
from typing import Any

import numpy as np

from detectorist.algorithms.spectra.limb_darkening import N_COEFFICIENTS
from detectorist.errors import ParameterError

#: What may be seen of the planet.
EVENTS = ("transit", "eclipse", "phase_curve")
#: Module of batman that needs the build tools.
_OPENMP = "batman.openmp"
#: Parameters of the orbit that can be fitted.
ORBITAL = ("mid_time", "a_over_rs", "inclination_deg")


@dataclass(frozen=True)
class Orbit:
    """The orbit of a planet.

    Attributes
    ----------
    period_d : float
        Days.
    mid_time : float
        Of a transit, on the same scale as the times of the data, days.
    a_over_rs : float
        Semi-major axis over the radius of the star.
    inclination_deg, eccentricity, omega_deg : float
        Degrees; omega is the longitude of periastron.

    Raises
    ------
    ParameterError
        When a value is impossible, or the orbit has no transit.
    """

    period_d: float
    mid_time: float
    a_over_rs: float
    inclination_deg: float = 90.0
    eccentricity: float = 0.0
    omega_deg: float = 90.0

    def __post_init__(self):
        """Refuse impossible orbits."""
        for name, value in vars(self).items():
            if not np.isfinite(value):
                raise ParameterError(f"{name} is {value}; a finite number is needed")
        if self.period_d <= 0:
            raise ParameterError(f"period_d is {self.period_d}; a positive number of days is needed")
        if self.a_over_rs <= 1:
            raise ParameterError(
                f"a_over_rs is {self.a_over_rs}; more than 1 is needed, the planet is outside its star"
            )
        if not 0 <= self.eccentricity < 1:
            raise ParameterError(f"eccentricity is {self.eccentricity}; 0 to less than 1 is needed")
        if not 0 < self.inclination_deg <= 180:
            raise ParameterError(f"inclination_deg is {self.inclination_deg}; 0 to 180 is needed")
        if self.impact_parameter >= 1.5:
            raise ParameterError(
                f"a_over_rs {self.a_over_rs} and inclination_deg {self.inclination_deg} give an impact parameter of "
                f"{self.impact_parameter:.2f}: the planet does not cross its star"
            )

    @property
    def impact_parameter(self) -> float:
        """Distance of the planet from the centre of the star at mid-transit, radii of the star."""
        shape = (1 - self.eccentricity**2) / (1 + self.eccentricity * np.sin(np.radians(self.omega_deg)))
        return float(abs(self.a_over_rs * np.cos(np.radians(self.inclination_deg)) * shape))

    def centred_on(self, time: float, event: str = "transit") -> Orbit:
        """Return the same orbit with the mid-time of the transit whose event (or its eclipse) is nearest to `time`."""
        phase = 0.5 if event == "eclipse" else 0.0
        n_orbits = round((time - self.mid_time) / self.period_d - phase)
        return replace(self, mid_time=self.mid_time + n_orbits * self.period_d)

    def duration_d(self, depth: float) -> float:
        """Return the time from first to last contact in days: Winn (2010), arXiv:1001.2010, equations 14 and 16."""
        chord = np.sqrt(max((1 + np.sqrt(depth)) ** 2 - self.impact_parameter**2, 0.01))
        angle = np.arcsin(min(chord / (self.a_over_rs * np.sin(np.radians(self.inclination_deg))), 1.0))
        speed = np.sqrt(1 - self.eccentricity**2) / (1 + self.eccentricity * np.sin(np.radians(self.omega_deg)))
        return float(self.period_d / np.pi * angle * speed)


class PlanetModel:
    """The relative flux at fixed times as a function of named parameters.

    Parameters
    ----------
    time : ndarray of float, shape (n_ints,)
        Days, mid-times.
    orbit : Orbit
        Values of the orbit that are not among the parameters of a call.
    event : {"transit", "eclipse", "phase_curve"}
    law : str
        Of limb darkening.
    n_harmonics : int
        Of the phase curve: 1 or 2.
    exposure_d : float
        Duration of an integration, over which the flux is averaged; 0 for the flux at mid-time.

    Notes
    -----
    With S the star's share, E 1 out of eclipse and 0 in it, and phi the orbital phase from mid-eclipse (radian):
    transit: S. Eclipse: 1 + eclipse_depth E. Phase curve: S + E (eclipse_depth + sum_k cos_k (cos k phi - 1) +
    sin_k sin k phi), so that eclipse_depth is the planet's flux at mid-eclipse for any phase curve.
    """

    def __init__(
        self,
        time: np.ndarray,
        orbit: Orbit,
        *,
        event: str = "transit",
        law: str = "quadratic",
        n_harmonics: int = 1,
        exposure_d: float = 0.0,
    ):
        batman = _import_batman()
        if event not in EVENTS:
            raise ParameterError(f"event is {event!r}; {', '.join(EVENTS)} are known")
        self.event, self.orbit, self.law, self.n_harmonics = event, orbit, law, n_harmonics
        self._time = np.ascontiguousarray(time, float)
        self._parameters = parameters = batman.TransitParams()
        parameters.per, parameters.ecc, parameters.w = orbit.period_d, orbit.eccentricity, orbit.omega_deg
        parameters.t0, parameters.a, parameters.inc = orbit.mid_time, orbit.a_over_rs, orbit.inclination_deg
        parameters.limb_dark, parameters.u, parameters.rp = law, [0.1] * N_COEFFICIENTS[law], 0.1
        parameters.fp, parameters.t_secondary = 1.0, orbit.mid_time + 0.5 * orbit.period_d
        smear = {"supersample_factor": 7, "exp_time": exposure_d} if exposure_d > 0 else {}
        self._transit = batman.TransitModel(parameters, self._time, **smear)
        self._eclipse = None
        if event != "transit":
            self._eclipse = batman.TransitModel(parameters, self._time, transittype="secondary", **smear)

    @property
    def limb_darkening_names(self) -> tuple[str, ...]:
        """Names of the coefficients: u1, u2, ..."""
        return tuple(f"u{k + 1}" for k in range(N_COEFFICIENTS[self.law]))

    @property
    def phase_names(self) -> tuple[str, ...]:
        """Names of the amplitudes of the phase curve; () where there is none."""
        if self.event != "phase_curve":
            return ()
        return tuple(f"{kind}{k}" for k in range(1, self.n_harmonics + 1) for kind in ("cos", "sin"))

    @property
    def depth_name(self) -> str:
        """Name of the parameter that a spectrum consists of."""
        return "eclipse_depth" if self.event == "eclipse" else "depth"

    def __call__(self, values: Mapping[str, float]) -> np.ndarray:
        """Return the relative flux, shape (n_ints,).

        values : mapping of str to float
            `depth`, squared ratio of radii; `eclipse_depth`, flux of the planet over that of the star; `u1`, ...; and
            any of the orbit's and the phase curve's. What is missing is the orbit's, or 0.
        """
        parameters = self._parameters
        parameters.t0 = values.get("mid_time", self.orbit.mid_time)
        parameters.a = values.get("a_over_rs", self.orbit.a_over_rs)
        parameters.inc = values.get("inclination_deg", self.orbit.inclination_deg)
        parameters.rp = float(np.sqrt(abs(values.get("depth", 0.01))))
        parameters.u = [values.get(name, 0.0) for name in self.limb_darkening_names]
        if self.event == "eclipse":
            return 1 + values["eclipse_depth"] * self._visible()
        flux = self._transit.light_curve(parameters)
        sign = np.sign(values.get("depth", 0.01))  # a negative depth is a bump: noise may ask for one
        flux = 1 + sign * (flux - 1)
        return flux if self.event == "transit" else flux + self._visible() * self._planet(values)

    def _visible(self) -> np.ndarray:
        """Return the share of the planet that is not behind the star."""
        parameters, eclipse = self._parameters, self._eclipse
        assert eclipse is not None
        parameters.fp = 1.0
        if parameters.ecc > 0:
            parameters.t_secondary = eclipse.get_t_secondary(parameters)
        else:
            parameters.t_secondary = parameters.t0 + 0.5 * parameters.per
        return eclipse.light_curve(parameters) - 1

    def _planet(self, values: Mapping[str, float]) -> np.ndarray:
        phase = 2 * np.pi * (self._time - self._parameters.t_secondary) / self._parameters.per
        flux = np.full(self._time.size, values.get("eclipse_depth", 0.0))
        for k in range(1, self.n_harmonics + 1):
            flux += values.get(f"cos{k}", 0.0) * (np.cos(k * phase) - 1) + values.get(f"sin{k}", 0.0) * np.sin(
                k * phase
            )
        return flux


def _import_batman() -> Any:
    """Return batman without the build tools, which it imports for a tenth of a second to ask a compiler about OpenMP.

    It asks only where several threads are wanted, and gets its answer then.
    """
    if not {"batman", _OPENMP} & sys.modules.keys():
        sys.modules[_OPENMP] = ModuleType(_OPENMP)
        sys.modules[_OPENMP].detect = _detect_openmp  # type: ignore[attr-defined]
    return import_module("batman")


def _detect_openmp() -> bool:
    """Return what batman's own module finds."""
    sys.modules.pop(_OPENMP, None)
    return import_module(_OPENMP).detect()
