"""How often the report asks for eyes: on simulated exposures with nothing the matter, and on broken ones.

    python benchmarks/validation.py concerns --end-to-end 12      # clean exposures of each mode; a third of it broken

Every exposure goes through the pipeline of its mode, and the limits are applied to the numbers that it recorded.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from detectorist.report.concerns import Check
from detectorist.report.gather import Exposure, gather
from detectorist.report.sections import load_sections
from validated import Rows

#: One broken exposure for so many clean ones.
BROKEN_SHARE = 3


@dataclass(frozen=True)
class Fault:
    """Something that is the matter with an exposure or its reduction.

    Attributes
    ----------
    key : str
        The number that should tell it.
    low : bool
        Whether it tells it by being too small.
    settings : tuple of str
        As for `--set`.
    scene : callable
        Takes a scene and returns the broken one.
    raw : callable
        Changes the folder of raw files.
    """

    key: str
    low: bool = False
    settings: tuple[str, ...] = ()
    scene: Callable[[Any], Any] = lambda scene: scene
    raw: Callable[[Path], None] = lambda folder: None


def lrs_exposure(folder: Path, seed: int, fault: Fault | None) -> Exposure:
    """Simulate and reduce a time series of 24 integrations without a transit."""
    from detectorist.pipelines.reduction import Request, reduce_lrs
    from detectorist.simulate.builder import LrsScene

    scene = LrsScene().without("transit")
    scene = fault.scene(scene) if fault else scene
    files = scene.write(folder / "raw", ints=24, groups=14, segments=1, seed=seed)
    settings = fault.settings if fault else ()
    reduce_lrs(
        Request(files, folder / "out", recipe="best", references=str(folder / "raw" / "crds"), settings=settings)
    )
    return gather(folder / "out").exposures[0]


def imaging_exposure(folder: Path, seed: int, fault: Fault | None) -> Exposure:
    """Simulate and reduce a quarter of a frame read through four outputs."""
    from detectorist.pipelines.imaging_reduction import ImagingRequest, reduce_imaging
    from detectorist.simulate.imaging import ImagingScene

    scene = ImagingScene().with_detector(size=512, outputs=4)
    scene = fault.scene(scene) if fault else scene
    raw = folder / "raw"
    files = scene.write(raw, groups=6, seed=seed)
    if fault:
        fault.raw(raw)
    settings = tuple(one.format(raw=raw) for one in fault.settings) if fault else ()
    request = ImagingRequest(
        files, folder / "out", references=str(raw / "crds"), settings=settings, wisp_templates=raw / "wisps"
    )
    reduce_imaging(request)
    return gather(folder / "out").exposures[0]


def move_templates(raw: Path) -> None:
    """Move the wisp templates by 24 pixels along both axes: those of another pointing of the optics."""
    for path in (raw / "wisps").glob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            for hdu in hdus:
                if hdu.data is not None and hdu.data.ndim == 2:
                    hdu.data = np.roll(hdu.data, (24, 24), axis=(0, 1))


def write_empty_mask(raw: Path) -> None:
    """Write a mask that says there are no sources."""
    fits.PrimaryHDU(np.zeros((512, 512), np.uint8)).writeto(raw / "nothing.fits")


MODES: dict[str, Callable[[Path, int, Fault | None], Exposure]] = {"lrs": lrs_exposure, "imaging": imaging_exposure}
FAULTS: dict[str, dict[str, Fault]] = {
    "lrs": {
        "gain twice too large": Fault("pull_width", settings=("set_custom_gain.gain_value=6.2",)),
        "gain half of what it is": Fault("pull_width", low=True, settings=("set_custom_gain.gain_value=1.55",)),
        "starlight taken for outliers (threshold 2)": Fault(
            "replaced_pct", settings=("clean_outliers.outlier_threshold=2.0",)
        ),
        "star 25 times too bright": Fault("saturated_pct", scene=lambda scene: scene.with_("star", mag=5.5)),
        "pointing that moves by 0.1 pixel": Fault(
            "motion_pix", scene=lambda scene: scene.with_("jitter", x_flicker_pix=0.1, y_flicker_pix=0.1)
        ),
    },
    "imaging": {
        "wisp template out of place": Fault("wisp_left", raw=move_templates),
        "galaxies not masked, stripes by medians": Fault(
            "row_ratio",
            settings=("stripes.mask_file={raw}/nothing.fits", "stripes.method=median"),
            raw=write_empty_mask,
            scene=lambda scene: scene.with_("galaxies", large_per_frame=100.0),
        ),
        "1/f noise five times as strong": Fault(
            "stripes_over_white", scene=lambda scene: scene.with_("flicker", common_e=15.0, own_e=5.0)
        ),
        "three hundred times as many snowballs": Fault(
            "flagged_pct", scene=lambda scene: scene.with_("snowballs", per_s=16.0)
        ),
        "a field full of large galaxies": Fault(
            "masked_pct", scene=lambda scene: scene.with_("galaxies", large_per_frame=600.0)
        ),
    },
}


def numbers_of(mode: str, seed: int, fault: Fault | None = None) -> dict[str, float]:
    """Return the numbers that the report has of one exposure."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        exposure = MODES[mode](Path(folder), seed, fault)
    load_sections(mode).complete(exposure)
    return {key: float(value) for key, value in exposure.numbers.items() if isinstance(value, int | float)}


