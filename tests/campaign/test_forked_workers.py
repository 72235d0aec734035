"""Workers that are copies of the command's process: as workers of their own, but with what it has imported."""

import os
import subprocess
import sys
import threading

import pytest

from detectorist.campaign import run as campaign_run
from detectorist.campaign.forked_workers import ForkedPool, _Forked, can_fork
from detectorist.campaign.ledger import Ledger
from detectorist.campaign.this_process import ThisProcess

pytestmark = pytest.mark.skipif(not can_fork(), reason="processes are copied on Linux only")


def texts(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.txt")}


@pytest.fixture(autouse=True)
def two_processors(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 1})


@pytest.fixture
def pools(monkeypatch):
    """Return a list of the pools that are made."""
    made = []
    original = campaign_run._Run._make_pool
    monkeypatch.setattr(campaign_run._Run, "_make_pool", lambda self: made.append(original(self)) or made[-1])
    return made


def test_products_are_those_of_one_process(campaign, raw, pools):
    raw(a="x", b="y z", c="w")
    assert campaign.run(workers=None, alone=True)["done"] == 3
    assert [type(pool) for pool in pools] == [ForkedPool]
    copied = texts(campaign.out)
    campaign.run(workers=0, again=True)
    assert texts(campaign.out) == copied
    assert type(pools[1]) is ThisProcess


@pytest.mark.parametrize(("alone", "processors", "names"), [(False, 2, "ab"), (True, 1, "ab"), (True, 2, "a")])
def test_where_nothing_is_copied(campaign, raw, pools, monkeypatch, alone, processors, names):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(processors)))
    raw(**dict.fromkeys(names, "x"))
    campaign.run(workers=None, alone=alone)
    assert [type(pool) for pool in pools] == [ThisProcess]


def test_every_kind_of_end_is_told_apart(campaign, raw, capfd):
    raw(a="x", b="bad", c="crash", d="exit", e="die", f="die_once", g="nothing")
    counts = campaign.run(workers=None, alone=True)
    assert counts == {"done": 2, "unprocessable": 1, "crashed": 3, "skipped": 1}
    with Ledger(campaign.out, read_only=True) as ledger:
        found = ledger.entries()
    assert "signal 9, alone too" in found["e"].record.message
    assert "RuntimeError: unforeseen" in (campaign.out / "c" / "detectorist.log").read_text()
    assert "goodbye" in (campaign.out / "d" / "detectorist.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_copies_import_nothing_again(campaign, raw):
    raw(a="x", b="x")
    pids = {os.getpid()}
    original = _Forked.__init__
    try:
        _Forked.__init__ = lambda self, pid: pids.add(pid) or original(self, pid)
        campaign.run(workers=None, alone=True)
    finally:
        _Forked.__init__ = original
    with Ledger(campaign.out, read_only=True) as ledger:
        workers = {int(entry.record.worker.rpartition(":")[2]) for entry in ledger.entries().values()}
    assert len(pids) == 3
    assert workers <= pids - {os.getpid()}
    assert all(not os.path.exists(f"/proc/{pid}") for pid in pids - {os.getpid()})  # ended, and waited for


def test_a_thread_that_holds_the_terminal_does_not_stop_a_copy(campaign, raw, monkeypatch):
    """As the one that draws bars may at any moment; a copy has its locks, and nobody who would let go of them."""
    raw(a="exit", b="exit")
    lock = threading.Lock()

    class Bars:
        def write(self, text):
            with lock:
                return len(text)

        def flush(self):
            with lock:
                return None

    with lock:
        monkeypatch.setattr(sys, "stdout", Bars())
        counts = campaign.run(workers=None, alone=True)
    assert counts["crashed"] == 2
    assert "goodbye" in (campaign.out / "a" / "detectorist.log").read_text()


@pytest.mark.parametrize("command", ["exit 3", "kill -9 $$"])
def test_how_a_process_ended_is_said_as_of_any_other(command):
    other = subprocess.Popen(["sh", "-c", command])
    pid = os.spawnlp(os.P_NOWAIT, "sh", "sh", "-c", command)
    copy = _Forked(pid)
    assert copy.wait() == other.wait() == copy.poll() == copy.returncode
    copy.kill()  # nobody is there any more
