"""Ctrl-C in commands other than runs: one sentence, exit code 130, no traceback, no file half-written."""

import signal
import sys
import time
import weakref
from contextlib import suppress
from weakref import WeakSet

import pytest

from detectorist import interruption
from detectorist.cli import main
from detectorist.modes.coron.subtraction import api
from detectorist.modes.lrs import export
from detectorist.modes.lrs.spectrum import fit
from detectorist.reduction import products

WHERE = {
    "export": (export, "read_time_series", ["export", "light-curves", "out"]),
    "spectrum": (
        fit,
        "read_time_series",
        ["spectrum", "out", "--period", "1", "--mid-time", "2460000", "--a-over-rs", "5"],
    ),
    "subtract": (api, "_database", ["subtract", "out", "-o", "new"]),
}


@pytest.fixture
def rates(tmp_path, monkeypatch):
    """A folder that looks like one of `detectorist run coron`, in the current one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_rate.fits").touch()
    return tmp_path


@pytest.mark.parametrize("command", WHERE)
def test_an_interruption_is_said_in_one_sentence(command, rates, monkeypatch, capsys):
    module, name, words = WHERE[command]

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, interrupted)
    monkeypatch.setattr(sys, "argv", ["detectorist", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
    said = capsys.readouterr().err.splitlines()
    assert said == ["interrupted: files that were finished are kept, and none is left half-written"]
    assert sorted(path.name for path in rates.rglob("*")) == ["a_rate.fits", "out"]


@pytest.mark.parametrize("swallow", ["callback", "library"])
def test_an_interruption_that_is_swallowed_ends_the_command_all_the_same(swallow, rates, monkeypatch, capsys):
    def work(*arguments, **options):
        if swallow == "callback":
            one = WeakSet()
            reference = weakref.ref(one, lambda dead: signal.raise_signal(signal.SIGINT))
            del one
            assert reference() is None
            for _ in range(500):
                time.sleep(0.01)
            return pytest.fail("went on")
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        return products.write_text("late", rates / "new" / "late.txt")

    monkeypatch.setattr(api, "_database", work)
    monkeypatch.setattr(sys, "argv", ["detectorist", *WHERE["subtract"][2]])
    with pytest.raises(SystemExit) as ended:
        main()
    interruption._watch.put_back()
    assert ended.value.code == 130
    said = capsys.readouterr().err.splitlines()
    assert said == ["interrupted: files that were finished are kept, and none is left half-written"]
    assert sorted(path.name for path in rates.rglob("*")) == ["a_rate.fits", "out"]
