"""Who imports whom, read from the code: late imports and those for type checkers count too."""

import ast
from pathlib import Path

import detectorist

ROOT = Path(detectorist.__file__).parent
REPOSITORY = ROOT.parents[1]


def imports(path):
    """Yield the dotted names that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules(folder, package=""):
    """Return {dotted name: path} of the modules below a folder."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = [package, *path.relative_to(folder).with_suffix("").parts]
        found[".".join(part for part in parts if part and part != "__init__")] = path
    return found


def graph(known):
    """Return {module: modules that it imports} among those that are known."""
    edges = {}
    for name, path in known.items():
        edges[name] = set()
        for imported in imports(path):
            target = imported if imported in known else imported.rpartition(".")[0]
            if target in known and target != name:
                edges[name].add(target)
    return edges


def circles(edges):
    """Return the groups of modules that import each other (strongly connected components, Tarjan 1972)."""
    index, low, on_stack, stack, found = {}, {}, set(), [], []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in edges[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            group = []
            while True:
                group.append(stack.pop())
                on_stack.discard(group[-1])
                if group[-1] == node:
                    break
            if len(group) > 1:
                found.append(sorted(group))

    for node in edges:
        if node not in index:
            visit(node)
    return found
