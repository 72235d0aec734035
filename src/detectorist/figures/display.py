"""Show a figure: on screen in a notebook, as a file elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detectorist.atomic_files import whole_file
from detectorist.figures.powers import use_plain_powers
from detectorist.product_names import PICTURE_MARK


def show_or_write(figure: Figure, name: str, *, folder: str | None = None, path: str | None = None) -> Path | None:
    """Show `figure` in a notebook, or write it as a file.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    name : str
        File name used when no `path` is given.
    folder : str, optional
        Folder for `name`; the current one by default.
    path : str, optional
        Write here in any case.

    Returns
    -------
    pathlib.Path or None
        The file, or None when the figure was shown.

    Raises
    ------
    OutputError
        When the file cannot be written.
    """
    if path is None and in_notebook():
        from IPython.display import display

        display(figure)
        return None
    target = Path(path) if path is not None else Path(folder or ".") / name
    with whole_file(target) as partial:
        write_figure(figure, partial)
    return target


def write_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its file extension: the same bytes as `savefig`, which would draw it twice.

    A PNG file bears the mark by which we know it again.
    """
    use_plain_powers(figure)
    if path.suffix in (".png", ""):
        FigureCanvasAgg(figure).print_png(path, metadata={"Source": PICTURE_MARK})
    elif path.suffix == ".pdf":
        from matplotlib.backends.backend_pdf import FigureCanvasPdf  # takes long to load

        FigureCanvasPdf(figure).print_pdf(path)
    else:
        figure.savefig(path)


def in_notebook() -> bool:
    """Return whether figures can be shown inline."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
