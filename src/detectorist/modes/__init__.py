"""The modes a campaign can run: how files form exposures, what a job needs, and the function that does it."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from detectorist.errors import ParameterError
from detectorist.parameters import nearest

if TYPE_CHECKING:
    from detectorist.modes.job import Job

#: Built-in modes: name -> "package.module:Class", imported when a campaign needs it.
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

_PRODUCT = re.compile(r"_(uncal|ramp|rateints|rate|calints|cal|crfints)$")

Progress = Callable[[float, int, str], None]


@dataclass(frozen=True)
class Prediction:
    """What a job is expected to take.

    Attributes
    ----------
    memory_bytes : int
        Peak of resident memory of its process; 0 where the input cannot tell.
    disk_bytes : int
        Products and scratch files together.
    """

    memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True)
class Outcome:
    """What a mode hands back: files written, what the steps recorded, and why nothing was done where that is so."""

    products: Sequence[Path] = ()
    steps: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""


@dataclass(frozen=True)
class ExposureInterval:
    """What an exposure saw with, and when: detector, start and end (MJD, UTC)."""

    detector: str
    start_mjd: float
    end_mjd: float


class Mode(ABC):
    """One kind of reduction. Instances hold nothing: they are made again in every process."""

    #: As campaign files call it.
    name: ClassVar[str]
    #: Endings of the files that a folder or glob may contribute.
    suffixes: ClassVar[tuple[str, ...]] = ("_uncal.fits", "_uncal.fits.gz")
    #: Module with the kernel that takes longest to compile, as "engine/_ramp_tiles_nb"; "" for none.
    kernel: ClassVar[str] = ""

    def exposure_of(self, path: Path) -> str:
        """Return the name of the exposure that a file belongs to."""
        return exposure_name(path)

    @abstractmethod
    def check(self, job: Job) -> None:
        """Refuse names and values of parameters that cannot be right; called before any exposure starts.

        Raises
        ------
        ParameterError
        """

    @abstractmethod
    def reduce(self, job: Job, progress: Progress) -> Outcome:
        """Do the job; every product is written whole or not at all."""

    def recipe_text(self, job: Job) -> str:
        """Return the recipe in full: what its name stands for is part of what products depend on."""
        return job.recipe or ""

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
        """Return what the job is expected to take, from the headers of its files."""
        return Prediction()

    def with_memory(self, job: Job, memory_bytes: int) -> tuple[Job, str]:
        """Return the job changed so that it stays within `memory_bytes`, and a note where it will not.

        Every change gives the same products.
        """
        return job, ""

    def interval(self, job: Job) -> ExposureInterval | None:
        """Return detector and times of the job's exposure; None where its header does not tell."""
        return None

    def persistence_settings(self, time_s: float) -> tuple[str, ...]:
        """Return the settings with which a job flags what still glows from earlier exposures for `time_s`.

        Raises
        ------
        ParameterError
            When the mode does not know how.
        """
        raise ParameterError(f"persistence_time: mode {self.name} does not look at earlier exposures; imaging does")

    def prepare(self) -> None:  # noqa: B027 - most modes have nothing to prepare
        """Import and compile once what every worker needs."""


def exposure_name(path: Path, *, segments: bool = True) -> str:
    """Return a file's name without ending and product; without its segment too, unless `segments` is False."""
    name = Path(path).name.removesuffix(".gz").removesuffix(".fits").removesuffix(".asdf")
    name = _PRODUCT.sub("", name)
    return re.sub(r"-seg\d+", "", name) if segments else name


def load_mode(name: str) -> Mode:
    """Return the mode of a name, or of "package.module:Class".

    Raises
    ------
    ParameterError
        When there is no such mode; the message suggests the nearest name.
    """
    target = MODES.get(name, name)
    module, colon, attribute = target.partition(":")
    if not colon:
        raise ParameterError(f'no mode "{name}"{nearest(name, MODES)}: {", ".join(MODES)} are known')
    try:
        kind = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ParameterError(f'mode "{name}" cannot be loaded ({error}); package.module:Class is needed') from error
    if not (isinstance(kind, type) and issubclass(kind, Mode)):
        raise ParameterError(f'mode "{name}" is not a subclass of detectorist.modes.Mode')
    return kind()


def group_exposures(mode: Mode, files: Iterable[Path]) -> dict[str, list[Path]]:
    """Return the files of every exposure, exposures and files in the order of their names.

    Raises
    ------
    ParameterError
        When two files of one name lie in different folders: products of one would replace those of the other.
    """
    found: dict[str, list[Path]] = {}
    seen: dict[str, Path] = {}
    for path in sorted({Path(file) for file in files}):
        other = seen.setdefault(path.name, path)
        if other != path:
            raise ParameterError(f"{other} and {path} have the same name: their products would too")
        found.setdefault(mode.exposure_of(path), []).append(path)
    return dict(sorted(found.items()))
