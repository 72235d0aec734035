"""Where a figure goes: a file outside of notebooks, whole or not at all."""

from functools import partial

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from detectorist.errors import OutputError
from detectorist.figures import display
from detectorist.figures.display import show_or_write, write_figure
from detectorist.figures.powers import use_plain_powers
from detectorist.figures.style import new_figure, show_image


@pytest.fixture
def figure():
    return Figure(figsize=(1, 1))


def test_the_name_in_a_folder_that_is_made(figure, tmp_path):
    assert show_or_write(figure, "a.png", folder=str(tmp_path / "new")) == tmp_path / "new" / "a.png"
    assert (tmp_path / "new" / "a.png").read_bytes().startswith(b"\x89PNG")


def test_a_path_of_ones_own_and_its_format(figure, tmp_path):
    show_or_write(figure, "a.png", path=str(tmp_path / "b.pdf"))
    assert (tmp_path / "b.pdf").read_bytes().startswith(b"%PDF")
    assert [path.name for path in tmp_path.iterdir()] == ["b.pdf"]


def test_a_path_without_ending_is_taken_as_it_is(figure, tmp_path):
    show_or_write(figure, "a.png", path=str(tmp_path / "plain"))
    assert [path.name for path in tmp_path.iterdir()] == ["plain"]
    assert (tmp_path / "plain").read_bytes().startswith(b"\x89PNG")


def test_an_old_figure_stays_when_the_new_one_fails(figure, tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_text("old")

    def fail(figure, path):
        path.write_text("half")
        raise OSError("no room")

    monkeypatch.setattr(display, "write_figure", fail)
    with pytest.raises(OutputError, match=r"a\.png: cannot be written \(no room\)"):
        show_or_write(figure, "a.png", folder=str(tmp_path))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.mark.parametrize("ending", ["png", "pdf", "svg"])
def test_files_are_those_of_savefig(ending, tmp_path, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")  # else files tell when they were made
    monkeypatch.setitem(mpl.rcParams, "svg.hashsalt", "x")
    marked = partial(Figure.savefig, metadata={"Source": "detectorist"} if ending == "png" else None)
    for name, write in (("ours", write_figure), ("savefig", marked)):
        drawn, (axis, other) = new_figure(1, 2)
        axis.loglog([1, 10, 100], [1, 5, 2], label="a")
        axis.legend()
        show_image(other, np.arange(12.0).reshape(3, 4), label="counts")
        use_plain_powers(drawn)  # as `write_figure` does
        write(drawn, tmp_path / f"{name}.{ending}")
    assert (tmp_path / f"ours.{ending}").read_bytes() == (tmp_path / f"savefig.{ending}").read_bytes()
