"""Changes to the whole process: made once, taken back once, whoever leaves last."""

import threading

import pytest

from detectorist.libraries.global_state import ProcessWideChange


@pytest.fixture
def change():
    """A change that counts how often it was made and taken back."""
    counts = {"made": 0, "taken back": 0}

    def take_back():
        counts["taken back"] += 1

    def make():
        counts["made"] += 1
        return take_back

    found = ProcessWideChange(make)
    found.counts = counts
    return found


def test_nested_contexts_share_one_change(change):
    with change.in_force():
        with change.in_force():
            assert change.counts == {"made": 1, "taken back": 0}
        assert change.counts["taken back"] == 0
    assert change.counts == {"made": 1, "taken back": 1}


def test_it_is_taken_back_after_an_error_and_can_be_made_again(change):
    for n in (1, 2):
        with pytest.raises(KeyError), change.in_force():
            raise KeyError
        assert change.counts == {"made": n, "taken back": n}


def test_threads_that_overlap_share_it(change):
    inside, leave = threading.Barrier(5), threading.Event()

    def work():
        with change.in_force():
            inside.wait(5)
            leave.wait(5)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    inside.wait(5)
    assert change.counts == {"made": 1, "taken back": 0}
    leave.set()
    for thread in threads:
        thread.join(5)
    assert change.counts == {"made": 1, "taken back": 1}
