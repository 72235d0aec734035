"""What the commands `detectorist simulate MODE` share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detectorist.terminal.options import size_option

Seed = Annotated[int, size_option("Random seed; the same seed gives identical files.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation in the same folder.")]


def write_observation(observation: Any, folder: Path, *, overwrite: bool, quiet: bool) -> list[Path]:
    """Write an observation with a progress bar, and return its raw files."""
    from detectorist.terminal.progress import progress_bar

    with progress_bar("simulating", quiet=quiet) as progress:
        return observation.write(folder, overwrite=overwrite, progress=progress)
