"""Where a figure goes: a file outside of notebooks, whole or not at all."""

import pytest
from matplotlib.figure import Figure

from detectorist.errors import OutputError
from detectorist.figures.display import show_or_write


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


def test_an_old_figure_stays_when_the_new_one_fails(figure, tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError("no room")

    monkeypatch.setattr(figure, "savefig", fail)
    with pytest.raises(OutputError, match=r"a\.png: figure cannot be written \(no room\)"):
        show_or_write(figure, "a.png", folder=str(tmp_path))
    assert target.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
