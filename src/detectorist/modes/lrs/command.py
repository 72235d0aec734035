"""Options that only `detectorist run lrs` has."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectorist.modes.job import Wanted


def options(
    wavelength_map: Annotated[
        Path | None,
        typer.Option(help="FITS file with a WAVELENGTH extension, instead of the WCS.", rich_help_panel="What is done"),
    ] = None,
) -> Wanted:
    """Reduce MIRI LRS slitless time series from raw ramps to spectra through time.

    All segments of an exposure are reduced together. The products of a single exposure go to OUTPUT_DIR, those of
    several to folders of their own below it.

    Example: detectorist run lrs sim/*_uncal.fits -o out --references sim/crds
    """
    return Wanted(overrides=[f"wavelength_map={wavelength_map.resolve()}"] if wavelength_map else [])
