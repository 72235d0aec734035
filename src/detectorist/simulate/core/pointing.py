"""The pointing of the telescope from integration to integration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from detectorist.simulate.core.components import Jitter
from detectorist.simulate.core.random_streams import one_over_f, stream


@dataclass(frozen=True)
class Pointing:
    """Offsets of the star, shape (n_ints,), pixel, toward higher columns (x) and rows (y)."""

    x_pix: np.ndarray
    y_pix: np.ndarray


def draw_pointing(jitter: Jitter | None, n_ints: int, seed: int) -> Pointing:
    """Draw the pointing of an exposure; without jitter it is 0."""
    if jitter is None:
        return Pointing(np.zeros(n_ints), np.zeros(n_ints))
    rng = stream(seed, "jitter")
    x = jitter.x_flicker_pix * one_over_f(n_ints, rng) + jitter.x_white_pix * rng.normal(size=n_ints)
    y = jitter.y_flicker_pix * one_over_f(n_ints, rng) + jitter.y_white_pix * rng.normal(size=n_ints)
    return Pointing(x, y)
