"""A transit observed with MIRI LRS, for the demonstration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from detectorist.simulate.core.demo import Demo
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.lrs.scene import LrsScene

TITLE = "MIRI LRS: a transit"
INTEGRATIONS, GROUPS = 80, 20


def simulate(raw: Path, *, seed: int, progress: Progress) -> Demo:
    """Simulate the exposure in two segments."""
    files = LrsScene().write(
        raw, ints=INTEGRATIONS, groups=GROUPS, segments=2, seed=seed, overwrite=True, progress=progress
    )
    return Demo(files, raw / "crds")


def compare(products: Sequence[Path], raw: Path) -> list[str]:
    """Return how far the spectra are from the truth, and draw both."""
    import xarray as xr

    from detectorist.simulate.lrs.comparison import compare_lrs, draw_comparison

    spectra = next(path for path in products if path.name == "stage_2_output.nc")
    with xr.open_dataset(spectra, engine="h5netcdf") as dataset:
        comparison = compare_lrs(dataset.load(), raw / "truth.nc")
    figure = draw_comparison(comparison, spectra.parents[1] / "figures" / "transit.png")
    return [*comparison.lines(), f"light curves and transit spectrum: {figure}"]
