"""`detectorist run`: exposures to science-ready products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectorist.cli import campaign as campaigns
from detectorist.cli import coron as coronagraphy
from detectorist.cli import run_imaging
from detectorist.cli.report import report_after_run

app = typer.Typer(
    help="Reduce exposures: `run lrs FILES`, or `run CAMPAIGN.toml` for what a file describes.",
    no_args_is_help=True,
    cls=campaigns.RunGroup,
)
app.command("campaign")(campaigns.campaign)
app.command("imaging")(run_imaging.imaging)
app.command("coron")(coronagraphy.coron)

INPUTS = "Input and output"
CHOICES = "What is done"


@app.command("lrs")
def lrs(
    files: Annotated[
        list[Path], typer.Argument(help="All segments of one exposure or more: _uncal.fits, or _rateints.fits.")
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for products.", rich_help_panel=INPUTS)
    ],
    references: Annotated[
        str | None,
        typer.Option(
            help="Source of reference files: crds, sim, none, or a folder in CRDS's layout. Default: crds.",
            rich_help_panel=INPUTS,
        ),
    ] = None,
    wavelength_map: Annotated[
        Path | None,
        typer.Option(help="FITS file with a WAVELENGTH extension, instead of the WCS.", rich_help_panel=INPUTS),
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help="short, long, best, or a TOML file. Default: short below 40 groups, else long.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="step.parameter=value, stronger than the recipe; repeatable.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Make stage-1 products again even where they are up to date.",
            rich_help_panel=CHOICES,
        ),
    ] = False,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV or ECSV with a row per exposure and columns step.parameter.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    workers: campaigns.Workers = None,
    scheduler: campaigns.Scheduler = None,
    memory_limit: campaigns.MemoryLimit = None,
    chunk_ints: campaigns.ChunkInts = None,
    dry_run: campaigns.DryRun = False,
    as_json: campaigns.Json = False,
    quiet: campaigns.Quiet = False,
) -> None:
    """Reduce MIRI LRS slitless time series from raw ramps to spectra through time.

    Segments of one exposure are reduced here and now; several exposures, or any option on how it is run, make it a
    campaign, which is resumed by content and looked at with `detectorist status`. Several exposures go to folders of
    their own below OUTPUT_DIR.

    Example: detectorist run lrs sim/*_uncal.fits -o out --references sim/crds
    """
    from detectorist.cli.progress import progress_bar
    from detectorist.cli.references import folder_of_references
    from detectorist.pipelines.reduction import Request, reduce_lrs

    references = folder_of_references(references, output_dir)
    if campaigns.is_campaign("lrs", files, table, workers, scheduler, memory_limit, dry_run, as_json):
        mapped = [f"wavelength_map={wavelength_map.resolve()}"] if wavelength_map else []
        wish = campaigns.wish_from_options(
            "lrs", files, output_dir, recipe, table, [*mapped, *(set_ or [])], references
        )
        execution = campaigns.make_execution(workers, scheduler, memory_limit)
        campaigns.conduct(wish, execution, chunk_ints, dry_run=dry_run, as_json=as_json, force=force, quiet=quiet)
        return
    chunked = [f"chunk_ints={chunk_ints}"] if chunk_ints else []
    with progress_bar("reducing", quiet=quiet) as progress:
        request = Request(
            files=files,
            output_dir=output_dir,
            recipe=recipe,
            settings=[*(set_ or []), *chunked],
            references=references,
            wavelength_map=wavelength_map,
            force=force,
            progress=progress,
        )
        spectra = reduce_lrs(request)
    if not quiet:
        with spectra.opened() as dataset:
            _print_summary(dataset, output_dir)
    report_after_run(output_dir, quiet=quiet)


def _print_summary(dataset, output_dir: Path) -> None:
    from rich.console import Console

    from detectorist.pipelines.lrs_summary import summarise

    console = Console()
    for line in summarise(dataset):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    console.print(f"products in {output_dir}", highlight=False, markup=False, soft_wrap=True)
