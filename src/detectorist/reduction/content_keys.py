"""Reuse by content: a product is kept when input, parameters, versions and references are what they were."""

from __future__ import annotations

import hashlib
import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from astropy.io import fits
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist import models

KEYWORD = "DT_KEY"
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
    """Return a hash of everything a product depends on, or None for an open model, whose content has no cheap hash.

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


def file_hash(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def data_hash(path: Path) -> str:
    """Return a hash of the arrays of a FITS file: its headers hold the date of writing."""
    digest = hashlib.sha256()
    with fits.open(path) as hdus:
        for hdu in hdus:
            if hdu.name != "ASDF" and hdu.data is not None:
                digest.update(hdu.name.encode())
                digest.update(hdu.data.tobytes())
    return digest.hexdigest()


def stamp(model: JwstDataModel, key: str | None) -> None:
    """Write a key into the product it belongs to."""
    if key is not None:
        models.set_keyword(model, KEYWORD, key, "content this product was made from")


def key_of(product: Path) -> str | None:
    """Return the key of a product on disk; None when there is no product, no key, or no whole file."""
    try:
        return fits.getheader(product, 0).get(KEYWORD)
    except OSError:
        return None


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
