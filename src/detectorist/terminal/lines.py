"""Lines of plain text for people: never wrapped, never coloured, so that paths in them can be copied."""

from __future__ import annotations

from collections.abc import Iterable


def print_lines(lines: Iterable[str], *, quiet: bool = False) -> None:
    """Print lines as they are, or nothing when quiet."""
    from rich.console import Console

    console = Console(quiet=quiet)
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
