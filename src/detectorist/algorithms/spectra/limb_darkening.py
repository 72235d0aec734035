"""Laws of limb darkening: their names, numbers of coefficients, and the range of physical coefficients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detectorist.errors import ParameterError

#: Coefficients of each law, under the names that batman gives them.
N_COEFFICIENTS = {
    "uniform": 0,
    "linear": 1,
    "quadratic": 2,
    "squareroot": 2,
    "logarithmic": 2,
    "exponential": 2,
    "power2": 2,
    "nonlinear": 4,
}
#: Laws whose coefficients can be fitted: those with a mapping of the unit cube onto all physical coefficients.
CAN_BE_FITTED = ("linear", "quadratic")


def require_law(law: str, coefficients: Sequence[float] | None) -> None:
    """Check a law and its coefficients.

    coefficients : sequence of float or None
        None when they are to be fitted.

    Raises
    ------
    ParameterError
        When the law is unknown, has another number of coefficients, or cannot be fitted.
    """
    if law not in N_COEFFICIENTS:
        raise ParameterError(f"limb darkening law is {law!r}; {', '.join(N_COEFFICIENTS)} are known")
    if coefficients is None:
        if law not in CAN_BE_FITTED and N_COEFFICIENTS[law]:
            known = " and ".join(CAN_BE_FITTED)
            raise ParameterError(f"limb darkening law {law}: give its coefficients; only {known} can be fitted")
        return
    if len(coefficients) != N_COEFFICIENTS[law]:
        raise ParameterError(
            f"limb darkening law {law} has {N_COEFFICIENTS[law]} coefficients; {len(coefficients)} were given"
        )
    if not np.isfinite(coefficients).all():
        raise ParameterError(f"limb darkening coefficients are {list(coefficients)}; finite numbers are needed")


def from_unit_cube(law: str, q: Sequence[float]) -> list[float]:
    """Return the coefficients at a place `q` of the unit cube; uniform there is uniform over physical coefficients.

    For the quadratic law u1 = 2 sqrt(q1) q2 and u2 = sqrt(q1) (1 - 2 q2): Kipping (2013), MNRAS 435, 2152,
    equations 15 and 16.
    """
    if law == "quadratic" and len(q):
        root = np.sqrt(max(q[0], 0.0))
        return [float(2 * root * q[1]), float(root * (1 - 2 * q[1]))]
    return [float(value) for value in q]


def to_unit_cube(law: str, u: Sequence[float]) -> list[float]:
    """Return the place in the unit cube of coefficients `u`, clipped to it: the inverse of `from_unit_cube`."""
    if law == "quadratic" and len(u):
        total = u[0] + u[1]
        q = [total**2, 0.5 * u[0] / total if total > 0 else 0.5]
    else:
        q = list(u)
    return [float(np.clip(value, 0.0, 1.0)) for value in q]
