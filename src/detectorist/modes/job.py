"""What travels between the processes of a campaign: a job goes out, a record comes back. Plain values only."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

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
        "lrs", or "package.module:Class" for a mode defined elsewhere.
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
    """A file that a job wrote: path relative to the job's folder, size in bytes, time of change in ns, SHA-256."""

    path: str
    size: int
    mtime_ns: int
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

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.finished - self.started
