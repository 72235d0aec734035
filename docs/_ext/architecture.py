"""The rooms of the house and who may import whom, drawn from the table that the tests hold the code to."""

from __future__ import annotations

import ast
from html import escape
from pathlib import Path
from typing import Any

TABLE = Path(__file__).parents[2] / "tests" / "architecture" / "test_imports.py"
#: Small modules that every room may use; drawn as one box.
BASE = (
    *("errors", "parameters", "detectors", "product_names", "crds_source", "entry_points", "times", "cache_folders"),
    "interruption",
)
#: Tables of the test that the picture is drawn from, in their order.
TABLES = ("FACTS", "BELOW_STEPS", "ALLOWED")
WHAT = {
    "libraries": "how libraries load and run",
    "algorithms": "functions of arrays",
    "engine": "stage 1, compiled",
    "figures": "arrays to pictures",
    "fits_files": "files opened for reading",
    "atomic_files": "files that appear whole or not at all",
    "models": "quirks of data models",
    "step": "base of our steps",
    "reference": "steps: references",
    "stage_1": "steps: ramps",
    "stage_2": "steps: integrations",
    "reduction": "one exposure to products",
    "modes": "what a mode is; the registry",
    "wings": "modes/*: one folder a mode",
    "pipelines": "the classes, by name",
    "campaign": "plan, ledger, execution",
    "compilation": "kernels, ahead of a run",
    "terminal": "lines, options, progress",
    "report": "one page per run",
    "results": "reduce_MODE and its results",
    "simulate": "scenes with truth",
    "cli": "the command",
    "base": "errors, parameters, facts",
}
WIDTH, HEIGHT, GAP_X, GAP_Y = 168, 46, 26, 44


def allowed_imports() -> dict[str, set[str]]:
    """Return the table ALLOWED of the architecture test, read without importing it."""
    found: dict[str, Any] = {}
    for node in ast.parse(TABLE.read_text()).body:
        name = getattr(node.targets[0], "id", "") if isinstance(node, ast.Assign) else ""
        if name in TABLES:
            found[name] = eval(compile(ast.Expression(node.value), str(TABLE), "eval"), {"set": set}, found)
    if "ALLOWED" not in found:
        raise ValueError(f"{TABLE}: no table ALLOWED")
    return found["ALLOWED"]


def graph() -> dict[str, set[str]]:
    """Return the rooms with the small modules merged into one, and only the arrows that no detour replaces."""
    merged = {
        room: {"base" if name in BASE else name for name in below}
        for room, below in allowed_imports().items()
        if room not in BASE and not room.startswith("__")
    } | {"base": set()}

    def reach(room: str) -> set[str]:
        return set().union(*({below} | reach(below) for below in merged[room])) if merged[room] else set()

    def direct(room: str, below: set[str]) -> set[str]:
        return {name for name in below if not any(name in reach(other) for other in below - {name})} or {"base"} - {
            room
        }

    return {room: direct(room, below) for room, below in merged.items()}


def levels(arrows: dict[str, set[str]]) -> list[list[str]]:
    """Return the rooms by height, ground floor first."""
    height: dict[str, int] = {}

    def find(room: str) -> int:
        if room not in height:
            height[room] = 1 + max((find(below) for below in arrows[room]), default=-1)
        return height[room]

    for room in arrows:
        find(room)
    return [[room for room in arrows if height[room] == level] for level in range(max(height.values()) + 1)]


def draw() -> str:
    """Return the picture as SVG; colours follow the reader's light or dark setting."""
    arrows = graph()
    floors = levels(arrows)
    widest = max(len(floor) for floor in floors)
    total = widest * (WIDTH + GAP_X) - GAP_X
    place: dict[str, tuple[float, float]] = {}
    for level, floor in enumerate(floors):
        left = (total - (len(floor) * (WIDTH + GAP_X) - GAP_X)) / 2
        y = (len(floors) - 1 - level) * (HEIGHT + GAP_Y)
        for index, room in enumerate(floor):
            place[room] = (left + index * (WIDTH + GAP_X), y)
    height = len(floors) * (HEIGHT + GAP_Y) - GAP_Y
    lines = [_arrow(place[room], place[below]) for room in arrows for below in sorted(arrows[room])]
    boxes = [_box(room, *place[room]) for room in arrows]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="-6 -6 {total + 12} {height + 12}" '
        f'role="img" aria-label="Rooms of the package and the imports allowed between them" '
        'style="max-width:100%;height:auto;font:13px sans-serif">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 8 4 0 8z" fill="#8a8f98"/></marker></defs>' + "".join(lines + boxes) + "</svg>"
    )


def _arrow(start: tuple[float, float], end: tuple[float, float]) -> str:
    x1, y1, x2, y2 = start[0] + WIDTH / 2, start[1] + HEIGHT, end[0] + WIDTH / 2, end[1] - 3
    bend = (y2 - y1) / 2
    return (
        f'<path d="M{x1:.0f} {y1:.0f}C{x1:.0f} {y1 + bend:.0f} {x2:.0f} {y2 - bend:.0f} {x2:.0f} {y2:.0f}" '
        'fill="none" stroke="#8a8f98" stroke-width="1.2" marker-end="url(#tip)"/>'
    )


def _box(room: str, x: float, y: float) -> str:
    title = "small modules" if room == "base" else room
    middle = x + WIDTH / 2
    return (
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{WIDTH}" height="{HEIGHT}" rx="6" fill="#0072B2"/>'
        f'<text x="{middle:.0f}" y="{y + 19:.0f}" text-anchor="middle" fill="#fff" font-weight="600">{title}</text>'
        f'<text x="{middle:.0f}" y="{y + 36:.0f}" text-anchor="middle" fill="#fff" font-size="11">'
        f"{escape(WHAT.get(room, ''))}</text>"
    )
