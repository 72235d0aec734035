"""`detectorist verify`: the standard stage 1 and the compiled engine, compared value by value."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detectorist.errors import ParameterError

if TYPE_CHECKING:
    from rich.console import Console

    from detectorist.reduction.verify import Verification


def verify(
    files: Annotated[list[Path], typer.Argument(help="_uncal.fits files of any stage-1 mode.")],
    references: Annotated[
        str | None, typer.Option(help="Where reference files come from: crds, or a CRDS cache folder. Default: crds.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="step.parameter=value, for both, e.g. ramp_fit.algorithm=LIKELY. Repeatable."),
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help="Keep both sets of products of every file in this folder.")
    ] = None,
) -> None:
    """Run stage 1 with the standard code and with the compiled engine, and print any differences.

    No difference is expected. Exits with status 1 when any value or flag differs.

    Example: detectorist verify sim/*_uncal.fits --references sim/crds
    """
    from rich.console import Console

    from detectorist.crds_source import use_references
    from detectorist.fits_files import require_headers
    from detectorist.reduction.recipes.recipe import Recipe
    from detectorist.reduction.verify import EngineDetector1Pipeline
    from detectorist.reduction.verify import verify as run

    recipe = Recipe("verify").with_settings(settings or [])
    if recipe.parameters:
        raise ParameterError(f"--set {next(iter(recipe.parameters))}: step.parameter=value is needed")
    recipe.check(EngineDetector1Pipeline)
    for file in files:
        require_headers(file)
    use_references(references)
    console = Console()
    differing = 0
    for file in files:
        folder = output_dir and _make_folder(output_dir, file, alone=len(files) == 1)
        if len(files) > 1:
            console.print(f"[bold]{file.name}[/bold]", highlight=False)
        result = run(file, folder=folder, steps=recipe.steps, tell=lambda line: typer.echo(f"{line} ...", err=True))
        _print(result, console)
        differing += not result.identical
    if len(files) > 1:
        same = f"{len(files) - differing} of {len(files)} exposures are identical in every value"
        console.print(same, highlight=False)
    if differing:
        raise typer.Exit(1)


def _make_folder(output_dir: Path, file: Path, *, alone: bool) -> Path:
    """Make the folder for the products of a file: the one that was named, or one in it."""
    from detectorist.atomic_files import writing

    folder = output_dir if alone else output_dir / file.stem.removesuffix("_uncal")
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    return folder


def _print(result: Verification, console: Console) -> None:
    from rich.table import Table

    table = Table("product", "array", "values", "differing", "worst", title="standard code against engine")
    for entry in result.differences:
        worst = f"{entry.worst_ulp:.3g} ulp" if entry.worst_ulp else ""
        worst = worst or ", ".join(f"{name} {count}" for name, count in entry.flags.items())
        table.add_row(entry.product, entry.extension, f"{entry.n_values:,}", f"{entry.n_differing:,}", worst)
    console.print(table)
    costs = Table("", "CPU s", "wall s", "peak MiB", title="cost of the whole run")
    for name, cost in (("standard", result.stock), ("engine", result.engine)):
        costs.add_row(name, f"{cost.cpu_s:.2f}", f"{cost.wall_s:.2f}", f"{cost.peak_mib:.0f}")
    console.print(costs)
    for step, how in result.steps.items():
        console.print(f"{step}: {how}", highlight=False, markup=False)
    same = "every value and every flag is identical" if result.identical else "the products DIFFER"
    console.print(same, highlight=False, markup=False)
