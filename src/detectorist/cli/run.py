"""`detectorist run MODE FILES` and `detectorist run CAMPAIGN.toml`: two ways into the same run."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from typer.core import TyperGroup

from detectorist.cli.conduct import conduct, make_execution
from detectorist.cli.help import flowing
from detectorist.cli.references import folder_of_references
from detectorist.modes import Mode, load_mode, mode_names
from detectorist.terminal.options import Quiet, choice_option, file_option

if TYPE_CHECKING:
    from detectorist.campaign.plan import PlanRequest

HOW = "Execution"
CAMPAIGN = "campaign"
EXIT_CODES = (
    "An interrupted run continues when the same command is given again; products that are up to date are kept. "
    "Exit codes: 0 all done, 2 bad arguments, 3 some exposures cannot be processed, 4 some crashed."
)

Files = Annotated[list[Path], typer.Argument(help="Exposures, or folders that contain them.", show_default=False)]
OutputDir = Annotated[Path, file_option("Folder for products.", "--output-dir", "-o")]
References = Annotated[
    str | None,
    file_option("Where reference files come from: crds, sim, none, or a CRDS cache folder. Default: crds."),
]
Recipe = Annotated[
    str | None, choice_option("Name of a recipe (detectorist recipe list), or a TOML or stpipe .asdf file.")
]
Set = Annotated[
    list[str] | None,
    choice_option("step.parameter=value; overrides the recipe and the table. Repeatable.", "--set"),
]
Table = Annotated[Path | None, choice_option("CSV or ECSV table: one row per exposure, columns named step.parameter.")]
Overwrite = Annotated[
    bool,
    choice_option(
        "Redo everything, and overwrite files of the same names that detectorist did not write (never an input).",
        "--overwrite",
        "--force",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers", "-j", min=1, help="Number of processes. Default: as CPUs and memory allow.", rich_help_panel=HOW
    ),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        help="Run on a Dask cluster instead: its scheduler's address, e.g. tcp://host:8786.", rich_help_panel=HOW
    ),
]
MemoryLimit = Annotated[
    str | None,
    typer.Option(
        help="Memory for all processes together, e.g. 8GB; long exposures are then processed in chunks.",
        rich_help_panel=HOW,
    ),
]
ChunkInts = Annotated[
    int | None,
    typer.Option(
        min=2,
        help="Run stage 1 on this many integrations at a time, to save memory; the results are identical.",
        rich_help_panel=HOW,
    ),
]
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds after which an exposure is stopped and counted as crashed.", rich_help_panel=HOW),
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print what would be done, without doing it.", rich_help_panel=HOW)
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per event on stdout.", rich_help_panel=HOW)]
Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Print the log of every step.")]


class RunGroup(TyperGroup):
    """A command per mode, made on request; and `run CAMPAIGN.toml` as `run campaign CAMPAIGN.toml`."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the modes, and the command for campaign files."""
        return [*mode_names(), *super().list_commands(ctx)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of a mode."""
        if cmd_name in mode_names():
            return command_of(load_mode(cmd_name))
        return super().get_command(ctx, cmd_name)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the command if a file comes first."""
        known = self.list_commands(ctx)
        if args and args[0] not in known and any(word.endswith(".toml") for word in args):
            args = [CAMPAIGN, *args]
        return super().parse_args(ctx, args)


app = typer.Typer(
    help="Reduce exposures: `run MODE FILES`, or `run CAMPAIGN.toml` for a run described by a file.\n\n"
    f"Example: detectorist run {mode_names()[0]} *_uncal.fits -o out",
    no_args_is_help=True,
    cls=RunGroup,
)


@app.callback()
def _root() -> None:
    """Hold the commands, whose number is that of the modes."""


def command_of(mode: Mode) -> Any:
    """Return `run MODE`: the options of all modes, and those of this one."""
    own = mode.options()
    own_names = list(inspect.signature(own).parameters)

    def run(**values: Any) -> None:
        wanted = own(**{name: values.pop(name) for name in own_names})
        _run_mode(mode, wanted, **values)

    told = flowing(inspect.getdoc(own) or mode.title)
    run.__doc__ = told.replace("\n\nExample:", f"\n\n{EXIT_CODES}\n\nExample:")
    run.__signature__ = _merged(mode, own)  # type: ignore[attr-defined]
    made = typer.Typer(add_completion=False)
    made.command(mode.name, short_help=mode.title)(run)
    return typer.main.get_command(made)


def _merged(mode: Mode, own: Callable[..., Any]) -> inspect.Signature:
    """Return the parameters that all modes share, with a mode's own before those on how it is run."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    common = list(inspect.signature(_common, eval_str=True).parameters.values())
    if mode.output_dir:
        common[1] = common[1].replace(default=Path(mode.output_dir))
    hints = get_type_hints(own, include_extras=True)
    added = [
        one.replace(kind=keyword, annotation=hints[name]) for name, one in inspect.signature(own).parameters.items()
    ]
    place = next(number for number, one in enumerate(common) if one.name == "overwrite")
    return inspect.Signature([one.replace(kind=keyword) for one in (*common[:place], *added, *common[place:])])


def _common(
    files: Files,
    output_dir: OutputDir,
    references: References = None,
    recipe: Recipe = None,
    set_: Set = None,
    table: Table = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    chunk_ints: ChunkInts = None,
    timeout: Timeout = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Hold the options that every mode has."""


def _run_mode(mode: Mode, wanted: Any, **values: Any) -> None:
    from detectorist.campaign.campaign_file import expand
    from detectorist.campaign.exposures import read_choices_as
    from detectorist.campaign.plan import PlanRequest

    recipe, output_dir = values["recipe"], values["output_dir"]
    table = values["table"]
    request = PlanRequest(
        mode=mode.name,
        files=expand([str(wanted.find(file)) for file in values["files"]], mode.suffixes),
        output_dir=output_dir,
        recipe=str(Path(recipe).resolve()) if recipe and recipe.endswith((".toml", ".asdf")) else recipe,
        settings=wanted.settings,
        choices=read_choices_as(table, wanted.columns, wanted.implied) if table else None,
        allow_unmatched=not wanted.all_matched,
        overrides=[*wanted.overrides, *(values["set_"] or [])],
        references=folder_of_references(mode.name, values["references"], output_dir),
        options=wanted.options,
        subdir=wanted.subdir,
        directly=True,
        persistence_time_s=wanted.persistence_time_s,
        through=wanted.through,
    )
    execution = make_execution(values["workers"], values["scheduler"], values["memory_limit"], values["timeout"])
    _conduct(request, execution, values["chunk_ints"], **{name: values[name] for name in _SHOWN})


#: Options on what is shown and done, as `conduct` takes them.
_SHOWN = ("dry_run", "as_json", "overwrite", "quiet", "verbose")


def _conduct(request: PlanRequest, execution: Any, chunk_ints: int | None, **shown: bool) -> None:
    options = {**request.options, **({"chunk_ints": chunk_ints} if chunk_ints else {})}
    conduct(replace(request, options=options), execution, **shown)


@app.command(CAMPAIGN)
def campaign(
    file: Annotated[Path, typer.Argument(help="TOML file that names the exposures, the recipe and how to run.")],
    output_dir: Annotated[
        Path | None, file_option("Folder for products; overrides the file.", "--output-dir", "-o")
    ] = None,
    references: References = None,
    recipe: Recipe = None,
    set_: Set = None,
    overwrite: Overwrite = False,
    workers: Workers = None,
    scheduler: Scheduler = None,
    memory_limit: MemoryLimit = None,
    chunk_ints: ChunkInts = None,
    timeout: Timeout = None,
    persistence_time: Annotated[
        float | None,
        choice_option("Time (s) for which saturated pixels are flagged in later exposures; overrides the file."),
    ] = None,
    through: Annotated[str | None, choice_option("Last stage, where the mode has several; overrides the file.")] = None,
    dry_run: DryRun = False,
    as_json: Json = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Run a campaign from a file: any number of exposures; up-to-date products are kept.

    Exit codes: 0 all done, 2 bad arguments, 3 some exposures cannot be processed, 4 some crashed.

    Example: detectorist run campaign.toml --dry-run
    """
    from detectorist.campaign.campaign_file import read_campaign

    written = read_campaign(file)
    request = written.request(output_dir)
    changes: dict[str, Any] = {
        "recipe": recipe or request.recipe,
        "overrides": set_ or (),
        "references": folder_of_references(written.mode, references or request.references, request.output_dir),
    }
    if persistence_time is not None:
        changes["persistence_time_s"] = persistence_time
    if through is not None:
        changes["through"] = through
    how = written.execution
    execution = make_execution(
        workers or how.workers, scheduler or how.scheduler, memory_limit or how.memory_limit, timeout or how.timeout_s
    )
    shown = {"dry_run": dry_run, "as_json": as_json, "overwrite": overwrite, "quiet": quiet, "verbose": verbose}
    _conduct(replace(request, **changes), execution, chunk_ints or how.chunk_ints, **shown)
