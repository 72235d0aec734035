"""Jobs, workers and the ledger: what ends well, what ends badly, and what is done again."""

import fcntl
import os
import time
from pathlib import Path

import pytest

from detectorist.campaign import ledger as ledgers
from detectorist.campaign import lock
from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.campaign.run import SMALL_BYTES, Execution
from detectorist.errors import InputError, OutputError, ParameterError


def entries(campaign):
    with Ledger(campaign.out, read_only=True) as ledger:
        return ledger.entries()


def test_every_kind_of_end_is_told_apart(campaign, raw):
    raw(a="x", b="bad", c="crash", d="exit", e="die", f="die_once", g="segfault", h="nothing")
    counts = campaign.run(workers=2)
    assert counts == {"done": 2, "unprocessable": 1, "crashed": 4, "skipped": 1}
    found = entries(campaign)
    assert {name: entry.state for name, entry in found.items() if entry.state == "crashed"}.keys() == {*"cdeg"}
    assert found["b"].record.message == "the data are bad"
    assert found["b"].record.numbers == {"n_bad": 3}
    assert found["c"].record.error == "RuntimeError"
    assert "ended the process (-1)" in found["d"].record.message
    assert "signal 9, alone too" in found["e"].record.message
    assert "signal 11" in found["g"].record.message
    assert found["h"].record.message == "nothing to do"


def test_a_job_whose_worker_died_is_tried_once_more_alone_and_last(campaign, raw):
    raw(a="die", b="sleep=0.1", c="sleep=0.1", d="sleep=0.1")
    campaign.run(workers=2)
    order = [(event.kind, event.name) for event in campaign.events if event.kind in ("started", "finished")]
    assert order[-2:] == [("started", "a"), ("finished", "a")]
    assert campaign.started().count("a") == 2
    assert {entry.state for name, entry in entries(campaign).items() if name != "a"} == {"done"}


def test_what_a_library_prints_and_tracebacks_are_in_the_log_of_the_exposure(campaign, raw, capfd):
    raw(c="crash", d="exit")
    campaign.run()
    assert "RuntimeError: unforeseen" in (campaign.out / "c" / "detectorist.log").read_text()
    assert "goodbye" in (campaign.out / "d" / "detectorist.log").read_text()
    assert capfd.readouterr() == ("", "")


def test_records_are_complete(campaign, raw):
    raw(a="sleep=0.05")
    campaign.run()
    entry = entries(campaign)["a"]
    assert 0.05 < entry.record.seconds < 5
    assert 10e6 < entry.record.peak_bytes < 500e6
    assert [product.path for product in entry.record.products] == ["first.txt", "second.txt", "record.json"]
    assert entry.record.steps == {"fake": {"words": 1}}
    assert [Path(file.path).name for file in entry.record.inputs] == ["a_uncal.txt"]


def test_nothing_is_done_twice(campaign, raw):
    raw(a="x", b="y", c="bad")
    campaign.run()
    before = (campaign.out / "a" / "first.txt").stat().st_mtime_ns
    counts = campaign.run()
    assert campaign.started() == []
    assert counts["done"] == 2
    assert counts["unprocessable"] == 1
    assert (campaign.out / "a" / "first.txt").stat().st_mtime_ns == before


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda c: (c.raw / "a_uncal.txt").write_text("z"), "input changed"),
        (lambda c: (c.out / "a" / "second.txt").unlink(), "products missing or changed"),
        (lambda c: (c.out / "a" / "second.txt").write_text("0" * 6400), "products missing or changed"),
    ],
)
def test_only_what_changed_is_done_again(campaign, raw, change, reason):
    raw(a="x", b="y")
    campaign.run()
    change(campaign)
    assert [planned.reason for planned in campaign.plan().jobs] == [reason, "up to date"]
    campaign.run()
    assert campaign.started() == ["a"]


def test_same_content_with_a_new_time_is_not_done_again(campaign, raw):
    (path,) = raw(a="x")
    campaign.run()
    path.write_text("x")
    os.utime(campaign.out / "a" / "first.txt")
    assert [planned.reason for planned in campaign.plan().jobs] == ["up to date"]


