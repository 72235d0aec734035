"""Labels of logarithmic axes."""

import sys

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from detectorist.figures.display import write_figure
from detectorist.figures.powers import PlainPowers, plain, use_plain_powers
from detectorist.figures.style import new_figure


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"$\mathdefault{10^{-5}}$", "10⁻⁵"),
        (r"$\mathdefault{2\times10^{-4}}$", "2×10⁻⁴"),
        (r"$\mathdefault{-10^{3}}$", "-10³"),
        (r"$\mathdefault{0}$", "0"),
        ("", ""),
    ],
)
def test_formulas_in_plain_letters(formula, wanted):
    assert plain(formula) == wanted


def drawn(scale, limits):
    figure, axis = new_figure()
    axis.plot([1, 2, 3], [limits[0], sum(limits) / 2, limits[1]])
    axis.set(yscale=scale, ylim=limits)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    before = [label.get_text() for label in axis.yaxis.get_ticklabels(which="both")]
    use_plain_powers(figure)
    canvas.draw()
    return before, [label.get_text() for label in axis.yaxis.get_ticklabels(which="both")]


@pytest.mark.parametrize(("scale", "limits"), [("log", (1e-5, 1)), ("log", (2e-4, 7e-4)), ("symlog", (-1e3, 1e4))])
def test_the_same_ticks_are_labelled(scale, limits):
    before, after = drawn(scale, limits)
    assert after == [plain(label) for label in before]
    assert any("10" in label for label in after)
    assert not any("$" in label for label in after)


def test_other_labels_stay():
    figure, axis = new_figure()
    axis.set(xscale="log", yscale="log")
    axis.xaxis.set_major_formatter("{x:g}")
    kept = axis.xaxis.get_major_formatter()
    use_plain_powers(figure)
    assert axis.xaxis.get_major_formatter() is kept
    assert isinstance(axis.yaxis.get_major_formatter(), PlainPowers)


def test_a_written_figure_has_them(tmp_path):
    figure, axis = new_figure()
    axis.plot([1, 2], [1e-5, 1])
    axis.set(yscale="log")
    write_figure(figure, tmp_path / "figure.svg")
    assert isinstance(axis.yaxis.get_major_formatter(), PlainPowers)
    assert sys.getsizeof((tmp_path / "figure.svg").read_text()) > 1000
