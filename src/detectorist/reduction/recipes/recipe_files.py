"""Where recipes are stored: in the package of their mode, or in a file of the user's."""

from __future__ import annotations

import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes import load_mode
from detectorist.parameters import nearest
from detectorist.reduction.recipes.recipe import Recipe, require_known

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
        When neither exists; the message suggests the nearest name.
    """
    known = builtin_recipes(mode)
    name = load_mode(mode).recipe_aliases.get(name, name)
    if name in known:
        return (_folder(mode) / f"{name}.toml").read_text()
    if Path(name).is_file():
        try:
            return Path(name).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise ParameterError(f"{name}: cannot be read as a recipe ({error})") from error
    raise ParameterError(
        f'no recipe "{name}"{nearest(name, known)}: {", ".join(known)} or the path of a TOML file is needed'
    )


def load_recipe(mode: str, name: str | Path | None = None) -> Recipe:
    """Return a recipe of a mode by its name, or from a TOML or stpipe .asdf file; None: the default one.

    Raises
    ------
    ParameterError
        When there is no such recipe or it is not valid TOML or ASDF.
    """
    if name is not None and not isinstance(name, str | Path):
        raise ParameterError(f"recipe is {name!r}: its name, or the path of a file, is needed")
    name = str(name or DEFAULT)
    if name.endswith(".asdf"):
        from detectorist.reduction.recipes.parameter_files import read_asdf

        return read_asdf(Path(name), load_mode(mode).pipeline.rpartition(":")[2])
    text = read_recipe_text(mode, name)
    try:
        table = tomllib.loads(text)
    except ValueError as error:  # tomllib's own error, and numbers of thousands of digits
        raise ParameterError(f"{name}: not valid TOML ({error})") from error
    require_known(table, ("pipeline", "title", "parameters", "steps"), f'recipe "{name}": no table or key')
    _require_pipeline(mode, name, table.get("pipeline"))
    title, parameters, steps = table.get("title", ""), table.get("parameters", {}), table.get("steps", {})
    if not isinstance(title, str):
        raise ParameterError(f'recipe "{name}": title is {title!r}; a text is needed')
    _require_tables(name, {"parameters": parameters, "steps": steps})
    _require_tables(name, {f"steps.{step}": found for step, found in steps.items()})
    return Recipe(name, title, parameters, steps)


def _require_tables(name: str, found: dict[str, Any]) -> None:
    for key, value in found.items():
        if not isinstance(value, dict):
            raise ParameterError(f'recipe "{name}": {key} is {value!r:.60}; a table of parameters is needed')


def _require_pipeline(mode: str, name: str, found: Any) -> None:
    """Refuse a recipe for another pipeline, where it says which one it is for."""
    wanted = load_mode(mode).pipeline.rpartition(":")[2]
    if found is not None and wanted and found != wanted:
        raise ParameterError(f'recipe "{name}": pipeline is {found!r}; one for {wanted} is needed')
