"""Figures show themselves in notebooks, without pyplot."""

import sys

from detectorist.figures.style import new_figure


def test_a_notebook_gets_a_picture():
    had_pyplot = "matplotlib.pyplot" in sys.modules
    figure, axis = new_figure()
    axis.plot([0, 1])
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert ("matplotlib.pyplot" in sys.modules) == had_pyplot
