"""The light curve without a planet: levels, trends, the motion of the trace, settling of the detector."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre

from detectorist.errors import ParameterError


@dataclass(frozen=True)
class Baseline:
    """Columns whose weighted sum multiplies the flux of star and planet.

    Attributes
    ----------
    columns : ndarray of float, shape (n_ints, n_terms)
        Level and polynomial of every exposure (0 outside it), then the regressors, in their standard deviations.
    names : tuple of str
        One per column.
    since_start_d : ndarray of float, shape (n_ints, n_exposures)
        Days since the start of each exposure; infinite outside it.
    """

    columns: np.ndarray
    names: tuple[str, ...]
    since_start_d: np.ndarray

    def design(self, settling_d: float | None = None) -> np.ndarray:
        """Return all columns, including exp(-time / scale) for settling with a time scale in days."""
        if settling_d is None:
            return self.columns
        return np.column_stack([self.columns, np.exp(-self.since_start_d / max(settling_d, 1e-9))])

    def all_names(self, *, settling: bool) -> tuple[str, ...]:
        """Return the names of the columns of `design`."""
        n_exposures = self.since_start_d.shape[1] if settling else 0
        return self.names + tuple(f"settling {k + 1}" for k in range(n_exposures))


def make_baseline(
    time: np.ndarray,
    exposure: np.ndarray,
    *,
    order: int = 1,
    regressors: Mapping[str, np.ndarray] | None = None,
) -> Baseline:
    """Return the linear terms of a baseline.

    time : ndarray of float, shape (n_ints,)
        Days, ascending.
    exposure : ndarray of int, shape (n_ints,)
        Which exposure an integration belongs to; each has its own polynomial.
    order : int
        Of that polynomial, Legendre polynomials over the exposure: 0 is a level alone.
    regressors : mapping of str to ndarray of float, shape (n_ints,), optional
        Measured quantities that the flux may depend on linearly, the same in all exposures. Constant regressors and
        those with non-finite values are refused.

    Raises
    ------
    ParameterError
        When there are too few integrations for the order, or a regressor cannot be used.
    """
    if order < 0:
        raise ParameterError(f"baseline order is {order}; 0 or more is needed")
    columns, names, since = [], [], []
    for number in np.unique(exposure):
        inside = exposure == number
        if inside.sum() < order + 2:
            raise ParameterError(
                f"exposure {number} has {inside.sum()} integrations; a baseline of order {order} needs {order + 2}"
            )
        begin, span = time[inside].min(), max(float(np.ptp(time[inside])), 1e-9)
        since.append(np.where(inside, time - begin, np.inf))
        place = 2 * (time - begin) / span - 1
        terms = legendre.legvander(place, order)
        columns += [np.where(inside, term, 0.0) for term in terms.T]
        names += [f"exposure {number}, order {k}" for k in range(order + 1)]
    for name, values in (regressors or {}).items():
        columns.append(_standardised(name, np.asarray(values, float), time.size))
        names.append(name)
    return Baseline(np.column_stack(columns), tuple(names), np.column_stack(since))


def _standardised(name: str, values: np.ndarray, n_ints: int) -> np.ndarray:
    if values.shape != (n_ints,):
        raise ParameterError(f"regressor {name} has shape {values.shape}; ({n_ints},) is needed")
    if not np.isfinite(values).all():
        n_missing = int((~np.isfinite(values)).sum())
        raise ParameterError(f"regressor {name} has {n_missing} values that are not finite; leave it out")
    spread = values.std()
    if spread <= 1e-12 * max(abs(values).max(), 1e-300):
        raise ParameterError(f"regressor {name} is the same in all integrations; leave it out")
    return (values - values.mean()) / spread
