"""Axes are where matplotlib's own layout puts them, and nothing is cut off or covered."""

import itertools

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from detectorist.figures.layout import GridLayout
from detectorist.figures.style import new_figure
from detectorist.figures.text_size import size_of


def curves():
    figure, axes = new_figure(2, 2, height_ratios=(2, 1))
    for axis, scale in zip(axes.flat, (1e-4, 1.0, 12345.0, 1e9), strict=True):
        axis.plot(scale * np.arange(5.0))
        axis.set(xlabel="time (h)", ylabel=f"flux\nin {scale:g}")
    return figure


def shared():
    figure, axes = new_figure(3, 1, size=(5.6, 5.2), sharex=True)
    for axis in axes:
        axis.plot([0, 1, 2], [1.99995, 2.0, 2.00005])
        axis.set_ylabel("shift (pixel)")
    axes[-1].set_xlabel("time (h)")
    return figure


def logarithmic():
    figure, axis = new_figure()
    axis.loglog([1, 3, 5], [2e-5, 4e-5, 9e-5])
    axis.set(xlabel="bins", ylabel="scatter", title="a title")
    return figure


def with_bars():
    figure, axes = new_figure(1, 3, size=(12, 4))
    for axis, aspect in zip(axes, ("auto", "equal", "auto"), strict=True):
        image = axis.imshow(np.arange(60.0).reshape(6, 10), aspect=aspect, origin="lower")
        figure.colorbar(image, ax=axis, label="DN/s")
        axis.set(xlabel="column", ylabel="row")
    return figure


def with_texts_beside():
    figure, axis = new_figure(size=(5.6, 3))
    axis.plot([0, 1])
    axis.annotate("beside the frame", (1.01, 0.5), xycoords="axes fraction", annotation_clip=False)
    return figure


def with_labels_of_the_whole():
    figure, axes = new_figure(2, 2, size=(5, 4), sharex=True, sharey=True)
    for axis in axes.flat:
        axis.plot([0, 1000], [0, 2000], label="curve")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside upper center")
    figure.supxlabel("column")
    figure.supylabel("row")
    return figure


def with_a_title_of_the_whole():
    figure = with_bars()
    figure.suptitle("above all")
    return figure


ALL = (curves, shared, logarithmic, with_bars, with_texts_beside, with_labels_of_the_whole, with_a_title_of_the_whole)


def drawn(figure):
    FigureCanvasAgg(figure).draw()
    return figure


@pytest.mark.parametrize("make", ALL)
def test_axes_are_where_constrained_layout_puts_them(make):
    ours, theirs = make(), make()
    assert isinstance(ours.get_layout_engine(), GridLayout)
    theirs.set_layout_engine(ConstrainedLayoutEngine())
    for one, other in zip(drawn(ours).axes, drawn(theirs).axes, strict=True):
        if one.get_subplotspec() is None:
            continue  # a colour bar: matplotlib's is taller than an image with square pixels
        points = 72 * np.tile(ours.get_size_inches(), 2)
        apart = points * (np.ravel(one.get_position().get_points()) - np.ravel(other.get_position().get_points()))
        assert np.abs(apart).max() < 11


@pytest.mark.parametrize("make", ALL)
def test_nothing_is_cut_off(make):
    figure = drawn(make())
    width, height = figure.bbox.size
    for axis in figure.axes:
        box = axis.get_tightbbox()
        assert box.x0 > -1
        assert box.y0 > -1
        assert box.x1 < width + 1
        assert box.y1 < height + 1


@pytest.mark.parametrize("make", ALL)
def test_no_axes_covers_another_or_a_text_of_the_figure(make):
    figure = drawn(make())
    boxes = [axis.get_tightbbox() for axis in figure.axes]
    boxes += [text.get_window_extent() for text in figure.texts]
    boxes += [legend.get_window_extent() for legend in figure.legends]
    for one, other in itertools.combinations(boxes, 2):
        across = min(one.x1, other.x1) - max(one.x0, other.x0)
        along = min(one.y1, other.y1) - max(one.y0, other.y0)
        assert min(across, along) < 1.5


def test_a_colour_bar_is_as_tall_as_its_image():
    figure = drawn(with_bars())
    for image, bar in zip(figure.axes[:3], figure.axes[3:], strict=True):
        one, other = image.get_position(), bar.get_position()
        assert abs(one.y0 - other.y0) < 1e-6
        assert abs(one.y1 - other.y1) < 1e-6
        assert 0 < other.x0 - one.x1 < 0.02


def test_what_is_no_grid_is_laid_out_by_matplotlib():
    def made(engine):
        figure = Figure(layout=engine)
        grid = figure.add_gridspec(2, 2)
        for part in (grid[0, :], grid[1, 0], grid[1, 1]):
            figure.add_subplot(part).set_xlabel("x")
        return [axis.get_position().bounds for axis in drawn(figure).axes]

    assert made(GridLayout()) == made(ConstrainedLayoutEngine())


def test_rotated_labels_have_room():
    figure = curves()
    for axis in figure.axes:
        axis.tick_params(axis="x", labelrotation=90)
    boxes = [axis.get_tightbbox() for axis in drawn(figure).axes]
    assert min(box.y0 for box in boxes) > -1
    assert boxes[2].y1 < boxes[0].y0 + 1


def test_axes_stay_in_the_layout():
    """Or a picture cut to what it holds would be empty."""
    assert all(axis.get_in_layout() for axis in drawn(with_bars()).axes)


@pytest.mark.parametrize("text", ["0.00025", "−15", "relative flux, 5 to 12 µm", "2×10⁻⁴", "two\nlines"])
def test_texts_are_as_large_as_matplotlib_draws_them(text):
    figure = Figure(dpi=100)
    FigureCanvasAgg(figure)
    box = figure.text(0, 0, text, fontsize=9).get_window_extent()
    width, height = size_of(text, 9)
    assert abs(width - 0.72 * box.width) < 0.06 * width + 0.5
    assert abs(height - 0.72 * box.height) < 0.15 * height + 0.5


def test_powers_of_ten_are_plain_whoever_draws():
    labels = [label.get_text() for label in drawn(logarithmic()).axes[0].get_ymajorticklabels()]
    assert "10⁻⁴" in labels


def test_no_text_takes_no_room():
    assert size_of("", 10) == (0.0, 0.0)
