"""Odd names, links that lead elsewhere, full disks and signals: nothing is written outside, nothing goes on half."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest

from detectorist.campaign.ledger import FILE, Ledger
from detectorist.campaign.plan import PlanRequest, plan_run
from detectorist.campaign.run import Execution, run_campaign
from detectorist.campaign.worker import is_full
from detectorist.errors import InputError, OutputError, ParameterError
from detectorist.fits_files import opened
from detectorist.reduction.recipes.recipe import Recipe
from detectorist.reduction.runner import log_file

pytestmark = pytest.mark.filterwarnings("default")

MODE = "fake_mode:FakeMode"
CODE = "from detectorist.cli import main; main()"


def products(folder):
    """Return the products below a folder, by path: text files in the mode of the tests, FITS and NetCDF elsewhere."""
    endings = (".txt", ".fits", ".nc")
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.suffix in endings}


def everything(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ["what?", "a#b", "100%41", "two words", "Ünïcode", "x" * 255, "file:memory", "-o"])
def test_names_of_output_folders(campaign, raw, tmp_path, name):
    raw(a="x", b="y")
    before = everything(tmp_path)
    campaign.out = tmp_path / name
    assert campaign.run()["done"] == 2
    assert campaign.run()["done"] == 2
    assert campaign.started() == []
    with Ledger(campaign.out, read_only=True) as ledger:
        assert set(ledger.entries()) == {"a", "b"}
    assert {path.partition("/")[0] for path in everything(tmp_path) - before} == {name}


def test_names_that_are_no_text_are_refused(raw, tmp_path):
    files = raw(a="x")
    out = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(ParameterError, match=r"caf\\udce9: its name is not valid UTF-8"):
        plan_run(PlanRequest(MODE, files, out))
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    with pytest.raises(ParameterError, match=r"caf\\udce9/a_uncal.txt: its name is not|caf\\udce9: its name is not"):
        plan_run(PlanRequest(MODE, [folder / "a_uncal.txt"], tmp_path / "out"))


@pytest.mark.parametrize("name", ["-x", "--force", "~root", "a\\b", "$HOME", "'", '"', "*", "[a]", "%s", "{0}", "a;ls"])
def test_names_of_files_that_mean_something_elsewhere(raw, tmp_path, name):
    files = raw(a="x")
    files += [tmp_path / "raw" / f"{name}_uncal.txt"]
    files[-1].write_text("y")
    assert run_campaign(plan_run(PlanRequest(MODE, files, tmp_path / "out")), Execution(workers=0))["done"] == 2
    assert {"a", name} <= {path.name for path in (tmp_path / "out").iterdir()}


@pytest.mark.parametrize("name", [b"caf\xe9", b"._a", b"a\nb", b"a\x1b[31m"])
def test_files_whose_names_cannot_be_those_of_products_are_left_out(raw, tmp_path, name):
    (whole,) = raw(a="x")
    bad = tmp_path / "raw" / os.fsdecode(name + b"_uncal.txt")
    bad.write_text("x")
    plan = plan_run(PlanRequest(MODE, [whole, bad], tmp_path / "out"))
    assert [planned.job.name for planned in plan.jobs] == ["a"]
    assert len(plan.notes) == 1
    assert plan.notes[0].isprintable()
    assert "its name is hidden or not text" in plan.notes[0]
    with pytest.raises(ParameterError, match="no exposure is left to reduce"):
        plan_run(PlanRequest(MODE, [bad], tmp_path / "out"))


def test_pipes_and_folders_are_left_out_and_not_waited_for(raw, tmp_path):
    files = raw(a="x")
    pipe = tmp_path / "raw" / "b_uncal.txt"
    os.mkfifo(pipe)
    (tmp_path / "raw" / "c_uncal.txt").mkdir()
    plan = plan_run(PlanRequest(MODE, [*files, pipe, pipe.with_name("c_uncal.txt")], tmp_path / "out"))
    assert [planned.job.name for planned in plan.jobs] == ["a"]
    assert plan.notes == ("b_uncal.txt, c_uncal.txt: not a file; left out",)
    with pytest.raises(InputError, match="b_uncal.txt: not a file"), opened(pipe):
        pass


@pytest.mark.parametrize("name", [".lock", FILE])
def test_nothing_is_written_through_a_link(campaign, raw, tmp_path, name):
    raw(a="x")
    precious = tmp_path / "precious"
    precious.write_text("the only copy")
    campaign.out.mkdir()
    (campaign.out / name).symlink_to(precious)
    with pytest.raises(OutputError, match="is a symbolic link"):
        campaign.run()
    assert precious.read_text() == "the only copy"


def test_a_log_is_not_written_through_a_link(campaign, raw, tmp_path):
    raw(a="crash")
    precious = tmp_path / "precious"
    precious.write_text("the only copy")
    (campaign.out / "a").mkdir(parents=True)
    (campaign.out / "a" / "detectorist.log").symlink_to(precious)
    for workers in (0, 1):
        assert campaign.run(workers=workers)["crashed"] == 1
    with pytest.raises(OutputError, match="is a symbolic link"), log_file(campaign.out / "a" / "detectorist.log"):
        pass
    assert precious.read_text() == "the only copy"


@pytest.mark.parametrize("name", ["output_dir", "output_file"])
def test_steps_write_below_the_output_folder_only(name):
    from detectorist.modes.imaging.pipeline import ImagingPipeline

    for setting in (f"jump.{name}=/elsewhere", f"{name}=/elsewhere"):
        with pytest.raises(ParameterError, match=f"{name} is /elsewhere; products go to the output folder"):
            Recipe("test").with_settings([setting]).check(ImagingPipeline)


def test_a_nested_output_folder_is_not_swept(campaign, raw, tmp_path):
    """Somebody else's run may be at work there."""
    raw(a="x")
    nested = campaign.out / "stage_1" / ".partial-at-work"
    nested.mkdir(parents=True)
    (nested.parent / FILE).touch()
    ours = campaign.out / ".partial-left"
    ours.mkdir()
    campaign.run()
    assert nested.is_dir()
    assert not ours.exists()


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("what", ["", FILE])
def test_what_is_removed_while_a_run_is_at_work(campaign, raw, workers, what):
    """The ledger, alone or with everything else, is missed and named; the next run makes what is gone."""
    raw(a="x", b=f"remove={what}", c="y")
    with pytest.raises(OutputError, match=f"{FILE}: was removed while the run was at work; give its command again"):
        campaign.run(workers=workers)
    raw(b="z")
    assert campaign.run(workers=workers)["done"] == 3
    assert not list(campaign.out.rglob(".partial-*"))


