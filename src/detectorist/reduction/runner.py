"""Parts shared by the reductions of all modes: the request, references, the log, files written beside products."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from crds.core.exceptions import CrdsError
from jwst.stpipe import Step
from stpipe.exceptions import ValidationError

from detectorist.atomic_files import require_no_link, whole_file, writing
from detectorist.crds_source import THREE_WAYS, ReferenceSource, comes_from_crds, without_crds
from detectorist.errors import DetectoristError, OutputError, ParameterError, ReferenceMissing
from detectorist.modes.job import Job, Progress
from detectorist.reduction import content_keys
from detectorist.reduction.base import DetectoristPipeline
from detectorist.reduction.recipes.recipe import Recipe

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Request:
    """A user's request.

    Attributes
    ----------
    files : sequence of str or Path
    output_dir : Path
    recipe : str, optional
        Name or path; None means the default of the mode.
    settings : sequence of str
        "step.parameter=value"; override the recipe.
    references : str or Path, optional
        As in `crds_source.use_references`.
    overwrite : bool
        Redo everything, and replace files with the products' names that detectorist did not write; never an input.
    keep : bool
        Never replace complete products either.
    prefix : str
        Prefix of the names of files beside the products, in a folder with products of several exposures.
    """

    files: Sequence[str | Path]
    output_dir: Path
    recipe: str | None = None
    settings: Sequence[str] = ()
    references: str | Path | None = None
    overwrite: bool = False
    keep: bool = False
    prefix: str = ""
    progress: Callable[[float, int, str], None] = field(default=lambda done, total, what: None)

    def beside(self, name: str) -> Path:
        """Return the path of a file beside the products, as resolved.toml."""
        return self.output_dir / f"{self.prefix}{name}"


def request_of(job: Job, progress: Progress, settings: Sequence[str] = ()) -> Request:
    """Return a job as a request; `settings` are added to its own."""
    return Request(
        files=job.files,
        output_dir=Path(job.output_dir),
        recipe=job.recipe,
        settings=(*job.settings, *settings),
        references=job.references,
        overwrite=bool(job.options.get("overwrite")),
        keep=bool(job.options.get("keep")),
        prefix=f"{job.name}_" if job.together else "",
        progress=progress,
    )


def build_pipeline(kind: type[Step], dataset: str | None, **parameters: Any) -> Any:
    """Return a pipeline with its steps constructed, so that a wrong value is found before any exposure starts.

    dataset : str, optional
        A file for which CRDS may have parameters.

    Raises
    ------
    ParameterError
        When stpipe or a step refuses a value; its message names the parameter.
    NoSuchFile
        When a parameter names a file or folder that is not there.
    ReferenceMissing
        When CRDS is asked for parameters, and there is neither a server nor a cache.
    """
    try:
        build = getattr(kind, "build_config_of_recipe", kind.build_config)
        config, config_file = build(dataset, **parameters)
        pipeline = kind.from_config_section(config, config_file=config_file)
    except DetectoristError:
        raise
    except (SystemExit, CrdsError) as error:
        raise without_crds(error) from error
    except (ValidationError, ValueError, TypeError) as error:
        raise ParameterError(_refusal_in_words(kind, error)) from error
    _require_possible(pipeline)
    return pipeline


def _require_possible(pipeline: Any) -> None:
    """Let a pipeline and those of its steps that will run, or a step alone, refuse values that no data make right."""
    for step in (pipeline, *(getattr(pipeline, name) for name in getattr(pipeline, "step_defs", ()))):
        if not step.skip and hasattr(step, "require_possible"):
            step.require_possible()


def _refusal_in_words(kind: type[Step], error: Exception) -> str:
    """Return stpipe's refusal of a value with the name that settings have, and what the step takes."""
    told = re.search(r"Config parameter '([\w/]+)': the value (.*?) is (.*?)\.?$", str(error).splitlines()[0])
    if told is None:
        return f"{kind.__name__}: {error}"
    path, value, trouble = told.groups()
    spec: Any = kind.load_spec_file()
    for name in path.split("/"):
        spec = spec.get(name) if hasattr(spec, "get") else None
    takes = re.sub(r",?\s*default=[^,)]*", "", str(spec)).replace("(,", "(").replace("( ", "(").removesuffix("()")
    needed = f"; {takes} is needed" if spec else ""
    return f"{path.removeprefix('steps/').replace('/', '.')} is {value.strip(chr(34))}: {trouble}{needed}"