def test_a_change_within_the_resolution_of_the_clock_is_seen(campaign, raw):
    (path,) = raw(a="x")
    campaign.run()
    stamp = path.stat().st_mtime_ns
    with open(path, "r+") as handle:  # the same inode, size and, put back below, time
        handle.write("y")
    os.utime(path, ns=(stamp, stamp))
    assert campaign.plan().jobs[0].reason == "input changed"


def test_a_changed_parameter_does_everything_again(campaign, raw):
    raw(a="x", b="y")
    campaign.run()
    campaign.run("fake.level=2")
    assert campaign.started() == ["a", "b"]


def test_everything_again_does_everything_again(campaign, raw):
    raw(a="x", b="bad")
    campaign.run()
    campaign.run(again=True)
    assert campaign.started() == ["a", "b"]


def test_what_crashed_is_tried_again_by_the_next_run(campaign, raw):
    raw(a="x", c="crash")
    campaign.run()
    campaign.run()
    assert campaign.started() == ["c"]


def test_a_bad_parameter_is_found_before_anything_starts(campaign, raw):
    raw(a="x")
    with pytest.raises(ParameterError, match="fkae"):
        campaign.run("fkae.level=2")
    assert not campaign.out.exists()


def test_parameters_are_checked_once_for_all_exposures_and_not_again(campaign, raw, monkeypatch):
    from fake_mode import FakeMode

    raw(a="x", b="y", c="z")
    seen = []
    monkeypatch.setattr(FakeMode, "check", lambda self, job: seen.append(job.settings))
    campaign.run("fake.level=1")
    assert seen == [("fake.level=1",)]
    campaign.run("fake.level=1")
    assert len(seen) == 1
    campaign.plan("fake.level=2")
    assert len(seen) == 2


def test_two_runs_exclude_each_other(campaign, raw):
    raw(a="x")
    campaign.run()
    raw(b="y")
    with lock.exclusive(campaign.out):
        assert lock.is_held(campaign.out)
        with pytest.raises(OutputError, match=f"another run works in this folder .process {os.getpid()}"):
            campaign.run()
    assert not lock.is_held(campaign.out)
    campaign.run()


def test_a_look_at_the_owner_does_not_keep_a_run_out(campaign, raw):
    raw(a="x")
    campaign.out.mkdir()
    with open(campaign.out / lock.FILE, "w") as handle:
        fcntl.flock(handle, fcntl.LOCK_SH)
        import threading

        threading.Timer(0.3, handle.close).start()
        campaign.run()


def test_a_job_that_hangs_is_ended(campaign, raw):
    raw(a="sleep=60", b="x")
    began = time.monotonic()
    counts = campaign.run(workers=1, timeout_s=0.5)
    assert time.monotonic() - began < 20
    assert counts["crashed"] == 1
    assert counts["done"] == 1
    assert "longer than 0.5 s" in entries(campaign)["a"].record.message


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_changes_while_it_is_reduced(campaign, raw, workers):
    """Nobody knows which of its two states was read: it counts as not done, and the next run takes it again."""
    raw(a="rewrite", b="touch", c="x")
    counts = campaign.run(workers=workers)
    assert (counts["done"], counts["unprocessable"]) == (2, 1)
    assert "a_uncal.txt: was changed or removed while it was reduced" in entries(campaign)["a"].record.message
    assert campaign.run(workers=workers)["done"] == 3
    assert campaign.started() == ["a"]


def test_a_job_that_takes_more_memory_than_given_is_ended(campaign, raw):
    raw(a="grow=600e6", b="x")
    counts = campaign.run(workers=2, memory_limit=300_000_000)
    assert counts["done"] == 1
    message = entries(campaign)["a"].record.message
    assert "the limit is 300 MB" in message
    assert "its process held" in message


def test_a_job_that_cannot_keep_the_memory_limit_is_not_started(campaign, raw):
    raw(a="eat=600e6", b="x")  # 600 MB predicted
    counts = campaign.run(workers=2, memory_limit=300_000_000)
    assert (counts["done"], counts["crashed"]) == (1, 1)
    assert campaign.started() == ["b"]
    message = entries(campaign)["a"].record.message
    assert message.startswith("about 600 MB of memory are needed and the limit is 300 MB; it was not started")
    assert campaign.run(workers=2, memory_limit=700_000_000)["done"] == 2