def test_a_file_in_the_place_of_the_output_folder(campaign, raw):
    raw(a="x", b="replace", c="y")
    with pytest.raises(OutputError, match=f"{FILE}: "):
        campaign.run(workers=0)
    assert campaign.out.read_text() == "x"


def test_a_damaged_ledger_is_named_with_what_to_do(campaign, raw):
    raw(a="x")
    campaign.run(workers=0)
    (campaign.out / FILE).write_bytes(b"garbage" * 1000)
    with pytest.raises(OutputError, match=f"{FILE}: the ledger cannot be used .* remove it, and give the command"):
        campaign.run(workers=0)
    (campaign.out / FILE).unlink()
    assert campaign.run(workers=0)["done"] == 1


def test_a_run_leaves_no_journal_beside_its_ledger(campaign, raw):
    raw(a="x")
    campaign.run(workers=0)
    assert [path.name for path in campaign.out.glob(f"{FILE}*")] == [FILE]


def test_a_clock_that_is_set_back(campaign, raw, monkeypatch):
    """Times are never negative, and the next run keeps what is done, whichever of them is later."""
    raw(a="x", b="set_clock_back=1e6", c="y")
    monkeypatch.setattr(time, "time", time.time)  # put back afterwards
    assert campaign.run(workers=0)["done"] == 3
    with Ledger(campaign.out, read_only=True) as ledger:
        assert all(entry.record.seconds >= 0 for entry in ledger.entries().values())
    assert campaign.run(workers=0)["done"] == 3
    assert campaign.started() == []


