"""Types of arguments in lists of kernels: what is written is read as the same type."""

from typing import NamedTuple

import numpy as np
import pytest
from numba import types

from detectorist.compilation.signatures import read, written


class Rule(NamedTuple):
    level: float
    number: int


class Pair(NamedTuple):
    first: int
    second: int


@pytest.mark.parametrize(
    ("numba_type", "entry"),
    [
        (types.float32, "float32"),
        (types.boolean, "bool"),
        (types.none, "none"),
        (types.Array(types.uint8, 3, "C"), ["array", "uint8", 3, "C"]),
        (types.Array(types.float64, 2, "A", readonly=True), ["array", "float64", 2, "A", "readonly"]),
        (types.UniTuple(types.int64, 2), ["tuple", "int64", "int64"]),
        (types.Tuple((types.int64, types.boolean)), ["tuple", "int64", "bool"]),
        (types.NamedTuple((types.float64, types.int64), Rule), ["named", f"{__name__}:Rule", "float64", "int64"]),
        (types.NamedUniTuple(types.int64, 2, Pair), ["named", f"{__name__}:Pair", "int64", "int64"]),
        (types.literal(7), ["literal", 7]),
        (types.Omitted(5), ["omitted", 5]),
    ],
)
def test_what_is_written_is_read_as_the_same_type(numba_type, entry, monkeypatch):
    monkeypatch.setattr(
        f"{read.__module__}.import_module", lambda name: __import__("types").SimpleNamespace(**globals())
    )
    assert written(numba_type) == entry
    assert read(entry) == numba_type


def test_a_type_without_a_place_is_refused():
    with pytest.raises(ValueError, match="a type that lists of kernels do not know"):
        written(types.unicode_type)
    with pytest.raises(ValueError, match="a type that lists of kernels do not know"):
        read(["dict", "int64", "int64"])


def test_arguments_of_a_call_have_these_types():
    from numba import typeof

    assert written(typeof(np.zeros((2, 3), np.float32))) == ["array", "float32", 2, "C"]
    assert written(typeof(np.zeros((2, 3), np.float32).T)) == ["array", "float32", 2, "F"]
