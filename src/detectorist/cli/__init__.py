"""The command `detectorist`."""

from __future__ import annotations

import os
import sys
import tempfile
import traceback
from pathlib import Path

from detectorist.cli.exit_codes import BAD_ARGUMENTS, CRASHED, INTERRUPTED, READER_LEFT, UNPROCESSABLE
from detectorist.cli.surroundings import open_closed_streams, require_surroundings
from detectorist.errors import (
    DetectoristError,
    NoSuchFile,
    OutputError,
    ParameterError,
    ReferenceMissing,
    is_unprocessable,
)
from detectorist.interruption import ended_in_order, was_interrupted
from detectorist.libraries.docstrings import leave_docstrings_unwritten
from detectorist.libraries.freed_memory import keep_freed_memory
from detectorist.libraries.garbage_collection import collect_rarely
from detectorist.libraries.numerical_threads import use_one_thread
from detectorist.parameters import require_utf8
from detectorist.terminal.lines import printable
from detectorist.terminal.log import keep_warnings_off_terminal

#: What is said where a command was interrupted; runs say more.
INTERRUPTION = "interrupted: files that were finished are kept, and none is left half-written"


def main() -> None:
    """Run the command line; an error becomes one sentence and an exit code."""
    open_closed_streams()
    keep_warnings_off_terminal()
    collect_rarely()
    keep_freed_memory()
    leave_docstrings_unwritten()
    use_one_thread()
    with ended_in_order():
        _run()


def _run() -> None:
    try:
        require_surroundings()
        from detectorist.cli.app import app

        app()
    except SystemExit as ended:
        sys.exit(_code_of(ended))
    except (ParameterError, ReferenceMissing, NoSuchFile) as error:
        _fail(error, BAD_ARGUMENTS)
    except DetectoristError as error:
        _fail(error, UNPROCESSABLE if is_unprocessable(error) else CRASHED)
    except KeyboardInterrupt:
        print(INTERRUPTION, file=sys.stderr)
        sys.exit(INTERRUPTED)
    except UnicodeEncodeError as error:
        _fail_for_name(error)
    except MemoryError:
        _fail(OutputError("there is not enough memory; end other programs or raise its limit (ulimit -v)"), CRASHED)
    except Exception as error:
        if isinstance(error, OSError) and isinstance(error.filename, str):  # the system says what is wrong with a file
            _fail(OutputError(f"{error.filename}: {error.strerror}"), CRASHED)
        if isinstance(error, RuntimeError) and str(error).startswith("Symlink loop"):  # until Python 3.12
            _fail(ParameterError(f"{error}: symbolic links that lead to each other; give another path"), BAD_ARGUMENTS)
        _fail_unexpectedly(error)


def _code_of(ended: SystemExit) -> int | str | None:
    """Return the exit code of a command that has come to its end, and say so where a signal made it."""
    # One that a library has swallowed leaves a command that seems to have ended well.
    if _interrupted(ended) or (was_interrupted() and not ended.code):
        print(INTERRUPTION, file=sys.stderr)
        return INTERRUPTED
    return READER_LEFT if _reader_left(ended) else ended.code


def _interrupted(ended: SystemExit) -> bool:
    """Return whether Ctrl-C ended a command that has not said so itself; typer turns it into an exit code."""
    return ended.code == INTERRUPTED and isinstance(getattr(ended.__context__, "__cause__", None), KeyboardInterrupt)


def _reader_left(ended: SystemExit) -> bool:
    """Return whether a command ended because nobody reads its output; typer ends with 1 then, as for an error."""
    if isinstance(ended.__context__, BrokenPipeError):
        return True
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return not ended.code
    return False


def _save_traceback() -> Path:
    """Write the traceback of the error being handled to a file of its own."""
    with tempfile.NamedTemporaryFile("w", prefix="detectorist-", suffix=".txt", delete=False) as file:
        file.write(traceback.format_exc())
    return Path(file.name)


def _fail_for_name(error: UnicodeEncodeError) -> None:
    """Say which of the words given is no text, as a name of a file in another encoding."""
    try:
        require_utf8(*sys.argv)
    except ParameterError as told:
        _fail(told, BAD_ARGUMENTS)
    _fail_unexpectedly(error)


def _fail_unexpectedly(error: Exception) -> None:
    print(printable(f"error: {type(error).__name__}: {error}"), file=sys.stderr)
    print(f"unexpected: please report it with the traceback in {_save_traceback()}", file=sys.stderr)
    sys.exit(CRASHED)


def _fail(error: DetectoristError, code: int) -> None:
    print(printable(f"error: {error}"), file=sys.stderr)
    sys.exit(code)
