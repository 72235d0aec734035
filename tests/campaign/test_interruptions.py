"""Whatever interrupts a campaign, and whenever: the next run ends with the products of an undisturbed one."""

import hashlib
import os
import random
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from detectorist.campaign.ledger import FILE
from detectorist.campaign.plan import make_plan
from detectorist.campaign.run import Execution, run_campaign
from detectorist.errors import OutputError
from detectorist.reduction import products

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
    said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, said
    return said


def texts(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.txt") if path.is_file()}


def whole_products(folder):
    return {name: text for name, text in texts(folder).items() if ".partial-" not in name}


def n_recorded(out):
    """Return how many jobs the ledger knows to be done: a product on disk is recorded some time after it is made."""
    if not (out / FILE).exists():
        return 0
    with suppress(sqlite3.OperationalError), sqlite3.connect(out / FILE) as database:
        return database.execute("SELECT COUNT(*) FROM jobs WHERE state = 'done'").fetchone()[0]
    return 0  # not there yet, or being written


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


def arrays(folder):
    """Return hashes of the arrays of all products: headers hold the time of writing."""
    import xarray as xr

    from detectorist.reduction.content_keys import data_hash

    whole = [path for path in sorted(folder.rglob("*")) if ".partial-" not in str(path)]
    found = {str(path.relative_to(folder)): data_hash(path) for path in whole if "_rate" in path.name}
    for path in [path for path in whole if path.name == "stage_2_output.nc"]:
        dataset = xr.load_dataset(path, engine="h5netcdf")
        content = b"".join(dataset[name].values.tobytes() for name in sorted(dataset.variables))
        found[str(path.relative_to(folder))] = hashlib.sha256(content).hexdigest()
    return found


@pytest.fixture(params=["lrs", "imaging"])
def real_setting(request, tmp_path):
    """A campaign over real exposures, in the mode of the parameter."""
    raw = tmp_path / "raw"
    if request.param == "lrs":
        from detectorist.simulate.lrs.scene import LrsScene

        LrsScene().write(raw, ints=6, groups=12, segments=2, seed=3)
        for path in sorted(raw.glob("*_uncal.fits")):
            shutil.copy(path, raw / path.name.replace("jw09999001001", "jw09999002001"))
        steps = 'recipe = "short"'
    else:
        from detectorist.simulate.imaging.scene import ImagingScene

        ImagingScene().with_detector(size=64, outputs=1, pattern="SHALLOW4").without("wisps").write(
            raw, groups=5, exposures=4, seed=3
        )
        steps = "persistence_time = 4000\n[steps.stripes]\nskip = true"
    for name in ("reference", "out"):
        (tmp_path / f"{name}.toml").write_text(
            f'mode = "{request.param}"\ninputs = ["raw/*_uncal.fits"]\noutput_dir = "{name}"\n'
            f'references = "raw/crds"\n{steps}\n[execution]\nworkers = 2\n'
        )
    return tmp_path


@pytest.mark.long
def test_real_exposures_interrupted_at_random_moments(real_setting):
    """Eight moments of two modes: killed, a worker killed, interrupted; then the same command."""
    began = time.monotonic()
    finish(real_setting, "reference")
    duration = time.monotonic() - began
    reference = arrays(real_setting / "reference")
    generator = random.Random(7)
    for how in (signal.SIGKILL, "worker", signal.SIGINT, signal.SIGKILL):
        shutil.rmtree(real_setting / "out", ignore_errors=True)
        process = start(real_setting, "out")
        time.sleep(generator.uniform(0.3, 0.95) * duration)
        interrupt(process, how)
        said, _ = process.communicate(timeout=300)
        assert "Traceback" not in said
        if (real_setting / "out").exists():
            assert arrays(real_setting / "out").items() <= reference.items()
        finish(real_setting, "out")
        assert arrays(real_setting / "out") == reference
        assert not list((real_setting / "out").rglob(".partial-*"))


def test_the_next_run_does_only_what_is_missing(setting):
    finish(setting, "reference")
    process = start(setting, "out")
    deadline = time.monotonic() + 60
    while n_recorded(setting / "out") < 5 and time.monotonic() < deadline:
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


@contextmanager
def as_nobody():
    """Take away the rights of root, who may write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize(("inner", "outer"), [(0o555, 0o755), (0o755, 0o600), (0o000, 0o755)])
def test_read_only_output(campaign, raw, inner, outer):
    """A folder that may not be written, not be reached, or not even be looked into."""
    raw(a="x")
    place = Path(tempfile.mkdtemp(dir="/tmp"))
    plan = make_plan(campaign.jobs(), place / "out")
    try:
        (place / "out").mkdir()
        (place / "out").chmod(inner)
        place.chmod(outer)
        with as_nobody(), pytest.raises(OutputError, match="cannot be"):
            run_campaign(plan, Execution(workers=1))
    finally:
        place.chmod(0o755)
        shutil.rmtree(place)


def test_output_in_a_folder_of_the_system(campaign, raw):
    raw(a="x")
    campaign.out = Path("/proc/nowhere/out")
    with pytest.raises(OutputError, match=r"cannot be written|0 B are free"):
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
