"""Jobs in this process: the heap is frozen for the whole run, and thaws after it."""

import gc

import pytest

from detectorist.campaign import this_process
from detectorist.campaign.this_process import ThisProcess
from detectorist.libraries import idle_cores
from detectorist.modes.job import Job


@pytest.fixture
def settled(monkeypatch):
    modes = []

    def settle(mode):
        modes.append(mode)
        gc.freeze()

    monkeypatch.setattr(this_process, "settle_or_leave_it", settle)
    gc.unfreeze()
    yield modes
    gc.unfreeze()


def job(tmp_path):
    return Job(name="a", mode="lrs", files=(), output_dir=str(tmp_path))


def test_it_settles_once_and_thaws_at_the_end(settled, tmp_path):
    pool = ThisProcess(lambda *told: None)
    pool.prepare("lrs", 2)
    for _ in range(2):
        pool.start(job(tmp_path))
    assert settled == ["lrs"]
    assert gc.get_freeze_count() > 0
    pool.close()
    assert gc.get_freeze_count() == 0


def test_a_job_has_the_cores_that_are_given(settled, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(this_process, "run_job", lambda job, report: seen.append(idle_cores.number()))
    for cores in (1, 3):
        pool = ThisProcess(lambda *told: None, cores)
        pool.start(job(tmp_path))
        pool.wait(0)
        pool.close()
    assert seen == [1, 3]
    assert idle_cores.number() == 1


def test_a_heap_that_the_caller_froze_is_left_alone(settled, tmp_path):
    gc.freeze()
    pool = ThisProcess(lambda *told: None)
    pool.start(job(tmp_path))
    pool.close()
    assert settled == []
    assert gc.get_freeze_count() > 0
