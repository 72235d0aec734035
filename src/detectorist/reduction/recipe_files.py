"""Recipes where they are kept: in the wing of their mode, or in a file of the user's."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes import load_mode
from detectorist.parameters import nearest
from detectorist.reduction.recipe import Recipe, require_known

#: The recipe that is taken where none is named: in every mode the best there is, for any exposure.
DEFAULT = "default"


def builtin_recipes(mode: str) -> list[str]:
    """Return the names of the recipes of a mode, as `--recipe` takes them; the default first."""
    folder = _folder(mode)
    if not folder.is_dir():
        return []
    names = sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))
    return sorted(names, key=lambda name: name != DEFAULT)


def _folder(mode: str) -> Any:
    return resources.files(type(load_mode(mode)).__module__.rpartition(".")[0]) / "recipes"


def read_recipe_text(mode: str, name: str) -> str:
    """Return a recipe as text, with its comments: one of the built-in ones, or a file.

    Raises
    ------
    ParameterError
        When there is neither; the message suggests the nearest name.
    """
    known = builtin_recipes(mode)
    name = load_mode(mode).recipe_aliases.get(name, name)
    if name in known:
        return (_folder(mode) / f"{name}.toml").read_text()
    if Path(name).is_file():
        return Path(name).read_text()
    raise ParameterError(
        f'no recipe "{name}"{nearest(name, known)}: {", ".join(known)} or the path of a TOML file is needed'
    )


def load_recipe(mode: str, name: str | None = None) -> Recipe:
    """Return a recipe of a mode by its name, or from a TOML or stpipe .asdf file; None: the default one.

    Raises
    ------
    ParameterError
        When there is no such recipe or it is not valid TOML or ASDF.
    """
    name = name or DEFAULT
    if name.endswith(".asdf"):
        from detectorist.reduction.parameter_files import read_asdf

        return read_asdf(Path(name))
    try:
        table = tomllib.loads(read_recipe_text(mode, name))
    except tomllib.TOMLDecodeError as error:
        raise ParameterError(f"{name}: not valid TOML ({error})") from error
    require_known(table, ("pipeline", "title", "parameters", "steps"), f'recipe "{name}": no table or key')
    steps = table.get("steps", {})
    for step, parameters in steps.items():
        if not isinstance(parameters, dict):
            raise ParameterError(f'recipe "{name}": steps.{step} is {parameters!r}; a table of parameters is needed')
    return Recipe(name, table.get("title", ""), table.get("parameters", {}), steps)
