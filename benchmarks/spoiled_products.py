"""Products of good reductions, spoiled on purpose at the level of spectra, rates and integrations.

One reduction gives many cases that way. Each fault is drawn at random between the strength where it changes a result by
more than its stated errors and several times that; what the pipeline would have measured is measured again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5netcdf
import numpy as np
from astropy.io import fits
from scipy import ndimage

from detectorist.algorithms import dq
from detectorist.algorithms.images.residuals import measure_row_noise
from detectorist.algorithms.spectra.fixed_wavelengths import flux_of
from detectorist.algorithms.spectra.light_curves import sum_wavelengths
from detectorist.modes.coron.quality import measure as measure_coron
from detectorist.modes.imaging.quality import RateImage
from detectorist.modes.imaging.quality import measure as measure_imaging
from detectorist.modes.lrs.measurements import fit_white_light
from detectorist.modes.lrs.measurements import measure as measure_lrs
from detectorist.modes.lrs.spectra_variables import NO_FLUX, REPLACED, SATURATED

Records = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class LrsProducts:
    """Spectra through time and mean frames, as the files hold them, with the records of the steps."""

    spectra: dict[str, np.ndarray]
    frames: dict[str, np.ndarray]
    records: Records

    @classmethod
    def read(cls, folder: Path, name: str, records: Records) -> LrsProducts:
        """Read what a reduction left."""
        spectra, frames = (_arrays(folder / "stage_2" / file) for file in ("stage_2_output.nc", "frames.nc"))
        return cls(spectra, frames, records)

    def measure(self) -> dict[str, Any]:
        """Return the numbers of the exposure."""
        return measure_lrs(self.spectra, frames=self.frames, records=self.records)

    def with_flux(self, factor: np.ndarray) -> LrsProducts:
        """Return them with the flux of each integration, shape (n_ints,), multiplied."""
        return replace(self, spectra={**self.spectra, "flux": self.spectra["flux"] * factor[:, None]})

    @property
    def white_error(self) -> float:
        """Stated relative error of the white light."""
        names = ("wavelength", "flux", "flux_error")
        return float(np.median(sum_wavelengths(*(self.spectra[name] for name in names)).error))


@dataclass(frozen=True)
class ImagingProducts:
    """A corrected rate image with the records of the steps."""

    image: RateImage
    records: Records

    @classmethod
    def read(cls, folder: Path, name: str, records: Records) -> ImagingProducts:
        """Read what a reduction left."""
        data, error, flags = _rate(folder / f"{name}_rate.fits")
        with fits.open(folder / f"{name}_rate_1fmask.fits") as hdus:
            mask = next(hdu.data for hdu in hdus if hdu.data is not None) > 0
        return cls(RateImage(data, error, flags, mask), records)

    def measure(self) -> dict[str, Any]:
        """Return the numbers of the exposure; the rows are measured again, as the step of the stripes does."""
        unusable = dq.has(self.image.flags, dq.DO_NOT_USE | dq.REFERENCE_PIXEL)
        rows = measure_row_noise(self.image.data, unusable | self.image.sources)
        stripes = {**self.records.get("stripes", {}), "row_rms_after": rows.rms, "row_rms_white": rows.white}
        return measure_imaging(self.image, {**self.records, "stripes": stripes})

    def plus(self, light: np.ndarray) -> ImagingProducts:
        """Return them with something added to the image."""
        return replace(self, image=replace(self.image, data=self.image.data + light))

    def with_record(self, step: str, **numbers: Any) -> ImagingProducts:
        """Return them with other numbers recorded by a step."""
        return replace(self, records={**self.records, step: {**self.records.get(step, {}), **numbers}})

    @property
    def noise(self) -> float:
        """Median error of a pixel."""
        return float(np.nanmedian(self.image.error))


@dataclass(frozen=True)
class CoronProducts:
    """The integrations of an exposure with the records of the steps."""

    cube: np.ndarray
    error: np.ndarray
    flags: np.ndarray
    records: Records

    @classmethod
    def read(cls, folder: Path, name: str, records: Records) -> CoronProducts:
        """Read what a reduction left."""
        return cls(*_rate(folder / f"{name}_rateints.fits"), records)

    def measure(self) -> dict[str, Any]:
        """Return the numbers of the exposure."""
        usable = np.where(dq.has(self.flags, dq.DO_NOT_USE), np.nan, self.cube)
        some = np.isfinite(usable).any(axis=0)
        rate = np.full(some.shape, np.nan)
        rate[some] = np.nanmean(usable[:, some], axis=0)
        return measure_coron(rate, self.cube, self.error, self.flags, self.records)

    def with_one(self, change: Callable[[np.ndarray], np.ndarray], k: int) -> CoronProducts:
        """Return them with one integration changed."""
        cube = self.cube.copy()
        cube[k] = change(cube[k])
        return replace(self, cube=cube)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with h5netcdf.File(path, "r") as file:
        return {name: np.asarray(variable[...]) for name, variable in file.variables.items()}


def _rate(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with fits.open(path) as hdus:
        return hdus["SCI"].data.astype(float), hdus["ERR"].data.astype(float), hdus["DQ"].data.astype(np.uint32)


# ---------------------------------------------------------------- spectra through time
def share_noise(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Let all wavelengths share noise: the white light scatters 2 to 4 times its errors."""
    extra = found.white_error * np.sqrt(rng.uniform(2, 4) ** 2 - 1)
    return found.with_flux(1 + extra * rng.normal(size=len(found.spectra["flux"])))


