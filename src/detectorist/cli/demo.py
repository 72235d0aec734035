"""`detectorist demo`: simulate, reduce, and say how far from the truth the results are, in every mode."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detectorist.terminal.lines import print_lines

SIMULATED = "simulated"


class Mode(StrEnum):
    """What is shown."""

    LRS = "lrs"
    IMAGING = "imaging"
    CORON = "coron"


def demo(
    output_dir: Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for everything.")] = Path("out/demo"),
    mode: Annotated[list[Mode] | None, typer.Option(help="Show this mode only; repeatable.")] = None,
    ints: Annotated[int, typer.Option(help="Integrations of the simulated transit.")] = 80,
    seed: Annotated[int, typer.Option(help="Seed of the simulations.")] = 1,
) -> None:
    """Simulate and reduce a transit, a deep image and a coronagraphic sequence; compare with the truth.

    Needs no network.

    Example: detectorist demo -o out/demo
    """
    from detectorist.cli.report import report_after_run

    shown: dict[Mode, Callable[[], Iterable[str]]] = {
        Mode.LRS: lambda: show_lrs(output_dir, ints=ints, seed=seed),
        Mode.IMAGING: lambda: show_imaging(output_dir, seed=seed),
        Mode.CORON: lambda: show_coron(output_dir, seed=seed),
    }
    for chosen in mode or list(Mode):
        _say(chosen.name, shown[chosen]())
    report_after_run(output_dir)


def show_lrs(folder: Path, *, ints: int, seed: int) -> list[str]:
    """Simulate a transit seen by MIRI LRS and reduce it with the recipe `best`; return what came of it."""
    from detectorist.modes.lrs.quality import summarise
    from detectorist.modes.lrs.reduction import Request, reduce_lrs
    from detectorist.simulate.lrs.comparison import compare_lrs, draw_comparison
    from detectorist.simulate.lrs.scene import LrsScene
    from detectorist.terminal.progress import progress_bar

    raw, reduced = folder / SIMULATED / "lrs", folder / "lrs"
    with progress_bar("simulating a transit") as progress:
        files = LrsScene().write(raw, ints=ints, groups=20, segments=2, seed=seed, overwrite=True, progress=progress)
    with progress_bar("reducing") as progress:
        request = Request(files, reduced, recipe="best", references=str(raw / "crds"), progress=progress)
        spectra = reduce_lrs(request)
    comparison = compare_lrs(spectra.dataset, raw / "truth.nc")
    figure = draw_comparison(comparison, reduced / "figures" / "transit.png")
    return [*summarise(spectra.dataset), *comparison.lines(), f"light curves and transit spectrum: {figure}"]


def show_imaging(folder: Path, *, seed: int) -> list[str]:
    """Simulate a full frame of NIRCam with snowballs, wisps and 1/f noise, and reduce it; return what came of it."""
    from detectorist.modes.imaging.reduction import ImagingRequest, reduce_imaging
    from detectorist.simulate.imaging.scene import ImagingScene
    from detectorist.terminal.progress import progress_bar

    raw, reduced = folder / SIMULATED / "imaging", folder / "imaging"
    with progress_bar("simulating a deep field") as progress:
        files = ImagingScene().write(raw, seed=seed, overwrite=True, progress=progress)
    with progress_bar("reducing") as progress:
        request = ImagingRequest(
            files, reduced, references=str(raw / "crds"), progress=progress, wisp_templates=raw / "wisps"
        )
        rates = reduce_imaging(request)
    return [*_against_truth(rates, raw), f"products: {reduced}"]


def show_coron(folder: Path, *, seed: int) -> list[str]:
    """Simulate a star with a companion behind a coronagraph of NIRCam, and reduce it; return what came of it."""
    from detectorist.cli.coron import run_obs
    from detectorist.modes.coron.database import Database
    from detectorist.modes.coron.run_obs import summarise
    from detectorist.simulate.coron.scene import CoronScene
    from detectorist.terminal.progress import progress_bar

    raw, reduced = folder / SIMULATED / "coron", folder / "coron"
    with progress_bar("simulating a companion") as progress:
        files = CoronScene().observe(seed=seed).write(raw, overwrite=True, progress=progress)
    database = Database(reduced, files)
    records = run_obs(database, references=str(raw / "crds"), save_intermediates=True)
    database.save()
    rates = [reduced / "stage1" / file.name.replace("_uncal", "_rate") for file in files]
    return [*summarise(records), *_against_truth(rates[:1], raw), f"products: {reduced}"]


def _against_truth(rates: Sequence[Path], raw: Path) -> list[str]:
    from detectorist.simulate.core.image_comparison import compare_image

    pairs = ((rate, raw / rate.name.replace("_rate.fits", "_truth.nc")) for rate in rates)
    return [line for rate, truth in pairs for line in (f"{rate.name}:", *compare_image(rate, truth).lines())]


def _say(title: str, lines: Iterable[str]) -> None:
    from rich.console import Console

    Console().rule(title, align="left")
    print_lines(lines)
