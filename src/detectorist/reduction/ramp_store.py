"""Ramps between the two halves of stage 1, on disk: written in chunks of integrations, read in tiles of rows."""

from __future__ import annotations

import copy
import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.algorithms import dq


@dataclass(frozen=True)
class Tile:
    """Rows that are fitted together: [first, stop), and [read_first, read_stop) with the rows beside them."""

    first: int
    stop: int
    read_first: int
    read_stop: int


class RampStore:
    """Ramps between the two halves of stage 1, on disk, a pair of files per tile of rows."""

    def __init__(self, folder: Path, tiles: list[Tile], n_ints: int):
        self.folder = folder
        self.tiles = tiles
        self.n_ints = n_ints
        self.template: RampModel | None = None
        self.pixeldq: np.ndarray | None = None
        #: For every tile and chunk (n_ints, n_groups, 3): all its pixels are DO_NOT_USE, saturated, or either.
        self.unusable: list[list[np.ndarray]] = [[] for _ in tiles]
        #: What our steps recorded on each chunk.
        self.records: list[dict[str, dict[str, Any]]] = []

    @classmethod
    def make(cls, folder: Path, ny: int, n_ints: int, chunk_ints: int, halo: int) -> RampStore:
        """Return a store for frames of `ny` rows, with tiles about as large as chunks and `halo` rows beside them."""
        n_tiles = -(-n_ints // chunk_ints)
        edges = np.linspace(0, ny, min(n_tiles, ny) + 1).astype(int)
        tiles = [
            Tile(int(a), int(b), max(int(a) - halo, 0), min(int(b) + halo, ny)) for a, b in itertools.pairwise(edges)
        ]
        return cls(folder, tiles, n_ints)

    def add(self, ramps: RampModel) -> None:
        """Append a chunk, whose arrays are released."""
        flags = models.group_flags(ramps)
        for number, tile in enumerate(self.tiles):
            rows = slice(tile.read_first, tile.read_stop)
            with open(self._file(number, "data"), "ab") as handle:
                np.ascontiguousarray(ramps.data[:, :, rows], np.float32).tofile(handle)
            with open(self._file(number, "flags"), "ab") as handle:
                np.ascontiguousarray(flags[:, :, rows], np.uint8).tofile(handle)
            own = flags[:, :, tile.first : tile.stop]
            tests = (dq.DO_NOT_USE, dq.SATURATED, dq.DO_NOT_USE | dq.SATURATED)
            self.unusable[number].append(np.stack([dq.has(own, bits).all(axis=(2, 3)) for bits in tests], axis=-1))
        self.records.append(copy.deepcopy(models.records(ramps)))
        self.pixeldq = ramps.pixeldq if self.pixeldq is None else self.pixeldq | ramps.pixeldq
        if self.template is None:
            self.template = ramps
            self.n_groups, _, self.nx = ramps.data.shape[1:]
            self.start = ramps.meta.exposure.integration_start
            ramps.data = ramps.data[:1, :, :, :].copy()
            ramps.groupdq = flags[:1].copy()

    def read(self, number: int, tile: Tile) -> tuple[np.ndarray, np.ndarray]:
        """Return data and flags of a tile, all integrations."""
        shape = (self.n_ints, self.n_groups, tile.read_stop - tile.read_first, self.nx)
        data = np.fromfile(self._file(number, "data"), np.float32).reshape(shape)
        return data, np.fromfile(self._file(number, "flags"), np.uint8).reshape(shape)

    def groups_of_tiles(self) -> list[list[int]]:
        """Return which tiles must be fitted together.

        Standard steps treat a group differently when every pixel of the frame is DO_NOT_USE or saturated in it. Where
        that holds for a tile but not for the frame, the tile is fitted together with its neighbours.
        """
        tables = [np.concatenate(parts) for parts in self.unusable]
        frame = np.logical_and.reduce(tables)
        groups: list[list[int]] = []
        pending: list[int] = []
        for number in range(len(self.tiles)):
            pending.append(number)
            if np.array_equal(np.logical_and.reduce([tables[one] for one in pending]), frame):
                groups.append(pending)
                pending = []
        if pending:
            groups = [*groups[:-1], [*groups[-1], *pending]] if groups else [pending]
        return groups

    def _file(self, number: int, kind: str) -> Path:
        return self.folder / f"tile_{number}.{kind}"


def ramps_of_tiles(store: RampStore, numbers: list[int]) -> RampModel:
    """Return the ramps of neighbouring tiles as a model of a subarray of their rows."""
    template = store.template
    assert template is not None
    assert store.pixeldq is not None
    parts = []
    for number in numbers:
        tile = store.tiles[number]
        low = tile.read_first if number == numbers[0] else tile.first
        high = tile.read_stop if number == numbers[-1] else tile.stop
        rows = slice(low - tile.read_first, high - tile.read_first)
        parts.append([array[:, :, rows] for array in store.read(number, tile)])
    first, stop = store.tiles[numbers[0]].read_first, store.tiles[numbers[-1]].read_stop
    data, flags = (
        np.concatenate(arrays, axis=2) if len(arrays) > 1 else arrays[0] for arrays in zip(*parts, strict=True)
    )
    ramps = RampModel(data=np.ascontiguousarray(data), groupdq=np.ascontiguousarray(flags))
    ramps.pixeldq = store.pixeldq[first:stop].copy()
    ramps.update(template)
    if template.hasattr("average_dark_current") and np.ndim(template.average_dark_current) == 2:
        ramps.average_dark_current = template.average_dark_current[first:stop].copy()
    if template.int_times is not None:
        ramps.int_times = template.int_times
    subarray = ramps.meta.subarray
    subarray.ystart, subarray.ysize = (subarray.ystart or 1) + first, stop - first
    ramps.meta.exposure.integration_start = store.start
    ramps.meta.exposure.integration_end = store.start + store.n_ints - 1
    return ramps