def limited(limit_bytes):
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, limit_bytes))


def command(*words, **kwargs):
    return subprocess.run(
        [sys.executable, "-c", CODE, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
        **kwargs,
    )


def test_a_log_that_finds_no_room(tmp_path):
    """Steps go on, nothing is printed, and the end says which file could not be written."""
    code = (
        "import logging, pathlib\n"
        "from detectorist.errors import OutputError\n"
        "from detectorist.reduction.runner import log_file\n"
        "try:\n"
        f"    with log_file(pathlib.Path({str(tmp_path / 'x.log')!r})):\n"
        "        for n in range(200):\n"
        "            logging.getLogger('detectorist').warning('line %d', n)\n"
        "        print('went on')\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, preexec_fn=limited(2000), check=True
    )
    assert done.stderr == ""
    assert done.stdout.splitlines()[0] == "went on"
    assert f"{tmp_path / 'x.log'}: cannot be written" in done.stdout


@pytest.mark.parametrize("quiet", [[], ["--quiet"], ["--json"]])
def test_a_disk_that_is_full_is_told_once(raw, tmp_path, monkeypatch, quiet):
    """Neither the product nor the ledger nor the report finds room: one line, with the name of the first."""
    raw(a="x")
    (tmp_path / "one.toml").write_text(f'mode = "{MODE}"\ninputs = ["raw/*_uncal.txt"]\noutput_dir = "out"\n')
    monkeypatch.setenv("FAKE_FILE_LIMIT", "5000")
    done = command("run", tmp_path / "one.toml", *quiet)
    assert done.returncode == 4
    told = [line for line in (done.stdout + done.stderr).splitlines() if "cannot be" in line]
    assert len(told) == 1
    assert f"{tmp_path}/out/" in told[0]
    assert quiet == ["--quiet"] or "out/a/second.txt: cannot be written" in told[0]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), True),
        (OSError(errno.EFBIG, "File too large"), True),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), True),
        (OSError("204800 requested and 1272 written"), True),
        (OSError("Not enough space on disk: requested 5, available 2. "), True),
        (OSError("[Errno 27] File too large"), True),  # astropy, of a file that the system says no more of
        (OSError("[Errno 13] Permission denied"), False),
        (OSError(errno.EACCES, "Permission denied"), False),
        (OSError("requested"), False),
    ],
)
def test_what_a_full_disk_is_known_by(error, full):
    assert is_full(error) == full


@pytest.fixture(scope="module")
def exposures(tmp_path_factory):
    """A small real exposure of each mode: files and references."""
    from detectorist.simulate.coron.scene import MiriCoronScene
    from detectorist.simulate.imaging.scene import ImagingScene
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("exposures")
    LrsScene().write(folder / "lrs", ints=3, groups=6, segments=1, seed=3)
    ImagingScene().with_detector(size=64, outputs=1, pattern="SHALLOW4").without("wisps").write(
        folder / "imaging", groups=4, seed=3
    )
    MiriCoronScene().write(folder / "coron", ints=2, groups=5, rolls=1, dithers=0, seed=3)
    return folder


