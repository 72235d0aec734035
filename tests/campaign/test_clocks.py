"""Clocks that go back and files that change: what is up to date is told by content, and no time is negative."""

import os
import time

import pytest

from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import make_plan
from detectorist.campaign.run import Execution, run_campaign

pytestmark = pytest.mark.filterwarnings("default")

HOUR_S = 3600
FUTURE_S = 4_000_000_000


def entries(out):
    with Ledger(out, read_only=True) as ledger:
        return ledger.entries()


def content(folder, name):
    return (folder / name / "first.txt").read_text()


@pytest.fixture
def back(monkeypatch):
    """Every look at the clock shows an hour less than the one before."""
    shown = [time.time()]

    def look():
        shown[0] -= HOUR_S
        return shown[0]

    monkeypatch.setattr(time, "time", look)
    monkeypatch.setattr(time, "time_ns", lambda: int(look() * 1e9))


def test_a_clock_that_goes_back_all_the_time(campaign, raw, back):
    files = raw(a="x", b="y")
    assert campaign.run(workers=0)["done"] == 2
    first = content(campaign.out, "a")
    assert all(entry.record.seconds >= 0 for entry in entries(campaign.out).values())
    campaign.run(workers=0)
    assert campaign.started() == []
    before = files[0].stat()
    files[0].write_text("z")  # as long as before, and from the same time
    os.utime(files[0], ns=(before.st_atime_ns, before.st_mtime_ns))
    campaign.run(workers=0)
    assert campaign.started() == ["a"]
    assert content(campaign.out, "a") != first
    campaign.run(workers=0)
    assert campaign.started() == []


def test_a_run_that_was_interrupted_goes_on_with_an_earlier_clock(campaign, raw, monkeypatch):
    raw(a="x", b="boom")
    campaign.run(workers=0)
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now - 24 * HOUR_S)
    (campaign.raw / "b_uncal.txt").write_text("fine")
    assert campaign.run(workers=0)["done"] == 2
    assert campaign.started() == ["b"]
    with Ledger(campaign.out, read_only=True) as ledger:
        assert ledger.last_run()["finished"] == pytest.approx(now - 24 * HOUR_S)  # the newest run, not the latest time


def test_files_from_the_future(campaign, raw):
    files = raw(a="x", b="y")
    for file in files:
        os.utime(file, (FUTURE_S, FUTURE_S))
    campaign.run(workers=0)
    campaign.run(workers=0)
    assert campaign.started() == []
    files[1].write_text("z")
    os.utime(files[1], (FUTURE_S, FUTURE_S))
    campaign.run(workers=0)
    assert campaign.started() == ["b"]


def test_a_file_that_changes_between_plan_and_start(campaign, raw):
    """What is read counts, and is what the ledger knows."""
    files = raw(a="x", b="y", c="w")
    plan = make_plan(campaign.jobs(), campaign.out)
    files[0].write_text("something else and longer")
    files[1].unlink()
    counts = run_campaign(plan, Execution(workers=0))
    assert counts["done"] == 2
    assert entries(campaign.out)["b"].record.message.startswith(str(files[1]))
    changed = content(campaign.out, "a")
    files[1].write_text("y")
    campaign.run(workers=0)
    assert campaign.started() == ["b"]
    campaign.run(workers=0, again=True)
    assert content(campaign.out, "a") == changed


def test_a_link_that_leads_to_another_file_of_the_same_size_and_time(campaign, raw, tmp_path):
    raw(a="x")
    for name in ("one", "two"):
        (tmp_path / name).write_text(f"{name} word")
        os.utime(tmp_path / name, (FUTURE_S // 4, FUTURE_S // 4))
    link = campaign.raw / "b_uncal.txt"
    link.symlink_to(tmp_path / "one")
    campaign.run(workers=0)
    before = content(campaign.out, "b")
    campaign.run(workers=0)
    assert campaign.started() == []
    link.unlink()
    link.symlink_to(tmp_path / "two")
    campaign.run(workers=0)
    assert campaign.started() == ["b"]
    assert content(campaign.out, "b") != before
