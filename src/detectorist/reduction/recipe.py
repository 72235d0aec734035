"""Recipes: which steps run, with which parameters, as TOML that people can read and change.

A recipe's `[steps.X]` tables go verbatim to the steps, whose `spec` owns types and ranges; what is checked here is
only that every name exists, so that a typo costs a second and not a night.
"""

from __future__ import annotations

import copy
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from detectorist.errors import ParameterError
from detectorist.modes import load_mode
from detectorist.parameters import nearest, parse_value

#: The recipe that is taken where none is named: in every mode the best there is, for any exposure.
DEFAULT = "default"


@dataclass(frozen=True)
class Recipe:
    """Parameters of a pipeline and of its steps.

    Attributes
    ----------
    name : str
    title : str
    parameters : dict
        Of the pipeline itself.
    steps : dict
        {step: {parameter: value}}.
    """

    name: str
    title: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)

    def with_settings(self, settings: Iterable[str]) -> Recipe:
        """Return a recipe changed by "step.parameter=value" or "parameter=value" strings.

        Raises
        ------
        ParameterError
            When a setting is not of this form.
        """
        parameters, steps = copy.deepcopy(self.parameters), copy.deepcopy(self.steps)
        for setting in settings:
            target, equals, text = setting.partition("=")
            names = target.strip().removeprefix("steps.").split(".")
            if not equals or len(names) > 2 or not all(names):
                raise ParameterError(f'setting "{setting}": step.parameter=value or parameter=value is needed')
            table = parameters if len(names) == 1 else steps.setdefault(names[0], {})
            table[names[-1]] = _parse_setting(text)
        return Recipe(self.name, self.title, parameters, steps)

    def check(self, pipeline: Any) -> None:
        """Refuse names that the pipeline does not have.

        Raises
        ------
        ParameterError
            For an unknown step or parameter; the message suggests the nearest known one.
        """
        spec = pipeline.load_spec_file()
        own = [key for key in spec if key != "steps"]
        _require_known(self.parameters, own, f'recipe "{self.name}": no parameter')
        _require_known(self.steps, pipeline.step_defs, f'recipe "{self.name}": no step')
        for step, table in self.steps.items():
            _require_known(table, list(spec["steps"][step]), f'recipe "{self.name}", step {step}: no parameter')


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
    _require_known(table, ("pipeline", "title", "parameters", "steps"), f'recipe "{name}": no table or key')
    steps = table.get("steps", {})
    for step, parameters in steps.items():
        if not isinstance(parameters, dict):
            raise ParameterError(f'recipe "{name}": steps.{step} is {parameters!r}; a table of parameters is needed')
    return Recipe(name, table.get("title", ""), table.get("parameters", {}), steps)


def _require_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    known = list(known)
    for name in names:
        if name not in known:
            raise ParameterError(f'{what} "{name}"{nearest(name, known)}; known: {", ".join(known)}')


def _parse_setting(text: str) -> Any:
    """Read a value as TOML does (true, 1.5, [0, 1]) or, failing that, as a plain word."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return parse_value(text)
