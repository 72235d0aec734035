"""How every kernel of the engine is compiled, and a pitfall of numba's disk cache."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

#: The numpy error model makes x / 0 infinite, as in the code that is reproduced. fastmath is never allowed:
#: it would change roundings.
OPTIONS = {"cache": True, "error_model": "numpy", "nogil": True}

#: Of a kernel that makes no array: it works on those of its caller, without counting that it refers to them. That is
#: an atomic addition for every array handed on, and took more time than the arithmetic of a single pixel.
BORROWING = {**OPTIONS, "_nrt": False}

#: Pixels that go through a kernel together: 64 float32 are four cache lines, and the rows of a tile stay in
#: the first-level cache.
TILE = 64

#: Pixels whose slopes are fitted together: runs of a kilobyte are read ahead, and loops over them start less often.
FIT_TILE = 256


def drop_stale_caches(folder: Path) -> None:
    """Delete the indices of numba's caches in `folder` that are older than the newest kernel there or in `algorithms`.

    numba compares a cached kernel with its own source file only, not with the files of the kernels it calls:
    after an update of one file of a checkout it would run the old machine code of all the others.
    """
    kernels = [*folder.glob("_*.py"), *(folder.parent / "algorithms").glob("_*_nb.py")]
    newest = max(source.stat().st_mtime for source in kernels)
    for index in (folder / "__pycache__").glob("*.nbi"):
        with suppress(OSError):  # another process may be doing the same
            if index.stat().st_mtime < newest:
                index.unlink()


drop_stale_caches(Path(__file__).parent)