def test_jobs_run_together_only_while_memory_allows(campaign, raw):
    raw(**{f"j{number}": "sleep=0.2" for number in range(4)})  # 100 MB predicted for each
    campaign.run(workers=4, memory_limit=250_000_000)
    running = most = 0
    for event in campaign.events:
        running += {"started": 1, "finished": -1}.get(event.kind, 0)
        most = max(most, running)
    assert most == 2


def test_a_full_disk_is_seen_before_the_run(campaign, raw, monkeypatch):
    raw(a="x")
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 500}))
    with pytest.raises(OutputError, match=r"about 100 MB are needed \(1 kB for products\), only 500 B are free"):
        campaign.run()


def test_a_ledger_of_another_version_is_refused(campaign, raw, monkeypatch):
    raw(a="x")
    campaign.run()
    monkeypatch.setattr(ledgers, "VERSION", 99)
    with pytest.raises(OutputError, match="another version"):
        campaign.run()


def test_a_folder_without_ledger(tmp_path):
    with pytest.raises(InputError, match="no campaign has been run"):
        Ledger(tmp_path, read_only=True)


def test_a_damaged_ledger_is_one_sentence(campaign, raw):
    raw(a="x")
    campaign.run()
    (campaign.out / ledgers.FILE).write_bytes(b"nonsense" * 1000)
    with pytest.raises(OutputError, match="the ledger cannot be used"):
        campaign.run()


def test_leftovers_of_interrupted_writers_are_swept(campaign, raw):
    raw(a="x")
    litter = campaign.out / "a" / ".partial-123"
    litter.mkdir(parents=True)
    (litter / "first.txt").write_text("half")
    campaign.run()
    assert not litter.exists()


@pytest.mark.parametrize("workers", [0, 2])
def test_kernels_are_compiled_before_the_first_job(campaign, raw, monkeypatch, workers):
    class Ahead:
        number, processes = 12, 3

        def __init__(self, file, *, memory_limit):
            assert memory_limit is None
            assert file.name == "kernels.json"

        def wait(self, progress):
            assert "started" not in [event.kind for event in campaign.events]
            progress(12, 12)

        def close(self):
            closed.append(self)

    closed = []
    monkeypatch.setattr("detectorist.campaign.run.Ahead", Ahead)
    raw(**{f"j{number}": "" for number in range(2)})
    campaign.run(workers=workers)
    order = [(event.kind, event.numbers) for event in campaign.events if event.kind in ("compiling", "started")]
    assert [kind for kind, _ in order] == ["compiling", "compiling", "started", "started"]
    assert [numbers for _, numbers in order[:2]] == [{"done": 0, "total": 12, "workers": 3}, {"done": 12, "total": 12}]
    assert len(closed) == 1


@pytest.mark.parametrize(
    ("execution", "n_jobs", "n_bytes", "here"),
    [
        (Execution(), 1, 5e9, True),
        (Execution(), 5, SMALL_BYTES - 1, True),
        (Execution(), 5, SMALL_BYTES, False),
        (Execution(workers=0), 5, 5e9, True),
        (Execution(workers=2), 5, 1.0, False),
        (Execution(memory_limit=10**9), 1, 1.0, False),
        (Execution(timeout_s=60), 5, 1.0, False),
        (Execution(scheduler="tcp://a:1"), 5, 1.0, False),
    ],
)
def test_workers_are_started_only_where_they_pay_or_are_asked_for(execution, n_jobs, n_bytes, here):
    assert execution.in_this_process(n_jobs, n_bytes) is here


@pytest.mark.parametrize("workers", [-1, 1.5, "two"])
def test_numbers_of_workers_that_would_do_nothing(workers):
    with pytest.raises(ParameterError, match="workers is .*: a whole number of 0 or more is needed"):
        Execution(workers=workers)


def test_no_files_at_all(tmp_path):
    with pytest.raises(ParameterError, match="no file is given to reduce"):
        plan_run(PlanRequest("fake_mode:FakeMode", [], tmp_path / "out"))
