"""Commands do without docstrings that scipy and matplotlib would write; what these do is the same."""

import subprocess
import sys
from types import SimpleNamespace

import pytest

from detectorist.libraries import docstrings

USE = """
import sys
if sys.argv[1] == "unwritten":
    from detectorist.libraries.docstrings import leave_docstrings_unwritten
    leave_docstrings_unwritten()
    leave_docstrings_unwritten()
import io, inspect
import numpy as np
import scipy.linalg, scipy.optimize, scipy.spatial, scipy.special, scipy.stats
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib import rcParams
notes = ((scipy.special.ndtr, "Array API"), (scipy.linalg.cholesky, "assuming array"), (Line2D.set, "linewidth"))
for function, note in notes:
    print(note in str(function.__doc__))
print(scipy.linalg.solve(np.array([[2.0, 1.0], [1.0, 3.0]]), np.ones(2)), scipy.special.ndtr(1.5))
print(scipy.optimize.least_squares(lambda x: x - 2, 1.0).x, scipy.stats.sem([1.0, 2.0, 4.0], axis=0))
print(inspect.signature(scipy.stats.sem))
rcParams["svg.hashsalt"] = "same"
figure = Figure()
axes = figure.subplots()
(line,) = axes.plot([1, 2, 3], [1, 4, 2], color="r")
line.set(linewidth=3, alpha=0.5)
axes.set(xlabel="x", ylim=(0, 5))
drawn = io.StringIO()
FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None})
print(len(drawn.getvalue()), hash(drawn.getvalue()))
try:
    line.set(widthline=3)
except AttributeError as error:
    print(error)
"""


def used(how):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", USE, how],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={"PYTHONHASHSEED": "1", "PYTHONPATH": ":".join(sys.path)},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_results_and_drawings_are_the_same_without_the_docstrings():
    written, unwritten = used("written"), used("unwritten")
    assert written[:3] == ["True"] * 3
    assert unwritten[:3] == ["False"] * 3
    assert written[3:] == unwritten[3:]
    assert len(written) == 8


@pytest.mark.parametrize("change", [docstrings._change_scipy, docstrings._change_matplotlib])
def test_libraries_that_write_them_otherwise_stay_as_they_are(change):
    other = SimpleNamespace(Artist=type("Artist", (), {}))
    before = dict(vars(other))
    change(other)
    assert vars(other) == before


COMMAND = """
import sys
sys.argv = ["detectorist", "run", "coron", "--help"]
from detectorist.cli import main
try:
    main()
finally:
    import scipy.special
    print("Array API" in scipy.special.ndtr.__doc__)
"""


def test_the_command_leaves_them_unwritten():
    done = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.splitlines()[-1] == "False"
