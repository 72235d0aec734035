"""The modes: the interface that each offers to everything above it, and how they are found.

A mode defines how files form exposures and what a job needs, and runs it; it has its own options, recipes, commands and
section of the report. Nothing above this package names a mode: all access is through `load_mode`.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from detectorist.errors import ParameterError
from detectorist.libraries.stored_code import read_without_compiler
from detectorist.libraries.waiting_packages import defer_replaced_packages
from detectorist.modes.job import (
    SATURATED,
    ExposureInterval,
    Gathered,
    Job,
    JobRecord,
    Outcome,
    Prediction,
    Progress,
    Wanted,
)
from detectorist.parameters import nearest
from detectorist.product_names import exposure_name, without_ending

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.modes.exposure import Exposure
    from detectorist.modes.section import Section

defer_replaced_packages()  # before a wing imports standard steps
read_without_compiler()

#: Built-in modes: name -> "package.module:Class", imported when it is asked for.
MODES = {
    "lrs": "detectorist.modes.lrs.mode:LrsMode",
    "imaging": "detectorist.modes.imaging.mode:ImagingMode",
    "coron": "detectorist.modes.coron.mode:CoronMode",
}

#: Pipelines: class name -> module.
PIPELINES = {
    "LrsPipeline": "detectorist.modes.lrs.pipeline",
    "ImagingPipeline": "detectorist.modes.imaging.pipeline",
    "Coron1Pipeline": "detectorist.modes.coron.pipeline",
}

#: Group of entry points under which other packages register modes of their own, as `name = "package.module:Class"`.
ENTRY_POINTS = "detectorist.modes"


class Mode(ABC):
    """One kind of reduction. Instances have no state: they are made again in every process."""

    #: As the command line and campaign files call it.
    name: ClassVar[str]
    #: What it reduces, in a few words.
    title: ClassVar[str] = ""
    #: Its pipeline: "package.module:Class"; "" for none.
    pipeline: ClassVar[str] = ""
    #: Steps that run only by choice: step -> (parameter of the pipeline, its value); without the parameter it does not.
    runs_with: ClassVar[Mapping[str, tuple[str, Any]]] = MappingProxyType({})
    #: Products of all exposures lie in one folder, told apart by their names; else each exposure has a folder.
    together: ClassVar[bool] = False
    #: Folder for products below the output folder; "" for none.
    subdir: ClassVar[str] = ""
    #: Folder for products unless another one is named; "" where one has to be named.
    output_dir: ClassVar[str] = ""
    #: Older names of recipes.
    recipe_aliases: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: Commands beside `run`: name -> "package.module:function", or a typer app.
    commands: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: Formats of other programs that products can be written in: name -> "package.module:function", called as
    #: function(sources, format, target or None, overwrite=...), which returns the files it wrote.
    exports: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: EXP_TYPE of what it reduces: files of types that other modes have are left out of its runs.
    exposure_types: ClassVar[tuple[str, ...]] = ()
    #: Endings of the files that a folder or glob may contribute.
    suffixes: ClassVar[tuple[str, ...]] = ("_uncal.fits", "_uncal.fits.gz")
    #: Stages after the first that `--through` names, in order: name -> "package.module:Class" of a `Stage`.
    stages: ClassVar[Mapping[str, str]] = MappingProxyType({})
    #: Endings of the products that a job is handed of those that it waits for.
    takes: ClassVar[tuple[str, ...]] = (SATURATED,)

    def exposure_of(self, path: Path) -> str:
        """Return the name of the exposure that a file belongs to."""
        return exposure_name(path)

    def join(self, exposures: dict[str, list[Path]], apart: Collection[str] = ()) -> dict[str, list[Path]]:
        """Return the exposures that are reduced together under one name; by default each separately.

        apart : collection of str
            Names of files that become exposures of their own: `Gathered.apart`.
        """
        return exposures

    def kernels(self) -> Path:
        """Return the file that lists the mode's kernels, which may be missing: they are compiled ahead of a run."""
        return Path(inspect.getfile(type(self))).with_name("kernels.json")

    @abstractmethod
    def check(self, job: Job) -> None:
        """Refuse invalid names and values of parameters; called before any exposure starts.

        Raises
        ------
        ParameterError
        """

    @abstractmethod
    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Run the job; every product is written completely or not at all."""

    def options(self) -> Callable[..., Wanted]:
        """Return the function whose parameters are the mode's own options of `run`, and whose docstring is its help."""
        module = f"{type(self).__module__.rpartition('.')[0]}.command"
        if importlib.util.find_spec(module) is None:
            return _no_options(self.title)
        return importlib.import_module(module).options

    def section(self) -> Section:
        """Return the mode's section of the report."""
        from detectorist.modes.section import Section

        return Section()

    def to_xarray(self, exposure: Exposure) -> xr.Dataset:
        """Return the main products of an exposure that is done, with units, coordinates and flags.

        Raises
        ------
        ParameterError
            When the mode has no arrays.
        """
        raise ParameterError(f"mode {self.name}: its products are not arrays; see the files in {exposure.folder}")

    def gather(
        self,
        files: Sequence[Path],
        output_dir: Path,
        steps: Mapping[str, Mapping[str, Any]],
        *,
        reduced: Collection[str] = (),
    ) -> Gathered:
        """Return the files to reduce, and settings from the types of other exposures; only headers are read.

        steps : mapping
            {step: {parameter: value}} that recipe and settings give to all exposures.
        reduced : collection of str
            Absolute paths of files that have been reduced into `output_dir` as they are: they can be read.

        Target acquisition is not among them. Unreadable files are included: each fails in its own job.
        """
        return Gathered(tuple(files))

    def summarise(self, record: JobRecord) -> list[str]:
        """Return a few lines for the terminal on an exposure that is done."""
        return []

    def packages(self) -> tuple[str, ...]:
        """Return the packages whose release can change a product."""
        return ("detectorist", "jwst", "stcal", "stdatamodels", "numpy", "scipy", "numba")

    def steps_of(self, job: Job) -> list[str]:
        """Return the names of the steps that will run, in order, for the plan."""
        return []

    def references_of(self, job: Job) -> dict[str, str]:
        """Return {type: file name, "N/A" or "missing: why"} of the references a job needs."""
        return {}

    def predict(self, job: Job) -> Prediction:
        """Return the memory and disk space that the job is expected to need, from the headers of its files."""
        return Prediction()

    def with_memory(self, job: Job, memory_bytes: int) -> tuple[Job, str]:
        """Return the job changed so that it stays within `memory_bytes`, and a note if it will not.

        The products stay the same.
        """
        return job, ""

    def interval(self, job: Job) -> ExposureInterval | None:
        """Return detector and times of the job's exposure; None where its header does not give them."""
        return None

    def persistence_settings(self, time_s: float) -> tuple[str, ...]:
        """Return the settings with which a job flags persistence of earlier exposures for `time_s`.

        Raises
        ------
        ParameterError
            When the mode cannot do so.
        """
        raise ParameterError(f"persistence_time: mode {self.name} does not use earlier exposures; only imaging does")

    def prepare(self) -> None:  # noqa: B027 - most modes have nothing to prepare
        """Import and compile once everything that all workers need."""


