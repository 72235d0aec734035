"""Whatever interrupts a campaign, and whenever: the next run ends with the products of an undisturbed one."""

import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from detectorist.campaign.ledger import FILE
from detectorist.pipelines import products

MODE = "fake_mode:FakeMode"
N_EXPOSURES = 10


@pytest.fixture
def setting(tmp_path, raw):
    """A campaign file over ten exposures that are written slowly; returns the folder."""
    raw(**{f"x{number}": f"sleep=0.03 slowly {number}" for number in range(N_EXPOSURES)})
    for name in ("reference", "out"):
        (tmp_path / f"{name}.toml").write_text(
            f'mode = "{MODE}"\ninputs = ["raw/*_uncal.txt"]\noutput_dir = "{name}"\n[execution]\nworkers = 2\n'
        )
    return tmp_path


def start(folder, name, *words, **kwargs):
    code = "from detectorist.cli import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, "run", str(folder / f"{name}.toml"), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **kwargs,
    )


def finish(folder, name, *words):
    process = start(folder, name, *words)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0, said
    return said


def texts(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.txt") if path.is_file()}


def whole_products(folder):
    return {name: text for name, text in texts(folder).items() if ".partial-" not in name}


def require_sound(out, reference):
    """Check what must hold at any moment: no product is half-written, and the ledger can be read."""
    for name, text in whole_products(out).items():
        assert text == reference[name], f"{name} is not whole"
    if (out / FILE).exists():
        database = sqlite3.connect(out / FILE)
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


def interrupt(process, how):
    with suppress(psutil.Error, ProcessLookupError):
        if how == "worker":
            children = psutil.Process(process.pid).children()
            if children:
                random.choice(children).kill()
        else:
            process.send_signal(how)


def survive(setting, generator, how, duration):
    """Interrupt a run at a random moment, check, and finish it."""
    reference = whole_products(setting / "reference")
    process = start(setting, "out")
    time.sleep(generator.uniform(0, duration))
    workers = []
    with suppress(psutil.Error):
        workers = psutil.Process(process.pid).children()
    interrupt(process, how)
    said, _ = process.communicate(timeout=60)
    if (setting / "out").exists():  # else Python itself was still being loaded
        assert "Traceback" not in said
    if how == signal.SIGKILL:
        # The workers die with their parent, so that nobody writes beside the next run.
        assert not psutil.wait_procs(workers, timeout=5)[1]
    require_sound(setting / "out", reference)
    finish(setting, "out")
    require_sound(setting / "out", reference)
    assert whole_products(setting / "out") == reference
    assert not list((setting / "out").rglob(".partial-*"))
    return process.returncode


@pytest.mark.parametrize("how", [signal.SIGKILL, "worker", signal.SIGINT, signal.SIGTERM], ids=str)
def test_interrupted_once(setting, how):
    began = time.monotonic()
    finish(setting, "reference")
    duration = time.monotonic() - began
    code = survive(setting, random.Random(7), how, duration)
    if how in (signal.SIGINT, signal.SIGTERM) and code != 0:
        assert code in (130, -how)  # before Python listens, the signal itself ends it


@pytest.mark.long
def test_interrupted_at_thirty_random_moments(setting, tmp_path):
    began = time.monotonic()
    finish(setting, "reference")
    duration = time.monotonic() - began
    generator = random.Random(20261120)
    for number in range(30):
        how = generator.choice([signal.SIGKILL, signal.SIGKILL, "worker", signal.SIGINT, signal.SIGTERM])
        survive(setting, generator, how, duration)
        (tmp_path / "out").rename(tmp_path / f"done_{number}")


def test_the_next_run_does_only_what_is_missing(setting):
    finish(setting, "reference")
    process = start(setting, "out")
    deadline = time.monotonic() + 60
    while len(whole_products(setting / "out")) < 12 and time.monotonic() < deadline:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    kept = {name: (setting / "out" / name).stat().st_mtime_ns for name in whole_products(setting / "out")}
    said = finish(setting, "out")
    assert "up to date" in said
    again = {name: (setting / "out" / name).stat().st_mtime_ns for name in kept}
    assert sum(kept[name] == again[name] for name in kept) >= 6


def test_while_one_runs(setting):
    """Another run is refused, and the ledger can be looked at."""
    for number in range(20):
        (setting / "raw" / f"y{number}_uncal.txt").write_text("sleep=2")
    process = start(setting, "out")
    deadline = time.monotonic() + 60
    while not whole_products(setting / "out") and time.monotonic() < deadline:
        time.sleep(0.01)
    code = "from detectorist.cli import main; main()"
    status = subprocess.run(
        [sys.executable, "-c", code, "status", str(setting / "out")], capture_output=True, text=True, check=True
    )
    other = start(setting, "out")
    said, _ = other.communicate(timeout=60)
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert other.returncode == 4
    assert f"another run works in this folder (process {process.pid}" in said
    assert "running since" in status.stdout
    assert "30 exposures" in status.stdout


@pytest.mark.parametrize(("limit_bytes", "code"), [(2_000, 4), (5_000, 4), (30_000, 4)])
def test_a_full_disk(setting, limit_bytes, code):
    """A limit on the size of files stands for a disk without room: for the ledger, for a product, for many jobs."""
    finish(setting, "reference")

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))

    process = start(setting, "out", preexec_fn=limit)
    said, _ = process.communicate(timeout=120)
    assert "Traceback" not in said
    if limit_bytes < 6400:
        assert process.returncode == code, said
        assert "cannot be" in said
    reference = whole_products(setting / "reference")
    require_sound(setting / "out", reference)
    finish(setting, "out")
    assert whole_products(setting / "out") == reference


def test_products_that_fit_no_more_are_crashes_of_their_jobs(campaign, raw, monkeypatch):
    raw(a="x", b="y")
    monkeypatch.setenv("FAKE_FILE_LIMIT", "5000")
    counts = campaign.run()
    assert counts["crashed"] == 2
    monkeypatch.delenv("FAKE_FILE_LIMIT")
    assert campaign.run()["done"] == 2


def test_output_that_is_a_file(campaign, raw):
    raw(a="x")
    campaign.out.write_text("a file where the folder should be")
    with pytest.raises(Exception, match="cannot be written"):
        campaign.run()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_read_only_output(campaign, raw):
    raw(a="x")
    campaign.out.mkdir(mode=0o500)
    with pytest.raises(Exception, match="cannot be written"):
        campaign.run()


def test_data_reach_the_disk_before_their_name_does(tmp_path, monkeypatch):
    """After a power cut a name without data would be a product that is not whole."""
    order = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda descriptor: (order.append("sync"), fsync(descriptor)))
    monkeypatch.setattr(os, "replace", lambda a, b: (order.append("name"), replace(a, b)))
    products.write_text("whole", tmp_path / "a.txt")
    assert order == ["sync", "name", "sync"]


def test_a_product_that_lost_its_data_is_made_again(campaign, raw):
    raw(a="x", b="y")
    campaign.run()
    (campaign.out / "b" / "first.txt").write_text("")
    campaign.run()
    assert campaign.started() == ["b"]
    assert (campaign.out / "b" / "first.txt").stat().st_size > 0
