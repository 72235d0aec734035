"""Lines of plain text: never wrapped or coloured, so that paths in them can be copied."""

from __future__ import annotations

import sys
from collections.abc import Iterable

#: Control characters that a line may hold as they are.
_KEPT = "\n\t"


def print_lines(lines: Iterable[str], *, quiet: bool = False, stderr: bool = False) -> None:
    """Print lines as they are, control characters written out, or nothing when quiet."""
    if not quiet:
        for line in lines:
            print(printable(line), file=sys.stderr if stderr else sys.stdout)


def printable(text: object) -> str:
    """Return text with control characters written out: names of files and headers may contain control sequences."""
    return "".join(
        one if one.isprintable() or one in _KEPT else one.encode("unicode_escape").decode() for one in str(text)
    )


def exposures(number: int) -> str:
    """Return "1 exposure", "2 exposures", ..."""
    return f"{number} exposure{'' if number == 1 else 's'}"


def first_line(text: str) -> str:
    """Return the first line of a message; what follows is for the log."""
    return next(iter(text.strip().splitlines()), "")
