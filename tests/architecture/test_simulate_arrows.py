"""Inside the simulator, modes know the core and nothing of one another, and no module imports in a circle."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from detectorist import simulate

ROOT = Path(simulate.__file__).parent
PACKAGE = "detectorist.simulate"
CORE = "core"
MODULES = {
    ".".join((PACKAGE, *path.relative_to(ROOT).with_suffix("").parts)).removesuffix(".__init__"): path
    for path in sorted(ROOT.rglob("*.py"))
}
FOLDERS = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))


def imported(text, module, known):
    """Return which of the `known` modules a text imports: late imports and those for type checkers count as well."""
    names = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module}: relative imports are not followed here"
            # `from package import module` names a module, `from module import name` does not.
            parts = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in known else node.module for name in parts}
    return names & set(known) - {module}


def folder(module):
    """Return the folder of a module below the simulator; "" for the simulator's own `__init__`."""
    return module.removeprefix(PACKAGE).lstrip(".").split(".")[0]


GRAPH = {module: imported(path.read_text(), module, MODULES) for module, path in MODULES.items()}


def test_every_module_lies_in_the_core_or_in_a_mode():
    assert CORE in FOLDERS
    assert len(FOLDERS) > 1
    assert {folder(module) for module in MODULES} == {"", *FOLDERS}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_go_from_a_mode_to_the_core_only(module):
    wrong = {other for other in GRAPH[module] if folder(other) not in (folder(module), CORE)}
    assert not wrong, f"{module} imports {sorted(wrong)}"


def test_no_module_imports_in_a_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(f"a circle: {' -> '.join(error.args[1])}")


def test_the_graph_is_not_empty():
    """Each mode's scene reaches the core: a reader of imports that finds nothing would pass all tests above."""
    for mode in set(FOLDERS) - {CORE}:
        reached, waiting = set(), [f"{PACKAGE}.{mode}.scene"]
        while waiting:
            module = waiting.pop()
            reached.add(module)
            waiting += GRAPH[module] - reached
        assert f"{PACKAGE}.core.scene" in reached
        assert f"{PACKAGE}.{mode}.components" in reached


@pytest.mark.parametrize(
    "text",
    [
        "import p.b",
        "from p import b",
        "from p.b import name",
        "from p import b as other",
        "def f():\n    from p.b import name",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.b import Name",
    ],
)
def test_every_way_of_importing_counts(text):
    assert imported(text, "p.a", {"p.a", "p.b", "p.c"}) == {"p.b"}
