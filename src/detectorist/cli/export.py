"""`detectorist export`: products in the formats of other programs."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from detectorist.modes import load_mode, mode_names


def formats() -> dict[str, str]:
    """Return {format: "package.module:function"} of all modes."""
    return {name: target for mode in mode_names() for name, target in load_mode(mode).exports.items()}


def export(
    file_format: Annotated[str, typer.Argument(metavar="FORMAT", help=f"One of: {', '.join(formats())}.")],
    sources: Annotated[list[Path], typer.Argument(help="Folders of `detectorist run`, or products.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", help="File (or folder) to write; by default beside the product.", show_default=False
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
) -> None:
    """Write products in the format of another program.

    Example: detectorist export eureka out -o S3_wasp43b_SpecData.h5
    """
    from detectorist.errors import ParameterError
    from detectorist.parameters import nearest
    from detectorist.terminal.lines import print_lines

    known = formats()
    if file_format not in known:
        names = ", ".join(known)
        raise ParameterError(f'no format "{file_format}"{nearest(file_format, known)}: {names} are known')
    module, _, attribute = known[file_format].partition(":")
    written = getattr(import_module(module), attribute)(sources, file_format, output, overwrite=overwrite)
    print_lines(f"written: {path}" for path in written)
