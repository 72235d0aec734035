"""Hashes of files: right, and read once while a file stays what it was."""

import hashlib
import os

import pytest

from detectorist.errors import InputError
from detectorist.reduction import file_hash as module
from detectorist.reduction.file_hash import file_hash, unchanged

LONG_AGO = 1_500_000_000


@pytest.fixture
def path(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_known", {})
    target = tmp_path / "x.bin"
    target.write_bytes(b"abc" * 1000)
    return target


@pytest.fixture
def settled(monkeypatch):
    """Take every file for one that was changed long ago."""
    monkeypatch.setattr(module, "FRESH_NS", -(10**18))


def test_it_is_the_sha256(path):
    assert file_hash(path) == hashlib.sha256(b"abc" * 1000).hexdigest()


def test_a_settled_file_is_read_once(path, settled, monkeypatch):
    first = file_hash(path)
    monkeypatch.setattr(hashlib, "file_digest", None)
    assert file_hash(path) == first


def test_a_fresh_file_is_read_every_time(path):
    file_hash(path)
    status = path.stat()
    path.write_bytes(b"abd" * 1000)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert file_hash(path) == hashlib.sha256(b"abd" * 1000).hexdigest()


def test_a_change_with_the_time_set_back_shows_in_the_time_of_the_change(path, settled):
    os.utime(path, (LONG_AGO, LONG_AGO))
    file_hash(path)
    path.write_bytes(b"abd" * 1000)
    os.utime(path, (LONG_AGO, LONG_AGO))
    assert file_hash(path) == hashlib.sha256(b"abd" * 1000).hexdigest()


def test_another_file_in_its_place_is_another(path, settled, tmp_path):
    file_hash(path)
    (tmp_path / "y.bin").write_bytes(b"xyz" * 1000)
    (tmp_path / "y.bin").replace(path)
    assert file_hash(path) == hashlib.sha256(b"xyz" * 1000).hexdigest()


def test_few_are_kept(path, settled, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "MOST_KEPT", 3)
    for n in range(10):
        (tmp_path / f"{n}").write_bytes(b"%d" % n)
        file_hash(tmp_path / f"{n}")
    assert len(module._known) <= 3


def test_a_file_that_changes_meanwhile_is_refused(path, settled):
    with unchanged(path):
        path.touch()
    for change in (lambda: path.write_text("other"), path.unlink):
        with pytest.raises(InputError, match="was changed or removed while it was reduced"), unchanged(path):
            change()
    with unchanged("a model"):
        pass
