"""Stored kernels come from the disk without what numba loads in order to compile, and work."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from detectorist.libraries import stored_code
from detectorist.libraries.stored_code import read_without_compiler
from detectorist.modes import MODES, load_mode


def run(script, *arguments):
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


ONE = """
import sys
from types import SimpleNamespace
import numpy as np
from detectorist.algorithms import _selection_nb as kernels
values = np.arange(9.0)[::-1].copy()
print(kernels.kth_smallest(values, 9, 3))
print(sum(kernels.kth_smallest.stats.cache_hits.values()), "numba.cpython.setobj" in sys.modules)
"""


def test_a_kernel_that_is_stored_needs_nothing_of_the_compiler():
    run(ONE)  # which stores it
    assert run(ONE) == ["3.0", "1 False"]


ALL = """
import sys
from types import SimpleNamespace
from pathlib import Path
import detectorist.modes
from numba.core.registry import cpu_target
from detectorist.compilation.kernel_lists import read_list
from detectorist.compilation.processes import find
from detectorist.compilation.signatures import read
from detectorist.engine import _saturation_nb
import numpy as np
plane = np.ones((8, 8), np.uint16)
_saturation_nb.box_minimum(plane, 1, plane.copy(), 0, 8)
for name, entries in read_list(Path(sys.argv[1])).items():
    kernel = find(name)
    for types in entries:
        stored = kernel._cache.load_overload(tuple(map(read, types)), cpu_target.target_context)
        if stored is not None:
            stored.library.get_pointer_to_function(stored.fndesc.llvm_cpython_wrapper_name)
print("numba.cpython.setobj" in sys.modules)
"""


@pytest.mark.parametrize("mode", MODES)
def test_all_symbols_of_stored_kernels_are_found(mode):
    """LLVM ends the process where one is not."""
    run(ALL, load_mode(mode).kernels())
    assert run(ALL, load_mode(mode).kernels()) == ["False"]


CALLED = """
import numpy as np
from detectorist.algorithms import _selection_nb as kernels
from llvmlite import binding
read = []
parse = binding.parse_bitcode
binding.parse_bitcode = lambda code: read.append(len(code)) or parse(code)
values = np.arange(9.0)[::-1].copy()
print(kernels.kth_smallest(values, 9, 3), sum(kernels.kth_smallest.stats.cache_hits.values()), max(read) > 5000)
from numba import njit

@njit
def one_more(values):
    return kernels.kth_smallest(values, 9, 3) + 1

print(one_more(values), len(kernels.kth_smallest.stats.cache_misses), max(read) > 5000)
"""


def test_what_a_stored_kernel_is_to_others_is_read_when_one_that_calls_it_is_compiled():
    run(CALLED)  # which stores it, for what calls it from Python and from a kernel
    assert run(CALLED) == ["3.0 1 False", "4.0 0 True"]


POINTERS = """
import numpy as np
from detectorist.algorithms import _selection_nb as kernels
from numba.core.registry import cpu_target
values = np.arange(9.0)[::-1].copy()
kernels.kth_smallest(values, 9, 3)
(stored,) = kernels.kth_smallest.overloads.values()
of_python = stored.library.get_pointer_to_function(stored.fndesc.llvm_cpython_wrapper_name)
of_kernels = stored.library.get_pointer_to_function(stored.fndesc.llvm_func_name)
print(of_python > 0, of_kernels > 0, stored.library.get_pointer_to_function("no_such_function"))
"""


def test_places_of_stored_code_are_told_as_by_numba():
    run(ONE)
    assert run(POINTERS) == ["True True 0"]


OTHERS = """
import sys
from types import SimpleNamespace
import numpy as np
import detectorist.algorithms
from detectorist.libraries.stored_code import read_without_compiler
read_without_compiler()
from someone import double
print(double(3.0), sum(double.stats.cache_hits.values()), "numba.cpython.setobj" in sys.modules)
"""


def test_functions_of_others_are_read_as_before(tmp_path, monkeypatch):
    (tmp_path / "someone.py").write_text(
        "from numba import njit\n\n@njit(cache=True)\ndef double(value):\n    return 2 * value\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    assert run(OTHERS) == ["6.0 0 True"]
    assert run(OTHERS) == ["6.0 1 True"]


def test_it_may_be_said_again_after_numba_was_imported():
    from numba.core.caching import Cache

    read_without_compiler()
    changed = Cache.load_overload
    read_without_compiler()
    assert Cache.load_overload is changed
    assert not hasattr(changed.usual, "usual")


def test_a_numba_that_reads_otherwise_stays_as_it_is():
    class Cache:
        def load_overload(self, sig, target_context):
            return None

    before = Cache.load_overload
    stored_code._change(SimpleNamespace(Cache=Cache))
    assert Cache.load_overload is before
