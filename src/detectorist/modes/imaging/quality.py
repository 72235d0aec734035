"""Figures of merit of a NIRCam image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def summarise(steps: Mapping[str, Any]) -> list[str]:
    """Return a few lines on an image, from what its steps recorded."""
    events, wisp, stripes = (steps.get(name, {}) for name in ("snowballs", "wisps", "stripes"))
    parts = []
    if events.get("n_events") is not None:
        parts.append(f"{events['n_events']} snowballs")
    if wisp.get("scale") and wisp.get("scale_error"):
        parts.append(f"wisp {wisp['scale'][0]:.3f} +- {wisp['scale_error'][0]:.3f} of its template")
    if stripes.get("stripes_rms") is not None:
        parts.append(f"1/f noise of {stripes['stripes_rms']:.4f} DN/s rms removed")
    return ["; ".join(parts)] if parts else []
