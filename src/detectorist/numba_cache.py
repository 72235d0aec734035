"""A place for compiled kernels where neither the package nor the home folder can be written.

numba keeps kernels beside their source, else below the user's cache folder, and refuses to import them where it can
write neither.
"""

from __future__ import annotations

import logging
import os
import tempfile
from pathlib import Path

log = logging.getLogger(__name__)

VARIABLE = "NUMBA_CACHE_DIR"
#: A folder of the package with kernels: all of them can be written, or none.
_KERNELS = Path(__file__).parent / "engine"


def is_chosen() -> bool:
    """Return whether the environment names the folder."""
    return bool(os.environ.get(VARIABLE))


def folders() -> list[Path]:
    """Return the folders in which numba may keep the kernels of this package, as it looks for them."""
    chosen = os.environ.get(VARIABLE)
    if chosen:
        return [Path(chosen)]
    home = Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"))
    return [_KERNELS / "__pycache__", *([home / "numba"] if home.is_absolute() else [])]


def require_folder() -> None:
    """Choose a temporary folder where numba would find none, for this process and those that it starts, and say so."""
    if os.environ.get(VARIABLE) or any(_can_be_written(folder) for folder in folders()):
        return
    try:
        folder = Path(tempfile.gettempdir()) / f"detectorist-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            folder = Path(tempfile.mkdtemp(prefix="detectorist-numba-"))
    except OSError as error:
        log.warning("no folder for compiled code can be written (%s); set %s to one that can", error, VARIABLE)
        return
    os.environ[VARIABLE] = str(folder)
    log.warning("compiled code goes to %s, which may not last: set %s to a folder that does", folder, VARIABLE)


def _can_be_written(folder: Path) -> bool:
    """Return whether files can be made in a folder, or in the nearest one above it that is there."""
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            return True
    except (OSError, StopIteration):
        return False
