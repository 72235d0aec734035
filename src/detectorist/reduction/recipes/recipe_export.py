"""Recipes as parameter files of stpipe (.asdf), for `strun`."""

from __future__ import annotations

import importlib
import tempfile
import tomllib
from pathlib import Path

from detectorist.errors import ParameterError
from detectorist.modes import PIPELINES
from detectorist.reduction.recipes.recipe_files import load_recipe, read_recipe_text
from detectorist.reduction.runner import build_pipeline


def recipe_as_asdf(mode: str, name: str) -> str:
    """Return a recipe, with all defaults, as the text of an stpipe parameter file.

    Raises
    ------
    ParameterError
        As `load_recipe`, or when the recipe names no pipeline of ours.
    """
    recipe = load_recipe(mode, name)
    kind = tomllib.loads(read_recipe_text(mode, name)).get("pipeline", "")
    if kind not in PIPELINES:
        raise ParameterError(f'recipe "{name}": pipeline is "{kind}"; one of {", ".join(PIPELINES)} is needed')
    pipeline = getattr(importlib.import_module(PIPELINES[kind]), kind)
    recipe.check(pipeline)
    built = build_pipeline(pipeline, None, steps=recipe.steps, **recipe.parameters)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recipe.asdf"
        built.export_config(path)
        return path.read_text()
