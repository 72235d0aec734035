"""One value, written by Python, by a command line or in TOML, is read alike."""

import tomllib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from detectorist.errors import ParameterError
from detectorist.parameters import nearest, parse_index_list, parse_int_or_word, parse_value, require_cores


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("36", 36),
        (" 36 ", 36),
        ("-1", -1),
        ("1.5", 1.5),
        ("None", None),
        ("none", None),
        ("", None),
        ("[0, 1, -1]", [0, 1, -1]),
        ("0, 1, -1", [0, 1, -1]),
        ("0,1,-1", [0, 1, -1]),
        ("(0, 1)", [0, 1]),
        ("[]", []),
        ("auto", "auto"),
        ("'auto'", "auto"),
        ("gaussian_fits", "gaussian_fits"),
        (["0", "1", "-1"], [0, 1, -1]),
        (["[0", "1", "-1]"], [0, 1, -1]),
        (["0"], [0]),
        (["auto"], ["auto"]),
        ([], []),
        ((0, 1), [0, 1]),
        ([0, 1], [0, 1]),
        (None, None),
        (36, 36),
        (True, True),
    ],
)
def test_words_become_values(written, value):
    assert parse_value(written) == value


@given(st.lists(st.integers(-100, 100), max_size=6))
def test_a_list_means_the_same_however_it_is_written(values):
    toml = tomllib.loads(f"groups = {values}")["groups"]
    as_options = [str(v) for v in values]
    cells = f"[{', '.join(as_options)}]".split(", ")
    for written in (values, tuple(values), np.array(values, int), str(values), toml, as_options, cells, iter(values)):
        assert parse_index_list(written, name="groups") == values


@given(st.integers(-(10**6), 10**6))
def test_one_index_is_a_list_of_one(value):
    for written in (value, str(value), np.int64(value), float(value), [str(value)]):
        assert parse_index_list(written, name="groups") == [value]


def test_words_and_none():
    assert parse_index_list("auto", name="groups", words=("auto",)) == "auto"
    assert parse_index_list(None, name="groups") is None
    assert parse_index_list("None", name="groups") is None
    assert parse_int_or_word("constant", name="trace", words=("constant",)) == "constant"
    for written in (36, "36", 36.0, np.int32(36)):
        value = parse_int_or_word(written, name="trace", words=("constant",))
        assert value == 36
        assert type(value) is int


@pytest.mark.parametrize(
    "written", ["auto", "1.5", [0.5], ["a"], True, [True], {"a": 1}, object(), float("nan"), "1;2"]
)
def test_an_index_list_refuses_the_rest(written):
    with pytest.raises(ParameterError, match=r"drop_groups is .*: a list of integers is needed") as caught:
        parse_index_list(written, name="drop_groups")
    assert caught.value.numbers["parameter"] == "drop_groups"


@pytest.mark.parametrize("written", ["gausian_fits", None, 1.5, True, [36]])
def test_int_or_word_refuses_the_rest(written):
    with pytest.raises(ParameterError, match='an integer or "constant" or "gaussian_fits" is needed'):
        parse_int_or_word(written, name="trace_position", words=("constant", "gaussian_fits"))


def test_the_nearest_word_is_suggested():
    with pytest.raises(ParameterError, match=r'did you mean "gaussian_fits"\?'):
        parse_int_or_word("gausian_fit", name="trace_position", words=("constant", "gaussian_fits"))
    assert nearest("zzz", ["constant"]) == ""


def test_python_values_are_not_changed():
    values = [0, 1]
    parsed = parse_value(values)
    parsed.append(2)
    assert values == [0, 1]


@pytest.mark.parametrize("value", ["none", "None", "one", "quarter", "half", "all", "1", "3", 4, None])
def test_cores_that_the_standard_steps_know(value):
    require_cores(value)


@pytest.mark.parametrize("value", ["x", "Half", "lots", "0", "-1", 0, 1.5, True, "", "2 "])
def test_cores_that_would_count_as_one(value):
    with pytest.raises(ParameterError, match="none, quarter, half, all or a positive whole number is needed"):
        require_cores(value)
