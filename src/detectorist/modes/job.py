"""What a mode and the machinery above it tell each other; what travels between processes is made of plain values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Progress = Callable[[float, int, str], None]

#: The stage that every mode has: raw ramps to rates or spectra.
FIRST_STAGE = "stage1"
#: Ending of the products that an exposure leaves to later ones on its detector.
SATURATED = "_saturated.fits"
#: States of a job in the ledger.
WAITING, RUNNING = "waiting", "running"
DONE, UNPROCESSABLE, CRASHED, SKIPPED = "done", "unprocessable", "crashed", "skipped"
#: States in which a job has nothing left to do.
FINAL = (DONE, UNPROCESSABLE, CRASHED, SKIPPED)


@dataclass(frozen=True)
class Job:
    """One exposure to reduce.

    Attributes
    ----------
    name : str
        Name of the exposure; also of its folder and its log.
    mode : str
        Its name, or "package.module:Class" for one defined elsewhere.
    files : tuple of str
        Absolute paths of all its files.
    output_dir : str
        Absolute path of the folder for its products.
    recipe : str, optional
        Name or absolute path; None lets the mode choose.
    settings : tuple of str
        "step.parameter=value" or "parameter=value", weakest first.
    references : str, optional
        Source of reference files.
    options : dict
        What changes how a job is done and not what comes out, as chunk_ints.
    key : str
        Hash of everything but the input files that the products depend on.
    after : tuple of str
        Names of the earlier exposures that leave something to this one: it waits for them.
    left : tuple of str
        Absolute paths of what they left, known when the job starts.
    together : bool
        Its folder holds the products of other exposures too.
    """

    name: str
    mode: str
    files: tuple[str, ...]
    output_dir: str
    recipe: str | None = None
    settings: tuple[str, ...] = ()
    references: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    key: str = ""
    after: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    together: bool = False

    def beside(self, name: str) -> Path:
        """Return the path of a file beside the products; it bears the exposure's name where others lie there too."""
        return Path(self.output_dir) / (f"{self.name}_{name}" if self.together else name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, as JSON can hold them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, table: dict[str, Any]) -> Job:
        """Return the job that `to_dict` described."""
        lists = ("files", "settings", "after", "left")
        return cls(**{**table, **{name: tuple(table.get(name, ())) for name in lists}})


@dataclass(frozen=True)
class Product:
    """A file that a job wrote.

    Attributes
    ----------
    path : str
        Relative to the job's folder.
    size, mtime_ns, ctime_ns : int
        Bytes, and times of the last change of content and of anything: who damages a file and sets its time back
        changes the second.
    sha256 : str
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


@dataclass(frozen=True)
class InputFile:
    """An input as it was when the job read it.

    Attributes
    ----------
    settled : bool
        It was written well before it was hashed: while size, time and inode stay, so does the content. A file changed
        twice within the resolution of its time stamp would not show.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    sha256: str
    settled: bool


@dataclass
class JobRecord:
    """What became of a job.

    Attributes
    ----------
    state : str
        DONE, UNPROCESSABLE (the data or their parameters are at fault) or CRASHED (anything else).
    error, message, numbers
        Kind of the error, its sentence and the evidence it carried; empty for DONE.
    started, finished : float
        Seconds since 1970.
    peak_bytes : int
        Largest resident memory of the process while it did this job.
    steps : dict
        What the steps recorded.
    resolved : dict
        Every parameter in force, and what else is needed to do it again.
    output_dir : str
        Folder of its products.
    """

    name: str
    state: str
    error: str = ""
    message: str = ""
    numbers: dict[str, Any] = field(default_factory=dict)
    started: float = 0.0
    finished: float = 0.0
    cpu_s: float = 0.0
    peak_bytes: int = 0
    worker: str = ""
    inputs: list[InputFile] = field(default_factory=list)
    products: list[Product] = field(default_factory=list)
    steps: dict[str, Any] = field(default_factory=dict)
    resolved: dict[str, Any] = field(default_factory=dict)
    output_dir: str = ""

    @property
    def seconds(self) -> float:
        """How long it took; 0 for a job that has not finished."""
        return max(self.finished - self.started, 0.0)


@dataclass(frozen=True)
class Outcome:
    """What a mode hands back: files written, what the steps recorded, parameters in force, why nothing was done."""

    products: Sequence[Path] = ()
    steps: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    resolved: dict[str, Any] = field(default_factory=dict)


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
class ExposureInterval:
    """What an exposure saw with, and when: detector, start and end (MJD, UTC)."""

    detector: str
    start_mjd: float
    end_mjd: float


@dataclass(frozen=True)
class Gathered:
    """The exposures of a run, seen together.

    Attributes
    ----------
    files : tuple of Path
        To be reduced.
    settings : mapping
        {exposure: settings}, the weakest there are, that follow from what the exposures are.
    overrides : mapping
        {exposure: settings}, the strongest there are: what was asked for all makes sense for this one only so.
    options : mapping
        {exposure: options of its job}: what later stages need to know of it.
    notes : tuple of str
        What the user should know, a sentence each.
    conclude : callable
        Writes what a run leaves beside the products of its exposures, from their records; called at its end.
    apart : frozenset of str
        Exposures that are there to fail under their own name: files that another one is reduced without.
    """

    files: tuple[Path, ...]
    settings: Mapping[str, Sequence[str]] = field(default_factory=dict)
    overrides: Mapping[str, Sequence[str]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    conclude: Callable[[Sequence[JobRecord]], Any] = field(default=lambda records: None)
    apart: frozenset[str] = frozenset()
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What the options that only one mode has ask for.

    Attributes
    ----------
    settings, overrides : sequence of str
        "step.parameter=value": weaker than a table of exposures, and as strong as `--set`.
    options : dict
        Of the job: what changes how it is done.
    find : callable
        Returns the file that a name on the command line stands for.
    columns : mapping
        Columns of a table of exposures that are not named step.parameter: name -> step.parameter.
    implied : mapping
        {setting without its value: setting that comes with it} in a table of exposures.
    all_matched : bool
        Refuse a table with rows for exposures that are not there.
    subdir : str, optional
        Folder for products below the output folder, instead of the mode's own.
    persistence_time_s : float
        For so long after an exposure the next ones on its detector flag what saturated in it; 0: never.
    through : str
        Name of the last stage; "" for the first alone.
    """

    settings: Sequence[str] = ()
    overrides: Sequence[str] = ()
    options: dict[str, Any] = field(default_factory=dict)
    find: Callable[[Path], Path] = field(default=lambda path: path)
    columns: Mapping[str, str] = field(default_factory=dict)
    implied: Mapping[str, str] = field(default_factory=dict)
    all_matched: bool = True
    subdir: str | None = None
    persistence_time_s: float = 0.0
    through: str = ""
