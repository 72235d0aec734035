"""Whatever a product, a record or a header holds: what cannot be shown says so in its place, and the rest is shown."""

import json
import sqlite3

import numpy as np
import pytest
from astropy.io import fits

from detectorist.campaign.ledger import FILE, Ledger
from detectorist.campaign.plan import plan_retry
from detectorist.errors import OutputError
from detectorist.modes import MODES, load_mode
from detectorist.modes.job import CRASHED, DONE, Job, JobRecord, Product
from detectorist.modes.section import Panel, Section
from detectorist.report import group
from detectorist.report.gather import gather
from detectorist.report.page import write_report

WEIRD = (None, True, -1, 0.5, 1e300, "text", "<b>", [], [1, None, "x"], {"a": {"b": [1]}}, {}, "2024-01-01")


def text_of(page):
    return " ".join(page.read_text(encoding="utf-8").split())


def done(name, mode, folder, **record):
    folder.mkdir(parents=True, exist_ok=True)
    return Job(name, mode, (f"raw/{name}_uncal.fits",), str(folder)), JobRecord(name, DONE, **record)


def write(folder, *jobs):
    with Ledger(folder) as ledger:
        ledger.begin_run("detectorist run", {})
        ledger.enter([job for job, _ in jobs])
        for _, record in jobs:
            ledger.finish(record)
        ledger.end_run()


def change(folder, column, value, name="a"):
    with sqlite3.connect(folder / FILE) as db:
        db.execute(f"UPDATE jobs SET {column} = ? WHERE name = ?", (value, name))
    db.close()


@pytest.mark.parametrize("mode", sorted(MODES))
def test_numbers_of_any_kind(tmp_path, mode):
    """What a column calls whole is a fraction, a text, a table; what a sentence names is missing."""
    columns = load_mode(mode).section().columns
    jobs = [
        done(
            f"n{number}",
            mode,
            tmp_path / f"n{number}",
            steps={"exposure": {column.key: value for column in columns}, "x": {"y": value}, "z": value},
            resolved={"recipe": value, "versions": value, "steps": {"jump": {"skip": value}}},
            numbers={"found": value},
            message="odd",
        )
        for number, value in enumerate([*WEIRD, *np.linspace(1.0, 1.001, 10), 77.7])
    ]
    write(tmp_path, *jobs)
    page = text_of(write_report(tmp_path))
    for job, _ in jobs:
        assert f'<span class="name">{job.name}</span>' in page
    assert "</html>" in page


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("steps", "[1, 2]"),
        ("steps", "{"),
        ("numbers", '"x"'),
        ("products", '[{"path": "a"}]'),
        ("products", "7"),
        ("inputs", '[{"unknown": 1}]'),
        ("job", '{"name": "a", "mode": "lrs", "files": ["f"], "output_dir": "x", "from_the_future": 1}'),
        ("job", "null"),
        ("job", b"\xff\xfe"),
        ("started", "yesterday"),
        ("peak_bytes", "much"),
        ("resolved", "null"),
    ],
)
def test_an_entry_of_another_version(tmp_path, column, value):
    write(tmp_path, done("a", "coron", tmp_path), done("b", "coron", tmp_path))
    change(tmp_path, column, value)
    states = {exposure.name: exposure.state for exposure in gather(tmp_path).exposures}
    assert states == {"a": CRASHED, "b": DONE}
    assert "its entry in the ledger cannot be read" in text_of(write_report(tmp_path))
    plan = plan_retry(tmp_path)
    assert plan.to_run == []
    assert "a: its entry in the ledger cannot be read" in plan.notes[0]
    assert [planned.state for planned in plan.jobs] == [CRASHED]


def test_a_ledger_of_another_version_beside_a_good_one(tmp_path):
    write(tmp_path / "good", done("b", "imaging", tmp_path / "good"))
    (tmp_path / "old").mkdir()
    write(tmp_path / "old", done("a", "imaging", tmp_path / "old"))
    with sqlite3.connect(tmp_path / "old" / FILE) as db:
        db.execute("PRAGMA user_version = 1")
    (tmp_path / "cut").mkdir()
    (tmp_path / "cut" / FILE).write_bytes((tmp_path / "good" / FILE).read_bytes()[:3000])
    page = text_of(write_report(tmp_path))
    assert '<span class="name">b</span>' in page
    assert f"{tmp_path / 'old' / FILE}: written by another version of detectorist" in page
    assert f"{tmp_path / 'cut' / FILE}: the ledger cannot be used" in page
    assert "nothing needs attention" not in page
    with pytest.raises(OutputError, match="written by another version"):
        write_report(tmp_path / "old")


@pytest.mark.parametrize("truth", ["[]", '{"numbers": 3}', '{"lines": 5}', "7", '"x"', "{"])
def test_a_truth_of_another_kind(tmp_path, truth):
    write(tmp_path, done("a", "lrs", tmp_path))
    (tmp_path / "truth.json").write_text(truth)
    assert "</html>" in text_of(write_report(tmp_path))


