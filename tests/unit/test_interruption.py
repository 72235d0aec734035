"""A signal ends a command in order, also where a library swallows the KeyboardInterrupt that it raises."""

import os
import signal
import sys
import threading
import time
import weakref
from contextlib import suppress

import pytest

from detectorist import interruption
from detectorist.interruption import ended_in_order, require_not_interrupted, was_interrupted

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(autouse=True)
def own_handlers():
    """Put handlers back as they were: an interrupted block leaves its own in place, for its process would end."""
    before = {number: signal.getsignal(number) for number in interruption.ENDING}
    hook = sys.unraisablehook
    yield
    interruption._watch.put_back()
    assert {number: signal.getsignal(number) for number in interruption.ENDING} == before
    assert sys.unraisablehook is hook


def interrupt(number=signal.SIGINT):
    signal.raise_signal(number)


def wait(seconds=5.0):
    """Wait as code does that is busy in Python: a signal is seen between two of its instructions."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        time.sleep(0.01)


@pytest.mark.parametrize("number", interruption.ENDING, ids=str)
def test_every_signal_that_ends_a_job_is_an_interruption(number):
    with pytest.raises(KeyboardInterrupt), ended_in_order():
        interrupt(number)


def test_handlers_are_put_back_where_nothing_came():
    with ended_in_order():
        assert not was_interrupted()
        require_not_interrupted()


def test_impatience_does_not_disturb_the_end():
    done = []

    def work():
        try:
            interrupt()
        finally:
            for number in interruption.ENDING:
                interrupt(number)
            done.append(True)

    with pytest.raises(KeyboardInterrupt), ended_in_order():
        work()
    assert done


def test_a_signal_after_a_while_ends_at_once(monkeypatch):
    def work():
        monkeypatch.setitem(interruption._watch._before, signal.SIGINT, own_handler)
        with suppress(KeyboardInterrupt):
            interrupt()
        time.sleep(0.01)
        interrupt()
        wait()

    monkeypatch.setattr(interruption, "PATIENCE_S", 0.0)
    with pytest.raises(KeyboardInterrupt, match="its own handler"), ended_in_order():
        work()
    signal.signal(signal.SIGINT, signal.default_int_handler)


def own_handler(number, frame):
    raise KeyboardInterrupt("its own handler")


def test_one_that_fell_into_a_callback_comes_again(capsys):
    class Array:
        pass

    def work():
        one = Array()
        reference = weakref.ref(one, lambda dead: interrupt())
        del one  # what a callback raises, Python prints and forgets
        assert reference() is None
        wait()

    with pytest.raises(KeyboardInterrupt), ended_in_order():
        work()
    assert "Exception ignored" not in capsys.readouterr().err


def test_other_errors_of_callbacks_are_shown_as_before(monkeypatch):
    shown = []
    monkeypatch.setattr(sys, "unraisablehook", shown.append)
    with ended_in_order():
        one = threading.Event()
        reference = weakref.ref(one, lambda dead: 1 / 0)
        del one
        assert reference() is None
    assert [error.exc_type for error in shown] == [ZeroDivisionError]


def test_one_that_a_library_has_caught_is_raised_at_the_next_step():
    def work():
        with suppress(BaseException):  # as some libraries do
            interrupt()
        assert was_interrupted()
        require_not_interrupted()

    with pytest.raises(KeyboardInterrupt), ended_in_order():
        work()


def test_after_the_block_nothing_is_interrupted():
    with pytest.raises(KeyboardInterrupt), ended_in_order():
        interrupt()
    assert not was_interrupted()
    require_not_interrupted()


def test_a_block_within_another_is_the_same_block():
    def work():
        with ended_in_order():
            pass
        interrupt()

    with pytest.raises(KeyboardInterrupt), ended_in_order():
        work()


def test_a_process_that_is_to_survive_its_terminal_does(monkeypatch):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_in_order():
            interrupt(signal.SIGHUP)
            assert not was_interrupted()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_watch_no_signals():
    seen = []

    def work():
        with ended_in_order():
            seen.append(interruption._watch.active)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [False]
