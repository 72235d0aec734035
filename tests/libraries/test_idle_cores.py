"""Work shared out among idle cores: in order, one level deep, and over when something goes wrong."""

import os
import signal
import threading
import time

import pytest

from detectorist.libraries import idle_cores, numerical_threads
from detectorist.libraries.numerical_threads import most_threads, use_one_thread


def thread_of(_):
    time.sleep(0.01)
    return threading.current_thread().name


def test_without_idle_cores_the_caller_does_all():
    assert idle_cores.number() == 1
    assert idle_cores.each(thread_of, range(3)) == [threading.current_thread().name] * 3


def test_two_cores_share_the_pieces_and_results_keep_their_order():
    with idle_cores.used(2):
        assert idle_cores.number() == 2
        assert len(set(idle_cores.each(thread_of, range(8)))) == 2
        assert idle_cores.each(lambda n: time.sleep(0.01 * (3 - n)) or n, range(3)) == [0, 1, 2]
    assert idle_cores.number() == 1


def test_what_runs_on_a_shared_core_shares_nothing_out():
    with idle_cores.used(2):
        inner = idle_cores.each(lambda n: (idle_cores.number(), idle_cores.each(thread_of, range(2))), range(4))
    assert all(number == 1 and len(set(threads)) == 1 for number, threads in inner)


def test_a_second_user_gets_what_the_first_has():
    with idle_cores.used(2), idle_cores.used(4):
        assert idle_cores.number() == 2
    assert idle_cores.number() == 1


def test_the_first_error_is_raised_and_the_rest_left_out():
    done = []

    def work(n):
        if n == 1:
            raise ValueError(f"piece {n}")
        time.sleep(0.01)
        done.append(n)

    with pytest.raises(ValueError, match="piece 1"), idle_cores.used(2):
        idle_cores.each(work, range(100))
    assert len(done) < 50
    assert not any(thread.name.startswith("detectorist-idle-core") for thread in threading.enumerate())


@pytest.fixture
def heard_ctrl_c():
    """A shell that runs the tests in the background has Ctrl-C ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_ends_it_soon(heard_ctrl_c):
    began = time.monotonic()
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt), idle_cores.used(2):
        idle_cores.each(lambda n: time.sleep(0.05), range(400))
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("said", "most"),
    [({}, None), ({"OMP_NUM_THREADS": "3"}, 3), ({"OMP_NUM_THREADS": "4", "NUMBA_NUM_THREADS": "2"}, 2),
     ({"OMP_NUM_THREADS": "0"}, 1), ({"OMP_NUM_THREADS": "4,2"}, None)],
)  # fmt: skip
def test_how_many_threads_the_user_has_allowed(monkeypatch, said, most):
    for name in numerical_threads.SETTINGS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(numerical_threads._Said, "ours", False)
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    assert most_threads() == most


def test_what_we_set_ourselves_is_not_what_the_user_said(monkeypatch):
    for name in numerical_threads.SETTINGS:
        monkeypatch.setenv(name, "")  # to be put back
        monkeypatch.delenv(name)
    monkeypatch.setattr(numerical_threads._Said, "ours", False)
    use_one_thread()
    assert os.environ["OMP_NUM_THREADS"] == "1"
    assert most_threads() is None
