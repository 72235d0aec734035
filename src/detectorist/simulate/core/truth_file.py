"""How a truth is stored: one NetCDF file with variables, their units and meaning, and the scene."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist.atomic_files import whole_file

if TYPE_CHECKING:
    import xarray as xr

    from detectorist.simulate.core.detector import CosmicRays

    #: Dimensions, values, unit, meaning.
    Variable = tuple[tuple[str, ...], np.ndarray, str, str]


def with_attributes(variables: Mapping[str, Variable]) -> dict[str, tuple[Any, ...]]:
    """Return variables in the form for a dataset: dimensions, values, {units, long_name}."""
    return {
        name: (dims, values, {"units": unit, "long_name": meaning})
        for name, (dims, values, unit, meaning) in variables.items()
    }


def scene_as_text(scene: Any) -> str:
    """Return every parameter of a scene, as JSON."""
    names = (*scene.components(), "detector")
    return json.dumps({name: dataclasses.asdict(getattr(scene, name)) for name in names})


def first_group_struck(hits: CosmicRays | None, shape: tuple[int, int], n_groups: int) -> np.ndarray:
    """Return the first group (from 0) in which each pixel was struck, int16 of `shape`; -1 where none was.

    A hit in a group past the last one does not count.
    """
    first = np.full(shape, n_groups, np.int16)
    if hits is not None:
        np.minimum.at(first, (hits.row, hits.column), hits.group.astype(np.int16))
    return np.where(first >= n_groups, np.int16(-1), first)


def write_truth(dataset: xr.Dataset, path: Path, encoding: Mapping[str, Mapping[str, object]]) -> None:
    """Write a truth as NetCDF; raises OutputError when it cannot be written."""
    # Made in memory: where the disk is full, the HDF5 library ends the process.
    content = dataset.to_netcdf(engine="h5netcdf", encoding=encoding)
    with whole_file(path) as partial:
        partial.write_bytes(content)
