"""What kind of exposure a file is of, from its header alone: whoever plans a run asks it of every file."""

from __future__ import annotations

from pathlib import Path

from detectorist.errors import InputError
from detectorist.fits_files import read_keywords
from detectorist.product_names import is_fits


def exposure_type(path: Path) -> str:
    """Return the EXP_TYPE of a file; "" where it has none or cannot be read."""
    try:
        return (read_keywords(path).text("EXP_TYPE") if is_fits(path) else None) or ""
    except InputError:
        return ""


def is_acquisition_type(kind: str) -> bool:
    """Return whether an EXP_TYPE is one of target acquisition."""
    return kind.endswith(("_TACQ", "_TACONFIRM"))


def is_target_acquisition(path: Path) -> bool:
    """Return whether a file is of a target acquisition by its EXP_TYPE; a file that cannot be read is not."""
    return is_acquisition_type(exposure_type(path))
