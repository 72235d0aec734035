"""`detectorist inspect`: what is in a file, what was done to it, and how many pixels carry which flag."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def inspect(files: Annotated[list[Path], typer.Argument(help="JWST products of any kind.")]) -> None:
    """Print mode, size, steps that were run, our records and the flags of products.

    Example: detectorist inspect out/stage_1/*_rateints.fits
    """
    from rich.console import Console

    from detectorist.reduction.inspection import inspect_file

    console = Console()
    for path in files:
        console.print(inspect_file(path), markup=False, highlight=False, soft_wrap=True)
