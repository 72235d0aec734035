"""Products of every format: written whole, marked as ours, and never in the place of an input."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from detectorist.atomic_files import whole_file
from detectorist.errors import InputError, PlaceTaken
from detectorist.fits_files import opened
from detectorist.product_names import PICTURE_MARK
from detectorist.reduction import content_keys

if TYPE_CHECKING:
    import numpy as np
    import xarray as xr
    from stdatamodels.jwst.datamodels import JwstDataModel


#: What the attribute "code" of our datasets begins with.
PACKAGE = "detectorist"
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
