"""Figures of merit of a NIRCam image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

#: A wisp is found from so many of its errors; one of any strength may hide where none of its light is seen.
FOUND_SIGMA, ANY_STRENGTH = 3.0, 99.0


def summarise(steps: Mapping[str, Any]) -> list[str]:
    """Return a few lines on an image, from what its steps recorded."""
    events, wisp, stripes = (steps.get(name, {}) for name in ("snowballs", "wisps", "stripes"))
    parts = []
    if events.get("n_events") is not None:
        parts.append(f"{events['n_events']} snowballs")
    if wisp.get("measured") is False:
        parts.append(f"wisp not measured: {least_strength_seen(wisp['scale_error']):.2f} of its template may be there")
    elif wisp.get("scale") and wisp.get("scale_error"):
        parts.append(f"wisp {wisp['scale'][0]:.3f} +- {wisp['scale_error'][0]:.3f} of its template")
    if stripes.get("stripes_rms") is not None:
        parts.append(f"1/f noise of {stripes['stripes_rms']:.4f} DN/s rms removed")
    return ["; ".join(parts)] if parts else []


def least_strength_seen(errors: Sequence[float]) -> float:
    """Return the strength of the weakest wisp that errors of the strengths let be found, the worst of several."""
    worst = FOUND_SIGMA * float(np.max(np.nan_to_num(np.asarray(errors, float), nan=np.inf)))
    return min(worst, ANY_STRENGTH)