@contextmanager
def references_in_words(source: ReferenceSource) -> Iterator[None]:
    """Turn the failure of crds without a server and a cache, which may end the process, into an error."""
    try:
        yield
    except (SystemExit, CrdsError) as error:
        if not comes_from_crds(error):
            raise
        if source.name == "none":
            raise ReferenceMissing(THREE_WAYS) from error
        if source.name == "crds":
            raise without_crds(error) from error
        raise ReferenceMissing(f"references from {source.name}: crds gave up ({error}); see detectorist.log") from error


def resolve(
    kind: type, pipeline: Any, request: Request, recipe: Recipe, source: ReferenceSource, inputs: Sequence[str]
) -> dict[str, Any]:
    """Return every parameter in force, and everything else needed to repeat the reduction."""
    return {
        "pipeline": kind.__name__,
        **describe_run(request, recipe, source, inputs),
        **_as_asked(without_none(pipeline.get_pars())),
        "output_dir": str(request.output_dir),
    }


def _as_asked(parameters: dict[str, Any]) -> dict[str, Any]:
    """Leave out what stpipe and the pipeline give to steps as they run: suffixes, and folders that are gone by now."""
    steps = {
        step: {
            name: value for name, value in table.items() if (name, value) != ("suffix", step) and name != "output_dir"
        }
        for step, table in parameters.get("steps", {}).items()
    }
    return {**parameters, "steps": steps}


def describe_run(request: Request, recipe: Recipe, source: ReferenceSource, inputs: Sequence[str]) -> dict[str, Any]:
    """Return the head of `resolved.toml`: the request, and everything needed to repeat it."""
    return {
        "recipe": recipe.name,
        "title": recipe.title,
        "settings": list(request.settings),
        "inputs": list(inputs),
        "references": {"source": source.name, "context": source.context},
        "versions": {name: version(name) for name in content_keys.PACKAGES},
    }


def without_none(value: Any) -> Any:
    """Leave out None, which TOML cannot express."""
    if isinstance(value, dict):
        return {key: without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list | tuple):
        return [without_none(item) for item in value if item is not None]
    return value if isinstance(value, bool | int | float | str) else str(value)


def require_writable(folder: Path) -> None:
    """Raise OutputError unless files can be written into the folder, which is made."""
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / ".writable") as probe:
            probe.touch()
        (folder / ".writable").unlink(missing_ok=True)  # another process may be looking too


class LogFile(logging.FileHandler):
    """A log that stops when it cannot be written, and keeps the reason."""

    trouble: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, unless one could not be written before."""
        if self.trouble is None:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the name is logging's
        """Keep the reason why the file failed; errors in a line are reported as usual."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError):
            self.trouble = error
        else:
            super().handleError(record)

    def close(self) -> None:
        """Close the file; its last lines may not fit on the disk."""
        try:
            super().close()
        except OSError as error:
            self.trouble = error


@contextmanager
def log_file(path: Path) -> Iterator[None]:
    """Write the log of all steps, ours and standard, to one file.

    Raises
    ------
    OutputError
        When it is a symbolic link or cannot be written; at the end too, since steps go on when the disk is full.
    """
    require_no_link(path)
    with writing(path):
        handler = LogFile(path, mode="a", encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    loggers = [logging.getLogger(name) for name in DetectoristPipeline.get_stpipe_loggers()]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    except BaseException:
        log.exception("the reduction ended with an error")
        raise
    finally:
        logging.captureWarnings(False)
        for logger, level in zip(loggers, levels, strict=True):
            logger.removeHandler(handler)
            logger.setLevel(level)
        handler.close()
    if handler.trouble:
        raise OutputError(f"{path}: cannot be written ({handler.trouble})")
