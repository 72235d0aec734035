"""Figures and images in a page: whole, unique, and seen by those who do not see them."""

import base64
import io
import re

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from detectorist.errors import OutputError
from detectorist.figures.style import COLOURS, new_figure, show_image
from detectorist.report import media
from detectorist.report.media import Media


@pytest.fixture
def figure():
    drawn = Figure(figsize=(3, 2))
    axes = drawn.subplots()
    axes.plot([0, 1], [0, 1], color=COLOURS[0])
    axes.set_title("a < b")
    return drawn


def pixels_in(markup):
    found = re.search(r'src="data:image/(\w+);base64,([^"]+)"', markup)
    return found[1], np.asarray(Image.open(io.BytesIO(base64.b64decode(found[2]))))


def test_small_images_keep_every_pixel(rng):
    image = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    kind, back = pixels_in(Media().image(image, name="x", label="x"))
    assert kind == "png"
    np.testing.assert_array_equal(back, image)


def test_large_images_are_compressed_and_stay_alike():
    ramp = np.linspace(0, 255, 400)
    image = np.broadcast_to(ramp[None, :, None], (300, 400, 3)).astype(np.uint8)
    kind, back = pixels_in(Media().image(image, name="x", label="x"))
    assert kind == "jpeg"
    assert back.shape == image.shape
    assert np.abs(back.astype(int) - image).max() < 10


def test_labels_are_escaped_and_sizes_said():
    markup = Media().image(np.zeros((4, 6, 3), np.uint8), name="x", label='a "b" <c>', css="thumb")
    assert 'alt="a &#34;b&#34; &lt;c&gt;"' in markup
    assert 'width="6" height="4"' in markup
    assert 'class="thumb"' in markup


def test_drawings_take_the_colours_of_the_page_and_have_their_own_ids(figure):
    page = Media()
    first, second = (page.figure(figure, name="x", label="line") for _ in range(2))
    ids = [set(re.findall(r'\bid="([^"]+)"', one)) for one in (first, second)]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    for one, own in zip((first, second), ids, strict=True):
        used = set(re.findall(r"url\(#([^)]+)\)", one)) | set(re.findall(r'href="#([^"]+)"', one))
        assert used <= own
    assert "var(--series)" in first
    assert COLOURS[0].lower() not in first
    assert "#000000" not in first
    assert first.startswith('<svg role="img" aria-label="line"')
    assert "<?xml" not in first
    assert "<metadata>" not in first


def test_a_drawing_is_that_of_savefig():
    def draw(write):
        figure, (axis, other) = new_figure(1, 2)
        axis.loglog([1, 10, 100], [1, 5, 2], label="a")
        axis.legend()
        show_image(other, np.arange(12.0).reshape(3, 4), label="counts")
        with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "x"}):
            return write(figure)

    def savefig(figure):
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
        return buffer.getvalue()

    assert draw(media.draw_svg) == draw(savefig)


def test_a_drawing_too_large_for_the_page_becomes_pixels(figure, monkeypatch):
    monkeypatch.setattr(media, "MOST_SVG_BYTES", 100)
    kind, back = pixels_in(Media().figure(figure, name="x", label="line"))
    assert kind == "png"
    assert back.shape[:2] == (200, 300)


def test_files_beside_the_page_have_names_that_every_disk_takes(tmp_path, figure):
    page = Media(tmp_path / "assets")
    markup = page.figure(figure, name="a/b: c", label="x")
    assert 'src="assets/a_b__c.png"' in markup
    with Image.open(tmp_path / "assets" / "a_b__c.png") as image:
        assert image.size == (300, 200)


def test_existing_pictures_are_taken_as_they_are(tmp_path):
    path = tmp_path / "x.png"
    Image.fromarray(np.full((5, 7, 3), 9, np.uint8)).save(path)
    _, back = pixels_in(Media().copy(path, name="x", label="x"))
    assert back.shape == (5, 7, 3)
    Media(tmp_path / "assets").copy(path, name="y", label="y")
    assert (tmp_path / "assets" / "y.png").read_bytes() == path.read_bytes()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "assets").write_text("a file stands there")
    with pytest.raises(OutputError, match="assets.*cannot be written"):
        Media(tmp_path / "assets").image(np.zeros((4, 4, 3), np.uint8), name="x", label="x")


def test_an_id_that_a_figure_has_twice_is_told_apart(monkeypatch, tmp_path):
    drawn = '<svg width="72pt" height="72pt" viewBox="0 0 72 72"><g id="a"/><g id="b"/><g id="a"/></svg>'
    monkeypatch.setattr(media, "draw_svg", lambda figure: drawn)
    text = Media()._svg(Figure(), "two panels")
    assert re.findall(r'id="([^"]+)"', text) == ["f1-a", "f1-b", "f1-a-2"]


def test_a_figure_that_is_shown_twice_is_drawn_once_with_ids_of_its_own(figure, monkeypatch):
    drawn = []
    monkeypatch.setattr(media, "draw_svg", lambda one, draw=media.draw_svg: drawn.append(one) or draw(one))
    shown = Media()
    first, second = (shown.figure(figure, name="x", label="x") for _ in range(2))
    assert drawn == [figure]
    ids = [re.findall(r'id="([^"]+)"', markup) for markup in (first, second)]
    assert ids[0]
    assert not {*ids[0]} & {*ids[1]}
    assert [one.split("-", 1)[1] for one in ids[0]] == [one.split("-", 1)[1] for one in ids[1]]
