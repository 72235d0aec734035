"""Parameter files of stpipe (.asdf) as recipes, and recipes as parameter files."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import asdf

from detectorist.errors import ParameterError
from detectorist.modes import PIPELINES
from detectorist.reduction.recipes.recipe import Recipe

log = logging.getLogger(__name__)

#: Parameters of a run, not of a recipe, and those that files of older releases have.
_OF_A_RUN = (
    "pre_hooks",
    "post_hooks",
    "output_file",
    "output_dir",
    "output_ext",
    "output_use_model",
    "output_use_index",
    "save_results",
    "suffix",
    "search_output_file",
    "input_dir",
    "logcfg",
)


def read_asdf(path: Path, wanted: str = "") -> Recipe:
    """Return an stpipe parameter file, of our pipeline or a standard one, as a recipe.

    Names and parameters of steps are used; output paths are not. Parameters that the pipeline does not have, such as
    those of other releases, are removed by `known_to`.

    wanted : str
        Class of the pipeline that the recipe is for; files of another mode's pipeline are refused.

    Raises
    ------
    ParameterError
        When the file is not a parameter file, or one of another mode.
    """
    try:
        with asdf.open(path) as opened:
            tree = dict(opened.tree)
            steps = {step["name"]: _of_recipe(step.get("parameters", {})) for step in tree.get("steps", [])}
            parameters = _of_recipe(tree["parameters"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{path}: not readable as a parameter file of stpipe ({error})") from error
    found = str(tree.get("class", "")).rpartition(".")[2]
    if wanted and found != wanted and found in PIPELINES:
        raise ParameterError(f"{path}: pipeline is {found!r}; one for {wanted} is needed")
    return Recipe(str(path), f"parameters of {path.name}", parameters, steps)


def _of_recipe(parameters: Any) -> dict[str, Any]:
    return {
        str(key): list(value) if isinstance(value, list | tuple) else value
        for key, value in dict(parameters).items()
        if key not in _OF_A_RUN and value is not None
    }


def known_to(recipe: Recipe, pipeline: type) -> Recipe:
    """Return the recipe without steps and parameters that the pipeline does not have; each is named in a warning."""
    spec = pipeline.load_spec_file()  # type: ignore[attr-defined]
    own = {key: value for key, value in recipe.parameters.items() if key in spec}
    steps, lost = {}, [key for key in recipe.parameters if key not in spec]
    for step, table in recipe.steps.items():
        known = spec["steps"].get(step, {})
        steps[step] = {key: value for key, value in table.items() if key in known}
        lost += [f"{step}.{key}" for key in table if key not in known]
    if lost:
        log.warning("%s: unknown parameters ignored: %s", recipe.name, ", ".join(lost))
    return replace(recipe, parameters=own, steps={name: table for name, table in steps.items() if table})
