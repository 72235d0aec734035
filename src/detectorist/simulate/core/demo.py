"""The demonstration of a mode: exposures with their truth, and the comparison of the results with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Demo:
    """Raw exposures, and the settings of their reduction.

    Attributes
    ----------
    files : sequence of Path
    references : Path
        Folder in CRDS's layout.
    settings : sequence of str
        "step.parameter=value".
    kept : sequence of str
        Suffixes of the FITS products that the report needs; others are deleted unless the user keeps everything. None:
        all are needed.
    """

    files: Sequence[Path]
    references: Path
    settings: Sequence[str] = ()
    kept: Sequence[str] | None = None


def rates_against_truth(rates: Sequence[Path], raw: Path) -> list[str]:
    """Compare rate images with their truths, which are stored beside the raw files."""
    from detectorist.product_names import stem_of
    from detectorist.simulate.core.image_comparison import compare_image

    pairs = ((rate, raw / f"{stem_of(rate)}_truth.nc") for rate in rates)
    return [line for rate, truth in pairs for line in (f"{rate.name}:", *compare_image(rate, truth).lines())]
