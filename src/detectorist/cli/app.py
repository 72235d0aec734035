"""The tree of commands. Every command imports what it needs when it runs, so that help stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist import __version__
from detectorist.cli import demo, export, inspect, recipe, report, run, simulate, status, verify
from detectorist.cli.of_modes import commands_of_modes

app = typer.Typer(
    name="detectorist",
    help="Reduce raw JWST exposures: MIRI LRS time series, NIRCam images, coronagraphy (stage 1).\n\n"
    "Example: detectorist demo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(simulate.app, name="simulate")
app.add_typer(run.app, name="run")
app.add_typer(recipe.app, name="recipe")
app.command("demo")(demo.demo)
app.command("export")(export.export)
app.command("inspect")(inspect.inspect)
app.command("report")(report.report)
app.command("status")(status.status)
app.command("retry")(status.retry)
app.command("verify")(verify.verify)
for name, command in commands_of_modes().items():
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


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
