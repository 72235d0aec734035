"""Arrays larger than the memory a run may take: in files, and in memory only as far as they are looked at."""

from __future__ import annotations

import math
import mmap
from pathlib import Path
from typing import Any

import numpy as np


class ArrayOnDisk:
    """An array (n_ints, ...) in a file, indexed as an array and copied as it is read.

    One integration at a time is in memory beside what is returned. The first index is a number or a slice.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], dtype: Any):
        self.path = path
        self.shape = shape
        self.dtype = np.dtype(dtype)
        path.touch()

    def append(self, array: np.ndarray) -> None:
        """Write some integrations behind those that are there."""
        with open(self.path, "ab") as handle:
            np.ascontiguousarray(array, self.dtype).tofile(handle)

    def read(self, first: int, stop: int) -> np.ndarray:
        """Return integrations [first, stop), read at once."""
        size = math.prod(self.shape[1:])
        found = np.fromfile(self.path, self.dtype, (stop - first) * size, offset=first * size * self.dtype.itemsize)
        return found.reshape(stop - first, *self.shape[1:])

    def put_rows(self, first: int, array: np.ndarray) -> None:
        """Write rows from `first` on of all integrations; array of shape (n_ints, n_rows, ...)."""
        bytes_per_row = math.prod(self.shape[2:]) * self.dtype.itemsize
        # By ordinary writes: where the disk is full, a write to mapped memory ends the process.
        with open(self.path, "r+b") as handle:
            for number, rows in enumerate(np.ascontiguousarray(array, self.dtype)):
                handle.seek((number * self.shape[1] + first) * bytes_per_row)
                handle.write(rows.tobytes())

    def mapped(self) -> np.ndarray:
        """Return the array, not to be written to, read where it is touched; it stays after the file is removed."""
        return np.memmap(self.path, self.dtype, "r", shape=self.shape)

    def __len__(self) -> int:
        """Return the number of integrations."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return a copy of what an array would give."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        if not isinstance(first, slice):
            return self._part(range(len(self))[first], tuple(rest))
        return np.stack([self._part(number, tuple(rest)) for number in range(len(self))[first]])

    def _part(self, number: int, rest: tuple[Any, ...]) -> np.ndarray:
        shape = self.shape[1:]
        offset = number * math.prod(shape) * self.dtype.itemsize
        # Unmapped again at once: pages of a file that have been looked at count as memory of the process.
        return np.array(np.memmap(self.path, self.dtype, "r", offset, shape)[rest])


def mapping_of(array: Any) -> mmap.mmap | None:
    """Return the mapped file that an array is read from, if it is one that cannot be written to."""
    if not isinstance(array, np.ndarray) or array.flags.writeable:
        return None
    while isinstance(array, np.ndarray):
        array = array.base
    return array if isinstance(array, mmap.mmap) else None
