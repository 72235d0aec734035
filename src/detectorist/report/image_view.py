"""An image with axes and a colour bar as one drawing of the page: its text takes the colours of the page."""

from __future__ import annotations

import base64
import io
import json
import zlib
from collections.abc import Iterator

import numpy as np
from markupsafe import Markup, escape

from detectorist.figures.stretch import Stretch, shrink
from detectorist.modes.section import Picture

#: Widths (CSS pixel) of a drawing, of the margins for labels, and of the colour bar.
WIDTH, LEFT, RIGHT, TOP, BOTTOM, BAR, GAP = 640, 68, 92, 8, 44, 14, 10
#: Length of a tick, and steps between ticks of the axes.
TICK, STEPS = 5, (1, 2, 5, 10, 20, 50, 100, 200, 250, 500)


def draw(picture: Picture, *, largest_pix: int) -> Markup:
    """Return a picture as SVG: pixels as a PNG with a palette, axes in pixels of the detector, a colour bar.

    The data for showing values under the cursor are in `data-view`.
    """
    small = shrink(np.asarray(picture.image), largest_pix).astype(float)
    # Blocks that do not fill the last row or column are left out: the drawing covers what it shows.
    block = picture.block * max(-(-max(picture.image.shape) // largest_pix), 1)
    rows, columns = small.shape[0] * block, small.shape[1] * block
    width = WIDTH - LEFT - RIGHT
    height = round(width * rows / columns)
    box = (LEFT, TOP, width, height)
    parts = [
        _pixels(picture.stretch, picture.stretch.indexes(small)[::-1], box),
        *_frame(box),
        *_axes(box, columns, rows, picture),
        *_bar(picture, (LEFT + width + GAP, TOP, BAR, height)),
    ]
    view = {
        "box": box,
        "shape": [rows, columns],
        "block": block,
        "unit": picture.unit,
        "values": [float(f"{value:.4g}") for value in _values(picture.stretch)],
        "palette": picture.stretch.palette().tolist(),
    }
    return Markup(
        '<svg class="view" role="img" aria-label="{}" viewBox="0 0 {} {}" data-view="{}" '
        'xmlns="http://www.w3.org/2000/svg">{}</svg>'
    ).format(
        picture.label, WIDTH, TOP + height + BOTTOM, json.dumps(view, separators=(",", ":")), Markup("".join(parts))
    )


def _values(stretch: Stretch) -> np.ndarray:
    """Return the value that each colour stands for."""
    return stretch.unbend(np.linspace(*stretch.bend(np.array([stretch.low, stretch.high])), 255))


def _pixels(stretch: Stretch, indexes: np.ndarray, box: tuple[int, int, int, int]) -> str:
    x, y, width, height = box
    return (
        f'<image x="{x}" y="{y}" width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="data:image/png;base64,{_png(stretch, indexes)}"/>'
    )


def _png(stretch: Stretch, indexes: np.ndarray) -> str:
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(indexes), "P")
    image.putpalette(stretch.palette().tobytes())
    buffer = io.BytesIO()
    # Noise repeats in runs of equal pixels at most: looking for more takes four to seven times as long.
    image.save(buffer, "png", compress_type=zlib.Z_RLE)
    return base64.b64encode(buffer.getvalue()).decode()


def _frame(box: tuple[int, int, int, int]) -> Iterator[str]:
    x, y, width, height = box
    yield f'<rect x="{x}" y="{y}" width="{width}" height="{height}" fill="none" stroke="currentColor"/>'


def _axes(box: tuple[int, int, int, int], columns: int, rows: int, picture: Picture) -> Iterator[str]:
    x, y, width, height = box
    for value, place in _ticks(columns, width):
        yield _line(x + place, y + height, x + place, y + height + TICK)
        yield _text(x + place, y + height + TICK + 13, f"{value:g}", "middle")
    for value, place in _ticks(rows, height):
        yield _line(x - TICK, y + height - place, x, y + height - place)
        yield _text(x - TICK - 3, y + height - place + 4, f"{value:g}", "end")
    yield _text(x + width / 2, y + height + BOTTOM - 6, picture.x_label, "middle")
    middle = y + height / 2
    yield _text(12, middle, picture.y_label, "middle", turned=True)


def _ticks(n: int, length: int) -> Iterator[tuple[int, float]]:
    """Yield (pixel, place along the axis) of round pixels, about one for 80 CSS pixels."""
    step = next((one for one in STEPS if n / one * 80 <= max(length, 81)), STEPS[-1])
    for value in range(0, n, step):
        yield value, (value + 0.5) / n * length


def _bar(picture: Picture, box: tuple[int, int, int, int]) -> Iterator[str]:
    x, y, width, height = box
    yield _pixels(picture.stretch, np.arange(254, -1, -1, dtype=np.uint8)[:, None], box)
    yield from _frame(box)
    for value in picture.stretch.ticks():
        place = y + height * (1 - float(picture.stretch.scale(np.array([value]))[0]))
        yield _line(x + width, place, x + width + TICK, place)
        yield _text(x + width + TICK + 3, place + 4, f"{value:.3g}", "start")
    yield _text(WIDTH - 6, y + height / 2, picture.unit, "middle", turned=True)


def _line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="currentColor"/>'


def _text(x: float, y: float, words: str, anchor: str, *, turned: bool = False) -> str:
    turn = f' transform="rotate(-90 {x:.1f} {y:.1f})"' if turned else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{turn}>{escape(words)}</text>'
