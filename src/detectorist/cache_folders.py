"""Places for what libraries keep between runs, where neither the package nor the home folder can be written.

numba keeps kernels beside their source, else below the user's cache folder, and refuses to import them where it can
write neither; matplotlib keeps a list of fonts below the home folder, and complains.
"""

from __future__ import annotations

import logging
import os
import tempfile
from contextlib import suppress
from pathlib import Path

log = logging.getLogger(__name__)

VARIABLE = "NUMBA_CACHE_DIR"
MATPLOTLIB_VARIABLE = "MPLCONFIGDIR"
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


def folder_in_use() -> Path | None:
    """Return the folder below which numba keeps the kernels of this package; None for beside their sources."""
    if is_chosen():
        return folders()[0]
    beside, *others = folders()
    return None if can_be_written(beside) or not others else others[0]


def require_folders() -> None:
    """Choose temporary folders where libraries would find none, for this process and those that it starts.

    A line names the one for compiled code: whoever has a better place saves minutes of every session.
    """
    if not (os.environ.get(VARIABLE) or any(can_be_written(folder) for folder in folders())):
        try:
            os.environ[VARIABLE] = str(_temporary_folder("numba"))
        except OSError as error:
            log.warning("no folder for compiled code can be written (%s); set %s to one that can", error, VARIABLE)
        else:
            found = os.environ[VARIABLE]
            log.warning("compiled code goes to %s, which may not last: set %s to a folder that does", found, VARIABLE)
    if not (os.environ.get(MATPLOTLIB_VARIABLE) or all(map(can_be_written, _folders_of_matplotlib()))):
        with suppress(OSError):
            os.environ[MATPLOTLIB_VARIABLE] = str(_temporary_folder("matplotlib"))


def _folders_of_matplotlib() -> list[Path]:
    places = (("XDG_CONFIG_HOME", "~/.config"), ("XDG_CACHE_HOME", "~/.cache"))
    return [Path(os.environ.get(name) or os.path.expanduser(default)) / "matplotlib" for name, default in places]


def _temporary_folder(use: str) -> Path:
    """Return the temporary folder of this user for some use: the same one each time, if it is really theirs."""
    folder = Path(tempfile.gettempdir()) / f"detectorist-{use}-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        return Path(tempfile.mkdtemp(prefix=f"detectorist-{use}-"))
    return folder


def can_be_written(folder: Path) -> bool:
    """Return whether files can be made in a folder, or in the nearest one above it that is there."""
    try:
        there = next(place for place in (folder, *folder.parents) if place.exists())
        with tempfile.TemporaryFile(dir=there):
            return True
    except (OSError, StopIteration):
        return False
