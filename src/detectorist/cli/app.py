"""The tree of commands. Every command imports what it needs when it runs, so that help stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist import __version__
from detectorist.cli import demo, inspect, recipe, report, run, simulate, status, steps, verify, wisps

app = typer.Typer(
    name="detectorist",
    help="From raw JWST exposures to science-ready products, where the standard pipeline leaves off.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(simulate.app, name="simulate")
app.add_typer(run.app, name="run")
app.add_typer(recipe.app, name="recipe")
app.add_typer(wisps.app, name="wisps")
app.command("demo")(demo.demo)
app.command("inspect")(inspect.inspect)
app.command("snowballs")(steps.snowballs)
app.command("destripe")(steps.destripe)
app.command("report")(report.report)
app.command("status")(status.status)
app.command("retry")(status.retry)
app.command("verify")(verify.verify)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"detectorist {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and leave."),
    ] = False,
) -> None:
    """Hold the options of the command itself."""
