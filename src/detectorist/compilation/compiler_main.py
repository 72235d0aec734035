"""What a process does that compiles ahead of a run: `python -m detectorist.compilation.compiler_main LIST PROCESSES`.

It prints a line "done total" after each kernel. Two runs that begin together do not compile the same kernels: the
second waits for the first, and then finds nothing missing.
"""

from __future__ import annotations

import sys
from contextlib import nullcontext
from pathlib import Path

from filelock import FileLock

from detectorist import cache_folders
from detectorist.compilation.kernel_lists import missing, read_list


def main(file: str, processes: str) -> None:
    """Compile what is missing of a list of kernels."""
    with _alone():
        kernels = read_list(Path(file))
        lacking = missing(kernels)
        if lacking:
            from detectorist.compilation.processes import compile_kernels

            wanted = {name: kernels[name] for name in lacking}
            compile_kernels(wanted, int(processes), lambda done: print(done, len(lacking), flush=True))


def _alone() -> FileLock | nullcontext[None]:
    try:
        folder = next(folder for folder in cache_folders.folders() if cache_folders.can_be_written(folder))
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, StopIteration):
        return nullcontext()
    return FileLock(folder / "detectorist_compiles.lock")


if __name__ == "__main__":
    main(*sys.argv[1:])
