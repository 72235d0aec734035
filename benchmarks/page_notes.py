"""Notes that people wrote on a page whose tables a benchmark writes: a new measurement keeps them."""

from pathlib import Path

HEADING = "## Notes"


def notes_of(page: Path) -> str:
    """Return the section "Notes" of a page, heading included, "" where it has none."""
    _, heading, rest = page.read_text().partition(f"\n{HEADING}\n") if page.exists() else ("", "", "")
    return f"{HEADING}\n{rest.partition(chr(10) + '## ')[0].rstrip()}\n" if heading else ""
