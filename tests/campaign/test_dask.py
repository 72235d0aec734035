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


def test_a_worker_that_dies_loses_only_time(campaign, raw, cluster):
    raw(**{f"j{number}": "sleep=0.2" for number in range(8)})
    threading.Timer(0.7, cluster.workers[0].kill).start()
    assert run(campaign, cluster)["done"] == 8


def test_a_scheduler_that_dies_ends_the_run_and_the_next_continues(campaign, raw, cluster):
    raw(**{f"j{number}": "sleep=0.3" for number in range(8)})

    def kill_after_the_first_product():
        while not list(campaign.out.rglob("second.txt")):
            time.sleep(0.05)
        cluster.scheduler.kill()

    threading.Thread(target=kill_after_the_first_product).start()
    with pytest.raises(OutputError, match="the connection was lost"):
        run(campaign, cluster)
    assert "running" not in states(campaign).values()
    assert campaign.run(workers=2)["done"] == 8


def test_no_scheduler_there(campaign, raw, monkeypatch):
    monkeypatch.setattr("detectorist.campaign.dask_pool.CONNECT_S", 0.5)
    raw(a="x")
    began = time.monotonic()
    with pytest.raises(ParameterError, match="no Dask scheduler answers"):
        campaign.run(workers=None, scheduler="tcp://127.0.0.1:9")
    assert time.monotonic() - began < 20