class Stage(Mode):
    """A stage after the first, requested by `--through`: its jobs wait for those that they continue.

    A job of a stage has no files of its own: `job.left` are the products, with the endings in `takes`, of the jobs that
    it waits for; none if these have failed. `job.options["first"]` is the first raw file, whose header is used in dry
    runs.
    """

    @abstractmethod
    def jobs_after(self, earlier: Sequence[Job]) -> list[Job]:
        """Return the jobs that continue those of the stage before; name, folder, `after` and `options` matter."""

    def job_after(self, name: str, earlier: Sequence[Job], folder: Path) -> Job:
        """Return a job of this stage that continues earlier ones and writes to a shared folder."""
        first = earlier[0]
        return Job(
            name,
            self.name,
            (),
            str(folder),
            references=first.references,
            options=dict(first.options),
            after=tuple(job.name for job in earlier),
            together=True,
        )


def _no_options(title: str) -> Callable[..., Wanted]:
    def options() -> Wanted:
        return Wanted()

    options.__doc__ = title
    return options


def mode_names() -> list[str]:
    """Return the names of all modes, built-in ones first."""
    return list(_targets())


@cache
def _targets() -> dict[str, str]:
    """Return {name: "module:Class"}; what is installed is read once, which takes as long as planning ten exposures."""
    others = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**MODES, **{name: target for name, target in sorted(others.items()) if name not in MODES}}


@cache
def modes_of_exposure_types() -> dict[str, tuple[str, ...]]:
    """Return {EXP_TYPE: names of the modes that reduce it}; what is installed but cannot be loaded has none."""
    found: dict[str, tuple[str, ...]] = {}
    for name in mode_names():
        with suppress(ParameterError):
            for kind in load_mode(name).exposure_types:
                found[kind] = (*found.get(kind, ()), name)
    return found


def load_mode(name: str) -> Mode:
    """Return the mode of a name, or of "package.module:Class"; of "mode/stage", the stage.

    Raises
    ------
    ParameterError
        When there is no such mode or stage; the message suggests the nearest name.
    """
    name, slash, stage = name.partition("/")
    if slash:
        stages = load_mode(name).stages
        if stage not in stages:
            raise ParameterError(f'mode "{name}" has no stage "{stage}"{nearest(stage, stages)}: {_listed(stages)}')
        name = stages[stage]
    targets = _targets()
    target = targets.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ParameterError(f'no mode "{name}"{nearest(name, targets)}: {", ".join(targets)} are known')
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f'mode "{name}" cannot be loaded ({error}); package.module:Class is needed') from error
    if not (isinstance(kind, type) and issubclass(kind, Mode)):
        raise ParameterError(f'mode "{name}" is not a subclass of detectorist.modes.Mode')
    return kind()


def _listed(names: Iterable[str]) -> str:
    return f"{', '.join(names) or 'none'} are known"


def group_exposures(mode: Mode, files: Iterable[Path], apart: Collection[str] = ()) -> dict[str, list[Path]]:
    """Return the files of every exposure, exposures and files in the order of their names.

    apart : collection of str
        Names of files that become exposures of their own.

    Raises
    ------
    ParameterError
        When files of one name, compressed or not, lie in different folders: their products would have one name too.
    """
    found: dict[str, list[Path]] = {}
    seen: dict[str, Path] = {}
    for path in sorted({Path(file) for file in files}):
        other = seen.setdefault(without_ending(path), path)
        if other != path:
            raise ParameterError(f"{other} and {path} have the same name: their products would too")
        found.setdefault(mode.exposure_of(path), []).append(path)
    return mode.join(dict(sorted(found.items())), apart)
