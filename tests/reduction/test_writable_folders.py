"""The look whether a folder can be written, by several processes at once."""

from concurrent.futures import ThreadPoolExecutor

from detectorist.reduction import runner
from detectorist.reduction.runner import require_writable


def test_another_process_that_looks_too_does_not_disturb(tmp_path, monkeypatch):
    original = runner.whole_file

    class BothLook:
        """The other one has made and removed its file between ours being made and removed."""

        def __init__(self, target):
            self._target, self._file = target, original(target)

        def __enter__(self):
            return self._file.__enter__()

        def __exit__(self, *error):
            self._file.__exit__(*error)
            self._target.unlink()

    monkeypatch.setattr(runner, "whole_file", BothLook)
    require_writable(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_many_at_once(tmp_path):
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(require_writable, [tmp_path / "out"] * 100))
    assert list((tmp_path / "out").iterdir()) == []
