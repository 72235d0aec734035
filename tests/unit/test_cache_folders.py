"""What libraries keep between runs finds a place where neither the package nor the home folder can be written."""

import logging
import os
import tempfile

import pytest

from detectorist import cache_folders
from detectorist.cache_folders import MATPLOTLIB_VARIABLE, VARIABLE, require_folders


@pytest.fixture
def read_only(monkeypatch, tmp_path):
    """Package and home folder cannot be written; the temporary folder is the test's own."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv(MATPLOTLIB_VARIABLE, "")
    monkeypatch.setattr(cache_folders, "can_be_written", lambda folder: False)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path))
    return tmp_path


def test_a_temporary_folder_is_taken_and_said_in_one_line(read_only, caplog):
    with caplog.at_level(logging.WARNING):
        require_folders()
        require_folders()
    folder = read_only / f"detectorist-numba-{os.getuid()}"
    assert os.environ.pop(VARIABLE) == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert [record.message for record in caplog.records] == [
        f"compiled code goes to {folder}, which may not last: set NUMBA_CACHE_DIR to a folder that does"
    ]


def test_fonts_find_a_place_without_a_word(read_only, monkeypatch, caplog):
    monkeypatch.setenv(VARIABLE, "chosen")
    require_folders()
    assert os.environ[MATPLOTLIB_VARIABLE] == str(read_only / f"detectorist-matplotlib-{os.getuid()}")
    monkeypatch.setenv(MATPLOTLIB_VARIABLE, "mine")
    require_folders()
    assert os.environ[MATPLOTLIB_VARIABLE] == "mine"
    assert not caplog.records


def test_a_link_in_its_place_is_not_followed(read_only, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (read_only / f"detectorist-numba-{os.getuid()}").symlink_to(elsewhere)
    require_folders()
    assert os.environ.pop(VARIABLE) != str(read_only / f"detectorist-numba-{os.getuid()}")


def test_nowhere_at_all_is_said(read_only, monkeypatch, caplog):
    def nowhere():
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    with caplog.at_level(logging.WARNING):
        require_folders()
    assert VARIABLE not in os.environ
    assert "set NUMBA_CACHE_DIR to one that can" in caplog.text


def test_what_can_be_written_is_left_to_numba(monkeypatch, tmp_path, caplog):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(cache_folders, "_KERNELS", tmp_path / "absent")
    require_folders()
    assert VARIABLE not in os.environ
    assert not caplog.records


def test_without_a_home_folder_nothing_is_looked_for_in_the_working_folder(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert all(folder.is_absolute() for folder in cache_folders.folders())
