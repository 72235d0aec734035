"""Arrows point down only: who may import whom."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import detectorist

ROOT = Path(detectorist.__file__).parent

#: For every room, the rooms of this package it may import from. `errors` is open to all.
ALLOWED = {
    "errors": set(),
    "parameters": set(),
    "detectors": set(),
    "algorithms": {"detectors"},
    "engine": {"detectors", "algorithms"},
    "figures": {"detectors", "algorithms"},
    "models": {"detectors"},
    "step": {"models", "figures", "parameters"},
    "entry_points": set(),
    "crds_source": set(),
    "times": {"models", "detectors"},
    "reference": {"times", "crds_source", "step", "models", "parameters", "algorithms", "figures", "detectors"},
    "stage_1": {"times", "crds_source", "step", "models", "parameters", "algorithms", "engine", "figures", "detectors"},
    "stage_2": {"step", "models", "parameters", "algorithms", "figures", "detectors", "reference"},
    "simulate": {"detectors", "algorithms", "models", "figures"},
    "pipelines": {
        "times",
        "crds_source",
        "step",
        "models",
        "parameters",
        "algorithms",
        "engine",
        "figures",
        "detectors",
        "reference",
        "stage_1",
        "stage_2",
    },
    "campaign": {"pipelines", "models", "parameters", "detectors", "entry_points", "crds_source"},
    "report": {"campaign", "figures", "models", "pipelines"},
    "cli": {
        "crds_source",
        "campaign",
        "report",
        "pipelines",
        "simulate",
        "parameters",
        "entry_points",
        "models",
        "figures",
        "algorithms",
        "stage_1",
        "stage_2",
        "reference",
        "step",
        "detectors",
    },
}
#: Libraries that a room must not know.
FORBIDDEN = {
    "algorithms": {
        "jwst",
        "stdatamodels",
        "stpipe",
        "crds",
        "matplotlib",
        "logging",
        "dask",
        "rich",
        "typer",
    },
    "engine": {"jwst", "stdatamodels", "stpipe", "crds", "matplotlib", "dask", "rich", "typer"},
    "figures": {"jwst", "stdatamodels", "stpipe", "crds", "dask", "rich", "typer"},
    "detectors": {"jwst", "stdatamodels", "numpy"},
}


def imports(path):
    """Yield the dotted names that a file imports, late imports included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room(path):
    relative = path.relative_to(ROOT)
    return relative.parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", sorted(ROOT.rglob("*.py")), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path):
    here = room(path)
    if here == "__init__":
        return
    assert here in ALLOWED, f"{here} has no place in the house: add it to ALLOWED with the rooms below it"
    for name in imports(path):
        top = name.split(".")[0]
        assert top not in FORBIDDEN.get(here, ()), f"{path.name} imports {name}"
        if top == "detectorist":
            target = name.split(".")[1]
            if target not in ALLOWED:  # a name of the package itself, as __version__
                continue
            assert target in ALLOWED[here] | {here, "errors"}, f"{path.name} ({here}) imports {name}"


def test_import_of_the_package_is_quick_and_light():
    code = "import sys, detectorist; print([m for m in ('jwst', 'numpy', 'numba', 'matplotlib') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