@dataclass
class Tally:
    """What one limit did."""

    check: Check
    values: list[float] = field(default_factory=list)

    @property
    def alarms(self) -> int:
        """Clean exposures beyond the limit."""
        return sum(self.check.apply(value) is not None for value in self.values)

    @property
    def margin_sigma(self) -> float:
        """How many standard deviations of the clean exposures lie between their mean and the limit."""
        limit = self.check.high if self.check.high is not None else self.check.low
        spread = float(np.std(self.values, ddof=1)) if len(self.values) > 1 else 0.0
        return abs(limit - float(np.mean(self.values))) / spread if spread > 0 else float("inf")


def describe(check: Check) -> str:
    """Return a limit in words."""
    return f"`{check.key}` > {check.high:g}" if check.high is not None else f"`{check.key}` < {check.low:g}"


def clean(mode: str, n_seeds: int) -> Iterator[Tally]:
    """Yield what each limit of a mode did on clean exposures."""
    every = [numbers_of(mode, seed) for seed in range(101, 101 + n_seeds)]
    for check in load_sections(mode).checks:
        yield Tally(check, [numbers[check.key] for numbers in every if check.key in numbers])


def end_to_end(rows: Rows, n_seeds: int, n_ints: int) -> None:
    """Measure alarms on clean exposures and on broken ones."""
    for mode in MODES:
        scene = f"{n_seeds} clean exposures"
        for tally in clean(mode, n_seeds):
            if not tally.values:
                continue
            name = describe(tally.check)
            rows.add(scene, f"{mode}_clean", f"{name}: alarms", "{:.0f}", "0", tally.alarms)
            rows.add(scene, f"{mode}_clean", f"{name}: mean of the clean", "{:.3g}", "", np.mean(tally.values))
            if np.isfinite(tally.margin_sigma):
                rows.add(scene, f"{mode}_clean", f"{name}: limit away, sigma", "{:.1f}", "≥ 4", tally.margin_sigma)
        n_broken = max(n_seeds // BROKEN_SHARE, 2)
        for what, fault in FAULTS[mode].items():
            (check,) = (
                one for one in load_sections(mode).checks if one.key == fault.key and (one.low is not None) == fault.low
            )
            values = [numbers_of(mode, seed, fault).get(fault.key, float("nan")) for seed in range(301, 301 + n_broken)]
            found = sum(check.apply(value) is not None for value in values if np.isfinite(value))
            scene = f"{n_broken} broken ones"
            name = f"{what}: {describe(check)}"
            rows.add(scene, f"{mode}_broken", f"{name}: found", "{:.0%}", "≥ 90 %", found / n_broken)
            rows.add(scene, f"{mode}_broken", f"{name}: its median", "{:.3g}", "", np.nanmedian(values))