def share_some_noise(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Let all wavelengths share noise: the white light scatters 1.6 to 2 times its errors."""
    extra = found.white_error * np.sqrt(rng.uniform(1.6, 2) ** 2 - 1)
    return found.with_flux(1 + extra * rng.normal(size=len(found.spectra["flux"])))


def share_slow_noise(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Let all wavelengths share noise that lasts for 6 integrations, 2 to 4 times the errors of the white light."""
    n = len(found.spectra["flux"])
    slow = np.convolve(rng.normal(size=n + 5), np.ones(6) / np.sqrt(6), "valid")
    return found.with_flux(1 + rng.uniform(2, 4) * found.white_error * slow)


def couple_to_motion(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Let the star move, more to one side during the transit, and lose 4 to 8 errors of the depth by it."""
    white = sum_wavelengths(found.spectra["wavelength"], flux_of(found.spectra), found.spectra["flux_error"])
    fit = fit_white_light(white, found.spectra)
    inside = fit.model < fit.baseline * (1 - 0.5 * fit.depth)
    step = 0.05 * inside + 0.02 * rng.normal(size=inside.size)
    moved = {**found.spectra, "x_shift": found.spectra["x_shift"] + step}
    return replace(found, spectra=moved).with_flux(1 - rng.uniform(4, 8) * fit.depth_error * step / 0.05)


def scale_errors(low: float, high: float) -> Callable[[LrsProducts, np.random.Generator], LrsProducts]:
    """Return what multiplies the stated errors by a factor between two."""

    def scale(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
        scaled = found.spectra["flux_error"] * rng.uniform(low, high)
        return replace(found, spectra={**found.spectra, "flux_error": scaled})

    return scale


def leave_hits(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Leave cosmic rays of 10 to 60 sigma in 0.2 to 1 % of the elements."""
    flux, error = found.spectra["flux"].copy(), found.spectra["flux_error"]
    hit = rng.random(flux.shape) < rng.uniform(0.002, 0.01)
    flux[hit] += rng.uniform(10, 60, size=hit.sum()) * error[hit]
    return replace(found, spectra={**found.spectra, "flux": flux})


def move_trace(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Move the trace 2 to 8 columns off the aperture."""
    by = int(rng.integers(2, 9)) * int(rng.choice([-1, 1]))
    moved = {name: np.roll(found.frames[name], by, axis=1) for name in ("raw", "clean")}
    return replace(found, frames={**found.frames, **moved})


def lose_star(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Replace the frames by background: the star was not on the detector."""
    empty = {name: rng.normal(size=found.frames[name].shape) for name in ("raw", "clean")}
    return replace(found, frames={**found.frames, **empty})


def tilt_background(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Raise the background right of the trace so that the star's light is off by 0.4 to 2 %."""
    aperture = next(part["aperture"] for part in _steps(found.records) if "aperture" in part)
    clean = found.frames["clean"].copy()
    star = np.nanmedian(clean[:, int(aperture[0]) : int(aperture[1]) + 1].sum(axis=1)[len(clean) // 2 :])
    clean[:, int(aperture[1]) + 4 :] += 2 * rng.uniform(0.004, 0.02) * star / (aperture[1] - aperture[0] + 1)
    return replace(found, frames={**found.frames, "clean": clean})


def lose_flux(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
    """Leave 1 to 5 % of the elements without flux."""
    lost = rng.random(found.spectra["flux"].shape) < rng.uniform(0.01, 0.05)
    quality = np.where(lost, found.spectra["quality"] | NO_FLUX, found.spectra["quality"])
    flux = np.where(lost, np.nan, found.spectra["flux"])
    return replace(found, spectra={**found.spectra, "flux": flux, "quality": quality})


def mark(bit: int, low: float, high: float) -> Callable[[LrsProducts, np.random.Generator], LrsProducts]:
    """Return what sets a bit of `quality` in a part of the elements between two."""

    def set_bit(found: LrsProducts, rng: np.random.Generator) -> LrsProducts:
        chosen = rng.random(found.spectra["quality"].shape) < rng.uniform(low, high)
        quality = np.where(chosen, found.spectra["quality"] | bit, found.spectra["quality"])
        return replace(found, spectra={**found.spectra, "quality": quality})

    return set_bit


def _steps(records: Records) -> list[Mapping[str, Any]]:
    return [step for part in records.values() for step in part.values() if isinstance(step, Mapping)]


# ---------------------------------------------------------------- images
def leave_stripes(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Leave 1/f noise in the rows: 1.2 to 4 times their white noise."""
    white = found.noise / np.sqrt(found.image.data.shape[1])
    return found.plus(rng.uniform(1.2, 4) * white * rng.normal(size=(len(found.image.data), 1)))


def leave_columns(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Leave vertical stripes: 3 to 8 times the white noise of the columns."""
    white = found.noise / np.sqrt(len(found.image.data))
    return found.plus(rng.uniform(3, 8) * white * rng.normal(size=found.image.data.shape[1]))


def leave_image_hits(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Leave cosmic rays of 15 to 100 sigma in 0.03 to 0.3 % of the pixels."""
    shape = found.image.data.shape
    hit = rng.random(shape) < rng.uniform(3e-4, 3e-3)
    return found.plus(hit * rng.uniform(15, 100, size=shape) * found.image.error)


def hide_wisp(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Let 45 to 80 % of the wisp lie under sources."""
    return found.with_record("wisps", hidden=float(rng.uniform(0.45, 0.8)))


def doubt_wisp(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Know the strength of the wisp to 15 to 60 % only."""
    scale = (found.records.get("wisps", {}).get("scale") or [0.5])[0]
    return found.with_record("wisps", state="COMPLETE", scale=[scale], scale_error=[scale * rng.uniform(0.15, 0.6)])


def lose_wisp(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """See so little of the wisp that it cannot be measured."""
    lost = found.with_record("wisps", measured=False, scale_error=[float(rng.uniform(0.1, 2))])
    return replace(lost, image=replace(lost.image, wisps_known=True))


def misfit_wisp(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Subtract a template that leaves 1.6 to 3 times the noise."""
    return found.with_record("wisps", residual_ratio=float(rng.uniform(1.6, 3)))


def fill_frame(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Let light fill a frame without reference pixels: slow noise of 0.1 to 1 times that of a pixel is uncertain."""
    return found.with_record("stripes", slow_rms_unsure=float(found.noise * rng.uniform(0.1, 1)))


def saturate_image(found: ImagingProducts, rng: np.random.Generator) -> ImagingProducts:
    """Saturate 6 to 20 % of the pixels."""
    chosen = rng.random(found.image.data.shape) < rng.uniform(0.06, 0.2)
    return replace(found, image=replace(found.image, flags=found.image.flags | np.uint32(dq.SATURATED) * chosen))


# ---------------------------------------------------------------- integrations of a coronagraph
def move_one(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Move one integration by 1 to 3 pixels."""
    by = rng.uniform(1, 3) * np.array([np.cos(angle := rng.uniform(0, 2 * np.pi)), np.sin(angle)])
    return found.with_one(lambda image: _moved(image, by), int(rng.integers(len(found.cube))))


def move_all(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Let the star move from integration to integration by 0.3 to 0.6 pixel rms along both axes."""
    size = rng.uniform(0.3, 0.6)
    return replace(found, cube=np.stack([_moved(image, size * rng.normal(size=2)) for image in found.cube]))


def brighten_one(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Make one integration brighter by 30 to 60 %."""
    factor = rng.uniform(1.3, 1.6)
    return found.with_one(lambda image: image * factor, int(rng.integers(len(found.cube))))


def leave_rows(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Leave 1/f noise in the rows of every integration: 4 to 10 times their white noise."""
    white = np.nanmedian(found.error) / np.sqrt(found.cube.shape[2])
    return replace(found, cube=found.cube + rng.uniform(4, 10) * white * rng.normal(size=(*found.cube.shape[:2], 1)))


def leave_coron_columns(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Leave vertical stripes in every integration: 4 to 10 times the white noise of the columns."""
    white = np.nanmedian(found.error) / np.sqrt(found.cube.shape[1])
    shape = len(found.cube), 1, found.cube.shape[2]
    return replace(found, cube=found.cube + rng.uniform(4, 10) * white * rng.normal(size=shape))


def leave_coron_hits(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Leave cosmic rays of 15 to 100 sigma in 0.05 to 0.3 % of the values, without a flag."""
    hit = rng.random(found.cube.shape) < rng.uniform(5e-4, 3e-3)
    return replace(found, cube=found.cube + hit * rng.uniform(15, 100, size=hit.shape) * found.error)


def scale_coron_errors(low: float, high: float) -> Callable[[CoronProducts, np.random.Generator], CoronProducts]:
    """Return what multiplies the stated errors by a factor between two."""
    return lambda found, rng: replace(found, error=found.error * rng.uniform(low, high))


def lose_pixels(found: CoronProducts, rng: np.random.Generator) -> CoronProducts:
    """Make 12 to 40 % of the pixels unusable."""
    chosen = rng.random(found.cube.shape) < rng.uniform(0.12, 0.4)
    return replace(found, flags=found.flags | np.uint32(dq.DO_NOT_USE) * chosen)


def _moved(image: np.ndarray, by: np.ndarray) -> np.ndarray:
    return ndimage.shift(np.nan_to_num(image), by, order=1, mode="nearest")


PRODUCTS: dict[str, Any] = {"lrs": LrsProducts, "imaging": ImagingProducts, "coron": CoronProducts}
#: What is the matter, in words -> how the products are spoiled.
SPOILS: dict[str, dict[str, Callable[[Any, np.random.Generator], Any]]] = {
    "lrs": {
        "noise that all wavelengths share, white light 2 to 4 times its errors": share_noise,
        "noise that all wavelengths share, white light 1.6 to 2 times its errors": share_some_noise,
        "noise that lasts 6 integrations, 2 to 4 times the errors of the white light": share_slow_noise,
        "light lost with a movement during the transit, 4 to 8 errors of the depth": couple_to_motion,
        "errors 0.55 to 0.8 of what they should be": scale_errors(0.55, 0.8),
        "errors 1.3 to 2 times what they should be": scale_errors(1.3, 2.0),
        "cosmic rays left in 0.2 to 1 % of the elements": leave_hits,
        "trace 2 to 8 columns off the aperture": move_trace,
        "no star": lose_star,
        "background that takes 0.4 to 2 % of the star": tilt_background,
        "1 to 5 % of the elements without flux": lose_flux,
        "6 to 20 % of the elements saturated": mark(SATURATED, 0.06, 0.2),
        "15 to 40 % of the elements replaced": mark(REPLACED, 0.15, 0.4),
    },
    "imaging": {
        "1/f noise left, 1.2 to 4 times the white noise of rows": leave_stripes,
        "vertical stripes, 3 to 8 times the white noise of columns": leave_columns,
        "cosmic rays left in 0.03 to 0.3 % of the pixels": leave_image_hits,
        "6 to 20 % of the pixels saturated": saturate_image,
        "45 to 80 % of the wisp under sources": hide_wisp,
        "strength of the wisp known to 15 to 60 %": doubt_wisp,
        "wisp not measurable": lose_wisp,
        "template that does not fit the wisp": misfit_wisp,
        "light that fills a frame without reference pixels": fill_frame,
    },
    "coron": {
        "one integration moved by 1 to 3 pixels": move_one,
        "the star moves by 0.3 to 0.6 pixel rms": move_all,
        "one integration brighter by 30 to 60 %": brighten_one,
        "1/f noise left, 4 to 10 times the white noise of rows": leave_rows,
        "vertical stripes, 4 to 10 times the white noise of columns": leave_coron_columns,
        "cosmic rays left in 0.05 to 0.3 % of the values": leave_coron_hits,
        "errors 0.5 to 0.7 of what they should be": scale_coron_errors(0.5, 0.7),
        "errors 1.4 to 2 times what they should be": scale_coron_errors(1.4, 2.0),
        "12 to 40 % of the pixels unusable": lose_pixels,
    },
}
