"""The equation of a light curve: baseline times star and planet, with known and unknown parameters, and derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from detectorist.algorithms.spectra.baselines import Baseline
from detectorist.algorithms.spectra.limb_darkening import from_unit_cube, to_unit_cube
from detectorist.algorithms.spectra.transit_models import PlanetModel


@dataclass(frozen=True)
class Unknown:
    """A parameter to be fitted.

    Attributes
    ----------
    name : str
        A parameter of PlanetModel, or `settling_d`, the time scale of settling in days.
    start, low, high : float
        Start value and bounds of the fit.
    step : float
        For numerical derivatives: changes the flux by far more than the model is exact to, 1 ppm.
    prior : (mean, standard deviation), optional
        From earlier knowledge.
    mirror : float, optional
        The flux is even about this value, the upper bound, as about an inclination of 90 degrees. It has no slope
        there, but is linear in the squared distance.
    lever : float, optional
        The derivative by an unknown with a mirror is that by the squared distance, times this. Twice the distance gives
        the plain derivative, which vanishes at the mirror; with the error added, a step of one error changes the flux
        by the right amount there.
    """

    name: str
    start: float
    low: float
    high: float
    step: float
    prior: tuple[float, float] | None = None
    mirror: float | None = None
    lever: float | None = None

    def ends(self, value: float) -> tuple[float, float]:
        """Return the values (above, below) between which the derivative is taken."""
        above = value + self.step
        return above if self.mirror is None else min(above, self.mirror), value - self.step

    def difference(self, above: float, below: float) -> float:
        """Return the divisor of the flux's difference between two values."""
        if self.mirror is None or self.lever is None:
            return above - below
        return ((self.mirror - below) ** 2 - (self.mirror - above) ** 2) / self.lever

    def moved(self, value: float, change: float) -> float:
        """Return a value changed by a step in which the flux is linear; it never passes the mirror."""
        if self.mirror is None or self.lever is None:
            return value + change
        return self.mirror - float(np.sqrt(max((self.mirror - value) ** 2 - self.lever * change, 0.0)))


@dataclass(frozen=True)
class LightCurveProblem:
    """Flux = (baseline columns @ coefficients) * planet_model(values).

    Attributes
    ----------
    time, flux, error : ndarray of float, shape (n_ints,)
        Days, relative flux (1 in the median) and its stated standard deviation.
    exposure : ndarray of int, shape (n_ints,)
    planet_model : PlanetModel
        On the same times.
    baseline : Baseline
    unknowns : sequence of Unknown
        Limb darkening, if unknown, last: u1, u2.
    known : mapping of str to float
        The values that are held fixed.
    used : ndarray of bool, shape (n_ints,)
        True for integrations that are used.
    """

    time: np.ndarray
    flux: np.ndarray
    error: np.ndarray
    exposure: np.ndarray
    planet_model: PlanetModel
    baseline: Baseline
    unknowns: Sequence[Unknown]
    known: Mapping[str, float] = field(default_factory=dict)
    used: np.ndarray | None = None

    @property
    def usable(self) -> np.ndarray:
        """True for integrations that are used, shape (n_ints,)."""
        return np.ones(self.time.size, bool) if self.used is None else self.used

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the unknowns, then of the coefficients of the baseline."""
        planet = tuple(unknown.name for unknown in self.unknowns)
        return planet + self.baseline.all_names(settling="settling_d" in {*planet, *self.known})

    # --- unknowns as the search sees them: limb darkening in the unit cube, where every place is physical

    @property
    def n_limb_darkening(self) -> int:
        """How many of the unknowns are coefficients of limb darkening; they are the last."""
        return sum(unknown.name in self.planet_model.limb_darkening_names for unknown in self.unknowns)

    def place_of(self, values: np.ndarray) -> np.ndarray:
        """Return unknowns in the coordinates of the search."""
        n_plain = len(values) - self.n_limb_darkening
        return np.concatenate([values[:n_plain], to_unit_cube(self.planet_model.law, values[n_plain:])])

    def values_at(self, place: np.ndarray) -> np.ndarray:
        """Return unknowns from coordinates of the search: the inverse of `place_of`."""
        n_plain = len(place) - self.n_limb_darkening
        return np.concatenate([place[:n_plain], from_unit_cube(self.planet_model.law, place[n_plain:])])

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the bounds of the search."""
        n_plain = len(self.unknowns) - self.n_limb_darkening
        low = [unknown.low for unknown in self.unknowns[:n_plain]] + [0.0] * self.n_limb_darkening
        high = [unknown.high for unknown in self.unknowns[:n_plain]] + [1.0] * self.n_limb_darkening
        return np.array(low), np.array(high)

    def within_bounds(self, values: np.ndarray) -> np.ndarray:
        """Return unknowns clipped to their bounds."""
        return self.values_at(np.clip(self.place_of(values), *self.bounds()))

    def moved(self, values: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Return unknowns changed by a step of the linear problem."""
        steps = zip(self.unknowns, values, change, strict=True)
        return np.array([unknown.moved(value, step) for unknown, value, step in steps], float)

    def with_unknown(self, k: int, unknown: Unknown) -> LightCurveProblem:
        """Return the problem with another k-th unknown."""
        return replace(self, unknowns=[*self.unknowns[:k], unknown, *self.unknowns[k + 1 :]])

    # --- the model

    def parts(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return (flux of star and planet (n_ints,), columns of the baseline (n_ints, n_terms))."""
        named = dict(self.known)
        named.update(zip((unknown.name for unknown in self.unknowns), values, strict=True))
        return self.planet_model(named), self.baseline.design(named.get("settling_d"))

    def linear(self, values: np.ndarray) -> np.ndarray:
        """Return the columns that multiply the coefficients of the baseline, shape (n_ints, n_terms)."""
        planet, columns = self.parts(values)
        return columns * planet[:, None]

    def derivatives(self, values: np.ndarray, coefficients: np.ndarray, *, in_cube: bool = False) -> np.ndarray:
        """Return the derivatives of the flux by unknowns, then coefficients, shape (n_ints, n_unknowns + n_terms).

        in_cube : bool
            Derivatives by limb darkening in the coordinates of the search.
        """
        columns = []
        place = self.place_of(values) if in_cube else np.array(values, float)
        n_plain = len(values) - self.n_limb_darkening
        for k, unknown in enumerate(self.unknowns):
            up, down = place.copy(), place.copy()
            up[k], down[k] = unknown.ends(place[k])
            if in_cube and k >= n_plain:
                up[k], down[k] = min(up[k], 1.0), max(down[k], 0.0)
            ends = [self.values_at(p) if in_cube else p for p in (up, down)]
            high, low = (self.linear(end) @ coefficients for end in ends)
            width = up[k] - down[k] if in_cube else unknown.difference(up[k], down[k])
            columns.append((high - low) / width)
        return np.column_stack([*columns, self.linear(values)])

    def derivative_of_known(self, unknown: Unknown, values: np.ndarray, coefficients: np.ndarray) -> np.ndarray:
        """Return the derivative of the flux by a value that is held fixed, shape (n_ints,)."""
        up, down = unknown.ends(self.known[unknown.name])
        high, low = (
            replace(self, known={**self.known, unknown.name: end}).linear(values) @ coefficients for end in (up, down)
        )
        return (high - low) / unknown.difference(up, down)
