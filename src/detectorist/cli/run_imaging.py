"""`detectorist run imaging`: NIRCam exposures to corrected rate images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

INPUTS = "Input and output"
CHOICES = "What is done"
#: Columns of a table of choices that are not named step.parameter, as the CEERS survey's.
COLUMNS = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}


def imaging(
    files: Annotated[list[Path], typer.Argument(help="Exposures: _uncal.fits, or _rate.fits to go on from.")],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for products.", rich_help_panel=INPUTS)
    ] = Path("calibrated"),
    input_dir: Annotated[
        Path,
        typer.Option(help="Folder in which files are looked for that are not found as given.", rich_help_panel=INPUTS),
    ] = Path("uncals"),
    references: Annotated[
        str | None,
        typer.Option(
            help="Source of reference files: crds, none, or a folder in CRDS's layout. Default: crds.",
            rich_help_panel=INPUTS,
        ),
    ] = None,
    wisp_templates: Annotated[
        Path | None,
        typer.Option(
            help="Folder of wisp templates: wisps_nrca3_f150w.fits or WISP_NRCA3_F150W_CLEAR.fits. "
            "Without it wisps stay in.",
            rich_help_panel=INPUTS,
        ),
    ] = None,
    delete_interim: Annotated[
        bool,
        typer.Option(
            "--delete-interim",
            "--delete_interim",
            help="Keep no rates of the integrations and no ramps.",
            rich_help_panel=INPUTS,
        ),
    ] = False,
    recipe: Annotated[
        str | None,
        typer.Option(help="default, ceers, or a TOML or stpipe .asdf file.", rich_help_panel=CHOICES),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(
            help="CSV or ECSV with a row per exposure and columns step.parameter, or wisp_scale and mask_threshold.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            help="step.parameter=value, stronger than recipe and table; repeatable.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    maximum_cores: Annotated[
        str | None,
        typer.Option(
            "--maximum-cores",
            "--maximum_cores",
            help="none, quarter, half or all: threads for jump detection and ramp fit.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    force: Annotated[
        bool,
        typer.Option("--force", help="Make products again even where they are up to date.", rich_help_panel=CHOICES),
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Reduce NIRCam images: standard stage 1 with snowballs flagged, then wisps and 1/f noise subtracted.

    Nothing has to be chosen by eye; a table may choose for single exposures all the same.

    Example: detectorist run imaging sim/*_uncal.fits -o out --references sim/crds --wisp-templates sim/wisps
    """
    from detectorist.cli.progress import progress_bar
    from detectorist.cli.report import report_after_run
    from detectorist.pipelines.imaging_reduction import ImagingRequest, reduce_imaging

    settings = list(set_ or [])
    if delete_interim:
        settings.append("delete_interim=true")
    if maximum_cores is not None:
        settings += [f'jump.maximum_cores="{maximum_cores}"', f'ramp_fit.maximum_cores="{maximum_cores}"']
    found = [locate(file, input_dir) for file in files]
    with progress_bar("reducing", quiet=quiet) as progress:
        made = reduce_imaging(
            ImagingRequest(
                files=found,
                output_dir=output_dir,
                recipe=recipe,
                settings=settings,
                references=references,
                force=force,
                progress=progress,
                wisp_templates=wisp_templates,
                choices=choices_for(table, found),
            )
        )
    if not quiet:
        print_lines(str(path) for path in made)
    report_after_run(output_dir, quiet=quiet)


def locate(file: Path, folder: Path) -> Path:
    """Return the file, or the one of its name in the folder where there is only that."""
    other = folder / file.name
    return other if other.is_file() and not file.is_file() else file


def choices_for(table: Path | None, files: list[Path]) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings} of a table; rows for exposures that are not among the files are no error."""
    if table is None:
        return {}
    import csv

    from detectorist.campaign.exposures import read_choices
    from detectorist.pipelines.imaging import stem_of

    with open(table, newline="") as lines:
        header = next(csv.reader(line for line in lines if not line.startswith("#")), [])
    mapped = {column: target for column, target in COLUMNS.items() if column in header}
    choices = read_choices(table, columns=mapped)
    return {stem_of(file.name): choices.settings_for(stem_of(file.name)) for file in files}


def print_lines(lines) -> None:
    """Print lines as they are."""
    from rich.console import Console

    console = Console()
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