def cards(*lines):
    """Return a FITS header as bytes."""
    text = "".join(line.ljust(80)[:80] for line in ("SIMPLE  =                    T", "BITPIX  =                    8",
                   "NAXIS   =                    0", *lines, "END"))  # fmt: skip
    return text.ljust(2880).encode("latin-1")


@pytest.mark.parametrize(
    "content",
    [
        cards("FILTER  = 'unclosed", "TARGPROP= 'HD 1'", "NINTS   =                    3"),
        cards("NINTS   = NaN", "TARGPROP= 'HD 1'", "TGROUP  =                  INF"),
        cards("FILTER  =", "TARGPROP= 'HD 1'", "R_FLAT  =                 7", "R_DARK  =", "NINTS   = (1.0, 2.0)"),
        cards("FILTER\xff = 'F\x1b[31m'", "TARGPROP= 'HD 1'", "===        ", "NINTS   =       1.2.3"),
    ],
)
@pytest.mark.parametrize("mode", sorted(MODES))
def test_cards_that_cannot_be_parsed(tmp_path, content, mode):
    """The others are shown."""
    (tmp_path / "a_rate.fits").write_bytes(content)
    record = done("a", mode, tmp_path)[1]
    write(tmp_path, (Job("a", mode, (str(tmp_path / "a_rate.fits"),), str(tmp_path)), record))
    page = text_of(write_report(tmp_path))
    assert "<dt>target</dt><dd>HD 1</dd>" in page
    assert "\x1b" not in page


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.99])
@pytest.mark.parametrize("mode", ["imaging", "coron"])
def test_cut_products(tmp_path, mode, share):
    image = np.ones((3, 40, 40) if mode == "coron" else (40, 40), np.float32)
    products = []
    for product in ("rate", "rateints", "rate_pre1f", "rate_1fmask"):
        path = tmp_path / f"a_{product}.fits"
        hdus = [fits.PrimaryHDU(), *(fits.ImageHDU(image, name=name) for name in ("SCI", "ERR", "DQ"))]
        fits.HDUList(hdus).writeto(path)
        products.append(Product(path.name, path.stat().st_size, 1, 1, ""))
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    steps = {"exposure": {}, "a_rate": {"wisps": {"curve": 3}}}
    write(tmp_path, done("a", mode, tmp_path, steps=steps, products=products))
    page = text_of(write_report(tmp_path))
    assert '<span class="name">a</span>' in page
    assert "not as they were written: a_rate.fits, a_rateints.fits, a_rate_pre1f.fits, a_rate_1fmask.fits" in page
    assert share > 0 or "a_rate.fits: not readable as a product" in page


class Failing(Section):
    """A section whose parts fail in turn."""

    def __init__(self, what):
        self.what = what

    def _fail(self, what):
        if self.what in (what, "everything"):
            raise KeyError(f"no {what} <b>")

    def notes(self):
        self._fail("notes")
        return {}

    def defaults(self):
        self._fail("defaults")
        return {}

    def thumbnail(self, exposure):
        self._fail("thumbnail")

    def opening(self, exposures):
        self._fail("opening")
        yield from ()

    def panels(self, exposure, *, brief=False):
        yield Panel("first", "First", draw=lambda: self._fail("drawing"), interactive=lambda: self._fail("bokeh"))
        self._fail("panels")
        yield Panel("second", "Second", file=exposure.folder / "missing.png")


@pytest.mark.parametrize("what", ["notes", "defaults", "thumbnail", "opening", "drawing", "panels", "everything"])
def test_sections_that_fail(tmp_path, monkeypatch, what):
    write(tmp_path, done("a", "theirs", tmp_path, resolved={"recipe": "x"}), done("b", "theirs", tmp_path))
    monkeypatch.setattr(group, "section_of", lambda mode: Failing(what))
    page = text_of(write_report(tmp_path))
    assert page.count('<details class="exposure"') == 2
    assert "<b>" not in page
    if what in ("opening", "drawing", "panels"):
        assert f"KeyError: &#39;no {what} &lt;b&gt;&#39;" in page
    assert ("This figure cannot be drawn: FileNotFoundError" in page) == (what not in ("panels", "everything"))


def test_a_full_disk_fails_the_page(tmp_path, monkeypatch):
    write(tmp_path, done("a", "theirs", tmp_path))

    class Full(Section):
        def panels(self, exposure, *, brief=False):
            raise OutputError("no room")
            yield

    monkeypatch.setattr(group, "section_of", lambda mode: Full())
    with pytest.raises(OutputError, match="no room"):
        write_report(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_runs_of_all_modes_in_one_folder(tmp_path):
    """Columns of the same name and another kind."""
    values = {"lrs": 3, "imaging": 2.5, "coron": "many"}
    jobs = []
    for mode, value in values.items():
        for number in range(9):
            keys = {column.key: value if number else 7 for column in load_mode(mode).section().columns}
            jobs.append(done(f"{mode}{number}", mode, tmp_path, steps=json.loads(json.dumps({"exposure": keys}))))
    write(tmp_path, *jobs)
    page = text_of(write_report(tmp_path))
    assert page.count('<details class="exposure"') == 27
    assert "Unknown format code" not in page
