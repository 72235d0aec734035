"""Parameters that take several kinds of value, read alike from Python, from a command line and from TOML.

stpipe checks most parameters itself. The few that accept, say, a word or a list are declared `pass` in a step's spec
and arrive here as whatever the caller wrote: a Python object, one string, or a list of strings.
"""

from __future__ import annotations

import ast
import difflib
from collections import deque
from collections.abc import Iterable, Iterator, Set, ValuesView
from pathlib import Path
from typing import Any

from detectorist.errors import NoSuchFile, ParameterError


def as_list(value: Any) -> Any:
    """Return as a list what can be gone through but not indexed, or only once; anything else as it is.

    Generators, `map`, `dict.keys()`, sets, ranges: stpipe copies and compares parameters, which these do not all allow.
    """
    return list(value) if isinstance(value, Iterator | ValuesView | Set | range | deque) else value


def parse_value(value: Any) -> Any:
    """Turn the words of a command line into Python values; leave Python values as they are.

    "36" -> 36, "None" -> None, "[0, 1, -1]" and "0, 1, -1" -> [0, 1, -1], ["0", "1"] -> [0, 1], "auto" -> "auto".
    """
    if isinstance(value, str):
        text = value.strip()
        if text.lower() in ("none", ""):
            return None
        try:
            parsed = ast.literal_eval(text)
        except (ValueError, SyntaxError):
            return text
        return list(parsed) if isinstance(parsed, tuple) else parsed
    value = as_list(value.tolist() if hasattr(value, "tolist") else value)
    if isinstance(value, list | tuple):
        # A comma-separated option arrives as pieces of a list: "[0", "1", "2]".
        if any(isinstance(item, str) for item in value):
            joined = parse_value(", ".join(str(item) for item in value))
            return joined if isinstance(joined, list) else [joined]
        return list(value)
    return value


def parse_index_list(value: Any, *, name: str, words: Iterable[str] = ()) -> list[int] | str | None:
    """Return a list of integers, one of `words`, or None.

    Raises
    ------
    ParameterError
        When the value is none of these.
    """
    parsed = parse_value(value)
    words = tuple(words)
    if parsed is None or (isinstance(parsed, str) and parsed in words):
        return parsed
    if _is_int(parsed):
        return [int(parsed)]
    if isinstance(parsed, list | set) and all(_is_int(item) for item in parsed):
        return [int(item) for item in parsed]
    wanted = "a list of integers" + "".join(f', or "{word}"' for word in words)
    raise ParameterError(f"{name} is {value!r}: {wanted} is needed", parameter=name)


def indices_to_drop(wanted: Iterable[int], size: int, *, name: str, of: str, file: str) -> list[int]:
    """Return indices counted from the start, sorted, each once; some of the `size` must stay.

    Parameters
    ----------
    wanted : iterable of int
        Zero-indexed; negative ones count from the end.
    size : int
        How many there are.
    name, of, file : str
        The parameter, what it counts ("groups"), and the file that has them, for the message.

    Raises
    ------
    ParameterError
        When an index is out of range, or nothing would stay.
    """
    wanted = list(wanted)
    facts = {"parameter": name, f"n_{of}": size}
    for index in wanted:
        if not -size <= index < size:
            raise ParameterError(
                f"{file}: {name} contains {index}, but there are {size} {of} ({-size} to {size - 1} are possible)",
                value=index,
                **facts,
            )
    chosen = sorted({index % size for index in wanted})
    if len(chosen) == size:
        raise ParameterError(
            f"{file}: {name} {wanted} would drop all {size} {of}; at least one must stay", value=wanted, **facts
        )
    return chosen


def parse_int_or_word(value: Any, *, name: str, words: Iterable[str]) -> int | str:
    """Return an integer or one of `words`.

    Raises
    ------
    ParameterError
        When the value is neither; the message suggests the nearest word.
    """
    parsed = parse_value(value)
    words = tuple(words)
    if isinstance(parsed, str) and parsed in words:
        return parsed
    if _is_int(parsed):
        return int(parsed)
    wanted = " or ".join(f'"{word}"' for word in words)
    raise ParameterError(
        f"{name} is {value!r}: an integer or {wanted} is needed{nearest(str(parsed), words)}", parameter=name
    )


def require_utf8(*names: Any) -> None:
    """Refuse names of files that are no text: records, tables and headers, which are text, could not hold them.

    Raises
    ------
    ParameterError
    """
    for name in names:
        try:
            str(name).encode()
        except UnicodeEncodeError as error:
            shown = str(name).encode("utf-8", "backslashreplace").decode()
            raise ParameterError(f"{shown}: its name is not valid UTF-8; rename it, or choose another one") from error


def nearest(word: str, known: Iterable[str]) -> str:
    """Return " (did you mean ...?)" for the nearest known word, or nothing."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.5)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


def require_path(value: str | None, *, name: str) -> None:
    """Raise NoSuchFile where a parameter names a file that is not there; None names none."""
    if value is not None and not Path(value).is_file():
        raise NoSuchFile(f"{name} is {value}: no such file")


def _is_int(value: Any) -> bool:
    """Tell whole numbers, numpy's and 36.0 included; True and False are not numbers here."""
    if isinstance(value, bool):
        return False
    try:
        return int(value) == value
    except (TypeError, ValueError, OverflowError):
        return False


def require_cores(value: Any) -> None:
    """Refuse what the standard steps take for one core without saying so.

    Raises
    ------
    ParameterError
    """
    text = str(value)
    if text.lower() in ("none", "one") or text in ("quarter", "half", "all"):
        return
    if isinstance(value, bool) or not text.isdecimal() or int(text) < 1:
        raise ParameterError(
            f"maximum_cores is {value}: none, quarter, half, all or a positive whole number is needed",
            parameter="maximum_cores",
        )
