"""NIRCam exposures from raw ramps to corrected rates, against the truth of their simulation."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from measure import robust_std
from validated import Figure

if TYPE_CHECKING:
    from detectorist.simulate.imaging.scene import ImagingScene

#: Light of stars and galaxies below which a pixel is sky, and above which it is theirs, DN/s of a full frame.
SKY_BELOW, LIGHT_ABOVE = 0.005, 0.1
#: Pixels from which an exposure is judged alone: its bias and its width are then known to 0.02. In a small frame
#: sources often have a few hundred: such exposures are judged together.
LEAST_PIXELS = 3_000
#: A detector that shows no wisps. The simulator's wisps shrink with the frame, its galaxies do not: in a small frame
#: one may lie under a galaxy altogether, where nothing tells how strong it is.
WITHOUT_WISPS = "NRCB1"


@dataclass(frozen=True)
class Frame:
    """A kind of frame that is simulated.

    detector : dict, parameters of the simulated detector.
    groups : int
    left_out : names of components.
    brighter : factor on all light and on the drifts of columns.
    seeds : range, of the exposures.
    """

    detector: dict
    groups: int
    seeds: range
    left_out: tuple[str, ...] = ()
    brighter: float = 1.0

    def scene(self) -> ImagingScene:
        """Return the scene of its exposures."""
        from detectorist.simulate.imaging.scene import ImagingScene

        scene = ImagingScene().with_detector(**self.detector).without(*self.left_out)
        changed = {
            "sky": ("level_dn_s",),
            "stars": ("min_dn_s", "max_dn_s"),
            "galaxies": ("min_dn_s", "max_dn_s", "large_peak_dn_s"),
            "columns": ("rms_dn_s",),
        }
        for part, names in changed.items():
            values = {name: np.multiply(getattr(getattr(scene, part), name), self.brighter) for name in names}
            scene = scene.with_(part, **{name: value.tolist() for name, value in values.items()})
        return scene


#: The small frame of four outputs stands for a full frame at a sixteenth of the cost: as many electrons per group and
#: as many groups, which set the noise, the weights and the errors of the ramp fit, from groups of 14 s instead of 107;
#: and outputs that do not drift, which reference pixels would tell.
FRAMES = {
    "512 x 512 of four outputs": Frame(
        {"name": WITHOUT_WISPS, "size": 512, "outputs": 4, "pattern": "DEEP8"}, 9, range(1, 9), ("drift",), 7.5
    ),
    # What is hard: 9 electrons a group, for which the standard ramp fit states too small errors, and hidden wisps.
    "512 x 512, shallow, with wisps": Frame(
        {"size": 512, "outputs": 4, "pattern": "DEEP8"}, 12, range(1, 4), ("drift",)
    ),
    "SUB320": Frame({"name": WITHOUT_WISPS, "subarray": "SUB320", "pattern": "BRIGHT1"}, 10, range(1, 17)),
    "full frame": Frame({}, 9, range(1, 4)),
}


@dataclass(frozen=True)
class Compared:
    """(measured - true) / error of the unflagged pixels of an exposure that are sky, and that are sources'.

    kept : noise that no image without reference pixels can tell from sky, in units of a pixel's error.
    """

    sky: np.ndarray
    light: np.ndarray
    kept: float


def reduce_and_compare(frame: Frame, seed: int) -> Compared:
    """Simulate an exposure, run the imaging pipeline on it and compare its rate with the truth."""
    import xarray as xr
    from astropy.io import fits

    from detectorist.modes.imaging.command import template_setting
    from detectorist.modes.imaging.reduction import reduce_exposure
    from detectorist.reduction.runner import Request

    with tempfile.TemporaryDirectory() as folder:
        raw, out = Path(folder) / "raw", Path(folder) / "out"
        paths = frame.scene().write(raw, groups=frame.groups, seed=seed)
        settings = [template_setting(raw / "wisps")] if (raw / "wisps").is_dir() else []
        rate = reduce_exposure(Request(paths, out, settings=settings, references=str(raw / "crds"))).rate
        data, err, dq = (fits.getdata(rate, name) for name in ("SCI", "ERR", "DQ"))
        with xr.open_dataset(paths[0].with_name(paths[0].name.replace("uncal.fits", "truth.nc"))) as opened:
            truth = opened.load()
    return compare(data, err, dq, truth, frame.brighter)


def compare(data: np.ndarray, err: np.ndarray, dq: np.ndarray, truth, brighter: float = 1.0) -> Compared:
    """Compare a rate with the truth, outside flagged pixels. The level of the noise is kept where nothing tells it."""
    from detectorist.algorithms.dq import REFERENCE_PIXEL

    light = (truth.light - truth.wisp).values * truth.flat.values
    reference = (truth.bad_pixels.values & REFERENCE_PIXEL).any()
    kept = 0.0 if reference else float(truth.stripes.values.mean() + truth.levels.values.mean())
    good = (dq == 0) & (err > 0)
    sources = truth.sources.values / brighter
    pull = np.where(good, (data - light - kept) / np.where(good, err, 1), np.nan)
    sky, lit = good & (sources < SKY_BELOW), good & (sources > LIGHT_ABOVE)
    return Compared(pull[sky], pull[lit], kept / float(np.median(err[good])))


def worst(pulls: list[np.ndarray], measure: Callable[[np.ndarray], float], ideal: float) -> float:
    """Return what is farthest from ideal: of each exposure with enough pixels, and of the others together."""
    judged = [one for one in pulls if one.size >= LEAST_PIXELS]
    others = np.concatenate([np.zeros(0), *(one for one in pulls if one.size < LEAST_PIXELS)])
    if others.size >= LEAST_PIXELS or not judged:
        judged.append(others)
    return float(max((measure(one) for one in judged), key=lambda value: abs(value - ideal)))


def whole_figures(frames: dict[str, Frame] = FRAMES) -> Iterator[Figure]:
    """Yield biases and pulls of whole reductions: the worst of several exposures."""
    for name, frame in frames.items():
        found = [reduce_and_compare(frame, seed) for seed in frame.seeds]
        for part, of in (("sky", "sky"), ("light", "stars and galaxies")):
            pulls = [getattr(one, part) for one in found]
            bias, width = worst(pulls, np.median, 0), worst(pulls, robust_std, 1)
            yield Figure("end_to_end", f"{name}, {of}: bias of a pixel, sigma", bias, "≤ 0.1", "{:+.3f}")
            yield Figure("end_to_end", f"{name}, {of}: pull width", width, "0.95–1.05", "{:.3f}")
