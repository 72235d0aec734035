"""Datamodels written as FITS: arrays go to the file in pieces that stay in the processor's cache.

astropy turns the byte order of whole arrays, twice, and sums them up for DATASUM before; whoever wants a hash of the
file reads it again. Here a piece is turned, hashed and written before the next one is looked at. Of arrays that lie in
mapped files no more than a piece is in memory.
"""

from __future__ import annotations

import hashlib
import mmap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy.io import fits
from stdatamodels import fits_support
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.reduction.arrays_on_disk import mapping_of

#: Bytes that are turned, hashed and written together: they fit into the second-level cache. A multiple of 8.
PIECE_BYTES = 1 << 18
#: Bytes of a mapped file after which those that have been written are let go of. A multiple of PIECE_BYTES.
_MAPPED_BYTES = 1 << 22
#: Hexadecimal digits of a hash of content.
DIGITS = 32


def save(model: JwstDataModel, path: Path) -> str:
    """Write a model as its own `save` does, with checksums, and return a hash of all that follows the first header."""
    model.on_save(str(path))
    hdus = fits.HDUList([_in_pieces(hdu) for hdu in fits_support.to_fits(model.instance, model.schema)])
    with open(path, "wb") as handle, warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Card is too long")
        target = _HashedFile(handle)
        hdus.writeto(target, checksum=True)
    return target.digest.hexdigest()[:DIGITS]


class _HashedFile:
    """A file that is written from its start to its end, and a hash of what follows the first header.

    astropy writes a header at once, and the first one has no data.
    """

    def __init__(self, handle: IO[bytes]):
        self.digest = hashlib.sha256()
        self.name = handle.name  # where astropy looks for room when an error occurs
        self._handle = handle
        self._is_first = True

    def write(self, content: Any) -> int:
        """Write some bytes."""
        if self._is_first:
            self._is_first = False
        else:
            self.digest.update(content)
        return self._handle.write(content)

    def tell(self) -> int:
        """Return how much has been written."""
        return self._handle.tell()

    def flush(self) -> None:
        """Hand on what is waiting to be written."""
        self._handle.flush()


def _in_pieces(hdu: Any) -> Any:
    """Return an image that is written in pieces; any other extension as it is."""
    if type(hdu) is not fits.ImageHDU or hdu.data is None or not hdu.data.flags.c_contiguous:
        return hdu
    return _ImageInPieces(hdu.data, hdu.header, uint=True)


class _ImageInPieces(fits.ImageHDU):
    """An image of which a piece at a time is converted; astropy converts the byte order of all of it."""

    def _calculate_datasum(self) -> int:
        total = 0
        for piece in self._pieces():
            if piece.dtype.isnative and piece.itemsize in (4, 8):  # whole words, whose order makes no difference
                total += int(piece.view(np.uint32).sum(dtype=np.uint64))
            else:
                total = self._compute_checksum(_as_stored(piece).view(np.uint8), total)
            while total >> 32:
                total = (total & 0xFFFFFFFF) + (total >> 32)
        return total

    def _writedata_internal(self, fileobj: Any) -> int:
        room = np.empty(PIECE_BYTES // self.data.itemsize, self.data.dtype.newbyteorder(">"))
        for piece in self._pieces():
            turned = room[: len(piece)]
            turned[:] = piece
            fileobj.writearray(turned)
        return self.data.nbytes

    def _pieces(self) -> Iterator[np.ndarray]:
        """Yield the values as FITS stores them, unsigned integers with half of their range subtracted."""
        values = self.data.reshape(-1)
        stored = values.dtype
        half = stored.type(1 << (8 * stored.itemsize - 1)) if stored.kind == "u" and stored.itemsize > 1 else None
        mapping = mapping_of(self.data)
        size = PIECE_BYTES // stored.itemsize
        for first in range(0, len(values), size):
            piece = values[first : first + size]
            yield piece if half is None else piece ^ half
            done = (first + size) * stored.itemsize
            if mapping is not None and hasattr(mmap, "MADV_DONTNEED") and done % _MAPPED_BYTES < PIECE_BYTES:
                mapping.madvise(mmap.MADV_DONTNEED)
        if mapping is not None and hasattr(mmap, "MADV_DONTNEED"):
            mapping.madvise(mmap.MADV_DONTNEED)


def _as_stored(piece: np.ndarray) -> np.ndarray:
    """Return values in the byte order of FITS."""
    return piece.astype(piece.dtype.newbyteorder(">"), copy=False)
