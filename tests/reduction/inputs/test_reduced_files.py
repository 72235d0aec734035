"""Files are known as reduced as long as they are what they were."""

import os

from detectorist.reduction.inputs.reduced_files import remember_reduced, was_reduced


def test_a_file_is_known_until_it_changes(tmp_path, monkeypatch):
    path, other = tmp_path / "a.fits", tmp_path / "b.fits"
    for file in (path, other):
        file.write_bytes(bytes(10))
    remember_reduced([str(path), tmp_path / "gone.fits"])
    assert was_reduced(path)
    assert not was_reduced(other)
    monkeypatch.chdir(tmp_path)
    assert was_reduced("a.fits")
    os.utime(path, ns=(10**18, 10**18))
    assert not was_reduced(path)
