"""Running one job in this process, with a record as its only result."""

from __future__ import annotations

import errno
import json
import os
import re
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import tomli_w

from detectorist.atomic_files import writing
from detectorist.campaign import memory
from detectorist.campaign.ledger import is_same
from detectorist.errors import DetectoristError, InputError, OutputError, is_unprocessable
from detectorist.interruption import require_not_interrupted
from detectorist.libraries.freed_memory import return_freed_memory
from detectorist.libraries.garbage_collection import freeze_what_was_loaded
from detectorist.libraries.garbage_collection import settle as settle_garbage_collection
from detectorist.modes import load_mode
from detectorist.modes.job import CRASHED, DONE, SKIPPED, UNPROCESSABLE, InputFile, Job, JobRecord, Outcome, Product
from detectorist.product_names import is_fits
from detectorist.reduction.content_keys import product_hash
from detectorist.reduction.file_hash import FRESH_NS, file_hash
from detectorist.reduction.products import write_text

LOG = "detectorist.log"
#: How a log is opened: at its end, and never through a symbolic link.
APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
#: Seconds between two reports of progress of one job: more would only cost time.
REPORT_EVERY_S = 0.2
#: What the system says when a file finds no room, and what numpy and astropy make of that.
NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
_NO_ROOM_WORDS = re.compile(
    r"\d+ requested and \d+ written|Not enough space on disk|\[Errno (" + "|".join(map(str, NO_ROOM)) + r")\]"
)
#: Stock steps keep their logs and references per process: one exposure at a time, whoever runs the threads.
_ONE_AT_A_TIME = threading.Lock()


def run_job(job: Job, progress: Callable[[float, int, str], None] = lambda done, total, what: None) -> JobRecord:
    """Do a job and return its record; no error leaves this function, SystemExit included (crds ends in it)."""
    with _ONE_AT_A_TIME:
        memory.reset_peak()
        freeze_what_was_loaded()
        return_freed_memory()
        worker = f"{os.uname().nodename}:{os.getpid()}"
        record = JobRecord(job.name, CRASHED, started=time.time(), worker=worker, output_dir=job.output_dir)
        began = time.process_time()
        try:
            _do(job, record, rarely(progress))
        except (Exception, SystemExit) as error:
            _note_error(job, record, error)
        record.cpu_s = time.process_time() - began
        record.peak_bytes = memory.peak_bytes()
        record.finished = time.time()
        return record


def settle(mode: str) -> None:
    """Import what the jobs of a mode need, and exclude it from garbage collection from now on.

    The standard pipeline collects garbage after every step, through all that it has imported: half a second each time,
    most of the time that small exposures take.
    """
    load_mode(mode).prepare()
    settle_garbage_collection()


def settle_or_leave_it(mode: str) -> None:
    """Settle as far as it goes: a job would fail alike, and then be recorded with its reason."""
    with suppress(Exception, SystemExit):
        settle(mode)


def _do(job: Job, record: JobRecord, progress: Callable[[float, int, str], None]) -> None:
    folder = Path(job.output_dir)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    record.inputs = [describe_input(Path(file)) for file in (*job.files, *job.left)]
    mode = load_mode(job.mode)
    _require_sound(job)
    with _room_in(folder):
        outcome = mode.reduce(job, progress)
        _require_unchanged(record.inputs)
        record.steps, record.resolved = outcome.steps, outcome.resolved
        made = [*outcome.products, *write_sidecars(job, outcome)]
    record.products = [describe_product(folder, path) for path in made]
    record.state, record.message = (SKIPPED, outcome.skipped) if outcome.skipped else (DONE, "")


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """Name the file, or the folder, where the disk was full; libraries often do not."""
    try:
        yield
    except OSError as error:
        if is_full(error):
            raise OutputError(f"{error.filename or folder}: cannot be written ({error.strerror or error})") from error
        raise


def _require_unchanged(inputs: Sequence[InputFile]) -> None:
    """Refuse what was made of a file that somebody wrote to meanwhile: nobody knows which of its states was read."""
    for file in inputs:
        if not is_same(file):
            raise InputError(f"{file.path}: was changed or removed while it was reduced; run the same command again")


def is_full(error: OSError) -> bool:
    """Return whether the disk or a quota was full.

    astropy raises errors of its own, without a number, while it handles the system's.
    """
    if error.errno is not None:
        return error.errno in NO_ROOM
    before = error.__cause__ or error.__context__
    return bool(_NO_ROOM_WORDS.search(str(error))) or (isinstance(before, OSError) and is_full(before))


def _require_sound(job: Job) -> None:
    """Refuse files that are damaged or contradict themselves, in every mode alike; a mode may read others than FITS."""
    files = [Path(file) for file in job.files if is_fits(file)]
    if files:
        from detectorist.reduction.inputs.headers import require_sound

        for file in files:
            require_sound(file)


def write_sidecars(job: Job, outcome: Outcome) -> list[Path]:
    """Write parameters in force and records of the steps beside the products, in readable form; return the files."""
    written = []
    if outcome.resolved:
        written.append(write_text(tomli_w.dumps(outcome.resolved), job.beside("resolved.toml")))
    if outcome.steps:
        written.append(write_text(json.dumps(outcome.steps, default=str), job.beside("record.json")))
    return written


def _note_error(job: Job, record: JobRecord, error: BaseException) -> None:
    record.error = type(error).__name__
    record.message = str(error) or repr(error)
    if isinstance(error, DetectoristError):
        record.numbers = error.numbers
        record.state = UNPROCESSABLE if is_unprocessable(error) else CRASHED
        return
    if isinstance(error, SystemExit):
        record.message = f"a library ended the process ({error.code})"
    try:
        with open(os.open(job.beside(LOG), APPEND), "a") as log:
            log.write("".join(traceback.format_exception(error)))
    except OSError:
        pass  # a full disk is often why the job failed


def describe_input(path: Path) -> InputFile:
    """Return the ledger's description of an input.

    Raises
    ------
    InputError
        When it cannot be read.
    """
    try:
        status = path.stat()
        settled = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > FRESH_NS
        return InputFile(
            str(path), status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, file_hash(path), settled
        )
    except OSError as error:
        why = f"cannot be read ({error.strerror or error})"
        if path.is_symlink() and not path.exists():
            why = f"a link to {os.readlink(path)}, which is not there"
        raise InputError(f"{path}: {why}") from error


def describe_product(folder: Path, path: Path) -> Product:
    """Return the ledger's description of a product, by which it is recognised later."""
    status = path.stat()
    return Product(
        str(path.relative_to(folder)), status.st_size, status.st_mtime_ns, status.st_ctime_ns, product_hash(path)
    )


def rarely(progress: Callable[[float, int, str], None]) -> Callable[[float, int, str], None]:
    """Return `progress`, called only when its values change, and not more often than REPORT_EVERY_S.

    Being called between steps, it also ends a job that a signal should have ended.
    """
    last: dict[str, Any] = {"time": 0.0, "what": None}

    def report(done: float, total: int, what: str) -> None:
        require_not_interrupted()
        now = time.monotonic()
        if what != last["what"] or now - last["time"] > REPORT_EVERY_S:
            last.update(time=now, what=what)
            progress(done, total, what)

    return report
