"""Components of scenes that do not depend on the instrument: a frozen set of parameters for each, with units."""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.simulate.core.detector import Nonlinearity

#: Correction polynomial of an ordinary detector in measured DN above the zero level: 1.3 % at 11,000, 6 % at 50,000.
CLASSIC_CURVE = (0.0, 1.0, 1.1e-6, 5.5e-12)


@dataclass(frozen=True)
class Jitter:
    """Pointing, one offset per integration: 1/f plus white, rms in pixels.

    The defaults are 0.5 mas, similar to that of time series in flight after averaging over an integration.
    """

    x_flicker_pix: float = 0.004
    x_white_pix: float = 0.001
    y_flicker_pix: float = 0.004
    y_white_pix: float = 0.001


@dataclass(frozen=True)
class PhotonNoise:
    """Poisson noise, accumulated from group to group in electrons."""


@dataclass(frozen=True)
class NonlinearityCurve:
    """The response of a pixel: a polynomial that converts measured to linear DN above the zero level."""

    coefficients: tuple[float, ...] = CLASSIC_CURVE

    def curve(self) -> Nonlinearity:
        """Return the response."""
        return Nonlinearity(self.coefficients)


@dataclass(frozen=True)
class CosmicRayHits:
    """Hits of the whole subarray per second, and their charge (assumed: 5 per cm2 and s, 25 micron pixels)."""

    hits_per_s: float = 1.0
    median_charge_e: float = 3_000.0
    spread_dex: float = 0.5
    neighbour_fraction: float = 0.1
