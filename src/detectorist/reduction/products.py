"""Products reach their final name whole or not at all, and never take an input's place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectorist.errors import OutputError

if TYPE_CHECKING:
    import xarray as xr
    from stdatamodels.jwst.datamodels import JwstDataModel


def write_model(model: JwstDataModel, target: Path, *, never_over: Any = None) -> Path:
    """Write a datamodel as FITS.

    never_over : str or Path, optional
        An input that `target` must not replace.

    Raises
    ------
    OutputError
        When the file cannot be written, or is that input.
    """
    if isinstance(never_over, str | Path) and target.exists() and target.samefile(never_over):
        raise OutputError(f"{target}: is the input itself; choose another output folder")
    with whole_file(target) as partial:
        model.save(str(partial))
    return target


def write_dataset(dataset: xr.Dataset, target: Path) -> Path:
    """Write an xarray dataset as NetCDF 4.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    compress = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars if dataset[name].ndim > 1}
    with whole_file(target) as partial:
        dataset.to_netcdf(partial, engine="h5netcdf", encoding=compress)
    return target


def write_text(text: str, target: Path) -> Path:
    """Write a text file; raises OutputError when it cannot be written."""
    with whole_file(target) as partial:
        partial.write_text(text)
    return target


@contextmanager
def whole_file(target: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder beside `target`; on success it is synced and takes the final name.

    The name is kept because datamodels write their own file name into their header.
    """
    file = WholeFile(target)
    try:
        with writing(target):
            yield file.partial
        file.publish()
    finally:
        file.discard()


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
            self._folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        self.partial = self._folder / target.name

    def publish(self) -> None:
        """Bring the file to the disk, then give it its final name."""
        with writing(self.target):
            with open(self.partial, "rb") as handle:
                os.fsync(handle.fileno())
            os.replace(self.partial, self.target)
            _sync_folder(self.target.parent)

    def discard(self) -> None:
        """Remove what has not been published, and the folder that was made for it if nothing is there; repeatable."""
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._made_folder:
            with suppress(OSError):  # something else is there
                self.target.parent.rmdir()


@contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what the system says against writing `target` into an OutputError."""
    try:
        yield
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error})") from error


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot sync a folder
    finally:
        os.close(descriptor)
