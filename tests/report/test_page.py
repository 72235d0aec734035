"""The page as text: whole, escaped, self-contained."""

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from detectorist.campaign.ledger import Ledger
from detectorist.errors import InputError
from detectorist.modes import MODES, load_mode
from detectorist.modes.job import DONE, Job, JobRecord
from detectorist.report import page as pages
from detectorist.report.page import write_report

VOID = {"wbr", "meta", "link", "img", "br", "input", "hr", "path", "use", "image", "rect"}


class Reader(HTMLParser):
    """Collects what tests ask for, and refuses tags that do not match."""

    def __init__(self):
        super().__init__()
        self.open, self.ids, self.links, self.scripts, self.text, self.tags = [], [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append((tag, attributes))
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes[name] for name in ("src", "href", "xlink:href") if attributes.get(name)]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}> at {self.getpos()}"
        self.open.pop()

    def handle_data(self, data):
        (self.scripts if self.open and self.open[-1] in ("script", "style") else self.text).append(data)


def read(page):
    reader = Reader()
    reader.feed(page.read_text(encoding="utf-8"))
    assert reader.open == []
    return reader


@pytest.fixture(scope="module")
def page(campaign_page):
    return read(campaign_page)


def test_ids_are_unique_and_links_lead_somewhere(page):
    assert [one for one, count in Counter(page.ids).items() if count > 1] == []
    inside = [link[1:] for link in page.links if link.startswith("#")]
    assert inside
    assert set(inside) <= set(page.ids)


def test_nothing_is_fetched_from_anywhere(page):
    assert [link for link in page.links if not link.startswith(("#", "data:image/"))] == []
    style = "".join(page.scripts[:1])
    assert "url(http" not in style
    assert "@import" not in style
    policy = next(tag for name, tag in page.tags if tag.get("http-equiv") == "Content-Security-Policy")
    assert policy["content"].startswith("default-src 'none'")


def test_what_headers_and_logs_say_is_text(campaign_page, page, evil):
    assert evil not in campaign_page.read_text()
    assert evil in "".join(page.text)
    assert [tag for tag, _ in page.tags if tag == "b"] == []
    assert "<b>data</b> are needed" in "".join(page.text)


def test_exposures_are_told_without_scripts(page):
    text = " ".join(page.text)
    for words in ("What needs attention", "cannot be processed: raw/jw90001", "crashed: unforeseen", "is waiting"):
        assert words in text
    assert "Traceback" in text  # in the exposure's own section
    details = [
        attributes for tag, attributes in page.tags if tag == "details" and attributes.get("class") == "exposure"
    ]
    assert len(details) == 6
    assert sum(tag == "svg" for tag, _ in page.tags) >= 3 * 10


def test_parameters_are_marked(page):
    text = " ".join(" ".join(page.text).split())
    assert "clean_outliers.outlier_threshold 6.5 4 setting differs between exposures" in text
    assert "extraction optimal box recipe" in text


def test_warnings_of_the_log_are_told_once(single):
    text = "".join(read(write_report(single)).text)
    assert text.count("a <b>warning</b>") == 1
    assert "stpipe INFO" not in text


def test_every_figure_has_a_note(single, monkeypatch):
    drawn = []
    original = pages._Writer._panel

    def panel(self, panel, *args, **kwargs):
        drawn.append(panel.key)
        return original(self, panel, *args, **kwargs)

    monkeypatch.setattr(pages._Writer, "_panel", panel)
    text = "".join(read(write_report(single)).text)
    notes = load_mode("lrs").section().notes()
    assert drawn.pop(0) == "lrs_white_light"  # what the report opens with
    assert len(drawn) == len(set(drawn)) >= 11
    for key in drawn:
        assert set(notes[key]) == {"shows", "good", "bad", "then"}
        assert notes[key]["good"] in text


def sources_of(mode):
    """Return the modules of a mode that draw its section of the report, as one text."""
    folder = Path(pages.__file__).parents[1] / "modes" / mode
    return "".join(path.read_text() for path in sorted(folder.glob("*report.py")))


def test_every_note_belongs_to_a_figure():
    for mode in MODES:
        assert [key for key in load_mode(mode).section().notes() if f'"{key}"' not in sources_of(mode)] == []


