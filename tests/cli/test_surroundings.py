"""Closed streams and a current folder that is gone: a sentence, or nothing that anybody would notice."""

import os
import subprocess
import sys

import pytest

CODE = "from detectorist.cli import main; main()"


def shell(line, *words, cwd=None):
    command = f'exec "$@" {line}'
    return subprocess.run(
        ["bash", "-c", command, "-", sys.executable, "-c", *words], capture_output=True, text=True, check=False, cwd=cwd
    )


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_trouble(closed):
    assert shell(closed, CODE, "--help").returncode == 0


def test_no_file_takes_the_place_of_a_closed_stream(tmp_path):
    """What a library prints would be written into it."""
    code = (
        "from detectorist.cli.surroundings import open_closed_streams as f; f(); import os; "
        f"opened = open({str(tmp_path / 'product')!r}, 'w'); os.write(1, b'printed'); os._exit(opened.fileno() < 3)"
    )
    assert shell("<&- >&- 2>&-", code).returncode == 0
    assert (tmp_path / "product").read_text() == ""


def test_a_current_folder_that_was_removed(tmp_path):
    (tmp_path / "gone").mkdir()
    code = f"import os; os.chdir({str(tmp_path / 'gone')!r}); os.rmdir(os.getcwd()); {CODE}"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    words = [sys.executable, "-c", code, "recipe", "list"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (4, "error: the current folder was removed; change to one that is there\n")


def test_a_way_to_show_figures_that_is_not_there():
    code = (
        "from detectorist.cli.surroundings import require_surroundings as f; f(); "
        "import matplotlib.pyplot as plt; plt.figure(); print(plt.get_backend())"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "MPLBACKEND": "nosuch"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert done.stdout.strip().lower() == "agg", done.stderr


def test_too_little_memory_is_one_sentence(monkeypatch, capsys):
    import detectorist.cli
    import detectorist.cli.app

    def fail():
        raise MemoryError

    monkeypatch.setattr(detectorist.cli.app, "app", fail)
    with pytest.raises(SystemExit) as ended:
        detectorist.cli._run()
    assert ended.value.code == 4
    assert capsys.readouterr().err.startswith("error: there is not enough memory")
