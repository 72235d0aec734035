"""Whatever has become of a product, the next run puts it right: the result equals the first one bit for bit."""

import json
import os
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits

from detectorist.campaign import api
from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import PlanRequest, plan_run

pytestmark = pytest.mark.filterwarnings("default")  # stock steps, and astropy on damaged files

LONG = pytest.mark.long
#: Cards that tell when a file was written, and sums over these.
WHEN = ("DATE", "CHECKSUM", "DATASUM", "DT_HASH")
#: Files in which the order of entries means nothing.
READERS = {".json": json.loads, ".toml": tomllib.loads}
#: What a product of each mode is that stands at the end of stage 1.
STAGE_1 = {"lrs": "_rateints.fits", "imaging": "_rate.fits", "coron": "_rateints.fits"}


#: Settings of each mode: quick, and with more products than there would be.
SETTINGS = {
    "lrs": (),
    "imaging": ("wisps.skip=true", "save_calibrated_ramp=true"),
    "coron": ("save_calibrated_ramp=true",),
}


@dataclass
class Run:
    """An exposure that has been reduced once, and what came out."""

    mode: str
    raw: Path
    out: Path
    settings: tuple[str, ...]

    def again(self):
        """Reduce it once more, as the same command would."""
        files, references = sorted(self.raw.glob("*_uncal.fits")), self.raw / "crds"
        (entry,) = api.reduce(self.mode, files, self.out, settings=self.settings, references=references).values()
        assert entry.state == "done", entry.record.message
        return entry

    def plan(self):
        """Return what the same command would do, and why."""
        request = PlanRequest(
            self.mode,
            sorted(self.raw.glob("*_uncal.fits")),
            self.out,
            overrides=self.settings,
            references=str(self.raw / "crds"),
            directly=True,
        )
        (planned,) = plan_run(request).jobs
        return planned

    def products(self):
        """Return the paths of all products, as the ledger lists them."""
        with Ledger(self.out, read_only=True) as ledger:
            (entry,) = ledger.entries().values()
        return [Path(entry.job.output_dir) / product.path for product in entry.record.products]


@pytest.fixture(scope="module", params=list(SETTINGS))
def run(request, raw_of, tmp_path_factory):
    out = tmp_path_factory.mktemp(f"{request.param}_out")
    made = Run(request.param, raw_of(request.param), out, SETTINGS[request.param])
    made.again()
    return made


@pytest.fixture(scope="module")
def first(run):
    """What came out first."""
    return contents(run.products())


def contents(paths):
    """Return what files hold, without the time at which they were written."""
    return {path.name: content(path) for path in paths}


def content(path):
    if path.suffix == ".nc":
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
        return {name: (array.dtype.str, array.values.tobytes(), str(array.attrs)) for name, array in dataset.items()}
    if path.suffix in READERS:
        return READERS[path.suffix](path.read_text())
    if path.suffix != ".fits":
        return path.read_bytes()
    with fits.open(path, checksum=True) as hdus:
        # The tree of the ASDF extension repeats the headers, with their dates.
        return [
            (hdu.name, [str(card) for card in hdu.header.cards if card.keyword not in WHEN], raw(hdu))
            for hdu in hdus
            if hdu.name != "ASDF"
        ]


def raw(hdu):
    return None if hdu.data is None else np.ascontiguousarray(hdu.data).tobytes()


def flip(path, *, set_back, part=0.6):
    """Change a few bytes in the middle of a file, as a failing disk or a hand may; perhaps with its times as before."""
    status, whole = path.stat(), bytearray(path.read_bytes())
    place = int(len(whole) * part)
    whole[place : place + 8] = bytes(byte ^ 0x55 for byte in whole[place : place + 8])
    with open(path, "r+b") as handle:
        handle.write(whole)
    if set_back:
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert path.stat().st_mtime_ns == status.st_mtime_ns


def stage_1_product(run):
    return next(path for path in run.products() if path.name.endswith(STAGE_1[run.mode]))


@pytest.mark.parametrize(
    ("part", "set_back"),
    [
        pytest.param(0.6, True, id="data, times set back"),
        pytest.param(0.0, True, id="first header, times set back", marks=LONG),
        pytest.param(0.6, False, id="data", marks=LONG),
        pytest.param(0.0, False, id="first header", marks=LONG),
    ],
)
def test_a_stage_1_product_damaged_by_hand(run, first, set_back, part):
    path = stage_1_product(run)
    # Eight letters of the first header's cards, behind SIMPLE: a product stays FITS.
    flip(path, set_back=set_back, part=part or 800 / path.stat().st_size)
    assert run.plan().reason == "products missing or changed"
    run.again()
    assert contents(run.products()) == first
    assert not run.plan().needed


def remove(path):
    path.unlink()


def cut(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path):
    path.write_bytes(b"")


def damage(path):
    flip(path, set_back=True)


def test_every_product_is_watched(run, first):
    """Nothing of a product can be missing or changed without the plan saying so; nothing is read to make the plan."""
    assert set(first) == {path.name for path in run.products()}
    for path in run.products():
        whole, status = path.read_bytes(), path.stat()
        for harm in (remove, cut, empty, damage):
            harm(path)
            planned = run.plan()
            assert (planned.needed, planned.reason) == (True, "products missing or changed"), (harm.__name__, path.name)
            path.write_bytes(whole)
            os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert not run.plan().needed, path.name


@pytest.mark.parametrize("harm", [pytest.param(remove, marks=LONG), cut, pytest.param(empty, marks=LONG)])
def test_any_one_product_is_made_again(run, first, harm):
    """Figures and records are taken together, since each run takes seconds; every other product comes by itself."""
    paths = run.products()
    lone = [path for path in paths if path.suffix in (".fits", ".nc")]
    groups = [[path] for path in lone] + [[path for path in paths if path not in lone]]
    for group in groups:
        for path in group:
            harm(path)
        run.again()
        assert contents(run.products()) == first, [path.name for path in group]


def test_what_was_asked_for_names_no_folder_that_is_gone(run):
    resolved = next(path for path in run.products() if path.name.endswith("resolved.toml"))
    assert tomllib.loads(resolved.read_text())["output_dir"] == str(resolved.parent)


def test_several_at_once_and_leftovers_of_writers_that_were_killed(run, first):
    for path in run.products():
        remove(path)
    for folder in {path.parent for path in run.products()}:
        folder.mkdir(exist_ok=True)
        (folder / ".partial-killed").mkdir()
        (folder / ".partial-killed" / "half.fits").write_bytes(b"half")
    run.again()
    assert contents(run.products()) == first
    assert not list(run.out.rglob(".partial-*"))
