"""`detectorist spectrum`: from spectra through time to a transit or eclipse spectrum."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from detectorist.errors import ParameterError
from detectorist.modes.lrs.spectrum import options
from detectorist.terminal.options import Quiet

if TYPE_CHECKING:
    from detectorist.modes.lrs.spectrum.settings import FitSettings, LimbDarkening


def spectrum(
    sources: options.Sources,
    period: options.Period,
    mid_time: options.MidTime,
    a_over_rs: options.AOverRs,
    inclination: options.Inclination = 90.0,
    eccentricity: options.Eccentricity = 0.0,
    omega: options.Omega = 90.0,
    event: options.Event = "transit",
    limb_darkening: options.LimbDarkening = "quadratic",
    coefficients: options.Coefficients = None,
    harmonics: options.Harmonics = 1,
    bins: options.Bins = "24",
    wavelengths: options.WavelengthRange = "5,12",
    fit: options.FittedOrbit = None,
    prior: options.Priors = None,
    order: options.BaselineOrder = 1,
    regressors: options.Regressors = "x_shift,y_shift",
    settling: options.Settling = False,
    noise: options.Noise = "red",
    sample: options.Sample = False,
    output_dir: options.OutputDir = None,
    overwrite: options.Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fit light curves in bins of wavelength: depths with errors, their correlations, residuals and an Allan plot.

    Example: detectorist spectrum out --period 0.8135 --mid-time 2459915.12 --a-over-rs 4.87 --inclination 82.1
    """
    from detectorist.algorithms.spectra.transit_models import Orbit
    from detectorist.modes.lrs.spectrum.settings import FitSettings

    settings = FitSettings(
        Orbit(period, mid_time, a_over_rs, inclination, eccentricity, omega),
        event=event,
        limb_darkening=_limb_darkening(limb_darkening, coefficients),
        fit_orbit=None if fit is None else tuple(name for name in _names(fit) if name != "none"),
        priors=dict(_prior(text) for text in prior or ()),
        bins=_bins(bins),
        range_um=_range(wavelengths),
        baseline_order=order,
        regressors=_names(regressors),
        settling=settling,
        n_harmonics=harmonics,
        noise=noise,
        sampler=sample,
    )
    _fit_and_write(sources, settings, output_dir, overwrite, quiet)


def _fit_and_write(
    sources: Sequence[Path], settings: FitSettings, folder: Path | None, overwrite: bool, quiet: bool
) -> None:
    from detectorist.modes.lrs.spectrum.files import require_free, write_spectrum, write_white_light
    from detectorist.modes.lrs.spectrum.fit import fit_spectrum, fit_white_light
    from detectorist.modes.lrs.spectrum.light_curve_file import is_light_curve, read_light_curve
    from detectorist.modes.lrs.spectrum.summary import summarise_spectrum, summarise_white
    from detectorist.terminal.lines import print_lines
    from detectorist.terminal.progress import progress_bar

    tables = [path for path in sources if is_light_curve(path)]
    if tables and len(sources) > 1:
        raise ParameterError(f"{tables[0]}: a light curve in a table is fitted alone; {len(sources)} inputs were given")
    first = sources[0]
    folder = folder or (first if first.is_dir() else first.parent) / "spectrum"
    require_free(folder, overwrite=overwrite)
    with progress_bar("fit", quiet=quiet) as progress:
        if tables:
            curve = read_light_curve(first)
            white = fit_white_light(
                curve.time,
                curve.flux,
                curve.error,
                settings,
                exposure=curve.exposure,
                source=str(first),
                progress=progress,
            )
            written, lines = write_white_light(white, folder, overwrite=overwrite), summarise_white(white)
        else:
            found = fit_spectrum(sources, settings, progress=progress)
            written, lines = write_spectrum(found, folder, overwrite=overwrite), summarise_spectrum(found)
    print_lines([*lines, f"written: {folder} ({', '.join(path.name for path in written)})"], quiet=quiet)


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _numbers(text: str, option: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ParameterError(f"{option} is {text!r}; numbers separated by commas are needed") from error


def _prior(text: str) -> tuple[str, tuple[float, float]]:
    name, equals, values = text.partition("=")
    numbers = _numbers(values, f"--prior {name}") if equals else []
    if len(numbers) != 2:
        raise ParameterError(f"--prior is {text!r}; NAME=MEAN,ERROR is needed")
    return name.strip(), (numbers[0], numbers[1])


def _bins(text: str) -> int | float | list[float]:
    if "," in text:
        return _numbers(text, "--bins")
    width = text.strip().removesuffix("um")
    try:
        return float(width) if width != text.strip() else int(text)
    except ValueError as error:
        raise ParameterError(
            f"--bins is {text!r}; a number (24), a width (0.5um) or edges (5,6,8) are needed"
        ) from error


def _range(text: str) -> tuple[float, float]:
    numbers = _numbers(text, "--range")
    if len(numbers) != 2 or not -math.inf < numbers[0] < numbers[1] < math.inf:
        raise ParameterError(f"--range is {text!r}; two ascending wavelengths in um are needed")
    return numbers[0], numbers[1]


def _limb_darkening(law: str, coefficients: str | None) -> LimbDarkening:
    from detectorist.modes.lrs.spectrum.settings import LimbDarkening, read_limb_darkening

    if coefficients is None:
        return LimbDarkening(law)
    if Path(coefficients).suffix in (".csv", ".ecsv"):
        return read_limb_darkening(law, coefficients)
    return LimbDarkening(law, _numbers(coefficients, "--coefficients"))