@pytest.mark.long
@pytest.mark.parametrize("mode", ["lrs", "imaging", "coron"])
def test_a_disk_that_fills_up_at_every_moment(exposures, tmp_path, mode):
    """One error that names a file, exit code 3 or 4, and with room again the products of an undisturbed run."""
    files = sorted((exposures / mode).glob("*_uncal.fits"))[:1]
    words = ["run", mode, *files, "--references", exposures / mode / "crds"]
    assert command(*words, "-o", tmp_path / "reference").returncode == 0
    sizes = sorted({path.stat().st_size for path in (tmp_path / "reference").rglob("*") if path.is_file()})
    for number, size in enumerate([1024, *sizes[1:]]):
        out = tmp_path / f"out{number}"
        # A report and a log hold times and names of folders: they are not of one size to the byte.
        done = command(*words, "-o", out, preexec_fn=limited(size - 1 - size // 100))
        said = done.stdout + done.stderr
        assert done.returncode in (3, 4), (size, said)
        assert "Traceback" not in said, size
        assert "Logging error" not in said, size
        assert str(out) in done.stderr, (size, said)
        assert command(*words, "-o", out).returncode == 0, size
        assert products(out) == products(tmp_path / "reference")
        assert not list(out.rglob(".partial-*"))
        shutil.rmtree(out)


@pytest.fixture
def slow(raw, tmp_path):
    """A campaign file over exposures that take their time."""
    raw(**{f"x{number}": f"sleep=0.2 slowly {number}" for number in range(8)})
    (tmp_path / "slow.toml").write_text(
        f'mode = "{MODE}"\ninputs = ["raw/*_uncal.txt"]\noutput_dir = "out"\n[execution]\nworkers = 2\n'
    )
    return tmp_path / "slow.toml"


@pytest.mark.parametrize(
    "signals", [(signal.SIGHUP,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGHUP)], ids=str
)
def test_signals_once_and_twice(slow, signals):
    words = [sys.executable, "-c", CODE, "run", str(slow)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    out = slow.parent / "out"
    deadline = time.monotonic() + 120
    while not products(out) and time.monotonic() < deadline:
        time.sleep(0.01)
    workers = psutil.Process(process.pid).children()
    for number in signals:
        process.send_signal(number)
        time.sleep(0.05)
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert "interrupted" in said
    assert "Traceback" not in said
    assert not psutil.wait_procs(workers, timeout=5)[1]
    assert "was interrupted" in command("status", out).stdout
    assert command("run", slow).returncode == 0
    assert len(products(out)) == 16
    assert not list(out.rglob(".partial-*"))


@pytest.mark.parametrize(("words", "codes"), [(["--json"], ["141"]), ([], ["0", "141"]), (["--dry-run"], ["0", "141"])])
def test_a_reader_that_leaves_early(slow, words, codes):
    """Few lines fit into the pipe before the reader leaves, or do not: 0 or 141; events go on for too long for that."""
    shell = " ".join([sys.executable, "-c", f"'{CODE}'", "run", str(slow), *words, "| head -1; echo ${PIPESTATUS[0]}"])
    done = subprocess.run(["bash", "-c", shell], capture_output=True, text=True, timeout=300, check=False)
    assert done.stdout.splitlines()[-1] in codes
    for word in ("Traceback", "BrokenPipe", "Exception ignored", "error", "interrupted"):
        assert word not in done.stderr
    assert not list(slow.parent.rglob(".partial-*"))


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["recipe", "list", "lrs"]])
def test_output_that_nobody_reads(words):
    """The reader has gone before the first line: quiet, and the code that shells use."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-c", CODE, *words], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_user_whom_the_system_does_not_know(monkeypatch):
    """As in containers: jwst is imported all the same, here and in workers."""
    import getpass

    from detectorist.cli import main

    def unknown(number):
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(name, "")
    monkeypatch.setattr("pwd.getpwuid", unknown)
    monkeypatch.setattr(sys, "argv", ["detectorist", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert not ended.value.code
    assert getpass.getuser() == os.environ["LOGNAME"] == str(os.getuid())


def test_an_interrupted_plan_runs_again_in_this_process(campaign, raw):
    raw(a="x")
    plan = plan_run(PlanRequest(MODE, sorted(campaign.raw.glob("*.txt")), campaign.out))
    assert run_campaign(plan, Execution(workers=0))["done"] == 1


def test_a_quota_that_astropy_has_words_for_is_room_that_lacks(tmp_path):
    """Where the disk has room, but its user none, astropy raises an error without a number, from the system's."""
    from astropy.io import fits

    with open(tmp_path / "a.fits", "wb") as handle:

        class Full:
            name, mode = handle.name, "wb"

            def write(self, content):
                raise OSError(errno.EDQUOT, "Disk quota exceeded")

            tell, flush = handle.tell, handle.flush

        with pytest.raises(OSError, match="quota") as caught:
            fits.HDUList([fits.PrimaryHDU(np.zeros((4, 4)))]).writeto(Full())
    assert caught.value.errno is None
    assert is_full(caught.value)
