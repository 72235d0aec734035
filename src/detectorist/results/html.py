"""Results as HTML, for notebooks. Colours are those of the notebook."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup, escape

from detectorist.report.group import section_of
from detectorist.results.text import Shown, facts_of, products_of

#: Exposures in the table; of more, those that failed or raise concerns come first.
MOST = 30
_ROW = Markup(
    "<tr><td>{picture}</td><td style='text-align:left'><b>{name}</b><br>{facts}</td><td>{state}</td>"
    "<td style='text-align:left'>{merits}</td><td style='text-align:left'>{concerns}</td>"
    "<td style='text-align:left'>{products}</td></tr>"
)
_TABLE = Markup(
    "<table><caption style='text-align:left'>{caption}</caption><thead><tr><th></th><th>exposure</th><th>state</th>"
    "<th>figures of merit</th><th>concerns</th><th>products</th></tr></thead><tbody>{rows}</tbody></table>"
)


def as_html(results: Sequence[Shown], folder: Path) -> str:
    """Return a table with a row per exposure: picture, target, state, numbers, concerns, products."""
    shown = sorted(results, key=lambda one: (one.ok, not one.concerns)) if len(results) > MOST else results
    rows = Markup("").join(_row(result) for result in shown[:MOST])
    more = f"; {len(results) - MOST} more are not shown" if len(results) > MOST else ""
    return str(_TABLE.format(caption=f"Products in {folder}{more}", rows=rows))


def _row(result: Shown) -> Markup:
    return _ROW.format(
        picture=_picture(result),
        name=result.name,
        facts=", ".join(facts_of(result)),
        state=result.state if result.ok else Markup("<b>{}</b>").format(result.state),
        merits=_lines([f"{one['title']} {one['value']}{_judged(one['state'])}" for one in result.merits]),
        concerns=_lines(result.concerns if result.ok else [result.error]),
        products=_lines(products_of(result)),
    )


def _judged(state: str) -> str:
    return {"look": " (look)", "fine": " (fine)"}.get(state, "")


def _lines(lines: Sequence[str]) -> Markup:
    return Markup("<br>").join(escape(line) for line in lines)


def _picture(result: Shown) -> Markup:
    pixels = section_of(result.exposure.mode).thumbnail(result.exposure) if result.ok else None
    if pixels is None:
        return Markup("")
    return Markup("<img alt='' src='data:image/png;base64,{}'>").format(base64.b64encode(_png(pixels)).decode())


def _png(pixels: np.ndarray) -> bytes:
    from matplotlib.image import imsave

    buffer = io.BytesIO()
    imsave(buffer, pixels, format="png")
    return buffer.getvalue()
