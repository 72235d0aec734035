"""Types of the arguments of kernels, as they are written in a list of kernels.

A scalar is a name, as "int64"; an array ["array", dtype, n_dims, layout], with "readonly" at the end where it is; a
tuple ["tuple", ...]; a named tuple ["named", "module:Class", ...]; a constant that numba tells from others of its type
["literal", value], and a default that was not given ["omitted", value].
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any

from numba import types


def written(numba_type: Any) -> Any:
    """Return a type of numba as a list of kernels has it.

    Raises
    ------
    ValueError
        For a type that has no place in such a list.
    """
    if isinstance(numba_type, types.Array):
        how = [] if numba_type.mutable else ["readonly"]
        return ["array", written(numba_type.dtype), numba_type.ndim, numba_type.layout, *how]
    if isinstance(numba_type, types.BaseNamedTuple):
        kind = numba_type.instance_class
        return ["named", f"{kind.__module__}:{kind.__qualname__}", *map(written, numba_type)]
    if isinstance(numba_type, types.BaseTuple):
        return ["tuple", *map(written, numba_type)]
    if isinstance(numba_type, types.Literal):
        return ["literal", numba_type.literal_value]
    if isinstance(numba_type, types.Omitted):
        return ["omitted", numba_type.value]
    if isinstance(numba_type, types.Number | types.Boolean | types.NoneType):
        return str(numba_type)
    raise ValueError(f"{numba_type!r}: a type that lists of kernels do not know")


def read(entry: Any) -> Any:
    """Return the type of numba that an entry of a list of kernels stands for.

    Raises
    ------
    ValueError
        For an entry of unknown form.
    """
    if isinstance(entry, str):
        return getattr(types, entry)
    kind, *parts = entry
    if kind not in _READERS:
        raise ValueError(f"{entry!r}: a type that lists of kernels do not know")
    return _READERS[kind](parts)


def _array(parts: Sequence[Any]) -> Any:
    dtype, n_dims, layout, *how = parts
    return types.Array(read(dtype), n_dims, layout, readonly="readonly" in how)


def _named(parts: Sequence[Any]) -> Any:
    module, _, name = parts[0].partition(":")
    return types.BaseTuple.from_types(tuple(map(read, parts[1:])), getattr(import_module(module), name))


_READERS: dict[str, Callable[[Sequence[Any]], Any]] = {
    "array": _array,
    "named": _named,
    "tuple": lambda parts: types.BaseTuple.from_types(tuple(map(read, parts))),
    "literal": lambda parts: types.literal(parts[0]),
    "omitted": lambda parts: types.Omitted(parts[0]),
}
