"""A campaign on a Dask cluster: a scheduler and two workers on this machine."""

import re
import subprocess
import sys
import threading
import time
from contextlib import suppress

import psutil
import pytest

from detectorist.campaign.ledger import Ledger
from detectorist.errors import OutputError, ParameterError

pytestmark = pytest.mark.filterwarnings("default")  # distributed closes some of its sockets late


class Cluster:
    """Processes of `dask scheduler` and `dask worker`."""

    def __init__(self, folder, n_workers):
        self.folder = folder
        self.scheduler = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_scheduler",
                "--port",
                "0",
                "--no-dashboard",
                "--host",
                "127.0.0.1",
            ],
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self._read_address()
        self.workers = [self.start_worker() for _ in range(n_workers)]

    def _read_address(self):
        for line in self.scheduler.stderr:
            if found := re.search(r"Scheduler at:\s+(tcp://\S+)", line):
                return found[1]
        raise RuntimeError("the scheduler did not start")

    def start_worker(self):
        return subprocess.Popen(
            [
                sys.executable,
                "-m",
                "distributed.cli.dask_worker",
                self.address,
                "--nthreads=1",
                "--no-nanny",
                "--no-dashboard",
                f"--local-directory={self.folder}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def close(self):
        for process in (*self.workers, self.scheduler):
            with suppress(psutil.Error):
                process.kill()
            process.wait()
        self.scheduler.stderr.close()


@pytest.fixture
def cluster(tmp_path):
    from distributed import Client

    made = Cluster(tmp_path, 2)
    with Client(made.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=60)  # a slow start of one would leave all jobs to the other
    yield made
    made.close()


def states(campaign):
    with Ledger(campaign.out, read_only=True) as ledger:
        return {name: entry.state for name, entry in ledger.entries().items()}


def run(campaign, cluster, **kwargs):
    return campaign.run(workers=None, scheduler=cluster.address, **kwargs)


def test_a_campaign_on_two_workers(campaign, raw, cluster):
    """Every kind of end, progress, and the products of local workers."""
    raw(a="x", b="bad", c="crash", d="exit", e="sleep=0.3 y", f="z")
    counts = run(campaign, cluster)
    assert counts == {"done": 3, "unprocessable": 1, "crashed": 2, "skipped": 0}
    assert any(event.kind == "progress" and event.name == "e" for event in campaign.events)
    with Ledger(campaign.out, read_only=True) as ledger:
        assert len({entry.record.worker for entry in ledger.entries().values()}) == 2
    run(campaign, cluster)
    assert sorted(campaign.started()) == ["c", "d"]
    before = {path: path.read_bytes() for path in campaign.out.rglob("*.txt")}
    campaign.run(again=True)
    assert {path: path.read_bytes() for path in campaign.out.rglob("*.txt")} == before


def when(seen, then):
    """Do `then` in another thread as soon as `seen()` is true; folders come and go while it looks."""

    def wait():
        while True:
            with suppress(FileNotFoundError):
                if seen():
                    return then()
            time.sleep(0.005)

    threading.Thread(target=wait, daemon=True).start()


def require_nothing_lost(campaign, raw):
    """The products are those of an undisturbed run, and nothing half done lies beside them."""
    assert not list(campaign.out.rglob(".partial-*"))
    found = {path.name: path.read_bytes() for path in campaign.out.rglob("j*/second.txt")}
    campaign.run(again=True)
    assert {path.name: path.read_bytes() for path in campaign.out.rglob("j*/second.txt")} == found


def test_a_worker_that_dies_loses_only_time(campaign, raw, cluster):
    """Killed while it writes: its job is done by the other one, and what it left is gone at the end of the run."""
    raw(**{f"j{number}": f"sleep=0.1 slowly {number}" for number in range(8)})
    when(lambda: list(campaign.out.rglob(".partial-*/second.txt")), cluster.workers[0].kill)
    assert run(campaign, cluster)["done"] == 8
    require_nothing_lost(campaign, raw)


def test_all_workers_that_die_one_after_the_other(campaign, raw, cluster):
    """A job that takes two workers with it is at fault itself; the others are done by who comes later."""
    raw(**{f"j{number}": f"sleep=0.1 slowly {number}" for number in range(4)})

    def replace_both():
        cluster.workers.append(cluster.start_worker())
        for worker in cluster.workers[:2]:
            worker.kill()

    when(lambda: list(campaign.out.rglob(".partial-*")), replace_both)
    counts = run(campaign, cluster)
    assert counts["done"] + counts["crashed"] == 4
    assert campaign.run()["done"] == 4
    require_nothing_lost(campaign, raw)


def test_a_scheduler_that_dies_ends_the_run_and_the_next_continues(campaign, raw, cluster):
    raw(**{f"j{number}": f"sleep=0.3 slowly {number}" for number in range(8)})
    when(lambda: list(campaign.out.rglob("second.txt")), cluster.scheduler.kill)
    with pytest.raises(OutputError, match="the connection was lost"):
        run(campaign, cluster)
    assert "running" not in states(campaign).values()
    for worker in cluster.workers:
        worker.wait(timeout=60)  # they end when the scheduler is gone
    assert campaign.run(workers=2)["done"] == 8
    require_nothing_lost(campaign, raw)


def test_no_scheduler_there(campaign, raw, monkeypatch):
    monkeypatch.setattr("detectorist.campaign.dask_pool.CONNECT_S", 0.5)
    raw(a="x")
    began = time.monotonic()
    with pytest.raises(ParameterError, match="no Dask scheduler answers"):
        campaign.run(workers=None, scheduler="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 20
