"""Products reach their final name whole or not at all, and never take an input's place."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
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
    folder = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".partial-", dir=target.parent))
        partial = folder / target.name
        yield partial
        with open(partial, "rb") as handle:
            os.fsync(handle.fileno())
        os.replace(partial, target)
        _sync_folder(target.parent)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error})") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def _sync_folder(folder: Path) -> None:
    """Make a new name survive a power cut, as its content does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        pass  # some network file systems cannot sync a folder
    finally:
        os.close(descriptor)
