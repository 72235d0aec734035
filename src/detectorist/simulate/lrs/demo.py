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
    """Compare the spectra with the truth, and draw both."""
    import xarray as xr

    from detectorist.simulate.lrs.comparison import compare_lrs, draw_comparison

    spectra = next(path for path in products if path.name == "stage_2_output.nc")
    with xr.open_dataset(spectra, engine="h5netcdf") as dataset:
        comparison = compare_lrs(dataset.load(), raw / "truth.nc")
    figure = draw_comparison(comparison, spectra.parents[1] / "figures" / "transit.png")
    return [*comparison.lines(), f"light curves and transit spectrum: {figure}"]


def truths(exposure: str, raw: Path) -> dict[str, float]:
    """Return the true values of figures of merit of the exposure."""
    import numpy as np
    import xarray as xr

    from detectorist.algorithms.spectra.light_curves import USEFUL_UM
    from detectorist.simulate.lrs.comparison import expected_scatter

    with xr.open_dataset(raw / "truth.nc", engine="h5netcdf") as opened:
        truth = opened.load()
    um, spectrum = truth["wavelength"].values, truth["spectrum"].values[0]
    useful = (um >= USEFUL_UM[0]) & (um <= USEFUL_UM[1])
    motion = [float(np.std(truth[name].values)) for name in ("x_shift", "y_shift")]
    return {
        "white_scatter_ppm": 1e6 * expected_scatter(truth, useful),
        "white_ratio": 1.0,
        "pull_width": 1.0,
        "red_ratio": 1.0,
        "depth_pct": 100 * float(np.average(truth["depth"].values[useful], weights=spectrum[useful])),
        "motion_pix": float(np.hypot(*motion)),
    }
