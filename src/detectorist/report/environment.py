"""The templates of the page, and how values are written in them."""

from __future__ import annotations

import time
from typing import Any

import jinja2

from detectorist.modes.quality import formatted, is_number

#: Numbers of a list that are shown, and lists in a list; records hold hundreds.
MOST_NUMBERS, MOST_LISTS = 12, 3


def make_environment() -> jinja2.Environment:
    """Return the environment of the templates: values are escaped, and an unknown name is an error."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("detectorist.report", "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        number=_number, value=_value, when=_when, duration=_duration, ident=id, without_state=_without_state
    )
    return environment


def _number(value: Any, form: str = ".4g") -> str:
    if value is None or not is_number(value):
        return "" if value is None else str(value)
    return formatted(value, form)


def _value(value: Any) -> str:
    """Return a number of a record as people read it."""
    if isinstance(value, float):
        return f"{value:.5g}"
    if isinstance(value, list | tuple):
        most = MOST_LISTS if any(isinstance(item, list | tuple | dict) for item in value) else MOST_NUMBERS
        shown = ", ".join(_value(item) for item in value[:most])
        return f"[{shown}{f', …, {len(value)} in all' if len(value) > most else ''}]"
    if isinstance(value, dict):
        return "; ".join(f"{name} {_value(item)}" for name, item in value.items())
    return "none" if value is None else str(value)


def _without_state(numbers: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in numbers.items() if name != "state"}


def _when(seconds: float | None) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds)) if seconds else "not noted"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
