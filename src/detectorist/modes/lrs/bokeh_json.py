"""Figures for bokeh's script in the page, written as bokeh writes them, without its five hundred Python classes.

These take half a second to import, and as long as all other figures of an exposure to be turned into JSON. A figure is
made of models: objects of the script's classes with the attributes that differ from their defaults. Tests compare what
is written here with what bokeh writes.
"""

from __future__ import annotations

import base64
import gzip
from importlib.metadata import version
from typing import Any

import numpy as np

#: Seconds since 1970 that packed arrays bear, so that equal figures are equal bytes; level of compression.
PACKED_AT, LEVEL = 1, 6


class Model:
    """An object of one of the script's classes.

    Parameters
    ----------
    kind : str
        Name of the class.
    attributes : anything that JSON has, arrays, models
        In the order in which they are written: what a model refers to stands where it comes first.
    """

    def __init__(self, kind: str, **attributes: Any):
        self.kind = kind
        self.attributes = attributes


def json_item(root: Model) -> dict[str, Any]:
    """Return a figure as `Bokeh.embed.embed_item` takes it."""
    numbers: dict[Model, str] = {}
    written = _written(root, numbers)
    current = version("bokeh")
    settings = Model("DocumentConfig", notifications=Model("Notifications"))
    document = {"version": current, "title": "", "config": _written(settings, numbers), "roots": [written]}
    return {"target_id": None, "root_id": numbers[root], "doc": document, "version": current}


def field(name: str) -> dict[str, str]:
    """Return that a property is read from a column of the data."""
    return {"type": "field", "field": name}


def fixed(value: Any) -> dict[str, Any]:
    """Return that a property is the same for all data."""
    return {"type": "value", "value": value}


def columns_of(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """Return the data of a figure: arrays by name."""
    return {"type": "map", "entries": [[name, _packed(np.asarray(array))] for name, array in arrays.items()]}


def _packed(array: np.ndarray) -> dict[str, Any]:
    kept = np.ascontiguousarray(array, "<i4" if array.dtype.kind in "iu" else "<f8")
    data = base64.b64encode(gzip.compress(kept.tobytes(), mtime=PACKED_AT, compresslevel=LEVEL)).decode()
    return {
        "type": "ndarray",
        "array": {"type": "bytes", "data": data},
        "shape": list(kept.shape),
        "dtype": kept.dtype.name,
        "order": "little",
    }


def _written(value: Any, numbers: dict[Model, str]) -> Any:
    """Return a value as JSON has it; a model in full where it comes first, by its number after that."""
    if isinstance(value, Model):
        if value in numbers:
            return {"id": numbers[value]}
        numbers[value] = f"p{1001 + len(numbers)}"
        written: dict[str, Any] = {"type": "object", "name": value.kind, "id": numbers[value]}
        if value.attributes:
            written["attributes"] = {name: _written(one, numbers) for name, one in value.attributes.items()}
        return written
    if isinstance(value, list):
        return [_written(one, numbers) for one in value]
    if isinstance(value, dict):
        return {name: _written(one, numbers) for name, one in value.items()}
    return value
