"""What to fit, and what is known of the planet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from astropy.table import Table

from detectorist.algorithms.spectra.light_curves import USEFUL_UM
from detectorist.algorithms.spectra.limb_darkening import N_COEFFICIENTS, require_law
from detectorist.algorithms.spectra.red_noise import KINDS
from detectorist.algorithms.spectra.transit_models import EVENTS, ORBITAL, Orbit
from detectorist.errors import InputError, NoSuchFile, ParameterError


@dataclass(frozen=True)
class LimbDarkening:
    """A law of limb darkening and its coefficients.

    Attributes
    ----------
    law : str
        As batman names it: uniform, linear, quadratic, squareroot, logarithmic, exponential, power2, nonlinear.
    coefficients : sequence of float, or of shape (n_wavelengths, n_coefficients), optional
        Held at these values; fitted when not given (linear and quadratic law).
    wavelength : sequence of float, shape (n_wavelengths,), optional
        Micron, ascending, for coefficients that vary with wavelength: they are interpolated.
    """

    law: str = "quadratic"
    coefficients: Sequence[float] | Sequence[Sequence[float]] | None = None
    wavelength: Sequence[float] | None = None

    def __post_init__(self):
        """Check law and coefficients."""
        if self.wavelength is None:
            require_law(self.law, self.coefficients)  # type: ignore[arg-type]
            return
        table = np.asarray(self.coefficients, float)
        if table.ndim != 2 or table.shape[0] != len(self.wavelength):
            raise ParameterError(
                f"limb darkening: {len(self.wavelength)} wavelengths and coefficients of shape {table.shape} were given"
            )
        if len(self.wavelength) < 2 or not (np.diff(self.wavelength) > 0).all():
            raise ParameterError("limb darkening: two or more ascending wavelengths are needed")
        for row in table:
            require_law(self.law, list(row))

    @property
    def fitted(self) -> bool:
        """Whether the coefficients are fitted."""
        return self.coefficients is None and N_COEFFICIENTS[self.law] > 0

    def at(self, um: float) -> dict[str, float]:
        """Return the coefficients at a wavelength, {"u1": ...}; {} when they are fitted."""
        if self.coefficients is None:
            return {}
        if self.wavelength is None:
            values = np.asarray(self.coefficients, float)
        else:
            table = np.asarray(self.coefficients, float)
            values = np.array([np.interp(um, self.wavelength, column) for column in table.T])
        return {f"u{k + 1}": float(value) for k, value in enumerate(values)}


@dataclass(frozen=True)
class FitSettings:
    """All choices of a fit.

    Attributes
    ----------
    orbit : Orbit
        `mid_time` is that of any transit, BJD_TDB; values below 1e6 count as BJD - 2400000.5.
    event : {"transit", "eclipse", "phase_curve"}
    limb_darkening : LimbDarkening
    fit_orbit : tuple of str, optional
        Which of mid_time, a_over_rs and inclination_deg the white light curve determines; the bins hold them. By
        default all three for a transit or phase curve, mid_time for an eclipse.
    priors : mapping of str to (mean, standard deviation)
        Of anything fitted to the white light curve.
    bins : int, float or sequence of float
        Number of bins, their width in micron, or their edges.
    range_um : (float, float)
        Where bins lie, unless their edges are given.
    baseline_order : int
        Polynomial in time of every exposure.
    regressors : tuple of str
        Variables of the file that the flux depends on linearly: x_shift, y_shift, psf_sigma.
    settling : bool
        An exponential from the start of every exposure, with one time scale.
    n_harmonics : int
        Of a phase curve: 1 or 2.
    noise : {"red", "white", "stated"}
    clip_sigma : float
        Integrations that deviate by more are left out; 0 for none.
    average_exposure : bool
        Average the model over the duration of an integration, for those that are long.
    sampler : bool
        Sample the posterior with dynesty, beside least squares.
    n_live, seed : int
        Of the sampler.
    least_sigma : float
        A depth of less than this many standard deviations in white light is an error: there is nothing to fit.

    Raises
    ------
    ParameterError
        For values that make no sense.
    """

    orbit: Orbit
    event: str = "transit"
    limb_darkening: LimbDarkening = LimbDarkening()
    fit_orbit: tuple[str, ...] | None = None
    priors: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bins: int | float | Sequence[float] = 24
    range_um: tuple[float, float] = USEFUL_UM
    baseline_order: int = 1
    regressors: tuple[str, ...] = ("x_shift", "y_shift")
    settling: bool = False
    n_harmonics: int = 1
    noise: str = "red"
    clip_sigma: float = 5.0
    average_exposure: bool = False
    sampler: bool = False
    n_live: int = 300
    seed: int = 1
    least_sigma: float = 5.0

    def __post_init__(self):
        """Check all choices."""
        _require(self.event in EVENTS, f"event is {self.event!r}; {', '.join(EVENTS)} are known")
        _require(self.noise in KINDS, f"noise is {self.noise!r}; {', '.join(KINDS)} are known")
        _require(self.n_harmonics in (1, 2), f"n_harmonics is {self.n_harmonics}; 1 or 2 are possible")
        _require(0 <= self.baseline_order <= 6, f"baseline_order is {self.baseline_order}; 0 to 6 are possible")
        _require(self.n_live >= 20, f"n_live is {self.n_live}; 20 or more live points are needed")
        for name in self.fit_orbit or ():
            _require(name in ORBITAL, f"fit_orbit names {name!r}; {', '.join(ORBITAL)} can be fitted")
        for name, prior in self.priors.items():
            good = bool(len(prior) == 2 and np.isfinite(prior).all() and prior[1] > 0)
            _require(good, f"prior of {name} is {prior}; a mean and a positive standard deviation are needed")

    @property
    def orbital(self) -> tuple[str, ...]:
        """Names of the orbit's parameters that white light determines."""
        if self.fit_orbit is not None:
            return self.fit_orbit
        return ("mid_time",) if self.event == "eclipse" else ORBITAL

    @property
    def depth_name(self) -> str:
        """Name of the parameter that the spectrum is made of."""
        return "eclipse_depth" if self.event == "eclipse" else "depth"


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ParameterError(message)


def read_limb_darkening(law: str, path: str | Path) -> LimbDarkening:
    """Read coefficients that vary with wavelength from a .csv or .ecsv with columns wavelength (um), u1, u2, ...

    Raises
    ------
    InputError
        When there is no such file, or a column is missing.
    """
    path = Path(path)
    if not path.is_file():
        raise NoSuchFile(f"{path}: no such file")
    try:
        table = Table.read(path, format="ascii.ecsv" if path.suffix == ".ecsv" else "ascii.csv")
    except Exception as error:  # astropy raises whatever a broken table leads to
        raise InputError(f"{path}: not readable as a table ({str(error).splitlines()[0]})") from error
    require_law(law, [0.0] * N_COEFFICIENTS.get(law, 0))
    wanted = ["wavelength", *(f"u{k + 1}" for k in range(N_COEFFICIENTS[law]))]
    missing = [name for name in wanted if name not in table.colnames]
    if missing:
        raise InputError(f"{path}: columns are {', '.join(table.colnames)}; {', '.join(missing)} needed")
    columns = [np.asarray(table[name], float) for name in wanted]
    return LimbDarkening(law, np.transpose(columns[1:]).tolist(), columns[0].tolist())
