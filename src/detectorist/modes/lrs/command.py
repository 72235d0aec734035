"""Options that only `detectorist run lrs` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectorist.modes.job import Wanted
from detectorist.parameters import require_path


def options(
    wavelength_map: Annotated[
        Path | None,
        typer.Option(
            help="FITS file with a WAVELENGTH extension, used instead of the WCS.", rich_help_panel="Processing"
        ),
    ] = None,
) -> Wanted:
    """Reduce MIRI LRS slitless time series: raw ramps to time-resolved spectra.

    Give all segments of an exposure: they are reduced together. Products of a single exposure go to OUTPUT_DIR; with
    several exposures each gets a subfolder.

    Example: detectorist run lrs sim/*_uncal.fits -o out --references sim/crds
    """
    if wavelength_map:
        require_path(str(wavelength_map), name="--wavelength-map")
    return Wanted(overrides=[f"wavelength_map={wavelength_map.resolve()}"] if wavelength_map else [])
