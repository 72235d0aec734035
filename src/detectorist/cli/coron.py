"""`detectorist run coron`, and `detectorist.run_obs` with its progress bar."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any

import typer

from detectorist.cli.lines import print_lines
from detectorist.cli.options import Quiet, choice_option, file_option

if TYPE_CHECKING:
    from detectorist.modes.coron.database import Database
    from detectorist.modes.coron.obs_record import ObsRecord


def run_obs(
    database: Database,
    steps: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    subdir: str = "stage1",
    overwrite: bool = True,
    quiet: bool = False,
    verbose: bool = False,
    **kwargs: Any,
) -> list[ObsRecord]:
    """Run stage 1 on all exposures of a database, with a progress bar unless `quiet` or given another `progress`.

    Everything else is that of `detectorist.modes.coron.run_obs.run_obs`.
    """
    from detectorist.cli.progress import progress_bar
    from detectorist.modes.coron import run_obs as campaign

    if kwargs.get("progress") is not None:
        return campaign.run_obs(database, steps, subdir, overwrite, quiet, verbose, **kwargs)
    with progress_bar("reducing", quiet=quiet) as progress:
        return campaign.run_obs(database, steps, subdir, overwrite, quiet, verbose, **{**kwargs, "progress": progress})


def coron(
    files: Annotated[
        list[Path],
        typer.Argument(help="Exposures (_uncal.fits) of targets, reference stars, backgrounds; or a database.ecsv."),
    ],
    output_dir: Annotated[Path, file_option("Folder for products and database.ecsv.", "--output-dir", "-o")],
    references: Annotated[
        str | None,
        file_option("Source of reference files: crds, sim, or a folder in CRDS's layout. Default: crds."),
    ] = None,
    subdir: Annotated[str, file_option("Folder for products below OUTPUT_DIR.")] = ("stage1"),
    overwrite: Annotated[
        bool,
        file_option("Replace products made with other parameters or by another version.", "--overwrite"),
    ] = False,
    set_: Annotated[
        list[str] | None,
        choice_option(
            "step.parameter=value, or an option of the pipeline, as stage_1overf=groups; repeatable.", "--set"
        ),
    ] = None,
    outliers: Annotated[
        bool,
        choice_option("Flag outliers across integrations and fit them again.", "--outliers"),
    ] = False,
    skip: Annotated[
        list[str] | None,
        choice_option(
            "Leave something out: ktc, fnoise, fnoise_vert, charge, jump, dark, ipc, persistence; repeatable."
        ),
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Print what every step says.")] = False,
    quiet: Quiet = False,
) -> None:
    """Reduce coronagraphic exposures of NIRCam or MIRI from raw ramps to rates.

    What each exposure is (SCI, REF, SCI_BG, REF_BG) is told from its header and written to OUTPUT_DIR/database.ecsv,
    which may be edited and given instead of the files. Products that are up to date are kept.

    Exit codes: 0 all done, 2 bad arguments, 3 some exposures failed.

    Example: detectorist run coron sim/*_uncal.fits -o out --references sim/crds
    """
    from detectorist.cli.report import report_after_run
    from detectorist.modes.coron import run_obs as campaign
    from detectorist.reduction.recipe import Recipe

    recipe = Recipe("--set").with_settings(set_ or [])
    keywords: dict[str, Any] = {**recipe.parameters, **{f"skip_{name}": True for name in skip or []}}
    if outliers:
        keywords["rate_int_outliers"] = True
    with campaign.terminal_log(quiet, verbose):
        database = _database(files, output_dir)
    if references == "sim":
        references = _simulated_references(output_dir)
    records = run_obs(database, recipe.steps, subdir, overwrite, quiet, verbose, references=references, **keywords)
    table = database.save()
    if not quiet:
        print_lines([*campaign.summarise(records), f"database: {table}"])
    report_after_run(output_dir, quiet=quiet)
    if any(record.state == campaign.FAILED for record in records):
        raise typer.Exit(3)


def _database(files: list[Path], output_dir: Path) -> Database:
    """Return the database in a file, or one of the files."""
    from detectorist.modes.coron.database import Database

    if len(files) == 1 and files[0].suffix == ".ecsv":
        database = Database.load(files[0])
        database.output_dir = output_dir
        return database
    return Database(output_dir, files)


def _simulated_references(output_dir: Path) -> str:
    """Return the folder with simulated references for both instruments, made on first use."""
    from detectorist.simulate.coron_references import build_coron_cache

    folder = output_dir / "references" / "sim_coron"
    if not (folder / "config" / "jwst" / "server_config").is_file():
        build_coron_cache(folder)
    return str(folder)
