"""`detectorist inspect`: contents of a file, steps that were run, and number of pixels with each flag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(files: Annotated[list[Path], typer.Argument(help="JWST products of any kind.")]) -> None:
    """Print the mode, size, steps already run, records of our steps and counts of DQ flags.

    Example: detectorist inspect out/stage_1/*_rateints.fits
    """
    from detectorist.reduction.inspection import inspect_file
    from detectorist.terminal.lines import print_lines

    print_lines(inspect_file(path) for path in files)
