"""`detectorist.reduce_MODE(files, output_dir, ...)`: what `detectorist run MODE` does, with results to look at."""

from __future__ import annotations

import inspect
import logging
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from detectorist.campaign.api import reduce as reduce_to_ledger
from detectorist.errors import ParameterError
from detectorist.modes import load_mode
from detectorist.modes.job import Progress, Wanted
from detectorist.parameters import nearest
from detectorist.results.results import Results
from detectorist.terminal.log import terminal_log
from detectorist.terminal.progress import progress_bar

log = logging.getLogger(__name__)


def reduce(
    mode: str,
    files: str | Path | Iterable[str | Path],
    output_dir: str | Path,
    *,
    recipe: str | None = None,
    steps: Mapping[str, Mapping[str, Any]] | None = None,
    settings: Sequence[str] = (),
    table: str | Path | None = None,
    references: str | Path | None = None,
    overwrite: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
    memory_limit: int | None = None,
    raise_on_error: bool = False,
    quiet: bool = False,
    verbose: bool = False,
    progress: Progress | None = None,
    **options: Any,
) -> Results:
    """Reduce exposures and return their results, which can be displayed and plotted.

    Products that are up to date are kept: repeating the call only reads them. An exposure that fails does not stop the
    others: it is reported, and is among the results with its error.

    Parameters
    ----------
    files : path or iterable of paths
        Raw exposures, or folders of them.
    output_dir : str or Path
        Folder for products; several exposures get separate folders in modes that need them.
    recipe : str, optional
        Name or path; by default the mode's best.
    steps : mapping, optional
        {step: {parameter: value}}; overrides the recipe. Parameters of later stages: {"stage3.resample": {...}}.
    settings : sequence of str
        "step.parameter=value"; overrides everything else.
    table : str or Path, optional
        CSV or ECSV with a row per exposure and columns step.parameter.
    references : str or Path, optional
        "crds", "none", or a folder in CRDS's layout; by default from the environment.
    overwrite : bool
        Redo everything, and overwrite files of the same names that detectorist did not write; never an input.
    workers : int, optional
        Processes; by default as many as memory allows, and none for a single exposure. 0: run in this process.
    scheduler : str, optional
        Address of a Dask scheduler to use instead.
    memory_limit : int, optional
        Bytes for all processes together.
    raise_on_error : bool
        Raise ReductionFailed at the end when an exposure has failed.
    quiet : bool
        Show no progress and no warnings about exposures that failed.
    verbose : bool
        Print the messages of every step. They are always in the logs beside the products.
    progress : callable, optional
        Called as progress(done, total, what) instead of the bar.
    **options
        Options of this mode, named as those of `detectorist run MODE`, with underscores.

    Returns
    -------
    Results
        {name of the exposure: Result}, in the order of the run.

    Raises
    ------
    DetectoristError
        When nothing can be reduced, with the reason.
    ReductionFailed
        When an exposure has failed, and `raise_on_error` is True.
    """
    wanted = _wanted(mode, options)
    with terminal_log(verbose=verbose), progress_bar("reducing", quiet=quiet or progress is not None) as bar:
        entries = reduce_to_ledger(
            mode,
            files,
            output_dir,
            recipe=recipe,
            steps=steps,
            settings=settings,
            table=table,
            wanted=wanted,
            references=references,
            overwrite=overwrite,
            workers=workers,
            scheduler=scheduler,
            memory_limit=memory_limit,
            progress=progress or bar,
        )
    results = Results.from_entries(Path(output_dir), entries)
    if raise_on_error:
        results.raise_for_failures()
    for result in () if quiet else results.failed:
        log.warning("%s: %s: %s", result.name, result.state, result.error)
    return results


def reduce_of(mode: str) -> Callable[..., Results]:
    """Return `reduce` for one mode, with its name, its own options and its documentation."""

    def reduce_mode(files: str | Path | Iterable[str | Path], output_dir: str | Path, **choices: Any) -> Results:
        return reduce(mode, files, output_dir, **choices)

    signature = inspect.signature(reduce)
    common = [one for name, one in signature.parameters.items() if name not in ("mode", "options")]
    own = [one.replace(kind=one.KEYWORD_ONLY, annotation=one.empty) for one in _options_of(mode).values()]
    found: Any = reduce_mode
    found.__signature__ = signature.replace(parameters=[*common, *own])
    found.__name__ = found.__qualname__ = f"reduce_{mode}"
    found.__doc__ = f"Reduce exposures: {load_mode(mode).title}.\n\n{(reduce.__doc__ or '').split(chr(10), 2)[2]}"
    return found


def _options_of(mode: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(load_mode(mode).options()).parameters


def _wanted(mode: str, options: Mapping[str, Any]) -> Wanted:
    """Return what options of the mode's own ask for.

    Raises
    ------
    ParameterError
        For one that the mode does not have; the message suggests the nearest.
    """
    own, known = load_mode(mode).options(), _options_of(mode)
    for name in options:
        if name not in known:
            everything = [*inspect.signature(reduce).parameters, *known]
            raise ParameterError(
                f'reduce_{mode} has no option "{name}"{nearest(name, everything)}; its own are {", ".join(known)}',
                parameter=name,
            )
    hints = typing.get_type_hints(own)
    return own(**{name: _as_hinted(value, hints[name]) for name, value in options.items()})


def _as_hinted(value: Any, hint: Any) -> Any:
    """Return a path where the option takes one: notebooks write paths as text."""
    takes_path = hint is Path or Path in typing.get_args(hint)
    return Path(value) if takes_path and isinstance(value, str) else value
