"""Results as text, for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from detectorist.modes.exposure import Exposure

#: Exposures that are described one by one; beyond, those that need a look are.
MOST = 12
#: Products that are named.
MOST_PRODUCTS = 4
WIDTH, INDENT = 110, "    "


class Shown(Protocol):
    """What is shown of an exposure: as `Result`, which displays itself with this module."""

    exposure: Exposure

    @property
    def name(self) -> str:
        """Of the exposure."""
        ...

    @property
    def state(self) -> str:
        """As in the ledger."""
        ...

    @property
    def ok(self) -> bool:
        """Whether it has products."""
        ...

    @property
    def error(self) -> str:
        """Why it has none."""
        ...

    @property
    def target(self) -> str:
        """Name of the target."""
        ...

    @property
    def merits(self) -> list[dict[str, Any]]:
        """The numbers that open the report."""
        ...

    @property
    def concerns(self) -> list[str]:
        """Reasons to look at it."""
        ...

    @property
    def folder(self) -> Path:
        """Of its products."""
        ...

    @property
    def products(self) -> list[Path]:
        """Files that were written."""
        ...


def describe_all(results: Mapping[str, Shown], folder: Path) -> list[str]:
    """Return the lines of all results."""
    lines = [f"{summary(results)}; products in {folder}"]
    shown = list(results.values())
    if len(shown) > MOST:
        shown = [result for result in shown if not result.ok or result.concerns][:MOST]
        lines.append(f"{len(shown)} of those that failed or raise concerns:")
    return [*lines, *(line for result in shown for line in describe(result))]


def summary(results: Mapping[str, Shown]) -> str:
    """Return "3 results: 2 done, 1 crashed"."""
    states: dict[str, int] = {}
    for result in results.values():
        states[result.state] = states.get(result.state, 0) + 1
    told = ", ".join(f"{count} {state}" for state, count in states.items())
    return f"{len(results)} {'result' if len(results) == 1 else 'results'}: {told or 'none'}"


def describe(result: Shown) -> list[str]:
    """Return the lines of one result."""
    lines = [f"{result.name}: {result.state}{'' if result.ok else f': {result.error}'}"]
    if facts := facts_of(result):
        lines.append(f"{INDENT}{', '.join(facts)}")
    merits = "; ".join(f"{one['title']} {one['value']}" for one in result.merits)
    lines += _wrapped(merits) if merits else []
    for concern in result.concerns if result.ok else []:
        lines += _wrapped(f"look: {concern}")
    return lines + (_wrapped(f"wrote {', '.join(products_of(result))}") if result.products else [])


def facts_of(result: Shown) -> list[str]:
    """Return target, integrations and groups, as far as they are in the header."""
    header = result.exposure.header
    facts = [result.target] if result.target else []
    counts = {name: header.get(name) for name in ("integrations", "groups")}
    return facts + [f"{n} {name if n != 1 else name.removesuffix('s')}" for name, n in counts.items() if n]


def products_of(result: Shown) -> list[str]:
    """Return the first products by name, below their folder."""
    endings = (".fits", ".nc", ".ecsv")
    names = [str(path.relative_to(result.folder)) for path in result.products if path.suffix in endings]
    more = [f"and {len(names) - MOST_PRODUCTS} more"] if len(names) > MOST_PRODUCTS else []
    return names[:MOST_PRODUCTS] + more


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=f"{INDENT}  ", break_long_words=False)
