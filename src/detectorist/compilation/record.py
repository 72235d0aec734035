"""Lists of kernels, written from what a process has used."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from numba.core.dispatcher import Dispatcher

from detectorist.compilation.processes import find, name_of
from detectorist.compilation.signatures import written


def kernels_in_use() -> dict[str, list[Any]]:
    """Return the kernels that this process has compiled or loaded, as a list has them."""
    found = {}
    for module in [module for name, module in sorted(sys.modules.items()) if name.endswith("_nb")]:
        kernels = {name_of(one): one for one in vars(module).values() if isinstance(one, Dispatcher)}
        for name, kernel in kernels.items():
            if name.startswith(f"{module.__name__}:") and kernel.signatures:
                found[name] = [list(map(written, types)) for types in kernel.signatures]
    return found


def merged(old: dict[str, list[Any]], new: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Return the kernels of two lists, without those that there are no more, or with other arguments."""
    together = {}
    for name in {**old, **new}:
        with suppress(ImportError, AttributeError):
            n_arguments = find(name).py_func.__code__.co_argcount
            entries = [one for one in (*old.get(name, []), *new.get(name, [])) if len(one) == n_arguments]
            together[name] = [one for number, one in enumerate(entries) if one not in entries[:number]]
    return together


def write_list(file: Path, kernels: dict[str, list[Any]]) -> None:
    """Write a list of kernels, a line for each specialisation."""
    entries = []
    for name, specialisations in sorted(kernels.items()):
        lines = ",\n".join(f"  {json.dumps(types)}" for types in sorted(specialisations, key=json.dumps))
        entries.append(f" {json.dumps(name)}: [\n{lines}\n ]")
    file.write_text("{\n" + ",\n".join(entries) + "\n}\n")
