"""Lines on the terminal: as they are, however narrow it is; but what files and headers hold cannot steer it."""

import pytest

from detectorist.cli.conduct import failures
from detectorist.terminal.lines import exposures, first_line, print_lines, printable


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, Ünïcode, 名前", "plain, Ünïcode, 名前"),
        ("two\nlines\tof text", "two\nlines\tof text"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x07\x08\r\x00\x9b", "\\x07\\x08\\r\\x00\\x9b"),
        ("right \u202e to left\u2028", "right \\u202e to left\\u2028"),
        ("not text: \udce9", "not text: \\udce9"),
    ],
)
def test_control_characters_are_written_out(text, shown, capsys):
    assert printable(text) == shown
    print_lines([text])
    assert capsys.readouterr().out == shown + "\n"


@pytest.mark.parametrize(("text", "line"), [("", ""), ("\n \n", ""), ("\na\nb", "a"), ("a", "a")])
def test_the_first_line_of_any_message(text, line):
    assert first_line(text) == line


def test_a_failure_without_a_message_is_told(tmp_path):
    from detectorist.campaign.ledger import Ledger
    from detectorist.modes.job import CRASHED, Job, JobRecord

    with Ledger(tmp_path) as ledger:
        ledger.begin_run("", {})
        ledger.enter([Job("a", "lrs", ("a.fits",), str(tmp_path))])
        ledger.finish(JobRecord("a", CRASHED, "SomeError", "\n"))
    assert failures(tmp_path) == ["a: crashed: "]


def test_lines_are_neither_wrapped_nor_taken_for_markup(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    lines = ["/a/very/long/path/that/nobody/should/break_into_two_uncal.fits", "[red]not markup[/red] 12 :smile:"]
    print_lines(lines)
    assert capsys.readouterr().out.splitlines() == lines


def test_quiet_prints_nothing(capsys):
    print_lines(["x"], quiet=True)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("number", "words"), [(0, "0 exposures"), (1, "1 exposure"), (2, "2 exposures")])
def test_exposures_are_counted_in_words(number, words):
    assert exposures(number) == words
