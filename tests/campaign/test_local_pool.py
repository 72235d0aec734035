"""What worker processes are started with."""

import pytest

from detectorist.campaign import local_pool
from detectorist.campaign.local_pool import LocalPool


@pytest.fixture
def environment_of(monkeypatch):
    """Return a function that returns the environment of a worker of a pool, which is not started."""

    def of(**settings):
        class Started(Exception):
            pass

        def start(environment):
            raise Started(environment)

        monkeypatch.setattr(local_pool, "_start_worker", start)
        with pytest.raises(Started) as caught:
            LocalPool(1, **settings).prepare("lrs", 1)
        return caught.value.args[0]

    return of


def test_workers_under_a_limit_give_memory_back_unless_their_user_says_otherwise(environment_of, monkeypatch):
    monkeypatch.delenv("MALLOC_MMAP_THRESHOLD_", raising=False)
    assert "MALLOC_MMAP_THRESHOLD_" not in environment_of()
    assert environment_of(memory_limit=10**9)["MALLOC_MMAP_THRESHOLD_"] == "2000000"
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "7")
    assert environment_of(memory_limit=10**9)["MALLOC_MMAP_THRESHOLD_"] == "7"


def test_workers_have_one_thread(environment_of, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert environment_of()["OMP_NUM_THREADS"] == "1"
