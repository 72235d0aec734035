"""How often the report raises a concern: on simulated exposures with nothing the matter, and on broken ones.

    python benchmarks/validation.py concerns --end-to-end 8   # clean exposures of each mode, twice; a third are broken

Every exposure goes through the pipeline of its mode, and the limits are applied to the numbers that it recorded. The
limits were chosen with clean exposures of some seeds (`SET_ON`) and with broken ones of seeds that are not used here;
alarms and faults found are counted on others, too (`CHECKED_ON`, `BROKEN`).
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits

from detectorist.campaign.api import reduce
from detectorist.modes import load_mode
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check
from detectorist.report.gather import gather
from validated import Rows

#: One broken exposure for so many clean ones.
BROKEN_SHARE = 3
#: First seeds: of the clean exposures that the limits were chosen with, of clean ones and broken ones to check them.
SET_ON, CHECKED_ON, BROKEN = 101, 201, 501
#: The integration that raw files are changed in.
CHANGED = 4


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
    from detectorist.simulate.lrs.scene import LrsScene

    scene = LrsScene().without("transit")
    scene = fault.scene(scene) if fault else scene
    files = scene.write(folder / "raw", ints=24, groups=14, segments=1, seed=seed)
    if fault:
        fault.raw(folder / "raw")
    settings = fault.settings if fault else ()
    reduce("lrs", files, folder / "out", references=folder / "raw" / "crds", settings=settings)
    return gather(folder / "out").exposures[0]


def imaging_exposure(folder: Path, seed: int, fault: Fault | None) -> Exposure:
    """Simulate and reduce a small frame read through four outputs.

    No galaxy is large: one alone may hide all of the wisp of a frame that small, which is one of the faults.
    """
    from detectorist.modes.imaging.command import template_setting
    from detectorist.simulate.imaging.scene import ImagingScene

    scene = ImagingScene().with_detector(size=512, outputs=4).with_("galaxies", large_per_frame=0.0)
    scene = fault.scene(scene) if fault else scene
    raw = folder / "raw"
    files = scene.write(raw, groups=6, seed=seed)
    if fault:
        fault.raw(raw)
    settings = tuple(one.format(raw=raw) for one in fault.settings) if fault else ()
    settings = (template_setting(raw / "wisps"), *settings)
    reduce("imaging", files, folder / "out", references=raw / "crds", settings=settings)
    return gather(folder / "out").exposures[0]


def coron_exposure(folder: Path, seed: int, fault: Fault | None, *, instrument: str) -> Exposure:
    """Simulate and reduce ten integrations of a target with its companion."""
    from detectorist.simulate.coron.scene import SCENES

    scene = fault.scene(SCENES[instrument]()) if fault else SCENES[instrument]()
    raw = folder / "raw"
    files = scene.write(raw, ints=10, rolls=1, dithers=0, backgrounds=False, seed=seed)
    if fault:
        fault.raw(raw)
    settings = ("rate_int_outliers=true", *(fault.settings if fault else ()))
    reduce("coron", files, folder / "out", references=raw / "crds", settings=settings)
    return gather(folder / "out").exposures[0]


def move_templates(raw: Path) -> None:
    """Move the wisp templates by 24 pixels along both axes: those of another pointing of the optics."""
    for path in (raw / "wisps").glob("*.fits"):
        with fits.open(path, mode="update") as hdus:
            for hdu in hdus:
                if hdu.data is not None and hdu.data.ndim == 2:
                    hdu.data = np.roll(hdu.data, (24, 24), axis=(0, 1))


def gain_of(value: float) -> tuple[str, ...]:
    """Return settings that take this gain (electrons per DN) for that of the detector, 3.1."""
    return "set_custom_gain.skip=false", f"set_custom_gain.gain_value={value}"


def write_empty_mask(raw: Path) -> None:
    """Write a mask that says there are no sources."""
    fits.PrimaryHDU(np.zeros((512, 512), np.uint8)).writeto(raw / "nothing.fits")


def write_mask_of_wisp(raw: Path) -> None:
    """Write a mask over the three quarters of the frame that hold most of the wisp."""
    template = fits.getdata(sorted((raw / "wisps").glob("*.fits"))[0]).reshape(-1, 512, 512)[0]
    quarters = np.nan_to_num(template).reshape(4, 128, 4, 128).sum(axis=(1, 3))
    hidden = (quarters > np.sort(quarters, axis=None)[3]).astype(np.uint8)
    fits.PrimaryHDU(np.kron(hidden, np.ones((128, 128), np.uint8))).writeto(raw / "most.fits")


def change_ramps(change: Callable[[np.ndarray], np.ndarray]) -> Callable[[Path], None]:
    """Return what changes the ramps (n_ints, n_groups, ny, nx) of all raw files of a folder, as float."""

    def change_files(raw: Path) -> None:
        for path in raw.glob("*_uncal.fits"):
            with fits.open(path, mode="update") as hdus:
                changed = change(hdus["SCI"].data.astype(float))
                hdus["SCI"].data = np.clip(np.round(changed), 0, 65535).astype(np.uint16)

    return change_files


def vary_brightness(ramps: np.ndarray) -> np.ndarray:
    """Let the star vary by 0.4 % rms from integration to integration."""
    factor = 1 + 0.004 * np.random.default_rng(0).standard_normal(len(ramps))
    return ramps[:, :1] + (ramps - ramps[:, :1]) * factor[:, None, None, None]


def move_one(ramps: np.ndarray) -> np.ndarray:
    """Move the light of one integration by two pixels."""
    ramps[CHANGED] = np.roll(ramps[CHANGED], 2, axis=-1)
    return ramps


def brighten_one(ramps: np.ndarray) -> np.ndarray:
    """Make one integration brighter by half."""
    first = ramps[CHANGED, :1]
    ramps[CHANGED] = first + (ramps[CHANGED] - first) * 1.5
    return ramps


def saturate_one(ramps: np.ndarray) -> np.ndarray:
    """Saturate one integration altogether."""
    ramps[CHANGED] = 65535
    return ramps


def remove_times(raw: Path) -> None:
    """Remove the times of the integrations."""
    from stdatamodels.jwst.datamodels import Level1bModel

    for path in raw.glob("*_uncal.fits"):
        with Level1bModel(path) as model:
            untimed = model.copy()
        del untimed.int_times
        untimed.save(path)


def lose_reference_columns(ramps: np.ndarray) -> np.ndarray:
    """Saturate the reference pixels of one output."""
    ramps[..., 0] = 65535
    return ramps


MODES: dict[str, Callable[[Path, int, Fault | None], Exposure]] = {
    "lrs": lrs_exposure,
    "imaging": imaging_exposure,
    "coron_nircam": partial(coron_exposure, instrument="nircam"),
    "coron_miri": partial(coron_exposure, instrument="miri"),
}
#: Of coronagraphs of either instrument.
CORON_FAULTS = {
    "a star that saturates a good part of the frame": Fault(
        "unusable_pct", scene=lambda scene: scene.with_("star", brightness=30_000.0)
    ),
    "one integration two pixels off": Fault("integration_unlike", raw=change_ramps(move_one)),
    "one integration brighter by half": Fault("integration_unlike", raw=change_ramps(brighten_one)),
}
FAULTS: dict[str, dict[str, Fault]] = {
    "lrs": {
        "a star that varies by 0.4 %": Fault("white_ratio_at_least", raw=change_ramps(vary_brightness)),
        "gain four times too large": Fault("error_scale", settings=gain_of(12.4)),
        "gain a quarter of what it is": Fault("error_scale", low=True, settings=gain_of(0.775)),
        "starlight taken for outliers (threshold 2)": Fault(
            "replaced_pct", settings=("clean_outliers.outlier_threshold=2.0",)
        ),
        "star 25 times too bright": Fault("saturated_pct", scene=lambda scene: scene.with_("star", mag=5.5)),
        "pointing that moves by 0.1 pixel": Fault(
            "motion_pix", scene=lambda scene: scene.with_("jitter", x_flicker_pix=0.1, y_flicker_pix=0.1)
        ),
        "no times in the file": Fault("times_computed", raw=remove_times),
        "reference pixels of an output saturated": Fault(
            "reference_columns_lost", raw=change_ramps(lose_reference_columns)
        ),
    },
    "imaging": {
        "galaxies not masked, stripes by medians": Fault(
            "stripes_over_white",
            settings=("stripes.mask_file={raw}/nothing.fits", "stripes.method=median"),
            raw=write_empty_mask,
            scene=lambda scene: scene.with_("galaxies", large_per_frame=100.0),
        ),
        "a field full of large galaxies": Fault(
            "row_ratio", scene=lambda scene: scene.with_("galaxies", large_per_frame=600.0)
        ),
        "wisp template out of place": Fault("wisp_elsewhere_pix", raw=move_templates),
        "a mask over most of the wisp": Fault(
            "wisp_hidden_pct", settings=("wisps.mask_file={raw}/most.fits",), raw=write_mask_of_wisp
        ),
        "a wisp that hardly shows": Fault(
            "wisp_error_share", scene=lambda scene: scene.with_("wisps", strengths=(0.15, 0.15))
        ),
        "galaxies not masked": Fault(
            "stripes_over_groups",
            settings=("stripes.mask_file={raw}/nothing.fits",),
            raw=write_empty_mask,
            scene=lambda scene: scene.with_("galaxies", large_per_frame=100.0),
        ),
        "three hundred times as many snowballs": Fault(
            "flagged_pct", scene=lambda scene: scene.with_("snowballs", per_s=16.0)
        ),
        "a sky that saturates": Fault("saturated_pct", scene=lambda scene: scene.with_("sky", level_dn_s=1_200.0)),
    },
    "coron_nircam": {
        "one integration saturated": Fault("stripes_unmeasured", raw=change_ramps(saturate_one)),
        "one pixel of 33 with a delay (RC), taken for saturated": Fault(
            "ktc_unmeasured_pct",
            settings=("saturation.flag_rcsat=true",),
            scene=lambda scene: scene.with_("rc_pixels", fraction=0.03),
        ),
        **CORON_FAULTS,
    },
    "coron_miri": {
        **CORON_FAULTS,
        "pointing that moves by 0.2 pixel": Fault(
            "integration_unlike", scene=lambda scene: scene.with_("jitter", x_flicker_pix=0.2, y_flicker_pix=0.2)
        ),
    },
}


def sections_of(mode: str) -> Any:
    """Return what the report knows of a mode."""
    return load_mode(mode.partition("_")[0]).section()


def numbers_of(mode: str, seed: int, fault: Fault | None = None) -> dict[str, float]:
    """Return the numbers that the report has of one exposure."""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        exposure = MODES[mode](Path(folder), seed, fault)
    return {key: float(value) for key, value in exposure.numbers.items() if isinstance(value, int | float)}


@dataclass
class Tally:
    """What one limit did."""

    check: Check
    values: list[float] = field(default_factory=list)

    @property
    def alarms(self) -> int:
        """Exposures beyond the limit."""
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


def clean(mode: str, seeds: Sequence[int]) -> list[Tally]:
    """Return what each limit of a mode did on clean exposures; those without its number are left out."""
    every = [numbers_of(mode, seed) for seed in seeds]
    checks = [check for check in sections_of(mode).checks if (check.low, check.high) != (None, None)]
    tallies = [Tally(check, [numbers[check.key] for numbers in every if check.key in numbers]) for check in checks]
    return [tally for tally in tallies if tally.values]


def find(mode: str, fault: Fault, seeds: Sequence[int]) -> Tally:
    """Return what the limit that should tell a fault did; an exposure without its number has NaN, which is no alarm."""
    (check,) = (one for one in sections_of(mode).checks if one.key == fault.key and (one.low is not None) == fault.low)
    return Tally(check, [numbers_of(mode, seed, fault).get(fault.key, float("nan")) for seed in seeds])


def end_to_end(rows: Rows, n_seeds: int, n_ints: int) -> None:
    """Measure alarms on clean exposures and on broken ones."""
    n_broken = max(n_seeds // BROKEN_SHARE, 2)
    for mode in MODES:
        topic = f"{mode}_clean"
        for scene, first in ((f"{n_seeds} it was set on", SET_ON), (f"{n_seeds} others", CHECKED_ON)):
            for tally in clean(mode, range(first, first + n_seeds)):
                name = describe(tally.check)
                rows.add(scene, topic, f"{name}: alarms", "{:.0f}", "0", tally.alarms)
                rows.add(scene, topic, f"{name}: mean", "{:.3g}", "", np.mean(tally.values))
                if np.isfinite(tally.margin_sigma):
                    rows.add(scene, topic, f"{name}: limit away, sigma", "{:.1f}", "≥ 4", tally.margin_sigma)
        for what, fault in FAULTS[mode].items():
            tally = find(mode, fault, range(BROKEN, BROKEN + n_broken))
            scene, name = f"{n_broken} broken ones", f"{what}: {describe(tally.check)}"
            rows.add(scene, f"{mode}_broken", f"{name}: found", "{:.0%}", "≥ 90 %", tally.alarms / n_broken)
            rows.add(scene, f"{mode}_broken", f"{name}: its median", "{:.3g}", "", np.nanmedian(tally.values))
