"""Types exchanged between a mode and the code above it; those passed between processes consist of plain values."""

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
        Name or absolute path; None means the default of the mode.
    settings : tuple of str
        "step.parameter=value" or "parameter=value", in order of increasing precedence.
    references : str, optional
        Source of reference files.
    options : dict
        Options that change how a job is run but not its results, such as chunk_ints.
    key : str
        Hash of everything that the products depend on, except the input files.
    after : tuple of str
        Names of earlier exposures whose products this one uses: it waits for them.
    left : tuple of str
        Absolute paths of these products, known when the job starts.
    together : bool
        Its folder contains products of other exposures as well.
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
        """Return the path of a file beside the products; it contains the exposure's name if the folder is shared."""
        return Path(self.output_dir) / (f"{self.name}_{name}" if self.together else name)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, for JSON."""
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
        Bytes, and times of the last change of content and of anything: the second changes even if a file is damaged and
        its time set back.
    sha256 : str
        Of the file, or of its header: `content_keys.product_hash`.
    """

    path: str
    size: int
    mtime_ns: int
    ctime_ns: int
    sha256: str


@dataclass(frozen=True)
class InputFile:
    """The state of an input when the job read it.

    Attributes
    ----------
    settled : bool
        It was written well before it was hashed: while size, time and inode are the same, so is the content. Two
        changes within the resolution of the time stamp would go unnoticed.
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
    """The result of a job.

    Attributes
    ----------
    state : str
        DONE, UNPROCESSABLE (due to the data or their parameters) or CRASHED (anything else).
    error, message, numbers
        Class of the error, its message and the values in it; empty for DONE.
    started, finished : float
        Seconds since 1970.
    peak_bytes : int
        Largest resident memory of the process during this job.
    steps : dict
        What the steps recorded.
    resolved : dict
        Every parameter in force, and everything else needed to repeat the reduction.
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
        """Time taken; 0 for a job that has not finished."""
        return max(self.finished - self.started, 0.0)


@dataclass(frozen=True)
class Outcome:
    """The result of a mode: files written, records of the steps, parameters in force, reason if nothing was done."""

    products: Sequence[Path] = ()
    steps: dict[str, Any] = field(default_factory=dict)
    skipped: str = ""
    resolved: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Prediction:
    """The expected memory and disk space of a job.

    Attributes
    ----------
    memory_bytes : int
        Peak of resident memory of its process; 0 if unknown from the input.
    disk_bytes : int
        Products and scratch files together.
    """

    memory_bytes: int = 0
    disk_bytes: int = 0


@dataclass(frozen=True)
class ExposureInterval:
    """Detector, start and end (MJD, UTC) of an exposure."""

    detector: str
    start_mjd: float
    end_mjd: float


@dataclass(frozen=True)
class Gathered:
    """The exposures of a run.

    Attributes
    ----------
    files : tuple of Path
        To be reduced.
    settings : mapping
        {exposure: settings} of lowest precedence, which follow from the types of exposures.
    overrides : mapping
        {exposure: settings} of highest precedence: general settings, adapted to this exposure.
    options : mapping
        {exposure: options of its job}: information on it that later stages need.
    notes : tuple of str
        Notes to the user, a sentence each.
    conclude : callable
        Writes files of the run as a whole, from the records of its exposures; called at its end.
    apart : frozenset of str
        Damaged files without which another exposure is reduced; they fail under their own name.
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
    """Values from the options of one mode.

    Attributes
    ----------
    settings, overrides : sequence of str
        "step.parameter=value": of lower precedence than a table of exposures, and of the same as `--set`.
    options : dict
        Of the job: how it is run.
    find : callable
        Returns the file for a name on the command line.
    columns : mapping
        Columns of a table of exposures that are not named step.parameter: name -> step.parameter.
    implied : mapping
        {setting without its value: setting that comes with it} in a table of exposures.
    all_matched : bool
        Refuse a table with rows for missing exposures.
    subdir : str, optional
        Folder for products below the output folder, instead of the mode's default.
    persistence_time_s : float
        For this time after an exposure, pixels that saturated in it are flagged in the next ones on its detector; 0:
        never.
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
