"""Read a part of an exposure: some integrations of a file, or a few pixels of all of them.

A part keeps the numbers of its integrations (INTSTART, INTEND), so that reset, RSCD and dark corrections, which differ
for the first integrations of an exposure, use the right plane.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms.byte_order import native
from detectorist.errors import InputError
from detectorist.fits_files import opened, read_keywords
from detectorist.reduction.inputs.integration_numbers import fill_in

#: Extensions with an axis of integrations first.
_PER_INTEGRATION = ("SCI", "REFOUT", "ZEROFRAME", "GROUPDQ", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE")
#: Integrations that stage 2 takes at a time: some of its estimates of noise pool integrations, so that this is a
#: part of the result and no setting.
BLOCK_INTS = 128


def count_integrations(path: Path) -> int:
    """Return the number of integrations in a raw file; raises InputError as `shape_of`."""
    return shape_of(path)[0]


def shape_of(path: Path) -> tuple[int, ...]:
    """Return (n_ints, n_groups, ny, nx) of a raw file, from its header.

    Raises
    ------
    InputError
        When there is no SCI array of four dimensions.
    """
    axes = read_keywords(path).axes
    if len(axes) != 4:
        raise InputError(f"{path}: SCI has {len(axes)} dimensions; a ramp with 4 is needed")
    return axes


def read_integrations(
    path: Path, first: int, stop: int, kind: type[JwstDataModel] = RampModel
) -> RampModel | CubeModel:
    """Return integrations [first, stop) of a file, counted within it, without reading others.

    kind : type
        RampModel for a raw file, CubeModel for rates.

    Raises
    ------
    InputError
        When the file is shorter than its header says.
    """
    with opened(path, f"a {kind.__name__}") as hdus:
        n_ints = hdus["SCI"].shape[0]
        model = kind(fits.HDUList([_cut(hdu, first, stop, n_ints) for hdu in hdus]))
        model.data = np.asarray(model.data, np.float32)
        models.require_sound_tree(model)
        fill_in(model, n_ints)
    _number(model, first, stop)
    model.meta.filename = path.name
    return model


def slice_integrations(rates: CubeModel, first: int, stop: int) -> CubeModel:
    """Return integrations [first, stop) of rates as a separate model."""
    part = CubeModel()
    for name in ("data", "err", "dq", "var_poisson", "var_rnoise"):
        array = getattr(rates, name, None)
        if array is not None and np.shape(array) == rates.data.shape:
            setattr(part, name, np.array(array[first:stop]))
    part.update(rates)
    if rates.int_times is not None:
        part.int_times = rates.int_times
    _number(part, first, stop)
    return part


def _number(model: RampModel | CubeModel, first: int, stop: int) -> None:
    """Say which integrations of the exposure a part of a segment holds."""
    start = model.meta.exposure.integration_start or 1
    model.meta.exposure.integration_start = start + first
    model.meta.exposure.integration_end = start + stop - 1


def _cut(hdu: Any, first: int, stop: int, n_ints: int) -> Any:
    shape: tuple[int, ...] = getattr(hdu, "shape", ())
    # `section` reads only what is asked for, and undoes the offset that raw counts are stored with.
    if hdu.name in _PER_INTEGRATION and len(shape) >= 3 and shape[0] == n_ints:
        # In the byte order of the machine, else the model would hold it beside the copy that it converts.
        return fits.ImageHDU(native(hdu.section[first:stop]), header=hdu.header)
    return hdu.copy()


def only_pixels(path: Path, rows: slice, columns: Sequence[int], chunk_ints: int) -> RampModel:
    """Return all integrations of a raw file with some rows of some columns filled in and all else zero.

    Untouched zeros take no memory, and the samples of a pixel are contiguous, as a step that uses few pixels needs.
    """
    n_ints, n_groups, ny, nx = shape_of(path)
    by_pixel = np.zeros((ny, nx, n_ints, n_groups), np.float32)
    data = by_pixel.transpose(2, 3, 0, 1)
    whole = None
    for begin, end in chunks_of(n_ints, chunk_ints):
        part = read_integrations(path, begin, end)
        for column in columns:
            data[begin:end, :, rows, column] = part.data[:, :, rows, column]
        whole = whole or part
    assert whole is not None
    whole.data, whole.groupdq = data, np.zeros(data.shape, np.uint8)
    whole.meta.exposure.integration_end = whole.meta.exposure.integration_start + n_ints - 1
    return whole


def chunks_of(n_ints: int, chunk_ints: int) -> list[tuple[int, int]]:
    """Return [first, stop) of every chunk; none has a single integration, which some steps treat differently."""
    firsts = list(range(0, n_ints, max(chunk_ints, 2)))
    if len(firsts) > 1 and n_ints - firsts[-1] == 1:
        firsts.pop()
    return list(zip(firsts, [*firsts[1:], n_ints], strict=True))


def blocks_of(n_ints: int) -> list[tuple[int, int]]:
    """Return [first, stop) of blocks of nearly equal length, BLOCK_INTS at most, for stage 2."""
    edges = np.linspace(0, n_ints, -(-n_ints // BLOCK_INTS) + 1).astype(int)
    return [(int(a), int(b)) for a, b in itertools.pairwise(edges)]
