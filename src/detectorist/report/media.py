"""Figures and images as parts of a page: inline, or as files beside it that are loaded when they come into view."""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from pathlib import Path
from weakref import WeakKeyDictionary

import matplotlib as mpl
import numpy as np
from markupsafe import Markup, escape
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from detectorist.atomic_files import writing
from detectorist.figures.powers import use_plain_powers
from detectorist.figures.style import COLOURS

#: A drawing larger than that is embedded as pixels, and one whose images have more pixels: it would be larger.
MOST_SVG_BYTES, MOST_SVG_PIX = 250_000, 100_000
#: A picture larger than that, uncompressed, is written as JPEG of that quality.
MOST_PNG_BYTES = 60_000
JPEG_QUALITY = 85

_ID = re.compile(r'\bid="([^"]+)"')
_URL = re.compile(r"url\(#([^)]+)\)")
_LINK = re.compile(r'xlink:href="#([^"]+)"')
_HEAD = re.compile(r"^.*?(?=<svg)", re.DOTALL)
_METADATA = re.compile(r"<metadata>.*?</metadata>", re.DOTALL)
_STYLE = re.compile(r"<defs>\s*<style[^>]*>.*?</style>\s*</defs>", re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_SIZE = re.compile(r'<svg[^>]*?viewBox="([^"]+)"[^>]*>')


class Media:
    """Turns figures and images into markup.

    Parameters
    ----------
    assets : Path, optional
        Folder for files beside the page; None puts everything into the page.
    """

    def __init__(self, assets: Path | None = None):
        self._assets = assets
        self._count = 0
        self._drawn: WeakKeyDictionary[Figure, str] = WeakKeyDictionary()  # a figure may be shown twice

    def figure(self, figure: Figure, *, name: str, label: str) -> Markup:
        """Return a figure as markup.

        name : str
            For the file, if there is one: unique in the report.
        label : str
            Description for screen readers.
        """
        use_plain_powers(figure)
        if self._assets is not None:
            return self._file(_png(figure), name, label, figure.get_size_inches() * figure.dpi)
        if _image_pixels(figure) > MOST_SVG_PIX:
            return self._inline(_png(figure), label, figure.get_size_inches() * figure.dpi)
        drawn = self._svg(figure, label)
        if len(drawn) <= MOST_SVG_BYTES:
            return Markup(drawn)
        return self._inline(_png(figure), label, figure.get_size_inches() * figure.dpi)

    def image(self, pixels: np.ndarray, *, name: str, label: str, css: str = "") -> Markup:
        """Return an image, uint8 of shape (ny, nx, 3), first row on top, as markup."""
        from PIL import Image

        buffer = io.BytesIO()
        # Noise does not compress: large pictures would fill the page.
        kind = "png" if pixels.size <= MOST_PNG_BYTES else "jpeg"
        Image.fromarray(pixels).save(buffer, kind, **({"quality": JPEG_QUALITY} if kind == "jpeg" else {}))
        size = (pixels.shape[1], pixels.shape[0])
        if self._assets is not None:
            return self._file(buffer.getvalue(), name, label, size, css, kind)
        return self._inline(buffer.getvalue(), label, size, css, kind)

    def copy(self, path: Path, *, name: str, label: str) -> Markup:
        """Return a PNG that exists already as markup."""
        from PIL import Image

        content = path.read_bytes()
        with Image.open(io.BytesIO(content)) as image:
            size = image.size
        if self._assets is not None:
            return self._file(content, name, label, size)
        return self._inline(content, label, size)

    def _inline(self, content: bytes, label: str, size, css: str = "", kind: str = "png") -> Markup:
        return _img(f"data:image/{kind};base64,{base64.b64encode(content).decode()}", label, size, css)

    def _file(self, content: bytes, name: str, label: str, size, css: str = "", kind: str = "png") -> Markup:
        assert self._assets is not None
        file = re.sub(r"[^A-Za-z0-9._-]", "_", name) + "." + kind
        # Not through a temporary name: the page that needs it is written whole, and after it.
        with writing(self._assets / file):
            self._assets.mkdir(exist_ok=True)
            (self._assets / file).write_bytes(content)
        return _img(f"{self._assets.name}/{file}", label, size, css)

    def _svg(self, figure: Figure, label: str) -> str:
        """Return a figure as SVG that takes colours and font of the page; ids are made unique."""
        self._count += 1
        prefix = f"f{self._count}-"
        if figure not in self._drawn:
            with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": prefix}):
                self._drawn[figure] = draw_svg(figure)
        text = self._drawn[figure]
        for pattern in (_HEAD, _METADATA, _STYLE, _COMMENT):
            text = pattern.sub("", text, count=0 if pattern is _COMMENT else 1)
        text = _ID.sub(_Unique(prefix), text)
        text = _URL.sub(rf"url(#{prefix}\1)", text)
        text = _LINK.sub(rf'href="#{prefix}\1"', text).replace("xlink:href", "href")
        text = text.replace("#000000", "currentColor").replace("#ffffff", "var(--card)")  # frames of legends
        # The page lightens the first colour of the series where it is dark.
        text = text.replace(COLOURS[0].lower(), "var(--series)")
        return _SIZE.sub(
            lambda found: (
                f'<svg role="img" aria-label="{escape(label)}" viewBox="{found[1]}" '
                f'style="max-width:{_width(found[1])}px" xmlns="http://www.w3.org/2000/svg">'
            ),
            text,
            count=1,
        )


class _Unique:
    """Puts a prefix before ids, and a number after those that come again: panels that are equal have equal ids."""

    def __init__(self, prefix: str):
        self._prefix, self._count = prefix, Counter[str]()

    def __call__(self, found: re.Match[str]) -> str:
        self._count[found[1]] += 1
        again = self._count[found[1]]
        return f'id="{self._prefix}{found[1]}"' if again == 1 else f'id="{self._prefix}{found[1]}-{again}"'


def draw_svg(figure: Figure) -> str:
    """Return a figure as SVG, byte for byte as `savefig(transparent=True)`, which would draw it twice.

    The figure becomes transparent.
    """
    for patch in (figure.patch, *(axis.patch for axis in figure.axes)):
        patch.set(facecolor="none", edgecolor="none")
    buffer, dpi = io.StringIO(), figure.dpi
    try:
        FigureCanvasSVG(figure).print_svg(buffer, metadata={"Date": None})
    finally:
        figure.dpi = dpi  # a drawing has 72
    return buffer.getvalue()


def _width(box: str) -> int:
    """Return the width in CSS pixels of a drawing whose box is in points."""
    return round(float(box.split()[2]) * 96 / 72 * 1.1)


def _image_pixels(figure: Figure) -> int:
    """Return how many pixels all images of a figure have."""
    return sum(np.size(image.get_array()) for axes in figure.axes for image in axes.images)


def _png(figure: Figure) -> bytes:
    """Return a figure as PNG: the same bytes as `savefig`, which would draw it twice."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_png(buffer)
    return buffer.getvalue()


def _img(source: str, label: str, size, css: str) -> Markup:
    width, height = (round(float(value)) for value in size)
    return Markup('<img src="{}" alt="{}" width="{}" height="{}" loading="lazy"{}>').format(
        source, label, width, height, Markup(' class="{}"').format(css) if css else ""
    )
