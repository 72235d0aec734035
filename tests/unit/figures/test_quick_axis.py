"""Axes that draw themselves at once look as matplotlib draws them."""

import numpy as np
import pytest
from matplotlib.axis import XAxis, YAxis
from matplotlib.backends.backend_agg import FigureCanvasAgg

from detectorist.figures.quick_axis import QuickXAxis, QuickYAxis
from detectorist.figures.style import new_figure


def plain_axes():
    figure, axis = new_figure()
    axis.plot([0, 1, 2], [-3, 4, 40])
    axis.set(xlabel="time (h)", ylabel="flux\n(DN/s)", title="title")
    return figure


def logarithmic():
    figure, axis = new_figure()
    axis.loglog([1, 3, 50], [2e-5, 4e-4, 9e-3])
    axis.set(xlabel="bins", ylabel="scatter")
    return figure


def narrow_logarithmic():
    """The labels are those of minor ticks."""
    figure, axis = new_figure()
    axis.semilogy([1, 2, 3], [2, 3, 5])
    return figure


def with_a_bar():
    figure, axis = new_figure()
    figure.colorbar(axis.imshow(np.arange(60.0).reshape(6, 10), aspect="auto"), ax=axis, label="DN/s")
    axis.tick_params(labelsize=7, colors="red")
    return figure


def labels_above_and_to_the_right():
    figure, axis = new_figure()
    axis.plot([0, 1], [0, 1000])
    axis.xaxis.tick_top()
    axis.yaxis.tick_right()
    axis.xaxis.set_label_position("top")
    axis.yaxis.set_label_position("right")
    axis.set(xlabel="above", ylabel="beside")
    axis.tick_params(which="both", direction="out", length=6)
    return figure


def shared():
    figure, axes = new_figure(2, 1, sharex=True)
    for axis in axes:
        axis.plot([0, 1], [0, 1])
    return figure


def axes_of(figure):
    return [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]


def pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba()).astype(float)


def as_matplotlib_draws(figure):
    """Draw a figure whose places are found with the axes of matplotlib."""
    figure.set_layout_engine("none")
    for axis in axes_of(figure):
        axis.__class__ = XAxis if isinstance(axis, XAxis) else YAxis
    return pixels(figure)


ALL = (plain_axes, logarithmic, narrow_logarithmic, with_a_bar, labels_above_and_to_the_right, shared)


@pytest.mark.parametrize("make", ALL)
def test_axes_look_as_matplotlib_draws_them(make):
    figure = make()
    quick = pixels(figure)
    assert {type(axis) for axis in axes_of(figure)} == {QuickXAxis, QuickYAxis}
    usual = as_matplotlib_draws(figure)
    for axis in axes_of(figure):
        axis.set_visible(False)
    drawn = np.sum(np.abs(usual - pixels(figure)).max(axis=2) > 60)
    # Labels of axes may lie a pixel beside: text is not measured.
    assert np.sum(np.abs(quick - usual).max(axis=2) > 60) < 0.2 * drawn
    assert drawn > 500


def touched(axis):
    for labels in (axis.get_xticklabels(), axis.get_yticklabels()):
        labels[1].set_color("red")


def rotated(axis):
    axis.tick_params(labelrotation=45)


def with_lines_across(axis):
    axis.grid(visible=True)


def with_an_offset(axis):
    axis.set_xlim(1e6, 1e6 + 1e-3)
    axis.set_ylim(1e6, 1e6 + 1e-3)


def with_a_label_elsewhere(axis):
    axis.xaxis.set_label_coords(0.2, -0.3)
    axis.yaxis.set_label_coords(-0.3, 0.2)


@pytest.mark.parametrize("change", [touched, rotated, with_lines_across, with_an_offset, with_a_label_elsewhere])
def test_what_is_not_plain_is_drawn_by_matplotlib(change):
    figure = plain_axes()
    pixels(figure)
    change(figure.axes[0])
    quick = pixels(figure)
    np.testing.assert_array_equal(quick, as_matplotlib_draws(figure))


def test_an_axis_that_is_not_visible_is_not_drawn():
    figure = plain_axes()
    with_axes = pixels(figure)
    figure.axes[0].xaxis.set_visible(False)
    assert np.abs(pixels(figure) - with_axes).max() > 100
