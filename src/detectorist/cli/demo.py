"""`detectorist demo`: simulate, reduce, and compare the results with the truth, in every mode."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectorist.cli.simulate import PACKAGE, simulated_modes
from detectorist.terminal.lines import print_lines

if TYPE_CHECKING:
    from detectorist.campaign.ledger import Entry

#: Folder for raw files, references and truths.
SIMULATED = "simulated"


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for everything.")] = Path("out/demo"),
    mode: Annotated[
        list[str] | None, typer.Option(help=f"Run this mode only: {', '.join(simulated_modes())}. Repeatable.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Random seed of the simulations.")] = 1,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Keep raw files, truths, reference files and intermediate products (about 1 GB)."),
    ] = False,
) -> None:
    """Simulate and reduce exposures of every mode, and compare the results with the simulated truth.

    Needs no network and takes a few minutes. Open report.html in the output folder afterwards.

    Example: detectorist demo -o out/demo
    """
    from detectorist.cli.report import report_after_run
    from detectorist.errors import ParameterError
    from detectorist.parameters import nearest

    known = simulated_modes()
    for name in mode or ():
        if name not in known:
            raise ParameterError(f'no mode "{name}"{nearest(name, known)}: one of {", ".join(known)} is needed')
    for name in mode or known:
        unneeded = _show(name, output_dir, seed)
        if not keep:
            _delete(unneeded)
    simulated = output_dir / SIMULATED
    if simulated.is_dir() and not any(simulated.iterdir()):
        simulated.rmdir()
    report_after_run(output_dir)


def _show(mode: str, folder: Path, seed: int) -> list[Path]:
    """Simulate and reduce the example of a mode and print the comparison; return what the report does not need."""
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
    mine = load_mode(mode)
    for number, entry in enumerate(entries.values()):
        lines = [f"{entry.job.name}:", *(mine.summarise(entry.record) or [f"{entry.state} {entry.record.message}"])]
        lines += _against_truth(scene, entry, raw) if entry.state == DONE else []
        print_lines(lines if number == 0 or entry.state != DONE else [])
    others = f" ({len(entries) - 1} more exposures)" if len(entries) > 1 else ""
    print_lines([f"products: {reduced}{others}"])
    unneeded = [path for entry in entries.values() for path in _not_kept(entry, made.kept)]
    return [raw, *unneeded]


def _not_kept(entry: Entry, kept: Sequence[str] | None) -> list[Path]:
    """Return the FITS products of an exposure that are not named after it with one of the endings."""
    if kept is None:
        return []
    names = {f"{entry.job.name}{ending}" for ending in kept}
    products = [Path(entry.record.output_dir) / one.path for one in entry.record.products]
    return [path for path in products if path.suffix == ".fits" and path.name not in names]


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


def _delete(paths: Sequence[Path]) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