def test_json_in_the_page_cannot_end_its_element():
    text = str(pages._json({"name": "</script><!-- & \u2028"}))
    assert not set("<>&\u2028") & set(text)
    assert json.loads(text) == {"name": "</script><!-- & \u2028"}


def test_two_runs_side_by_side(campaign, tmp_path, write_campaign):
    other = write_campaign(tmp_path / "other", 2, failures=False, numbers={0: {"white_scatter_ppm": 1020.0}})
    text = " ".join(" ".join(read(write_report(campaign, other=other)).text).split())
    assert "white-light scatter (ppm) 510 1020 -50.0 %" in text
    assert "No parameter differs." in text
    assert text.count("only in this run") == 4
    assert " the other run " in text


def test_products_that_are_missing_leave_their_figures_out(single):
    (single / "stage_2" / "frames.nc").unlink()
    (single / "stage_2" / "stage_2_output.nc").unlink()
    text = "".join(read(write_report(single)).text)
    assert "White light curve" not in text
    assert "Groups of the ramps" in text


def test_products_that_are_damaged_are_named_in_their_place(single):
    (single / "stage_2" / "stage_2_output.nc").write_bytes(b"broken")
    text = "".join(read(write_report(single)).text)
    assert "White light curve" not in text
    assert f"They cannot be drawn: {single}/stage_2/stage_2_output.nc: cannot be read" in text


def test_products_that_are_gone_or_changed_are_told(single):
    (path,) = (single / "stage_1").glob("*.fits")
    with open(path, "ab") as handle:
        handle.write(b"x")
    assert f"not as they were written: stage_1/{path.name}" in "".join(read(write_report(single)).text)
    path.unlink()
    assert f"no longer where they were written: stage_1/{path.name}" in "".join(read(write_report(single)).text)


def test_a_single_report_is_small_and_a_second_one_is_the_same(single):
    first = write_report(single).read_text()
    assert len(first) < 2e6
    second = write_report(single).read_text()
    cut = re.compile(r"report made [^<]*|\"?[0-9a-f]{8}-[0-9a-f-]{27}\"?|\"id\":\"p\d+\"|p\d{4}")
    assert cut.sub("", first)[:200_000] == cut.sub("", second)[:200_000]


def test_many_exposures_have_their_pictures_beside(tmp_path, monkeypatch, write_campaign, small_lrs):
    monkeypatch.setattr(pages, "MOST_INLINE", 3)
    folder = write_campaign(tmp_path / "many", 4, failures=False, lrs=small_lrs)
    reader = read(write_report(folder))
    images = [attributes for tag, attributes in reader.tags if tag == "img"]
    assert len(images) == 2 + 4 * (1 + 3)  # what the report opens with, thumbnails, figures
    for attributes in images:
        assert attributes["loading"] == "lazy"
        assert attributes["width"] and attributes["height"]  # noqa: PT018 - the pair reserves the place
        assert (folder / attributes["src"]).is_file()
    assert not any("Bokeh" in script for script in reader.scripts if len(script) > 1e5)


def test_a_folder_that_is_none_is_said(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        write_report(tmp_path / "nothing")


def test_a_mode_without_sections_has_its_numbers_shown(tmp_path):
    """Modes of others' own run in campaigns too."""
    job = Job("one", "their_mode:Mode", ("raw/one.txt",), str(tmp_path / "one"))
    with Ledger(tmp_path) as ledger:
        ledger.begin_run("", {})
        ledger.enter([job])
        ledger.finish(JobRecord("one", DONE, steps={"theirs": {"words": 7, "list": [1, 2.5]}, "odd": 3}))
    text = " ".join(" ".join(read(write_report(tmp_path)).text).split())
    assert "theirs words 7 list [1, 2.5]" in text


def test_every_figure_has_a_whole_note():
    for mode in MODES:
        notes = load_mode(mode).section().notes()
        assert set(notes) == set(re.findall(rf'(?:Panel\(\s*|\(|ClassVar = )"({mode}_\w+)"', sources_of(mode)))
        assert all(set(note) == {"shows", "good", "bad", "then"} for note in notes.values())
