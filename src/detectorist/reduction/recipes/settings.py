"""Settings: "step.parameter=value", as `--set` takes them."""

from __future__ import annotations

from typing import Any

import tomli_w

from detectorist.errors import ParameterError
from detectorist.parameters import as_list


def setting(name: str, value: Any) -> str:
    """Return "name=value" with the value as TOML writes it on one line."""
    try:
        plain = as_list(value.tolist() if hasattr(value, "tolist") else value)
        text = tomli_w.dumps({"v": plain}, multiline_strings=False)
    except (TypeError, ValueError) as error:
        raise ParameterError(f"{name} is {value!r}: a number, string, true, false or a list is needed") from error
    return f"{name}={' '.join(text.partition('=')[2].split())}"
