"""Docstrings as this project writes them, for Sphinx: short ones name their arrays without a section of their own.

    data : ndarray of float, shape (n_ints, n_rows, n_cols)
        Images whose scatter serves where there is no error at all.
    err : ndarray of float, shape of `data`, or None

becomes a list; stars, bars and trailing underscores of formulae and file names lose their meaning as markup.
"""

from __future__ import annotations

import re

_ENTRY = re.compile(r"^([A-Za-z_]\w*(?:, [A-Za-z_]\w*)*) : ?(.*)$")
_UNDERLINE = re.compile(r"^-{3,}$")
_LITERAL = re.compile(r"(`+[^`]*`+)")
_TRAILING = re.compile(r"(?<=\w)_(?=\W|$)")


def escape(line: str) -> str:
    """Return a line whose stars, bars and trailing underscores are meant as such; what is in backticks stays."""
    parts = _LITERAL.split(line)
    return "".join(
        part if i % 2 else _TRAILING.sub(r"\\_", part.replace("*", r"\*").replace("|", r"\|"))
        for i, part in enumerate(parts)
    )


def split_sections(lines: list[str]) -> int:
    """Return the index of the first numpydoc section's title, or the number of lines."""
    for i in range(1, len(lines)):
        if _UNDERLINE.match(lines[i].strip()) and lines[i - 1].strip():
            return i - 1
    return len(lines)


def as_list(paragraph: list[str]) -> list[str]:
    """Return a paragraph with its entries, if it has any, as a list."""
    out: list[str] = []
    inside = indented = False
    for line in paragraph:
        entry = _ENTRY.match(line)
        if entry:
            if not inside and out:
                out.append("")
            out.append(f"* ``{entry[1]}`` : {entry[2]}".rstrip(" :"))
            inside, indented = True, False
        elif inside and indented and not line.startswith(" "):
            out += ["", line]
            inside = False
        elif inside:
            indented = line.startswith(" ")
            out.append("  " + line.strip())
        else:
            out.append(line)
    return out


def rewrite(lines: list[str]) -> list[str]:
    """Return a docstring that docutils reads as it was meant."""
    end = split_sections(lines)
    out: list[str] = []
    paragraph: list[str] = []
    for line in [*lines[:end], ""]:
        if line.strip():
            paragraph.append(escape(line))
            continue
        behind_colons = len(out) > 1 and out[-2].endswith("::")
        literal = bool(paragraph) and (behind_colons or paragraph[0].startswith((" ", ">>>")))
        out += [*(paragraph if literal else as_list(paragraph)), ""]
        paragraph = []
    in_code = False
    for line in lines[end:]:
        in_code = line.lstrip().startswith((">>>", "...")) or (in_code and bool(line.strip()))
        out.append(line if in_code else escape(line))
    return out


def rewrite_docstring(app, what, name, obj, options, lines) -> None:
    """Rewrite in place, before numpydoc reads it."""
    lines[:] = rewrite(lines)


def setup(app):
    """Register the rewriting."""
    app.connect("autodoc-process-docstring", rewrite_docstring, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
