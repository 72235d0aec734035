"""Products get their final name only when complete, and never replace an input."""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from detectorist.errors import InputError, OutputError, PlaceTaken
from detectorist.fits_files import opened
from detectorist.interruption import require_not_interrupted
from detectorist.product_names import PICTURE_MARK
from detectorist.reduction import content_keys

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from stdatamodels.jwst.datamodels import JwstDataModel


#: What the attribute "code" of our datasets begins with.
PACKAGE = "detectorist"
#: What the name of a folder begins with in which a product is being written.
PARTIAL = ".partial-"
#: Bytes at the start of a PNG file with the mark of who wrote it: text comes before the picture.
_PNG_HEAD_BYTES = 1024
#: Folders below that of an exposure in which its products may lie.
PRODUCT_FOLDERS = ("stage_1", "stage_2", "references", "figures")


def write_model(model: JwstDataModel, target: Path, *, never_over: Any = None, key: str | None = None) -> Path:
    """Write a datamodel as FITS, with checksums and a hash of its data by which it is recognised later.

    never_over : str or Path, optional
        An input that `target` must not replace.
    key : str, optional
        A hash of what it was made from: `content_keys.content_key`.

    Raises
    ------
    OutputError
        When the file cannot be written.
    PlaceTaken
        When it is that input.
    """
    if isinstance(never_over, str | Path) and target.exists() and target.samefile(never_over):
        raise PlaceTaken(f"{target}: would overwrite the input; choose another output folder")
    from detectorist.reduction import model_files

    with whole_file(target) as partial:
        content_keys.seal(partial, key, digest=model_files.save(model, partial))
    return target


def require_ours(target: Path, *sources: Path, overwrite: bool) -> None:
    """Refuse to replace an input, or (unless requested) a file that was not written by detectorist.

    Damaged files may be replaced.

    target : Path
        A FITS, NetCDF or PNG file.

    Raises
    ------
    PlaceTaken
    """
    if not target.exists():
        return
    if any(target.samefile(source) for source in sources):
        raise PlaceTaken(f"{target}: would overwrite the input; choose another output folder")
    is_foreign = {".nc": _is_foreign_dataset, ".png": _is_foreign_picture}.get(target.suffix, _is_foreign_fits)
    if not overwrite and is_foreign(target):
        raise PlaceTaken(
            f"{target}: was not written by detectorist and is not overwritten; choose "
            "another output folder, or allow it with --overwrite"
        )


def _is_foreign_fits(path: Path) -> bool:
    """Return whether a FITS file can be read and is none of ours."""
    try:
        with opened(path) as hdus:
            readable = all(hdu.header is not None for hdu in hdus)
    except InputError:
        return False
    return readable and content_keys.made_by(path) is None


def _is_foreign_dataset(path: Path) -> bool:
    """Return whether a NetCDF file can be read and is none of ours."""
    import h5netcdf

    try:
        with h5netcdf.File(path, "r") as file:
            return not str(file.attrs.get("code", "")).startswith(PACKAGE)
    except (OSError, ValueError):
        return False


def _is_foreign_picture(path: Path) -> bool:
    """Return whether a PNG file, or what else has its name, holds something and was not written by us."""
    with open(path, "rb") as handle:
        head = handle.read(_PNG_HEAD_BYTES)
    return bool(head.strip(b"\0")) and b"Source\0" + PICTURE_MARK.encode() not in head


def write_dataset(dataset: xr.Dataset, target: Path) -> Path:
    """Write an xarray dataset as NetCDF 4.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    compress = {name: {"zlib": True, "complevel": 1} for name in dataset.data_vars if dataset[name].ndim > 1}
    # Made in memory: where the disk is full, the HDF5 library ends the process.
    content = dataset.to_netcdf(engine="h5netcdf", encoding=compress)
    with whole_file(target) as partial:
        partial.write_bytes(content)
    return target


class Variable(NamedTuple):
    """An array of a NetCDF file, with the names of its dimensions and its attributes."""

    dims: tuple[str, ...]
    values: np.ndarray
    attributes: Mapping[str, Any]


def write_variables(variables: Mapping[str, Variable], attributes: Mapping[str, Any], target: Path) -> Path:
    """Write arrays as NetCDF 4, as `write_dataset` does, without xarray, which takes a second to load and write.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    import h5netcdf

    content = io.BytesIO()  # where the disk is full, the HDF5 library ends the process
    with h5netcdf.File(content, "w") as file:
        for variable in variables.values():
            for dim, size in zip(variable.dims, variable.values.shape, strict=True):
                file.dimensions.setdefault(dim, size)
        for name, variable in variables.items():
            _add_variable(file, name, variable)
        file.attrs.update(attributes)
    with whole_file(target) as partial:
        partial.write_bytes(content.getbuffer())
    return target


def _add_variable(file: Any, name: str, variable: Variable) -> None:
    values = variable.values
    options: dict[str, Any] = {"fillvalue": float("nan")} if values.dtype.kind == "f" else {}
    if values.ndim > 1:
        options |= {"compression": "gzip", "compression_opts": 1, "shuffle": True}
    made = file.create_variable(name, variable.dims, values.dtype, **options)
    made[...] = values
    made.attrs.update(variable.attributes)


def write_text(text: str, target: Path) -> Path:
    """Write a text file; raises OutputError when it cannot be written."""
    with whole_file(target) as partial:
        partial.write_text(text)
    return target


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
        raise OutputError(f"{target}: cannot be written ({error})") from error


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
