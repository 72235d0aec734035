"""What a command finds around it: streams that are closed, folders that are gone, a user without a name."""

from __future__ import annotations

import getpass
import os
import sys
import tempfile

from detectorist.errors import OutputError


def require_surroundings() -> None:
    """Refuse to begin where folders are missing that everything needs; give a user a name who has none.

    Figures are drawn without a window, whatever the surroundings say: a notebook that runs a command hands it the name
    of its own way to show figures, which may not be there.

    Raises
    ------
    OutputError
        When the current folder was removed, or there is no place for temporary files.
    """
    _require_current_folder()
    _require_temporary_folder()
    _require_user_name()
    os.environ["MPLBACKEND"] = "agg"


def open_closed_streams() -> None:
    """Let closed streams lead to nowhere: a file opened later would take their place, and get what is printed."""
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))
            if not _is_open(number):
                os.dup2(getattr(sys, name).fileno(), number)


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


def _require_current_folder() -> None:
    try:
        os.getcwd()
    except OSError as error:
        raise OutputError("the current folder was removed; change to one that is there") from error


def _require_temporary_folder() -> None:
    """Raise OutputError where libraries would find no place for their scratch files."""
    try:
        tempfile.gettempdir()
    except OSError as error:
        raise OutputError(f"no temporary folder can be written ({error}); set TMPDIR to one that can") from error


def _require_user_name() -> None:
    """Go by the number of a user who has no entry in the system: jwst asks for a name when it is imported."""
    try:
        getpass.getuser()
    except (KeyError, OSError):
        os.environ["LOGNAME"] = str(os.getuid())  # of workers too
