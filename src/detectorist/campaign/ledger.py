"""The ledger of an output folder: every job, its inputs and its result, in one SQLite file.

Only the process that runs the campaign writes it, in short transactions with a rollback journal, which also works on
network file systems; any number of others may read it meanwhile.
"""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from detectorist.atomic_files import require_no_link
from detectorist.errors import InputError, NoSuchFile, OutputError
from detectorist.modes.job import CRASHED, DONE, FINAL, RUNNING, WAITING, InputFile, Job, JobRecord, Product
from detectorist.reduction.content_keys import has_hash
from detectorist.reduction.file_hash import file_hash

FILE = "ledger.sqlite"
#: Raised when the tables change; an older ledger is refused, not guessed at.
VERSION = 2

_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY, started REAL, finished REAL, pid INTEGER, host TEXT, command TEXT, versions TEXT
);
CREATE TABLE IF NOT EXISTS jobs (
    name TEXT PRIMARY KEY, mode TEXT, job TEXT, key TEXT, inputs TEXT, state TEXT, run INTEGER, attempts INTEGER,
    error TEXT, message TEXT, numbers TEXT, started REAL, finished REAL, cpu_s REAL, peak_bytes INTEGER,
    worker TEXT, products TEXT, steps TEXT, doing TEXT, resolved TEXT, output_dir TEXT
);
"""


@dataclass(frozen=True)
class Entry:
    """A job in the ledger."""

    job: Job
    state: str
    attempts: int
    doing: str
    record: JobRecord


class Ledger:
    """Open the ledger of an output folder, to write (made when absent) or only to read.

    Raises
    ------
    OutputError
        When it cannot be opened or written.
    NoSuchFile
        When there is none to read.
    """

    def __init__(self, folder: Path, *, read_only: bool = False):
        self.path = Path(folder) / FILE
        self.run_id = 0
        self._read_only = read_only
        self._together = False
        self._written = 0.0
        nothing = f"{folder}: no {FILE} here: no campaign has been run in this folder"
        require_no_link(self.path)
        with self._failing():
            if read_only and not self.path.is_file():
                raise NoSuchFile(nothing)
            self._db = _connect(self.path, read_only=read_only)
            found = self._version()
            if found == 0 and read_only:
                raise NoSuchFile(nothing)
            if found == 0:
                # One transaction: a disk that fills up here leaves a file without tables, which is made again.
                self._db.executescript(f"BEGIN; {_TABLES} PRAGMA user_version = {VERSION}; COMMIT;")
                found = VERSION
            if found != VERSION:
                raise OutputError(
                    f"{self.path}: written by another version of detectorist; choose another output folder"
                )

    def close(self) -> None:
        """Close the file; the empty journal goes."""
        if not self._read_only:
            with suppress(sqlite3.Error):  # somebody reads it, or the disk is full: the next run takes it away
                self._db.execute("PRAGMA journal_mode = DELETE")
        self._db.close()

    def __enter__(self) -> Ledger:
        """Hand itself to a with statement."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    # --- runs

    def begin_run(self, command: str, versions: dict[str, str]) -> None:
        """Note that a run begins; jobs that an earlier run left half done wait again."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET state = ?, doing = '' WHERE state = ?", (WAITING, RUNNING))
            cursor = db.execute(
                "INSERT INTO runs (started, pid, host, command, versions) VALUES (?, ?, ?, ?, ?)",
                (time.time(), os.getpid(), os.uname().nodename, command, json.dumps(versions)),
            )
            self.run_id = int(cursor.lastrowid or 0)

    def end_run(self) -> None:
        """Note that the run has ended."""
        with self._transaction() as db:
            db.execute("UPDATE runs SET finished = ? WHERE id = ?", (time.time(), self.run_id))

    def last_run(self) -> dict[str, Any]:
        """Return started, finished, pid, host and command of the newest run; {} before the first."""
        with self._failing():
            cursor = self._db.execute("SELECT started, finished, pid, host, command FROM runs ORDER BY id DESC LIMIT 1")
            row = cursor.fetchone()
        return dict(zip(("started", "finished", "pid", "host", "command"), row, strict=True)) if row else {}

    # --- jobs

    def enter(self, jobs: Iterable[Job]) -> None:
        """Write jobs that will be run, state WAITING, replacing entries of the same names."""
        with self._transaction() as db:
            db.executemany(
                "INSERT OR REPLACE INTO jobs (name, mode, job, key, state, run, attempts, doing) "
                "VALUES (?, ?, ?, ?, ?, ?, 0, '')",
                [(job.name, job.mode, json.dumps(job.to_dict()), job.key, WAITING, self.run_id) for job in jobs],
            )

    def start(self, name: str) -> None:
        """Note that a job has been given to a worker."""
        with self._transaction() as db:
            db.execute(
                "UPDATE jobs SET state = ?, attempts = attempts + 1, started = ?, doing = '', run = ? WHERE name = ?",
                (RUNNING, time.time(), self.run_id, name),
            )

    def doing(self, name: str, what: str) -> None:
        """Record the progress of a running job."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET doing = ? WHERE name = ?", (what, name))

    def put_back(self, name: str) -> None:
        """Let a job wait again that was started and not finished."""
        with self._transaction() as db:
            db.execute("UPDATE jobs SET state = ?, doing = '' WHERE name = ?", (WAITING, name))

    def finish(self, record: JobRecord) -> None:
        """Write the result of a job."""
        values = asdict(record)
        values.update(
            {
                key: json.dumps(values[key], default=str)
                for key in ("numbers", "inputs", "products", "steps", "resolved")
            }
        )
        columns = [key for key in values if key != "name"]
        with self._transaction() as db:
            db.execute(
                f"UPDATE jobs SET {', '.join(f'{key} = :{key}' for key in columns)}, doing = '' WHERE name = :name",
                values,
            )

    def entries(self, names: Sequence[str] | None = None) -> dict[str, Entry]:
        """Return jobs by name; all of them, or only those of these names."""
        columns = (
            "job, mode, state, attempts, doing, name, error, message, numbers, started, finished, cpu_s, peak_bytes, "
            "worker, inputs, products, steps, resolved, output_dir"
        )
        where = "" if names is None else f"WHERE name IN ({', '.join('?' * len(names))})"
        with self._failing():
            rows = self._db.execute(f"SELECT {columns} FROM jobs {where} ORDER BY name", names or ()).fetchall()
        return {row[5]: _entry(row) for row in rows}

    @contextmanager
    def together(self) -> Iterator[None]:
        """Group the changes made inside into few transactions, since each waits for the disk: see `write`."""
        self._together = True
        try:
            yield
        finally:
            self._together = False
            self.write()

    def write(self, *, at_most_every_s: float = 0.0) -> None:
        """Commit pending changes, unless that was done less than `at_most_every_s` ago."""
        if self._db.in_transaction and time.monotonic() - self._written >= at_most_every_s:
            with self._failing():
                self._db.commit()
            self._written = time.monotonic()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._failing():
            if self._together:
                yield self._db
            else:
                with self._db:
                    yield self._db

    @contextmanager
    def _failing(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            if self.run_id and not self.path.exists():
                raise OutputError(
                    f"{self.path}: was removed while the run was at work; give its command again"
                ) from error
            # A file that is damaged stays so; of a full disk or a lock SQLite says otherwise.
            damaged = type(error) is sqlite3.DatabaseError
            advice = "; remove it, and give the command of the run again" if damaged else ""
            raise OutputError(f"{self.path}: the ledger cannot be used ({error}){advice}") from error

    def _version(self) -> int:
        return int(self._db.execute("PRAGMA user_version").fetchone()[0])


def who_began(folder: Path) -> str:
    """Return the process that began the newest run in a folder, in words; "" if unknown."""
    try:
        with Ledger(folder, read_only=True) as ledger:
            run = ledger.last_run()
    except (InputError, OutputError):
        return ""
    return f"process {run['pid']} on {run['host']}" if run else ""


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    if not read_only:
        database = sqlite3.connect(path, timeout=10)
        database.execute("PRAGMA journal_mode = TRUNCATE")  # spares the disk the journal's name each time
        return database
    try:
        # A run that was killed may have left a transaction to take back, which needs the right to write.
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=10)
        database.execute("PRAGMA query_only = 1")
        database.execute("SELECT 1 FROM sqlite_master").fetchone()
    except sqlite3.OperationalError:
        database = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=10)
    return database


