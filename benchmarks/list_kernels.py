"""Write the list of kernels that a mode compiles ahead of its first run, from runs of the mode.

    NUMBA_CACHE_DIR=$(mktemp -d) python benchmarks/list_kernels.py lrs FILES --references sim -o out

The arguments are those of `detectorist run`. What the list has already stays in it, so that several runs can add to it,
unless the kernel is no more. The cache must be empty: from a filled one numba loads a kernel with the machine code of
all that it calls, and those would be left out.
"""

from __future__ import annotations

import argparse
import sys

from detectorist.cli import main as detectorist
from detectorist.compilation.kernel_lists import missing, read_list
from detectorist.compilation.record import kernels_in_use, merged, write_list
from detectorist.modes import load_mode, mode_names


def main() -> None:
    """Run a mode in this process, and list the kernels that it used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mode", choices=mode_names())
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="as of `detectorist run MODE`")
    asked = parser.parse_args()
    file = load_mode(asked.mode).kernels()
    before = read_list(file)
    if len(missing(before)) < len(before):
        parser.error("the cache holds kernels already: set NUMBA_CACHE_DIR to an empty folder")
    file.unlink(missing_ok=True)  # nothing is compiled ahead now
    sys.argv = ["detectorist", "run", asked.mode, *asked.arguments]
    try:
        detectorist()
    finally:
        write_list(file, merged(before, kernels_in_use()))


if __name__ == "__main__":
    main()
