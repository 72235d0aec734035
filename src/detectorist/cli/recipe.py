"""`detectorist recipe`: the built-in recipes, to read and to start from."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(help="Show the built-in recipes.", no_args_is_help=True)


@app.command("list")
def list_recipes(mode: Annotated[str, typer.Argument(help="Mode: lrs.")] = "lrs") -> None:
    """List the recipes of a mode.

    Example: detectorist recipe list lrs
    """
    from detectorist.pipelines.recipe import builtin_recipes, load_recipe

    for name in builtin_recipes(mode):
        typer.echo(f"{name:8s} {load_recipe(mode, name).title}")


@app.command("show")
def show(
    mode: Annotated[str, typer.Argument(help="Mode: lrs.")],
    name: Annotated[str, typer.Argument(help="Recipe of that mode.")] = "short",
) -> None:
    """Print a recipe with its comments; save it, change it, and give it to --recipe.

    Example: detectorist recipe show lrs best > mine.toml
    """
    from detectorist.pipelines.recipe import read_recipe_text

    typer.echo(read_recipe_text(mode, name), nl=False)
