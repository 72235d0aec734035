"""The tree of commands. Every command imports what it needs when it runs, so that help stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist import __version__
from detectorist.cli import demo, export, inspect, recipe, report, run, simulate, status, verify
from detectorist.cli.help import OrderedGroup, flow_paragraphs, heading_of
from detectorist.cli.of_modes import commands_of_modes

app = typer.Typer(
    name="detectorist",
    help="Reduce raw JWST exposures: MIRI LRS time series, NIRCam images, coronagraphy (stage 1).\n\n"
    "Example: detectorist demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    cls=OrderedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
)
COMMANDS = {
    "run": run.app,
    "simulate": simulate.app,
    "demo": demo.demo,
    "recipe": recipe.app,
    "status": status.status,
    "retry": status.retry,
    "report": report.report,
    "inspect": inspect.inspect,
    "export": export.export,
    "verify": verify.verify,
    **commands_of_modes(),
}
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name, rich_help_panel=heading_of(name))
    else:
        app.command(name, rich_help_panel=heading_of(name))(command)
flow_paragraphs(app)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"detectorist {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    """Hold the options of the command itself."""
