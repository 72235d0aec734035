"""Arrows point down only: who may import whom, in no circle, and importing the package costs nothing."""

import subprocess
import sys

import pytest
from imports import REPOSITORY, ROOT, circles, graph, imports, modules

from detectorist.modes import MODES

#: Small words and facts, open to all.
FACTS = {
    *("errors", "parameters", "detectors", "product_names", "fits_files", "atomic_files", "times"),
    *("cache_folders", "interruption", "libraries"),
}
#: Rooms that steps may use.
BELOW_STEPS = {"models", "step", "algorithms", "engine", "figures", "crds_source"}
#: For every room, from the cellar up, the rooms of this package it may import from, besides the facts.
ALLOWED = {
    "errors": set(),
    "parameters": set(),
    "detectors": set(),
    "product_names": set(),
    "fits_files": set(),
    "atomic_files": set(),
    "cache_folders": set(),
    "interruption": set(),
    "libraries": set(),
    "times": {"models"},
    "algorithms": set(),
    "engine": {"algorithms"},
    "figures": {"algorithms"},
    "models": set(),
    "step": {"models", "figures"},
    "entry_points": set(),
    "crds_source": set(),
    "reference": BELOW_STEPS,
    "stage_1": BELOW_STEPS,
    "stage_2": BELOW_STEPS | {"reference"},
    "terminal": set(),
    "modes": {"figures"},
    "pipelines": {"modes"},
    "reduction": {"models", "step", "algorithms", "engine", "crds_source", "modes"},
    "wings": BELOW_STEPS | {"reference", "stage_1", "stage_2", "reduction", "modes", "terminal"},
    "compilation": set(),
    "campaign": {"modes", "reduction", "entry_points", "compilation"},
    "report": {"campaign", "modes", "reduction", "figures"},
    "results": {"campaign", "report", "modes", "figures", "terminal"},
    "__main__": {"cli"},
    "cli": {"crds_source", "campaign", "report", "reduction", "modes", "models", "terminal"},
    "simulate": {"algorithms", "models", "figures", "terminal"},
}
#: A wing's own public functions stand on the machinery: in the file `api.py`, and nowhere else.
API = {"campaign"}
#: Libraries that a room must not know.
FORBIDDEN = {
    "algorithms": {"jwst", "stdatamodels", "stpipe", "crds", "matplotlib", "logging", "dask", "rich", "typer"},
    "engine": {"jwst", "stdatamodels", "stpipe", "crds", "matplotlib", "dask", "rich", "typer"},
    "figures": {"jwst", "stdatamodels", "stpipe", "crds", "dask", "rich", "typer"},
    "detectors": {"jwst", "stdatamodels", "numpy"},
    "modes": {"jwst", "stdatamodels", "stpipe", "crds", "dask", "rich", "typer"},
    "campaign": {"rich", "typer", "matplotlib"},
    "reduction": {"rich", "typer", "matplotlib", "dask"},
}


def room(name):
    """Return the room of a module: "wings" for what belongs to a mode."""
    parts = name.split(".")[1:]
    if parts[0] == "modes" and len(parts) > 1 and parts[1] in MODES:
        return "wings"
    return parts[0]


def wing(name):
    parts = name.split(".")
    return parts[2] if parts[1] == "modes" and len(parts) > 2 and parts[2] in MODES else ""


KNOWN = {name: path for name, path in modules(ROOT, "detectorist").items() if name != "detectorist"}
ARROWS = graph(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_imports_point_down(name):
    here = room(name)
    assert here in ALLOWED, f"{here} has no place in the house: add it to ALLOWED with the rooms below it"
    allowed = ALLOWED[here] | FACTS | {here}
    if name.endswith(".api") and here == "wings":
        allowed = allowed | API
    for target in ARROWS[name]:
        assert room(target) in allowed, f"{name} ({here}) imports {target}"
        assert wing(target) in ("", wing(name)), f"{name} imports from another wing: {target}"
    for imported in imports(KNOWN[name]):
        assert imported.split(".")[0] not in FORBIDDEN.get(here, ()), f"{name} imports {imported}"


@pytest.mark.parametrize("folder", ["src/detectorist", "benchmarks", "docs/_ext"])
def test_nothing_is_imported_in_a_circle(folder):
    package = "detectorist" if folder.startswith("src") else ""
    assert circles(graph(modules(REPOSITORY / folder, package))) == []


def test_circles_are_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_import_of_the_package_is_quick_and_light():
    code = "import sys, detectorist; print([m for m in ('jwst', 'numpy', 'numba', 'matplotlib') if m in sys.modules])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )
