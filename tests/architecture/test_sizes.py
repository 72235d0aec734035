"""Functions stay short enough to be read at once."""

import ast

import pytest
from imports import ROOT, modules

#: Lines of a function, signature included, docstring not.
MOST_LINES = 46


def long_functions(text):
    """Yield (name, lines) of the functions that are too long."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = node.end_lineno - node.lineno + 1
            if ast.get_docstring(node) is not None:
                lines -= node.body[0].end_lineno - node.body[0].lineno + 1
            if lines > MOST_LINES:
                yield node.name, lines


@pytest.mark.parametrize("name", modules(ROOT, "detectorist"))
def test_functions_are_short(name):
    assert list(long_functions(modules(ROOT, "detectorist")[name].read_text())) == []


def test_long_ones_are_found_whatever_their_docstring():
    body = "    x = 1\n" * MOST_LINES
    assert list(long_functions(f'def f():\n    """One."""\n{body}')) == [("f", MOST_LINES + 1)]
    assert list(long_functions(f'def f():\n    """One.\n\n    More.\n    """\n{body[10:]}')) == []
