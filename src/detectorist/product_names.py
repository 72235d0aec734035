"""Names of products: one place that knows how a file name is made up."""

from __future__ import annotations

import re
from pathlib import Path

#: Products that a file name may end in, before its ending.
_PRODUCT = re.compile(r"_(uncal|ramp|rateints|rate|calints|cal|crfints|crf)$", re.IGNORECASE)
_SEGMENT = re.compile(r"-seg\d+", re.IGNORECASE)
_ENDINGS = (".gz", ".fits", ".asdf")
#: What the chunk "Source" of our PNG files says, by which they are known again.
PICTURE_MARK = "detectorist"


def without_ending(path: str | Path) -> str:
    """Return a file's name without .fits, .fits.gz or .asdf, in whatever case they are written."""
    name = Path(path).name
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            name = name[: -len(ending)]
    return name


def is_fits(path: str | Path) -> bool:
    """Return whether a file is named as a FITS file, compressed or not."""
    return str(path).lower().endswith((".fits", ".fits.gz"))


def stem_of(path: str | Path) -> str:
    """Return a file's name without ending and product: the names of all its products begin with it."""
    return _PRODUCT.sub("", without_ending(path))


def product_of(path: str | Path) -> str:
    """Return which product a file is by its name, as "uncal"; "" where the name does not say."""
    found = _PRODUCT.search(without_ending(path))
    return found[1].lower() if found else ""


def exposure_name(path: str | Path, *, segments: bool = True) -> str:
    """Return a file's name without ending and product; without its segment too, unless `segments` is False."""
    stem = stem_of(path)
    return _SEGMENT.sub("", stem) if segments else stem


def sibling(path: Path, product: str) -> Path:
    """Return the path of another product of the same exposure in the same folder: X_rate.fits of X_uncal.fits.gz."""
    return path.with_name(f"{stem_of(path)}_{product}.fits")
