"""The parameters that determine the reduction."""

from __future__ import annotations

from typing import Any

from detectorist.reduction.content_keys import PLACES

#: Parameters that say where things go or how stpipe works, not what is done.
SILENT = frozenset((*PLACES, "pre_hooks", "post_hooks", "output_ext", "output_use_model", "output_use_index"))


def in_force(resolved: dict[str, Any]) -> dict[tuple[str, str], Any]:
    """Return {(step, parameter): value} of all parameters that determine the reduction."""
    table = {("", name): value for name, value in resolved.items() if not isinstance(value, dict)}
    for name in ("recipe", "title", "settings", "inputs", "pipeline"):
        table.pop(("", name), None)
    for step, parameters in resolved.get("steps", {}).items():
        table.update({(step, name): value for name, value in parameters.items()})
    return {path: value for path, value in table.items() if path[1] not in SILENT}
