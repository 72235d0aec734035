"""A spectrum of depths and all that stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from detectorist.algorithms.spectra.binning import BinnedSpectra
from detectorist.algorithms.spectra.depth_covariance import least_eigenvalue
from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit
from detectorist.algorithms.spectra.red_noise import BinnedScatter, bin_scatter
from detectorist.algorithms.spectra.sampling import Posterior
from detectorist.modes.lrs.spectrum.settings import FitSettings

#: Of the correlation of depths: below it, its inverse is rounding.
LEAST_EIGENVALUE = 1e-10
#: Share of the integrations of a light curve that may deviate.
MOST_LEFT_OUT = 0.05


@dataclass(frozen=True)
class FittedCurve:
    """A light curve and its fit.

    Attributes
    ----------
    fit : LightCurveFit
    scatter : BinnedScatter
        Of the residuals of the integrations that counted.
    beta : float
        Scatter of bins as long as half of ingress to egress over that of white noise, at least 1.
    posterior : Posterior or None
        Where it was sampled.
    """

    fit: LightCurveFit
    scatter: BinnedScatter
    beta: float
    posterior: Posterior | None = None

    @classmethod
    def of(cls, fit: LightCurveFit, duration_d: float, posterior: Posterior | None = None) -> FittedCurve:
        """Return a fit with the scatter of its residuals.

        duration_d : float
            Of the event, days.
        """
        problem = fit.problem
        use = problem.usable
        scatter = bin_scatter(fit.residuals[use], problem.exposure[use])
        cadence = float(np.median(np.diff(problem.time)))
        return cls(fit, scatter, scatter.beta(0.5 * duration_d / cadence), posterior)

    @property
    def n_left_out(self) -> int:
        """Integrations that deviate and did not count."""
        return int((~self.fit.problem.usable).sum())


@dataclass(frozen=True)
class WhiteLight:
    """The fit of a single light curve.

    Attributes
    ----------
    settings : FitSettings
    curve : FittedCurve
    time_scale : str
        "BJD_TDB", or "JD_UTC" where barycentric times are unknown.
    provenance : dict
        From the input file.
    """

    settings: FitSettings
    curve: FittedCurve
    time_scale: str
    provenance: dict[str, Any]

    @property
    def depth(self) -> float:
        """Depth of the event."""
        return self.curve.fit.value(self.settings.depth_name)

    @property
    def depth_error(self) -> float:
        """Its standard deviation, red noise included."""
        return self.curve.fit.error(self.settings.depth_name)

    def __repr__(self) -> str:
        """Show the depth."""
        return f"WhiteLight({self.settings.depth_name} {1e6 * self.depth:.0f} +- {1e6 * self.depth_error:.0f} ppm)"


@dataclass(frozen=True, repr=False)
class TransitSpectrum:
    """Depths in bins of wavelength.

    Attributes
    ----------
    white : WhiteLight
    bins : BinnedSpectra
    curves : sequence of FittedCurve
        One per bin.
    covariance : ndarray of float, shape (n_bins, n_bins)
        Of the depths: their own noise, noise that bins share, and the orbit.
    """

    white: WhiteLight
    bins: BinnedSpectra
    curves: Sequence[FittedCurve]
    covariance: np.ndarray

    @property
    def settings(self) -> FitSettings:
        """The choices of the fit."""
        return self.white.settings

    @property
    def wavelength(self) -> np.ndarray:
        """Mean wavelength of the light of each bin, micron, shape (n_bins,)."""
        return self.bins.centre

    @cached_property
    def depth(self) -> np.ndarray:
        """Depth of the event in each bin, shape (n_bins,)."""
        return np.array([curve.fit.value(self.settings.depth_name) for curve in self.curves])

    @property
    def depth_error(self) -> np.ndarray:
        """Standard deviation of each depth, shape (n_bins,)."""
        return np.sqrt(np.diag(self.covariance))

    @cached_property
    def depth_error_own(self) -> np.ndarray:
        """Standard deviation of each depth if the orbit were known exactly, shape (n_bins,)."""
        return np.array([curve.fit.error(self.settings.depth_name) for curve in self.curves])

    @property
    def correlation(self) -> np.ndarray:
        """Correlation of the depths, shape (n_bins, n_bins)."""
        return self.covariance / np.outer(self.depth_error, self.depth_error)

    @cached_property
    def concerns(self) -> tuple[str, ...]:
        """What makes the spectrum or its errors doubtful, a sentence each."""
        found = []
        if (least := least_eigenvalue(self.covariance)) < LEAST_EIGENVALUE:
            found.append(
                f"the covariance of {self.depth.size} depths cannot be inverted (least eigenvalue of the correlation "
                f"{least:.1g}): some bins have the same noise; use fewer bins, or the errors without their correlation"
            )
        curves = {"white light": self.white.curve, **dict(zip(self._names_of_bins(), self.curves, strict=True))}
        for name, curve in curves.items():
            n_ints = curve.fit.problem.usable.size
            if curve.n_left_out > MOST_LEFT_OUT * n_ints:
                found.append(f"{name}: {curve.n_left_out} of {n_ints} integrations deviate and were left out")
        return tuple(found)

    def _names_of_bins(self) -> list[str]:
        return [f"{low:g} to {high:g} um" for low, high in zip(self.bins.low, self.bins.high, strict=True)]

    def __repr__(self) -> str:
        """Show what matters in one line."""
        return (
            f"TransitSpectrum({self.settings.event}, {self.depth.size} bins {self.bins.low[0]:g}-"
            f"{self.bins.high[-1]:g} um, median error {1e6 * np.median(self.depth_error):.0f} ppm, {self.white!r})"
        )
