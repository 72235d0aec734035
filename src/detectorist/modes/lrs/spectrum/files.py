"""A fitted spectrum as files: ECSV tables and figures, none of which replaces another unless asked to."""

from __future__ import annotations

import io
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Table

from detectorist import __version__
from detectorist.atomic_files import whole_set
from detectorist.errors import OutputError
from detectorist.figures import transit_spectrum as figures
from detectorist.figures.display import show_or_write
from detectorist.modes.lrs.spectrum.result import FittedCurve, TransitSpectrum, WhiteLight
from detectorist.reduction import products

#: What a spectrum is written as, below the folder it is given.
SPECTRUM, LIGHT_CURVES, WHITE, SCATTER = (
    "transit_spectrum.ecsv",
    "light_curves.ecsv",
    "white_light.ecsv",
    "residual_scatter.ecsv",
)


def write_spectrum(spectrum: TransitSpectrum, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write spectrum, light curves with residuals, scatter of binned residuals, and figures.

    Raises
    ------
    OutputError
        When a file exists and `overwrite` is False, or it cannot be written.
    """
    folder = Path(folder)
    tables = {
        SPECTRUM: spectrum_table(spectrum),
        WHITE: white_table(spectrum.white),
        LIGHT_CURVES: light_curve_table(spectrum),
        SCATTER: scatter_table({"white": spectrum.white.curve} | _named(spectrum)),
    }
    drawn = white_figures(spectrum.white) | spectrum_figures(spectrum)
    return _write(tables, drawn, folder, overwrite)


def write_white_light(white: WhiteLight, folder: str | Path, *, overwrite: bool = False) -> list[Path]:
    """Write the fit of a single light curve: as `write_spectrum`, without a spectrum."""
    tables = {WHITE: white_table(white), SCATTER: scatter_table({"white": white.curve})}
    return _write(tables, white_figures(white), Path(folder), overwrite)


def require_free(folder: Path, *, overwrite: bool) -> None:
    """Raise OutputError where a fit is written already, before the time for another is spent."""
    for name in (SPECTRUM, WHITE):
        if (folder / name).exists() and not overwrite:
            raise OutputError(
                f"{folder / name}: exists already; allow overwriting it (--overwrite), or choose another folder"
            )


def _write(tables: dict[str, Table], drawn: dict[str, Any], folder: Path, overwrite: bool) -> list[Path]:
    names = [*tables, *(f"{name}.png" for name in drawn)]
    existing = [name for name in names if (folder / name).exists()]
    if existing and not overwrite:
        raise OutputError(
            f"{folder / existing[0]}: exists already; allow overwriting it (--overwrite), or choose another folder"
        )
    with whole_set(folder) as partial:
        for name, table in tables.items():
            text = io.StringIO()
            table.write(text, format="ascii.ecsv")
            products.write_text(text.getvalue(), partial / name)
        for name, figure in drawn.items():
            show_or_write(figure, f"{name}.png", path=str(partial / f"{name}.png"))
    return [folder / name for name in names]


def spectrum_table(spectrum: TransitSpectrum) -> Table:
    """Return depths, errors and correlations: a row per bin of wavelength."""
    bins, curves = spectrum.bins, spectrum.curves
    table = Table(meta=_meta(spectrum.white, "depths in bins of wavelength"))
    table.meta["concerns"] = list(spectrum.concerns)
    table["wavelength"] = bins.centre * u.um
    table["wavelength_low"], table["wavelength_high"] = bins.low * u.um, bins.high * u.um
    table["depth"], table["depth_error"] = spectrum.depth, spectrum.depth_error
    table["depth_error_own"] = spectrum.depth_error_own
    if curves[0].posterior is not None:
        posteriors = [curve.posterior for curve in curves if curve.posterior is not None]
        name = spectrum.settings.depth_name
        table["depth_sampled"] = [one.median(name) for one in posteriors]
        below, above = np.transpose([one.interval(name) for one in posteriors])
        table["depth_sampled_below"], table["depth_sampled_above"] = below, above
    for name in _other_names(curves[0], spectrum.settings.depth_name):
        table[name] = [curve.fit.value(name) for curve in curves]
        table[f"{name}_error"] = [curve.fit.error(name) for curve in curves]
    table["noise_over_stated"] = [curve.fit.noise.scale for curve in curves]
    table["red_noise"] = [curve.fit.noise.red for curve in curves]
    table["red_time"] = [1440 * curve.fit.noise.time_scale_d for curve in curves] * u.min
    table["beta"] = [curve.beta for curve in curves]
    table["chi2"], table["n_free"] = [c.fit.chi2 for c in curves], [c.fit.n_free for c in curves]
    table["n_left_out"] = [curve.n_left_out for curve in curves]
    table["correlation"] = spectrum.correlation
    for name, text in _COLUMNS.items():
        if name in table.colnames:
            table[name].info.description = text
    return table


_COLUMNS = {
    "wavelength": "mean wavelength of the light of the bin",
    "depth": "squared ratio of radii, or planet over star in eclipse",
    "depth_error": "standard deviation: noise of the bin, red noise, and the orbit",
    "depth_error_own": "standard deviation if the orbit were known exactly",
    "depth_sampled": "median of the posterior, the orbit held",
    "depth_sampled_below": "from the 15.87 % quantile to the median",
    "depth_sampled_above": "from the median to the 84.13 % quantile",
    "noise_over_stated": "white noise over the stated errors",
    "red_noise": "standard deviation of red noise, relative flux",
    "red_time": "time over which red noise forgets, exp(-dt / time)",
    "beta": "scatter of residuals over that of white noise, in bins half as long as the event",
    "chi2": "of the residuals, with the stated errors",
    "n_left_out": "integrations that deviate and were left out",
    "correlation": "of this depth with that of every bin, in order",
}


def white_table(white: WhiteLight) -> Table:
    """Return the white light curve, its model and residuals: a row per integration."""
    table = _curve_table(white, "white light curve and its fit")
    fit = white.curve.fit
    table["flux"], table["flux_error"] = fit.problem.flux, fit.problem.error
    table["planet"], table["baseline"], table["residual"] = fit.planet, fit.baseline, fit.residuals
    table["used"] = fit.problem.usable
    table.meta["parameters"] = {
        name: {"value": fit.value(name), "error": fit.error(name)} for name in fit.problem.names
    }
    if white.curve.posterior is not None:
        posterior = white.curve.posterior
        table.meta["posterior"] = {
            name: {"median": posterior.median(name), "interval": list(posterior.interval(name))}
            for name in posterior.names
        }
    return table


def light_curve_table(spectrum: TransitSpectrum) -> Table:
    """Return the light curves of all bins, models and residuals: a row per integration, a column per bin in each."""
    table = _curve_table(spectrum.white, "light curves in bins of wavelength and their fits; bins in order")
    fits = [curve.fit for curve in spectrum.curves]
    table["flux"] = np.transpose([fit.problem.flux for fit in fits])
    table["flux_error"] = np.transpose([fit.problem.error for fit in fits])
    table["planet"] = np.transpose([fit.planet for fit in fits])
    table["baseline"] = np.transpose([fit.baseline for fit in fits])
    table["residual"] = np.transpose([fit.residuals for fit in fits])
    table["used"] = np.transpose([fit.problem.usable for fit in fits])
    table.meta["wavelength_um"] = [float(um) for um in spectrum.wavelength]
    return table


def _curve_table(white: WhiteLight, title: str) -> Table:
    problem = white.curve.fit.problem
    table = Table(meta=_meta(white, title))
    table["time"] = problem.time * u.d
    table["time"].info.description = f"{white.time_scale}, middle of the integration"
    table["exposure"] = problem.exposure
    return table


def scatter_table(curves: dict[str, FittedCurve]) -> Table:
    """Return the scatter of binned residuals (Allan plot): a row per light curve and size of bins."""
    rows = [
        (label, int(size), float(scatter), float(error), float(allan), float(white))
        for label, curve in curves.items()
        for size, scatter, error, allan, white in zip(
            curve.scatter.sizes,
            curve.scatter.scatter,
            curve.scatter.scatter_error,
            curve.scatter.allan,
            curve.scatter.white,
            strict=True,
        )
    ]
    names = ("light_curve", "n_per_bin", "scatter", "scatter_error", "allan_deviation", "white_noise")
    return Table(rows=rows, names=names, meta={"code": f"detectorist {__version__}", "title": "binned residuals"})


def white_figures(white: WhiteLight) -> dict[str, Any]:
    """Return the figures of a white light curve by name."""
    fit, problem = white.curve.fit, white.curve.fit.problem
    label = white.time_scale.replace("_", " ")
    return {
        "white_light": figures.draw_fit(
            problem.time,
            problem.flux,
            fit.baseline,
            fit.planet,
            problem.usable,
            exposure=problem.exposure,
            time_label=label,
        ),
        "allan": figures.draw_allan({"white light": white.curve.scatter}, _cadence_s(white)),
    }


def spectrum_figures(spectrum: TransitSpectrum) -> dict[str, Any]:
    """Return the figures of a spectrum by name."""
    bins, fits = spectrum.bins, [curve.fit for curve in spectrum.curves]
    scatters = {"white light": spectrum.white.curve.scatter}
    scatters |= {label: curve.scatter for label, curve in _named(spectrum).items()}
    return {
        "transit_spectrum": figures.draw_depths(
            bins.centre, 0.5 * (bins.high - bins.low), spectrum.depth, spectrum.depth_error
        ),
        "light_curves": figures.draw_curves(
            fits[0].problem.time,
            [fit.problem.flux / fit.baseline for fit in fits],
            [fit.planet for fit in fits],
            [f"{um:.2f} µm" for um in bins.centre],
        ),
        "allan": figures.draw_allan(scatters, _cadence_s(spectrum.white)),
        "correlation": figures.draw_correlation(spectrum.correlation, bins.centre),
    }


def _cadence_s(white: WhiteLight) -> float:
    return 86400 * float(np.median(np.diff(white.curve.fit.problem.time)))


def _named(spectrum: TransitSpectrum) -> dict[str, FittedCurve]:
    return {f"{um:.3f} um": curve for um, curve in zip(spectrum.wavelength, spectrum.curves, strict=True)}


def _other_names(curve: FittedCurve, depth_name: str) -> list[str]:
    return [unknown.name for unknown in curve.fit.problem.unknowns if unknown.name != depth_name]


def _meta(white: WhiteLight, title: str) -> dict[str, Any]:
    """Return what was fitted to what, and how: plain values, as ECSV holds them."""
    settings = asdict(white.settings)
    settings["bins"] = np.asarray(white.settings.bins).tolist()
    fit, names = white.curve.fit, ("mid_time", "a_over_rs", "inclination_deg")
    return {
        "title": title,
        "code": f"detectorist {__version__}",
        "event": white.settings.event,
        "white_light": {
            white.settings.depth_name: {"value": white.depth, "error": white.depth_error},
            **{name: {"value": fit.value(name), "error": fit.error(name)} for name in names},
            "red_noise": fit.noise.red,
            "red_time_min": 1440 * fit.noise.time_scale_d,
            "beta": white.curve.beta,
        },
        "settings": _plain(settings),
        "provenance": _plain(white.provenance),
    }


def _plain(value: Any) -> Any:
    """Return a value without types of numpy, which YAML does not know."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(one) for one in value]
    return value.item() if isinstance(value, np.generic) else value
