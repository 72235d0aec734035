"""Lines of plain text for people: never wrapped, coloured or rewritten, so that paths in them can be copied."""

from __future__ import annotations

import sys
from collections.abc import Iterable


def print_lines(lines: Iterable[str], *, quiet: bool = False, stderr: bool = False) -> None:
    """Print lines as they are, or nothing when quiet."""
    if not quiet:
        for line in lines:
            print(line, file=sys.stderr if stderr else sys.stdout)
