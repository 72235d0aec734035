"""`detectorist run imaging`: NIRCam exposures to corrected rate images."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detectorist.cli import campaign as campaigns
from detectorist.cli.lines import print_lines
from detectorist.cli.options import Quiet, Settings, choice_option, file_option
from detectorist.cli.report import report_after_run
from detectorist.errors import ParameterError

if TYPE_CHECKING:
    from detectorist.campaign.exposures import Choices
    from detectorist.modes.imaging.reduction import ImagingRequest

#: Columns of a table of choices that are not named step.parameter, as the CEERS survey's.
COLUMNS = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}
#: What a threshold in such a table asks for as well, as `destripe --thresh` does: the other method has none.
WITH_THRESHOLD = "stripes.method=median"


def imaging(
    files: Annotated[list[Path], typer.Argument(help="Exposures: _uncal.fits, or _rate.fits to go on from.")],
    output_dir: Annotated[Path, file_option("Folder for products.", "--output-dir", "-o")] = Path("calibrated"),
    input_dir: Annotated[
        Path,
        file_option("Folder in which files are looked for that are not found as given."),
    ] = Path("uncals"),
    references: Annotated[
        str | None,
        file_option("Source of reference files: crds, none, or a folder in CRDS's layout. Default: crds."),
    ] = None,
    wisp_templates: Annotated[
        Path | None,
        file_option(
            "Folder of wisp templates: wisps_nrca3_f150w.fits or WISP_NRCA3_F150W_CLEAR.fits. Without it wisps stay in."
        ),
    ] = None,
    delete_interim: Annotated[
        bool,
        file_option("Keep no rates of the integrations and no ramps.", "--delete-interim", "--delete_interim"),
    ] = False,
    recipe: Annotated[
        str | None,
        choice_option("default, ceers, or a TOML or stpipe .asdf file."),
    ] = None,
    table: Annotated[
        Path | None,
        choice_option(
            "CSV or ECSV with a row per exposure and columns step.parameter, or wisp_scale and mask_threshold."
        ),
    ] = None,
    set_: Settings = None,
    maximum_cores: Annotated[
        str | None,
        choice_option(
            "none, quarter, half or all: threads for jump detection and ramp fit.", "--maximum-cores", "--maximum_cores"
        ),
    ] = None,
    force: Annotated[
        bool,
        choice_option("Make products again even where they are up to date.", "--force"),
    ] = False,
    workers: campaigns.Workers = None,
    scheduler: campaigns.Scheduler = None,
    memory_limit: campaigns.MemoryLimit = None,
    persistence_time: campaigns.PersistenceTime = None,
    dry_run: campaigns.DryRun = False,
    as_json: campaigns.Json = False,
    quiet: Quiet = False,
) -> None:
    """Reduce NIRCam images: standard stage 1 with snowballs flagged, then wisps and 1/f noise subtracted.

    Nothing has to be chosen by eye; a table may choose for single exposures all the same. Exposures are reduced one
    after the other into OUTPUT_DIR; one that cannot be is told, and the others go on. Any option on how it is run makes
    it a campaign: many at a time, resumed by content, each exposure in a folder of its own below OUTPUT_DIR.

    Exit codes: 0 all done, 2 bad arguments, 3 some exposures cannot be processed, 4 some crashed.

    Example: detectorist run imaging sim/*_uncal.fits -o out --references sim/crds --wisp-templates sim/wisps
    """
    settings = settings_of(set_, delete_interim=delete_interim, maximum_cores=maximum_cores)
    found = [locate(file, input_dir) for file in files]
    if any((workers, scheduler, memory_limit, persistence_time, dry_run, as_json)):
        request = replace(
            campaigns.request_from_options("imaging", found, output_dir, recipe, None, settings, references),
            settings=() if wisp_templates is None else (template_setting(wisp_templates),),
            choices=None if table is None else read_table(table),
            allow_unmatched=True,
            persistence_time_s=persistence_time or 0.0,
        )
        execution = campaigns.make_execution(workers, scheduler, memory_limit)
        campaigns.conduct(request, execution, dry_run=dry_run, as_json=as_json, force=force, quiet=quiet)
        return
    from detectorist.modes.imaging.reduction import ImagingRequest

    request = ImagingRequest(
        files=found,
        output_dir=output_dir,
        recipe=recipe,
        settings=settings,
        references=references,
        force=force,
        wisp_templates=wisp_templates,
        choices=choices_for(table, found),
    )
    _reduce_here(request, quiet=quiet)


def settings_of(given: list[str] | None, *, delete_interim: bool, maximum_cores: str | None) -> list[str]:
    """Return what --set says, and behind it what options of their own stand for."""
    settings = list(given or [])
    if delete_interim:
        settings.append("delete_interim=true")
    if maximum_cores is not None:
        settings += [f'{step}.maximum_cores="{maximum_cores}"' for step in ("jump", "ramp_fit")]
    return settings


def template_setting(folder: Path) -> str:
    """Return the setting that names a folder of wisp templates, whatever folder a process works in."""
    return f"wisps.template_dir={json.dumps(str(folder.resolve()))}"


def _reduce_here(request: ImagingRequest, *, quiet: bool) -> None:
    """Reduce one exposure after the other, say what came of each, write the report, leave with the exit code."""
    from detectorist.campaign.run import count_states
    from detectorist.cli.campaign_view import counted
    from detectorist.cli.progress import progress_bar
    from detectorist.modes import job
    from detectorist.modes.imaging.reduction import ExposuresFailed, reduce_imaging

    failed: dict[str, dict[str, str]] = {}
    with progress_bar("reducing", quiet=quiet) as progress:
        try:
            made = [str(path) for path in reduce_imaging(replace(request, progress=progress))]
        except ExposuresFailed as error:
            made, failed = error.numbers["made"], error.numbers["failed"]
    for name, what in failed.items():
        typer.echo(f"{name}: {what['state']}: {what['message']}", err=True)
    counts = count_states({**dict.fromkeys(made, job.DONE), **{name: what["state"] for name, what in failed.items()}})
    if not quiet:
        print_lines(made)
        if len(request.files) > 1:
            print_lines([f"{counted(counts)}; products in {request.output_dir}"])
    if made:
        report_after_run(request.output_dir, quiet=quiet)
    raise typer.Exit(campaigns.exit_code(counts))


def locate(file: Path, folder: Path) -> Path:
    """Return the file, or the one of its name in the folder where there is only that."""
    other = folder / file.name
    return other if other.is_file() and not file.is_file() else file


def choices_for(table: Path | None, files: list[Path]) -> dict[str, tuple[str, ...]]:
    """Return {exposure: settings} of a table; rows for exposures that are not among the files are no error."""
    if table is None:
        return {}
    from detectorist.modes.imaging.pipeline import stem_of

    choices = read_table(table)
    return {stem_of(file.name): choices.settings_for(stem_of(file.name)) for file in files}


def read_table(table: Path) -> Choices:
    """Read a table of choices whose columns are named step.parameter, or as the CEERS survey's are.

    A `mask_threshold` chooses the median method, as `destripe --thresh` does; `--set stripes.method=flicker` is
    stronger.
    """
    from detectorist.campaign.exposures import read_choices

    try:
        with open(table, newline="", encoding="utf-8-sig") as lines:
            header = next(csv.reader(line for line in lines if not line.startswith("#")), [])
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{table}: cannot be read as a table ({error})") from error
    choices = read_choices(table, columns={column: target for column, target in COLUMNS.items() if column in header})
    if "mask_threshold" not in header or "stripes.method" in header:
        return choices
    threshold = f"{COLUMNS['mask_threshold']}="
    rows = [
        replace(row, settings=(*row.settings, WITH_THRESHOLD))
        if any(one.startswith(threshold) for one in row.settings)
        else row
        for row in choices.rows
    ]
    return replace(choices, rows=tuple(rows))
