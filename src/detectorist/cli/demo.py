"""`detectorist demo`: simulate, reduce, and say how far from the truth the result is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for everything.")] = Path("out/demo"),
    ints: Annotated[int, typer.Option(help="Integrations of the simulated transit.")] = 80,
    seed: Annotated[int, typer.Option(help="Seed of the simulation.")] = 1,
) -> None:
    """Simulate a transit seen by MIRI LRS, reduce it, and compare with the truth. Needs no network.

    Example: detectorist demo -o out/demo
    """
    from rich.console import Console

    from detectorist.cli.progress import progress_bar
    from detectorist.cli.report import report_after_run
    from detectorist.pipelines.lrs_summary import summarise
    from detectorist.pipelines.reduction import Request, reduce_lrs
    from detectorist.simulate.builder import LrsScene
    from detectorist.simulate.comparison import compare_lrs, draw_comparison

    console = Console()
    raw, reduced = output_dir / "simulated", output_dir / "reduced"
    with progress_bar("simulating") as progress:
        files = LrsScene().write(raw, ints=ints, groups=20, segments=2, seed=seed, overwrite=True, progress=progress)
    with progress_bar("reducing") as progress:
        request = Request(files, reduced, recipe="best", references=str(raw / "crds"), progress=progress)
        spectra = reduce_lrs(request)
    comparison = compare_lrs(spectra.dataset, raw / "truth.nc")
    figure = draw_comparison(comparison, reduced / "figures" / "transit.png")
    for line in (*summarise(spectra.dataset), *comparison.lines()):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"light curves and transit spectrum: {figure}", highlight=False, markup=False, soft_wrap=True)
    console.print(f"products: {reduced}", highlight=False, markup=False, soft_wrap=True)
    report_after_run(output_dir)
