"""An image to show, and how: for a figure as for a page. Without matplotlib, which takes long to import."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from detectorist.figures.stretch import Stretch


@dataclass(frozen=True)
class Picture:
    """An image of an exposure.

    Attributes
    ----------
    image : ndarray of float, shape (ny, nx)
    label : str
        "name: what it shows"; the name stands on its button.
    stretch : Stretch
        The same for pictures that are compared.
    unit : str
    x_label, y_label : str
    block : int
        Pixels of the detector along a side of the squares that the pixels of `image` are averages of.
    """

    image: np.ndarray
    label: str
    stretch: Stretch
    unit: str = "DN/s"
    x_label: str = "column (pixel)"
    y_label: str = "row (pixel)"
    block: int = 1
