"""Ctrl-C in commands other than runs: one sentence, exit code 130, no traceback, no file half-written."""

import sys

import pytest

from detectorist.cli import main
from detectorist.modes.coron.subtraction import api
from detectorist.modes.lrs import export
from detectorist.modes.lrs.spectrum import fit

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
