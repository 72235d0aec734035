"""Reuse by content: a product is kept while input, parameters, versions and references are unchanged."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from detectorist.errors import InputError
from detectorist.fits_files import opened, read_keywords
from detectorist.reduction.file_hash import file_hash

#: Keywords of a product: what it was made from, a hash of its content as it was written, and who made it.
KEYWORD, HASH_KEYWORD, VERSION_KEYWORD = "DT_KEY", "DT_HASH", "DT_VERS"
_CHUNK_BYTES = 1 << 20
#: Bytes of a block of a FITS file and of a card, and what the hash of a product begins with that is one of its header.
_BLOCK_BYTES, _CARD_BYTES = 2880, 80
_OF_HEADER = "header:"
#: Minus zero, in 32 bits of ones' complement.
_ALL_ONES = (1 << 32) - 1
#: Packages whose release can change a product.
PACKAGES = ("detectorist", "jwst", "stcal", "stdatamodels", "numpy", "scipy", "numba")
#: Parameters that say where things go, not what they are.
PLACES = (
    "output_dir",
    "output_file",
    "input_dir",
    "figure_path",
    "save_results",
    "suffix",
    "search_output_file",
)


def content_key(source: Any, parameters: dict[str, Any], references: str) -> str | None:
    """Return a hash of everything that a product depends on, or None for an open model, which is costly to hash.

    source : Path or model
    parameters : dict
        {step: {parameter: value}}. A value that is the path of a file counts by the file's content.
    references : str
        "crds", "none" or the folder that references come from.
    """
    if not isinstance(source, Path):
        return None
    parts = {
        "input": file_hash(source),
        "parameters": _by_content(parameters),
        "versions": {name: version(name) for name in PACKAGES},
        "references": _reference_state(references),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def data_hash(path: Path) -> str:
    """Return a hash of the arrays of a FITS file: its headers hold the date of writing."""
    digest = hashlib.sha256()
    with opened(path) as hdus:
        for hdu in hdus:
            if hdu.name != "ASDF" and hdu.data is not None:
                digest.update(hdu.name.encode())
                digest.update(hdu.data.tobytes())
    return digest.hexdigest()


def seal(path: Path, key: str | None, *, digest: str | None = None) -> None:
    """Write into a new product its key, a hash of its content, the version of this package, and FITS checksums.

    digest : str, optional
        The hash, where it is known already: `model_files.save`.
    """
    from astropy.io import fits

    digest, start = digest or _hash_of_content(path), _end_of_header(path)
    with open(path, "rb") as handle:
        first = fits.PrimaryHDU(header=fits.Header.fromstring(handle.read(start)))
    header = first.header
    if key is not None:
        header[KEYWORD] = (key, "what it was made from")
    header[HASH_KEYWORD] = (digest, "of all that follows this header")
    header[VERSION_KEYWORD] = (version("detectorist"), "version of detectorist")
    first.add_checksum()
    _replace_start(path, start, header.tostring().encode("ascii"))


def _end_of_header(path: Path) -> int:
    """Return where the first header of a FITS file without data in its first HDU ends."""
    with opened(path) as hdus:
        return hdus[0].fileinfo()["datLoc"]


def _replace_start(path: Path, length: int, start: bytes) -> None:
    """Write `start` in the place of the first `length` bytes of a file, which need not be as many."""
    if len(start) == length:
        with open(path, "r+b") as handle:
            handle.write(start)
        return
    longer = path.with_name(f"{path.name}.sealed")
    with open(path, "rb") as old, open(longer, "wb") as new:
        new.write(start)
        old.seek(length)
        shutil.copyfileobj(old, new, _CHUNK_BYTES)
    os.replace(longer, path)


def is_whole(product: Path, key: str | None = None) -> bool:
    """Return whether a product of ours is on disk unchanged, and was made with this `key`.

    The first header is verified by its checksum, the rest by a hash.
    """
    try:
        with opened(product) as hdus:
            header, length = hdus[0].header, hdus[0].fileinfo()["datLoc"]
            if key is not None and header.get(KEYWORD) != key:
                return False
        with open(product, "rb") as handle:
            is_whole_header = _adds_up(handle.read(length))
        return is_whole_header and header.get(HASH_KEYWORD) == _hash_of_content(product)
    except InputError:
        return False


def _adds_up(header: bytes) -> bool:
    """Return whether the words of a header without data add up as the FITS standard (4.0, section 4.4.2.7) requires."""
    total = int(np.frombuffer(header, ">u4").sum(dtype=np.uint64))
    while total > _ALL_ONES:
        total = (total & _ALL_ONES) + (total >> 32)
    return total == _ALL_ONES


def product_hash(path: Path) -> str:
    """Return what a file that has just been written is recognised by: `has_hash`.

    Of a product with our seal it is a hash of the first header, which holds that of all the rest; of others a hash of
    the file.
    """
    header = _sealed_header(path)
    return file_hash(path) if header is None else _OF_HEADER + hashlib.sha256(header).hexdigest()


def has_hash(path: Path, told: str) -> bool:
    """Return whether a file has the content that `product_hash` was told of."""
    return product_hash(path) == told and (not told.startswith(_OF_HEADER) or is_whole(path))


def _sealed_header(path: Path) -> bytes | None:
    """Return the first header of a file with our seal; None of another file, or where the header has been changed."""
    header = b""
    with open(path, "rb") as handle:
        while len(block := handle.read(_BLOCK_BYTES)) == _BLOCK_BYTES and header[:1] in (b"", b"S"):
            header += block
            if any(block[at : at + 8] == b"END     " for at in range(0, _BLOCK_BYTES, _CARD_BYTES)):
                return header if HASH_KEYWORD.ljust(8).encode() in header and _adds_up(header) else None
    return None


def made_by(product: Path) -> str | None:
    """Return the version of this package that made a product; None for other files, or damaged ones."""
    try:
        return read_keywords(product).text(VERSION_KEYWORD)
    except InputError:
        return None


def _hash_of_content(path: Path) -> str:
    """Return a hash of a FITS file from the end of its first header: arrays, metadata and all other headers."""
    start = _end_of_header(path)
    digest = hashlib.sha256()
    with open(path, "rb") as handle:
        handle.seek(start)
        while block := handle.read(_CHUNK_BYTES):
            digest.update(block)
    return digest.hexdigest()[:32]


def _by_content(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _by_content(item) for key, item in value.items() if key not in PLACES}
    if isinstance(value, str) and value.endswith(".fits") and Path(value).is_file():
        return data_hash(Path(value))
    if isinstance(value, str) and value.endswith(".asdf") and Path(value).is_file():
        return file_hash(Path(value))
    return value


def _reference_state(references: str) -> Any:
    """Tell a folder's state by names, sizes and times: hashing gigabytes would cost more than it saves."""
    folder = Path(references)
    if not folder.is_dir():
        return references
    files = sorted(path for path in (folder / "references").rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
