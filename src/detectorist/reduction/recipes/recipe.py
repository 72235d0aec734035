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
        require_known(self.parameters, own, f'recipe "{self.name}": no parameter')
        require_known(self.steps, pipeline.step_defs, f'recipe "{self.name}": no step')
        for table in (self.parameters, *self.steps.values()):
            _require_no_place(self.name, table)
        for step, table in self.steps.items():
            require_known(table, list(spec["steps"][step]), f'recipe "{self.name}", step {step}: no parameter')
            _require_values(self.name, table, spec["steps"][step])
        _require_values(self.name, self.parameters, spec)


def _require_no_place(name: str, table: dict[str, Any]) -> None:
    """Refuse to send products elsewhere: whatever a run writes lies in its output folder."""
    for parameter in ("output_dir", "output_file"):
        if table.get(parameter) not in (None, ""):
            raise ParameterError(
                f'recipe "{name}": {parameter} is {table[parameter]}; products go to the output folder of the run '
                "(--output-dir), whatever step makes them",
                parameter=parameter,
            )


def _require_values(name: str, table: dict[str, Any], spec: Mapping[str, Any]) -> None:
    """Refuse what no parameter can be: a table, NaN and infinity, which pass every test of a range; unknown cores.

    spec : mapping
        {parameter: what stpipe takes}, "float(default=1.0)". A word is a number where one is taken: "Infinity".
    """
    for parameter, value in table.items():
        if isinstance(value, dict):
            raise ParameterError(f'recipe "{name}": {parameter} is a table; a value is needed', parameter=parameter)
        if parameter == "maximum_cores":
            require_cores(value)
        takes_number = str(spec.get(parameter, "")).lstrip().startswith("float")
        for one in value if isinstance(value, list) else [value]:
            if _is_endless(one, also_words=takes_number):
                raise ParameterError(
                    f'recipe "{name}": {parameter} is {one}; a finite number is needed', parameter=parameter
                )


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
