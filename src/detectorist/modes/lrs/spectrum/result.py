"""A spectrum of depths and all that stands behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from detectorist.algorithms.spectra.binning import BinnedSpectra
from detectorist.algorithms.spectra.light_curve_fit import LightCurveFit
from detectorist.algorithms.spectra.red_noise import BinnedScatter, bin_scatter
from detectorist.algorithms.spectra.sampling import Posterior
from detectorist.modes.lrs.spectrum.settings import FitSettings


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

    def __repr__(self) -> str:
        """Show what matters in one line."""
        return (
            f"TransitSpectrum({self.settings.event}, {self.depth.size} bins {self.bins.low[0]:g}-"
            f"{self.bins.high[-1]:g} um, median error {1e6 * np.median(self.depth_error):.0f} ppm, {self.white!r})"
        )
