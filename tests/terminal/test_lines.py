"""Lines on the terminal: as they are, whatever is in them and however narrow it is."""

from detectorist.terminal.lines import print_lines


def test_lines_are_neither_wrapped_nor_taken_for_markup(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    lines = ["/a/very/long/path/that/nobody/should/break_into_two_uncal.fits", "[red]not markup[/red] 12 :smile:"]
    print_lines(lines)
    assert capsys.readouterr().out.splitlines() == lines


def test_quiet_prints_nothing(capsys):
    print_lines(["x"], quiet=True)
    assert capsys.readouterr().out == ""
