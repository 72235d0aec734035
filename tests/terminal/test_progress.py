"""Progress without a terminal: a few lines, however often the work reports."""

import io

from rich.console import Console

from detectorist.terminal.progress import ProgressLines


def lines_of(calls, seconds_per_call):
    screen, now = io.StringIO(), [0.0]
    progress = ProgressLines("reducing", Console(file=screen, width=200), clock=lambda: now[0])
    for call in calls:
        now[0] += seconds_per_call
        progress(*call)
    return screen.getvalue().splitlines()


def test_quick_work_prints_the_middle_and_the_end():
    lines = lines_of([(done, 100, "jump") for done in range(101)], seconds_per_call=0.1)
    assert lines == ["reducing 50/100 jump", "reducing 100/100 jump"]


def test_slow_work_prints_every_five_minutes():
    lines = lines_of([(0, 2, f"group {n}") for n in range(1, 61)], seconds_per_call=30.0)
    assert [line.split()[-1] for line in lines] == ["10", "20", "30", "40", "50", "60"]


def test_work_of_unknown_length_is_silent_at_first():
    assert lines_of([(0, 0, "waiting")], seconds_per_call=1.0) == []
