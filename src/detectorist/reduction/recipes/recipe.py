"""Recipes: which steps run, with which parameters, as readable TOML.

A recipe's `[steps.X]` tables are passed verbatim to the steps, whose `spec` defines types and ranges; here it is only
checked that every name exists, so that a typo is found at once and not after hours.
"""

from __future__ import annotations

import copy
import math
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from detectorist.errors import ParameterError
from detectorist.parameters import nearest, parse_value, require_cores


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
    given : dict
        {"step.parameter" or "parameter": the name to call it by} of what settings gave, for messages: what a user has
        set is not to be sought in the recipe.
    """

    name: str
    title: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    steps: dict[str, dict[str, Any]] = field(default_factory=dict)
    given: dict[str, str] = field(default_factory=dict)

    def with_settings(self, settings: Iterable[str], *, stage: str = "") -> Recipe:
        """Return a recipe changed by "step.parameter=value" or "parameter=value" strings.

        stage : str
            What the names of the settings began with, for messages: "stage3".

        Raises
        ------
        ParameterError
            When a setting is not of this form.
        """
        parameters, steps, given = copy.deepcopy(self.parameters), copy.deepcopy(self.steps), dict(self.given)
        for setting in settings:
            target, equals, text = setting.partition("=")
            names = target.strip().removeprefix("steps.").split(".")
            if not equals or len(names) > 2 or not all(names):
                raise ParameterError(f'setting "{setting}": step.parameter=value or parameter=value is needed')
            table = parameters if len(names) == 1 else steps.setdefault(names[0], {})
            table[names[-1]] = _parse_setting(text)
            given[".".join(names)] = ".".join([stage, *names] if stage else names)
        return Recipe(self.name, self.title, parameters, steps, given)

    def with_parameters(self, **values: Any) -> Recipe:
        """Return a recipe with parameters of the pipeline itself changed; None leaves one unchanged."""
        known = {name: value for name, value in values.items() if value is not None}
        return replace(self, parameters={**self.parameters, **known})

    def check(self, pipeline: Any) -> None:
        """Refuse names that the pipeline does not have.

        Raises
        ------
        ParameterError
            For an unknown step or parameter; the message suggests the nearest known one. For `output_dir` of a step.
        """
        spec = pipeline.load_spec_file()
        own = [key for key in spec if key != "steps"]
        self._check_table("", self.parameters, own, spec)
        for step, table in self.steps.items():
            first = self._said(step, next(iter(table), ""))  # whoever names a step names a parameter of it
            require_known([step], pipeline.step_defs, f"{first}: no step")
            self._check_table(step, table, list(spec["steps"][step]), spec["steps"][step])

    def _check_table(self, step: str, table: dict[str, Any], known: list[str], spec: Mapping[str, Any]) -> None:
        for parameter, value in table.items():
            said = self._said(step, parameter)
            require_known([parameter], known, f"{said}: no parameter")
            _require_no_place(said, parameter, value)
            _require_value(said, parameter, value, str(spec.get(parameter, "")))

    def _said(self, step: str, parameter: str) -> str:
        """Return where a value comes from: the setting that gave it, or the recipe."""
        path = f"{step}.{parameter}" if step else parameter
        if path in self.given:
            return f"setting {self.given[path]}"
        return f'recipe "{self.name}", step {step}' if step else f'recipe "{self.name}"'


def _require_no_place(said: str, parameter: str, value: Any) -> None:
    """Refuse to send products elsewhere: whatever a run writes lies in its output folder."""
    if parameter in ("output_dir", "output_file") and value not in (None, ""):
        raise ParameterError(
            f"{said}: {parameter} is {value}; products go to the output folder of the run (--output-dir), "
            "whatever step makes them",
            parameter=parameter,
        )


def _require_value(said: str, parameter: str, value: Any, takes: str) -> None:
    """Refuse what no parameter can be: a table, NaN and infinity, which pass every test of a range; unknown cores.

    takes : str
        What stpipe takes, "float(default=1.0)". A word is a number where one is taken: "Infinity".
    """
    if isinstance(value, dict):
        raise ParameterError(f"{said}: {parameter} is a table; a value is needed", parameter=parameter)
    if parameter == "maximum_cores":
        require_cores(value)
    for one in value if isinstance(value, list) else [value]:
        if _is_endless(one, also_words=takes.lstrip().startswith("float")):
            raise ParameterError(f"{said}: {parameter} is {one}; a finite number is needed", parameter=parameter)


def _is_endless(value: Any, *, also_words: bool) -> bool:
    """Return whether a value is NaN or infinite."""
    if isinstance(value, str) and also_words:
        try:
            value = float(value)
        except ValueError:
            return False  # stpipe says what is wrong with it
    return isinstance(value, float) and not math.isfinite(value)


def require_known(names: Iterable[str], known: Iterable[str], what: str) -> None:
    """Refuse names that are not known; raises ParameterError, which suggests the nearest."""
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
    except ValueError as error:  # a number of thousands of digits
        raise ParameterError(f'"{text:.40}...": {error}') from error
