"""Lists of kernels name what there is, and what of it is not compiled yet is found from names and times of files."""

import os
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from detectorist.compilation.kernel_lists import missing, read_list
from detectorist.compilation.signatures import read, written
from detectorist.modes import MODES, load_mode

PYTHON = f"py{sys.version_info.major}{sys.version_info.minor}"


@pytest.mark.parametrize("mode", MODES)
def test_a_list_is_of_kernels_that_exist_with_as_many_types_as_arguments(mode):
    """A kernel that was renamed or has other arguments is compiled when it is called; a few may be out of date until
    the list is written again (`benchmarks/list_kernels.py`)."""
    kernels = read_list(load_mode(mode).kernels())
    assert "detectorist.engine._ramp_tiles_nb:fit_tiles" in kernels
    old = []
    for name, specialisations in kernels.items():
        module, _, kernel = name.partition(":")
        function = getattr(getattr(import_module(module), kernel, None), "py_func", None)
        if function is None or any(len(entries) != function.__code__.co_argcount for entries in specialisations):
            old.append(name)
        assert [[written(read(entry)) for entry in entries] for entries in specialisations] == specialisations
    assert len(old) <= 0.1 * len(kernels), f"run benchmarks/list_kernels.py {mode}: {old}"


def test_there_may_be_no_list(tmp_path):
    assert read_list(tmp_path / "kernels.json") == {}


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder for numba's cache."""
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_a_kernel_is_compiled_where_its_machine_code_is_younger_than_its_source(cache):
    name = "detectorist.engine._ramp_tiles_nb:fit_tiles"
    assert missing({name: []}) == [name]
    index = cache / "engine_1" / f"_ramp_tiles_nb.fit_tiles-12.{PYTHON}.nbi"
    index.parent.mkdir()
    index.touch()
    assert missing({name: []}) == []
    source = Path(import_module("detectorist.engine._ramp_tiles_nb").__file__)
    os.utime(index, (source.stat().st_mtime - 1,) * 2)
    assert missing({name: []}) == [name]


@pytest.mark.parametrize("other", ["fit_tile-12.{}", "fit_tiles-12.py25", "fit_tiles.{}"])
def test_machine_code_of_another_kernel_or_python_does_not_count(cache, other):
    (cache / f"_ramp_tiles_nb.{other.format(PYTHON)}.nbi").touch()
    assert missing({"detectorist.engine._ramp_tiles_nb:fit_tiles": []})


def test_modules_that_are_not_there_are_left_out(cache):
    assert missing({"detectorist.engine._none_nb:fit": [], "no_such_package.kernels:fit": []}) == []


def test_looking_for_them_does_not_import_numba(tmp_path):
    code = (
        "import sys; from detectorist.modes import load_mode\n"
        "from detectorist.compilation.kernel_lists import missing, read_list\n"
        "assert missing(read_list(load_mode('lrs').kernels()))\n"
        "assert 'numba' not in sys.modules"
    )
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


def test_lists_are_merged_without_what_is_out_of_date():
    from detectorist.compilation.record import merged

    name = "detectorist.algorithms._selection_nb:middle_two"
    row = ["array", "float64", 1, "C"]
    old = {name: [[row, "int64"], [row]], "detectorist.algorithms._selection_nb:gone": [["int64"]]}
    assert merged(old, {name: [[row, "int64"], [row, "int32"]]}) == {name: [[row, "int64"], [row, "int32"]]}
