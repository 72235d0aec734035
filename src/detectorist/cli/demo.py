"""`detectorist demo`: simulate, reduce, and say how far from the truth the results are, in every mode."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectorist.cli.simulate import PACKAGE, simulated_modes
from detectorist.terminal.lines import print_lines

if TYPE_CHECKING:
    from detectorist.campaign.ledger import Entry

SIMULATED = "simulated"


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for everything.")] = Path("out/demo"),
    mode: Annotated[
        list[str] | None, typer.Option(help=f"Show this mode only: {', '.join(simulated_modes())}; repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of the simulations.")] = 1,
) -> None:
    """Simulate and reduce an exposure of every mode, and compare the results with the truth.

    Needs no network.

    Example: detectorist demo -o out/demo
    """
    from detectorist.cli.report import report_after_run
    from detectorist.errors import ParameterError
    from detectorist.parameters import nearest

    known = simulated_modes()
    for name in mode or ():
        if name not in known:
            raise ParameterError(f'no mode "{name}"{nearest(name, known)}: {", ".join(known)} are known')
    for name in mode or known:
        _show(name, output_dir, seed)
    report_after_run(output_dir)


def _show(mode: str, folder: Path, seed: int) -> None:
    """Simulate and reduce what stands for a mode, and print what came of it."""
    from rich.console import Console

    from detectorist.campaign.api import as_report, run
    from detectorist.campaign.plan import PlanRequest
    from detectorist.modes import load_mode
    from detectorist.modes.job import DONE
    from detectorist.terminal.progress import progress_bar

    scene: Any = import_module(f"{PACKAGE}.{mode}.demo")
    raw, reduced = folder / SIMULATED / mode, folder / mode
    Console().rule(scene.TITLE, align="left")
    with progress_bar("simulating") as progress:
        made = scene.simulate(raw, seed=seed, progress=progress)
    request = PlanRequest(
        mode, made.files, reduced, overrides=made.settings, references=str(made.references.resolve()), directly=True
    )
    with progress_bar("reducing") as progress:
        entries = run(request, report=as_report(progress), command="demo")
    for number, entry in enumerate(entries.values()):
        print_lines(load_mode(mode).summarise(entry.record) or [f"{entry.job.name}: {entry.state}"])
        if entry.state == DONE:
            lines = _against_truth(scene, entry, raw)
            print_lines(lines if number == 0 else [])
    print_lines([f"products: {reduced}"])


def _against_truth(scene: Any, entry: Entry, raw: Path) -> list[str]:
    """Return how far the products of an exposure are from the truth, and leave that for the report."""
    from detectorist.reduction.products import write_text
    from detectorist.report.gather import TRUTH

    products = [Path(entry.record.output_dir) / product.path for product in entry.record.products]
    lines = scene.compare(products, raw)
    told = {
        "numbers": scene.truths(entry.job.name, raw),
        "lines": [line for line in lines if not line.endswith((":", ".png"))],
    }
    write_text(json.dumps(told), entry.job.beside(TRUTH))
    return lines
