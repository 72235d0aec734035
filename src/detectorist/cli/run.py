"""`detectorist run`: exposures to science-ready products."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectorist.cli import campaign as campaigns
from detectorist.cli import coron as coronagraphy
from detectorist.cli import run_imaging
from detectorist.cli.lines import print_lines
from detectorist.cli.options import Quiet, Settings, choice_option, file_option
from detectorist.cli.report import report_after_run

app = typer.Typer(
    help="Reduce exposures: `run lrs FILES`, or `run CAMPAIGN.toml` for what a file describes.",
    no_args_is_help=True,
    cls=campaigns.RunGroup,
)
app.command("campaign")(campaigns.campaign)
app.command("imaging")(run_imaging.imaging)
app.command("coron")(coronagraphy.coron)


@app.command("lrs")
def lrs(
    files: Annotated[
        list[Path], typer.Argument(help="All segments of one exposure or more: _uncal.fits, or _rateints.fits.")
    ],
    output_dir: Annotated[Path, file_option("Folder for products.", "--output-dir", "-o")],
    references: Annotated[
        str | None,
        file_option("Source of reference files: crds, sim, none, or a folder in CRDS's layout. Default: crds."),
    ] = None,
    wavelength_map: Annotated[
        Path | None,
        file_option("FITS file with a WAVELENGTH extension, instead of the WCS."),
    ] = None,
    recipe: Annotated[
        str | None,
        choice_option("short, long, best, or a TOML file. Default: short below 40 groups, else long."),
    ] = None,
    set_: Settings = None,
    force: Annotated[
        bool,
        choice_option("Make stage-1 products again even where they are up to date.", "--force"),
    ] = False,
    table: Annotated[
        Path | None,
        choice_option("CSV or ECSV with a row per exposure and columns step.parameter."),
    ] = None,
    workers: campaigns.Workers = None,
    scheduler: campaigns.Scheduler = None,
    memory_limit: campaigns.MemoryLimit = None,
    chunk_ints: campaigns.ChunkInts = None,
    dry_run: campaigns.DryRun = False,
    as_json: campaigns.Json = False,
    quiet: Quiet = False,
) -> None:
    """Reduce MIRI LRS slitless time series from raw ramps to spectra through time.

    Segments of one exposure are reduced here and now; several exposures, or any option on how it is run, make it a
    campaign, which is resumed by content and looked at with `detectorist status`. Several exposures go to folders of
    their own below OUTPUT_DIR.

    Example: detectorist run lrs sim/*_uncal.fits -o out --references sim/crds
    """
    from detectorist.cli.progress import progress_bar
    from detectorist.cli.references import folder_of_references
    from detectorist.modes.lrs.quality import summarise
    from detectorist.modes.lrs.reduction import Request, reduce_lrs

    references = folder_of_references(references, output_dir)
    if campaigns.is_campaign("lrs", files, table, workers, scheduler, memory_limit, dry_run, as_json):
        mapped = [f"wavelength_map={wavelength_map.resolve()}"] if wavelength_map else []
        request = campaigns.request_from_options(
            "lrs", files, output_dir, recipe, table, [*mapped, *(set_ or [])], references
        )
        execution = campaigns.make_execution(workers, scheduler, memory_limit)
        campaigns.conduct(request, execution, chunk_ints, dry_run=dry_run, as_json=as_json, force=force, quiet=quiet)
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
            print_lines([*summarise(dataset), f"products in {output_dir}"])
    report_after_run(output_dir, quiet=quiet)
