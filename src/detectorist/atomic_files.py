"""Files that appear whole or not at all: written under another name, flushed to the disk, then renamed."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from detectorist.errors import OutputError
from detectorist.interruption import require_not_interrupted

#: What the name of a folder begins with in which files are being written.
PARTIAL = ".partial-"


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder beside `target`; on success it is synced and renamed.

    The name is kept because datamodels write their own file name into their header.
    """
    file = WholeFile(target)
    try:
        with writing(target):
            yield file.partial
        file.publish()
    finally:
        file.discard()


@contextmanager
def whole_set(folder: Path) -> Iterator[Path]:
    """Yield a folder within `folder`; on success the files written there move up together, else none of them is left.

    Files of the same names are replaced.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """
    is_new = not folder.exists()
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
    try:
        yield partial
        require_not_interrupted()
        made = sorted(partial.iterdir())
        for path in made:
            with writing(folder / path.name):
                sync(path)
        for path in made:
            with writing(folder / path.name):
                os.replace(path, folder / path.name)
        _sync_folder(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        if is_new:
            with suppress(OSError):  # something is there
                folder.rmdir()


class WholeFile:
    """A file in the making: written as `partial`, in a folder beside its target, until it is published.

    Raises
    ------
    OutputError
        When the folder cannot be written.
    """

    def __init__(self, target: Path):
        self.target = target
        self._made_folder = not target.parent.exists()
        with writing(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=target.parent))
        self.partial = self._folder / target.name

    def publish(self) -> None:
        """Flush the file to the disk, then give it its final name."""
        require_not_interrupted()
        with writing(self.target):
            sync(self.partial)
            os.replace(self.partial, self.target)
            _sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove the unpublished file, and the folder made for it if it is empty; may be repeated."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._made_folder:
            with suppress(OSError):  # something else is there
                self.target.parent.rmdir()


def require_no_link(path: Path) -> None:
    """Refuse to write through a symbolic link in an output folder: it may point to any file of the user's.

    Raises
    ------
    OutputError
    """
    if path.is_symlink():
        raise OutputError(f"{path}: is a symbolic link, and not written through; remove it")


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn errors of the system when writing `target` into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror or error})") from error


def sync(path: Path) -> None:
    """Flush a file's content to the disk."""
    with open(path, "rb") as handle:
        os.fsync(handle.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot sync a folder
    finally:
        os.close(descriptor)
