"""A fit in a few lines of text."""

from __future__ import annotations

import numpy as np

from detectorist.modes.lrs.spectrum.result import TransitSpectrum, WhiteLight


def summarise_white(white: WhiteLight) -> list[str]:
    """Return what a white light curve says."""
    fit, settings = white.curve.fit, white.settings
    lines = [
        f"white light: {settings.depth_name} {1e6 * white.depth:.0f} +- {1e6 * white.depth_error:.0f} ppm, "
        f"chi2 {fit.chi2 / fit.n_free:.3f} per degree of freedom, {white.curve.n_left_out} integrations left out"
    ]
    fitted = [f"{name} {with_error(fit.value(name), fit.error(name))}" for name in settings.orbital]
    if fitted:
        lines.append("orbit: " + ", ".join(fitted))
    if fit.noise.red > 0:
        lines.append(
            f"red noise: {1e6 * fit.noise.red:.0f} ppm over {1440 * fit.noise.time_scale_d:.2g} min; "
            f"beta {white.curve.beta:.2f}"
        )
    if settings.event == "phase_curve":
        lines.append(
            f"eclipse depth {1e6 * fit.value('eclipse_depth'):.0f} +- {1e6 * fit.error('eclipse_depth'):.0f} ppm"
        )
    return lines


def with_error(value: float, error: float) -> str:
    """Return a number with as many decimals as its error has with two digits: a time in days needs seven or more."""
    if not (np.isfinite(error) and error > 0):
        return f"{value:.10g}"
    decimals = max(0, 1 - int(np.floor(np.log10(error))))
    return f"{value:.{decimals}f} +- {error:.{decimals}f}"


def summarise_spectrum(spectrum: TransitSpectrum) -> list[str]:
    """Return what a spectrum says."""
    other = spectrum.correlation[~np.eye(spectrum.depth.size, dtype=bool)]
    lines = summarise_white(spectrum.white)
    low, high = spectrum.bins.low[0], spectrum.bins.high[-1]
    error = 1e6 * float(np.median(spectrum.depth_error))
    lines.append(f"spectrum: {spectrum.depth.size} bins from {low:g} to {high:g} um, median error {error:.0f} ppm")
    if other.size:
        lines.append(f"correlation between bins: {other.mean():.2f} on average")
    return [*lines, *(f"concern: {sentence}" for sentence in spectrum.concerns)]
