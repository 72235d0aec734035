"""Files appear whole or not at all."""

import os
import resource

import pytest

from detectorist.atomic_files import whole_file, whole_set
from detectorist.errors import OutputError


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.is_file()]


def write_whole(target, text="whole"):
    with whole_file(target) as partial:
        partial.write_text(text)
    return target


def write_half(target):
    with whole_file(target) as partial:
        partial.write_text("half")
        raise RuntimeError


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(RuntimeError):
        write_half(tmp_path / "a.txt")
    assert leftovers(tmp_path) == []


def test_a_failed_write_keeps_the_earlier_product(tmp_path):
    target = write_whole(tmp_path / "a.txt")
    with pytest.raises(RuntimeError):
        write_half(target)
    assert target.read_text() == "whole"


def test_a_full_disk_is_one_sentence(tmp_path):
    """A limit on the size of files stands for a disk without room."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    pid = os.fork()
    if pid == 0:
        import signal

        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
        try:
            write_whole(tmp_path / "a.txt", "x" * 5000)
        except OutputError as error:
            os._exit(0 if "a.txt: cannot be written" in str(error) else 3)
        except BaseException:
            os._exit(4)
        os._exit(5)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert leftovers(tmp_path) == []


def test_a_folder_that_is_a_file(tmp_path):
    (tmp_path / "out").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        write_whole(tmp_path / "out" / "a.txt")


@pytest.mark.parametrize("fails", [False, True])
def test_a_set_of_files_appears_together_or_not_at_all(tmp_path, fails):
    folder = tmp_path / "out"
    try:
        with whole_set(folder) as partial:
            (partial / "a.txt").write_text("a")
            assert not (folder / "a.txt").exists()
            (partial / "b.txt").write_text("b")
            if fails:
                raise OSError
    except OSError:
        assert fails
    assert sorted(leftovers(tmp_path)) == ([] if fails else ["a.txt", "b.txt"])
    assert folder.exists() != fails
