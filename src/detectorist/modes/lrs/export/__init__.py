"""Time-resolved spectra in the formats of other programs, one file per format."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from detectorist.errors import InputError, OutputError, ParameterError
from detectorist.modes.lrs.time_series import TimeSeries, read_time_series
from detectorist.parameters import nearest

#: Formats: name -> module of this package. Each has SUFFIX, the ending of its file ("" for a folder), and `write`.
FORMATS = {
    "eureka": "eureka",
    "rainbow": "rainbow",
    "specutils": "spectrum_fits",
    "light-curves": "light_curves",
    "exotic": "exotic",
}


def export_spectra(
    sources: str | Path | Sequence[str | Path] | TimeSeries,
    file_format: str,
    target: str | Path | None = None,
    *,
    overwrite: bool = False,
    **options: Any,
) -> list[Path]:
    """Write time-resolved spectra in the format of another program.

    sources : path, sequence of paths, or TimeSeries
        Files or folders of `detectorist run lrs`; several exposures are joined in time.
    file_format : str
        One of FORMATS.
    target : path, optional
        File, or folder for light-curves; by default named after the target, in the folder of the spectra.
    overwrite : bool
        Replace existing files.
    options
        `bins`, `range_um` for light-curves: as `bin_edges` takes them.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    ParameterError
        When the format is unknown.
    InputError
        When the spectra cannot be read, or lack data that the format needs.
    OutputError
        When the target exists, or cannot be written.
    """
    if file_format not in FORMATS:
        raise ParameterError(
            f'no format "{file_format}"{nearest(file_format, FORMATS)}: {", ".join(FORMATS)} are known'
        )
    module = import_module(f"{__name__}.{FORMATS[file_format]}")
    series = sources if isinstance(sources, TimeSeries) else read_time_series(sources)
    path = Path(target) if target is not None else _beside(series, module.SUFFIX)
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists already; allow overwriting it (--overwrite), or choose another name")
    write: Callable[..., list[Path]] = module.write
    return write(series, path, **options)


def _beside(series: TimeSeries, suffix: str) -> Path:
    if not series.source:
        raise ParameterError("these spectra come from no file: name the file to write")
    first = Path(series.source.split(", ")[0])
    name = str(series.attributes.get("target", "") or first.stem)
    return first.parent / ("".join(c if c.isalnum() or c in "-+." else "_" for c in name) + suffix)


def mjd(series: TimeSeries) -> Any:
    """Return mid-times as BJD_TDB - 2400000.5, shape (n_ints,).

    Raises
    ------
    InputError
        When only times at the observatory are known.
    """
    from detectorist.modes.lrs.time_series import MJD_ZERO

    if series.attributes.get("time_scale", "BJD_TDB") != "BJD_TDB":
        raise InputError(f"{series.source}: barycentric times are needed, and unknown; is time_bjd_tdb all NaN?")
    return series.time_bjd_tdb - MJD_ZERO
