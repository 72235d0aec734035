"""`detectorist verify`: stock code and compiled engine on one exposure, compared value by value."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def verify(
    file: Annotated[Path, typer.Argument(help="An _uncal.fits file of any stage-1 mode.")],
    references: Annotated[
        str | None, typer.Option(help="Source of reference files: crds, or a folder in CRDS's layout. Default: crds.")
    ] = None,
    output_dir: Annotated[
        Path | None, typer.Option("--output-dir", "-o", help="Keep both sets of products in this folder.")
    ] = None,
) -> None:
    """Run stage 1 with stock code and with the engine, and print what differs: nothing, one hopes.

    Leaves with status 1 when anything differs.

    Example: detectorist verify sim/jw_uncal.fits --references sim/crds
    """
    from detectorist.crds_source import use_references
    from detectorist.pipelines.verify import verify as run

    use_references(references)
    if output_dir is not None:
        output_dir.mkdir(parents=True, exist_ok=True)
    result = run(file, folder=output_dir, tell=lambda line: typer.echo(f"{line} ...", err=True))
    _print(result)
    if not result.identical:
        raise typer.Exit(1)


def _print(result) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("product", "array", "values", "differing", "worst", title="stock against engine")
    for entry in result.differences:
        worst = f"{entry.worst_ulp:.3g} ulp" if entry.worst_ulp else ""
        worst = worst or ", ".join(f"{name} {count}" for name, count in entry.flags.items())
        table.add_row(entry.product, entry.extension, f"{entry.n_values:,}", f"{entry.n_differing:,}", worst)
    console.print(table)
    costs = Table("", "CPU s", "wall s", "peak MiB", title="cost of the whole run")
    for name, cost in (("stock", result.stock), ("engine", result.engine)):
        costs.add_row(name, f"{cost.cpu_s:.2f}", f"{cost.wall_s:.2f}", f"{cost.peak_mib:.0f}")
    console.print(costs)
    for step, how in result.steps.items():
        console.print(f"{step}: {how}", highlight=False, markup=False)
    same = "every value and every flag is the same" if result.identical else "the products DIFFER"
    console.print(same, highlight=False, markup=False)
