"""Kernels are compiled by several processes, each once, after those that it calls."""

import os
import sys

import pytest

from detectorist.compilation import ahead, compiler_main
from detectorist.compilation.ahead import Ahead

MODULE = """
from numba import njit

@njit(cache=True)
def add(a, b):
    return a + b

@njit(cache=True)
def twice(a):
    return add(a, a)

@njit(cache=True)
def four_times(a):
    return twice(twice(a))
"""
LIST = {
    "tiny_kernels:four_times": [["int64"]],
    "tiny_kernels:twice": [["int64"]],
    "tiny_kernels:add": [["int64", "int64"]],
}


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """A module with three kernels of which one calls the other, and an empty cache."""
    (tmp_path / "tiny_kernels.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()
    import numba.core.config

    monkeypatch.setattr(numba.core.config, "CACHE_DIR", str(tmp_path / "cache"))
    yield tmp_path
    sys.modules.pop("tiny_kernels", None)


def test_each_is_compiled_once_callees_first_and_a_second_process_finds_nothing_missing(kernels, monkeypatch, capsys):
    monkeypatch.setattr(compiler_main, "read_list", lambda file: LIST)
    compiler_main.main("", "2")
    assert capsys.readouterr().out.split("\n") == ["1 3", "2 3", "3 3", ""]
    codes = [path.name.split("-")[0] for path in (kernels / "cache").rglob("*.nbc")]
    assert sorted(codes) == ["tiny_kernels.add", "tiny_kernels.four_times", "tiny_kernels.twice"]
    compiler_main.main("", "2")
    assert capsys.readouterr().out == ""


def test_a_source_that_is_only_newer_is_looked_at_once(kernels, monkeypatch, capsys):
    """As after an installation or a checkout of the same version: numba loads what is there."""
    monkeypatch.setattr(compiler_main, "read_list", lambda file: LIST)
    compiler_main.main("", "2")
    codes = {path: path.stat().st_mtime_ns for path in (kernels / "cache").rglob("*.nbc")}
    for index in (kernels / "cache").rglob("*.nbi"):
        os.utime(index, (0, 0))
    capsys.readouterr()
    compiler_main.main("", "2")
    assert capsys.readouterr().out.count("\n") == len(LIST)
    assert {path: path.stat().st_mtime_ns for path in (kernels / "cache").rglob("*.nbc")} == codes
    compiler_main.main("", "2")
    assert capsys.readouterr().out == ""


def test_what_cannot_be_compiled_stops_nothing(kernels):
    from detectorist.compilation.processes import compile_kernels

    done = []
    compile_kernels({"tiny_kernels:add": [["none", "int64"]], "tiny_kernels:twice": [["none"]]}, 1, done.append)
    assert done == [1, 2]


def test_those_for_which_most_code_waits_are_begun_first(kernels):
    from detectorist.compilation.processes import _calls, _urgency, find

    found = {name: find(name) for name in LIST}
    calls = _calls(found)
    assert calls["tiny_kernels:four_times"] == {"tiny_kernels:twice"}
    assert sorted(found, key=_urgency(found, calls).__getitem__)[0] == "tiny_kernels:add"


@pytest.fixture
def lacking(monkeypatch):
    """Lists of so many kernels, all of them missing."""

    def of(number):
        monkeypatch.setattr(ahead, "read_list", lambda file: {str(number): [] for number in range(number)})
        monkeypatch.setattr(ahead, "missing", list)

    return of


@pytest.mark.parametrize(
    ("number", "processes", "limit"), [(ahead.FEW, 2, None), (ahead.FEW + 1, 1, None), (ahead.FEW + 1, 4, 7e8)]
)
def test_few_kernels_one_processor_or_little_memory_start_nothing(
    lacking, monkeypatch, tmp_path, number, processes, limit
):
    lacking(number)
    monkeypatch.setattr(ahead.subprocess, "Popen", None)
    began = Ahead(tmp_path / "kernels.json", processes, limit)
    assert began.number == 0
    began.wait()
    began.close()


def test_it_tells_how_far_it_is_and_ends_what_it_began(lacking, monkeypatch, tmp_path):
    lacking(100)
    code = "import time; print('1 2', flush=True); print('2 2', flush=True)"
    started = ahead.subprocess.Popen
    monkeypatch.setattr(ahead.subprocess, "Popen", lambda _, **how: started([sys.executable, "-c", code], **how))
    told = []
    began = Ahead(tmp_path / "kernels.json", 2)
    began.wait(lambda *how_far: told.append(how_far))
    began.close()
    assert (began.number, told) == (100, [(1, 2), (2, 2)])

    code = "import time; time.sleep(60)"
    began = Ahead(tmp_path / "kernels.json", 2)
    began.close()
    assert began._process.returncode == -9
