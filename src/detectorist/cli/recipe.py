"""`detectorist recipe`: the built-in recipes, to read and to adapt."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist.modes import mode_names

EXAMPLE = "\n\nExample: detectorist recipe"
FIRST = mode_names()[0]
MODE = f"Mode: {', '.join(mode_names())}."

app = typer.Typer(
    help=f"List and print the built-in recipes (parameter files).{EXAMPLE} list {FIRST}", no_args_is_help=True
)


@app.command("list", help=f"List the recipes of a mode, or of all.{EXAMPLE} list {FIRST}")
def list_recipes(
    mode: Annotated[str | None, typer.Argument(help=f"{MODE} Default: all.", show_default=False)] = None,
) -> None:
    """List the recipes of a mode, or of all."""
    from detectorist.reduction.recipes.recipe_files import builtin_recipes, load_recipe

    for one in [mode] if mode else mode_names():
        for name in builtin_recipes(one):
            typer.echo(f"{'' if mode else f'{one:9s}'}{name:14s} {load_recipe(one, name).title}")


@app.command(
    "show",
    help="Print a recipe with its comments; save it, edit it, and pass it to --recipe."
    f"{EXAMPLE} show {FIRST} > mine.toml",
)
def show(
    mode: Annotated[str, typer.Argument(help=MODE)],
    name: Annotated[
        str,
        typer.Argument(help="Name of a recipe; see `detectorist recipe list MODE`."),
    ] = "default",
    asdf: Annotated[
        bool, typer.Option("--asdf", help="Print it as an stpipe parameter file (ASDF), for strun and --recipe.")
    ] = False,
) -> None:
    """Print a recipe with its comments."""
    from detectorist.reduction.recipes.recipe_files import read_recipe_text

    if not asdf:
        typer.echo(read_recipe_text(mode, name), nl=False)
        return
    from detectorist.reduction.recipes.recipe_export import recipe_as_asdf

    typer.echo(recipe_as_asdf(mode, name), nl=False)
