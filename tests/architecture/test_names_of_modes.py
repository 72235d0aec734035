"""No file names a mode, outside the places that are the mode's."""

import ast
import re

import pytest
from imports import ROOT

from detectorist.modes import MODES, mode_names

#: Where a mode may be named, and why.
PLACES = {
    "modes/__init__.py": "the registry",
    "__init__.py": "the public face hands on Database and run_obs",
    "entry_points.py": "what strun knows our pipelines by",
    "stage_1/": "a step is for an instrument's mode",
    "stage_2/": "a step is for an instrument's mode",
    "reference/": "a step is for an instrument's mode",
    "detectors.py": "facts of an instrument, whose words these are too",
    "step.py": "the exposure type that a step asks for",
    **{f"modes/{name}/": "the wing itself" for name in MODES},
    **{f"simulate/{name}/": "its simulator" for name in MODES},
}
#: Words of JWST's headers that contain one.
WORDS = {"pupil_imaging_lens"}
_NAMES = "|".join(MODES)
_IDENTIFIER = re.compile(rf"(^|_)({_NAMES})(_|\d|$)", re.IGNORECASE)
_CLASS = re.compile(rf"^_?({'|'.join(name.capitalize() for name in MODES)})[A-Z0-9]")


def identifiers(tree):
    """Yield names and whole strings of the code; docstrings and parts of sentences are words, no names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.ImportFrom):
            for part in (node.module or "").split("."):
                yield part, node.lineno
        elif isinstance(node, ast.alias):
            for part in node.name.split("."):
                yield part, 0
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and " " not in node.value:
            for part in re.split(r"[.:/]", node.value):
                yield part, node.lineno


def is_a_name(word):
    return word not in WORDS and bool(_IDENTIFIER.search(word) or _CLASS.match(word))


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_no_other_file_names_a_mode(path):
    place = path.relative_to(ROOT).as_posix()
    if place in PLACES or place.startswith(tuple(name for name in PLACES if name.endswith("/"))):
        return
    found = [(word, line) for word, line in identifiers(ast.parse(path.read_text())) if is_a_name(word)]
    assert found == []


def test_names_are_seen():
    code = "from detectorist.modes.lrs import x\nif mode == 'coron': LrsPipeline(imaging_default=1)\n"
    assert {word for word, _ in identifiers(ast.parse(code)) if is_a_name(word)} == {"lrs", "coron", "LrsPipeline"}


def test_files_are_not_named_after_modes():
    for path in ROOT.rglob("*.py"):
        place = path.relative_to(ROOT).as_posix()
        if not place.startswith(tuple(name for name in PLACES if name.endswith("/"))):
            assert not is_a_name(path.stem), place


def test_built_in_modes_come_first():
    assert mode_names()[: len(MODES)] == list(MODES)