def _entry(row: tuple) -> Entry:
    """Return a row as an entry; one that cannot be read is that of a job that crashed and has no files."""
    job, mode, state, attempts, doing, name, error, message, numbers, *rest = row
    started, finished, cpu_s, peak_bytes, worker, inputs, products, steps, resolved, output_dir = rest
    try:
        record = JobRecord(
            name=name,
            state=state,
            error=error or "",
            message=message or "",
            numbers=_table(numbers),
            started=float(started or 0.0),
            finished=float(finished or 0.0),
            cpu_s=float(cpu_s or 0.0),
            peak_bytes=int(peak_bytes or 0),
            worker=worker or "",
            inputs=[InputFile(**item) for item in json.loads(inputs or "[]")],
            products=[Product(**item) for item in json.loads(products or "[]")],
            steps=_table(steps),
            resolved=_table(resolved),
            output_dir=output_dir or "",
        )
        return Entry(Job.from_dict(_table(job)), state, int(attempts or 0), doing or "", record)
    except (ValueError, TypeError, KeyError, AttributeError) as fault:
        told = f"its entry in the ledger cannot be read ({fault}); give the command of the run again"
        record = JobRecord(str(name), CRASHED, type(fault).__name__, told, output_dir=str(output_dir or ""))
        return Entry(Job(str(name), str(mode), (), record.output_dir), CRASHED, 0, "", record)


def _table(text: str | None) -> dict[str, Any]:
    table = json.loads(text or "{}")
    if not isinstance(table, dict):
        raise TypeError(f"{text!r:.40} is no table")
    return table


def inputs_are_same(entry: Entry, left: Sequence[str] = ()) -> bool:
    """Return whether every input of a job is on disk with the content that the job read.

    left : sequence of str
        Files that earlier exposures have left for it by now.
    """
    if {file.path for file in entry.record.inputs} != {*entry.job.files, *left}:
        return False
    return all(is_same(file) for file in entry.record.inputs)


def is_same(file: InputFile) -> bool:
    """Return whether an input is on disk with the content it had; it is read where time stamps do not tell."""
    path = Path(file.path)
    try:
        status = path.stat()
        if status.st_size != file.size:
            return False
        same = (status.st_mtime_ns, status.st_ctime_ns, status.st_ino) == (file.mtime_ns, file.ctime_ns, file.inode)
        if file.settled and same:
            return True
        return file_hash(path) == file.sha256
    except OSError:
        return False


def products_are_whole(entry: Entry) -> bool:
    """Return whether every product of a job is on disk unchanged."""
    folder = Path(entry.job.output_dir)
    for product in entry.record.products:
        path = folder / product.path
        try:
            status = path.stat()
        except OSError:
            return False
        if status.st_size != product.size:
            return False
        untouched = (status.st_mtime_ns, status.st_ctime_ns) == (product.mtime_ns, product.ctime_ns)
        if not untouched and not has_hash(path, product.sha256):
            return False
    return entry.state in FINAL and (entry.state != DONE or bool(entry.record.products))
