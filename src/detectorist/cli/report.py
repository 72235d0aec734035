"""`detectorist report OUT`: one page on everything in an output folder."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from detectorist.errors import DetectoristError, OutputError
from detectorist.libraries.freed_memory import return_freed_memory
from detectorist.modes import load_mode
from detectorist.terminal.options import Quiet


def report(
    folder: Annotated[Path, typer.Argument(help="Output folder of a run, or a folder that contains several.")],
    compare: Annotated[
        Path | None, typer.Option(help="Another output folder: compare the two runs exposure by exposure.")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write report.html: the results, what needs attention, and figures of every exposure.

    The page needs no network. With more than 100 exposures its pictures are in a folder beside it.

    Example: detectorist report out
    """
    from detectorist.report.page import write_report
    from detectorist.terminal.progress import progress_bar

    with progress_bar("report", quiet=quiet) as progress:
        page = write_report(folder, other=compare, progress=progress)
    if not quiet:
        typer.echo(f"report: {page}")


def load_report(modes: Collection[str]) -> None:
    """Import what a report on exposures of these modes is made with; what cannot be imported says so in the report."""
    with suppress(Exception):
        import detectorist.report.page  # noqa: F401

        for mode in modes:
            load_mode(mode).section()


def report_after_run(folder: Path, *, quiet: bool = False, told: bool = False) -> bool:
    """Write the report at the end of a run; return whether it could not be stored, which changes the exit code.

    told : bool
        A full disk has been reported already.
    """
    return_freed_memory()  # by the last exposure: it would add to what drawing takes
    from detectorist.report.page import write_report

    try:
        page = write_report(folder)
    except Exception as error:
        no_room = isinstance(error, OutputError)
        if not (no_room and told):
            why = str(error) if isinstance(error, DetectoristError) else f"{type(error).__name__}: {error}"
            typer.echo(f"the report could not be written ({why}); try: detectorist report {folder}", err=True)
        return no_room
    if not quiet:
        typer.echo(f"report: {page}")
    return False
