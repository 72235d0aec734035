"""`detectorist recipe`: the built-in recipes, to read and to start from."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Show the built-in recipes.", no_args_is_help=True)


@app.command("list")
def list_recipes(mode: Annotated[str, typer.Argument(help="Mode: lrs or imaging.")] = "lrs") -> None:
    """List the recipes of a mode.

    Example: detectorist recipe list lrs
    """
    from detectorist.reduction.recipe import builtin_recipes, load_recipe

    for name in builtin_recipes(mode):
        typer.echo(f"{name:8s} {load_recipe(mode, name).title}")


@app.command("show")
def show(
    mode: Annotated[str, typer.Argument(help="Mode: lrs or imaging.")],
    name: Annotated[
        str | None,
        typer.Argument(help="Recipe of that mode. Default: short for lrs, else default.", show_default=False),
    ] = None,
    asdf: Annotated[
        bool, typer.Option("--asdf", help="Print it as a parameter file of stpipe, for strun and --recipe.")
    ] = False,
) -> None:
    """Print a recipe with its comments; save it, change it, and give it to --recipe.

    Example: detectorist recipe show lrs best > mine.toml
    """
    from detectorist.reduction.recipe import read_recipe_text

    name = name or ("short" if mode == "lrs" else "default")
    if not asdf:
        typer.echo(read_recipe_text(mode, name), nl=False)
        return
    from detectorist.reduction.parameter_files import recipe_as_asdf

    typer.echo(recipe_as_asdf(mode, name), nl=False)
