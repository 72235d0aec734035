"""Coronagraphy in the report: the target without its star, noise against distance, integrations, flags."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from detectorist.algorithms import dq
from detectorist.algorithms.images.patches import nanmedian
from detectorist.algorithms.stars.radial_noise import find_star, measure_radial_noise
from detectorist.errors import DetectoristError
from detectorist.figures import coronagraph
from detectorist.figures.stretch import Stretch, coloured, difference_stretch, stretch_of
from detectorist.modes.coron import quality
from detectorist.modes.coron.subtraction.images import CoronImage, read_coron_image
from detectorist.modes.coron.subtraction.products import curves_of, target_unit
from detectorist.modes.coron.subtraction.settings import SubtractionSettings
from detectorist.modes.coron.subtraction.subtract import SubtractedExposure, SubtractedTarget, subtract_from_target
from detectorist.modes.exposure import Exposure
from detectorist.modes.section import Opening, Panel, Picture, Section, read_image
from detectorist.reduction.recipes.in_force import in_force

THUMBNAIL_PIX = 80
#: Integrations in the mosaic, and numbers of columns it may have, the first that leaves least empty.
MOST_TILES, TILE_COLUMNS = 16, (5, 4, 3, 6)
#: Pixels between the tiles of a mosaic.
GAP_PIX = 4
#: Reference exposures that are tried, and exposures of the target that are shown, when the report opens.
MOST_REFERENCES, MOST_OPENINGS = 6, 2
#: Radius (pixel) within which the light of a star that passes its mask is summed.
STAR_RADIUS_PIX = 40
#: Share of the pixels on which rows are measured: the faintest.
FAINT_SHARE = 0.7


class CoronSections(Section):
    """Stage 1 of coronagraphy."""

    title: ClassVar = "Coronagraphy"
    columns: ClassVar = quality.COLUMNS
    checks: ClassVar = quality.CHECKS
    merits: ClassVar = quality.MERITS

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare Coron1Pipeline."""
        from detectorist.modes.coron.pipeline import Coron1Pipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(Coron1Pipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the rate."""
        rate = _Products(exposure).rate
        return None if rate is None else coloured(rate, stretch_of(rate, top=99.9), largest_pix=THUMBNAIL_PIX)

    def opening(self, exposures: Sequence[Exposure]) -> Iterator[Opening]:
        """Yield the first exposures of the target without the star, and the limits for companions."""
        targets = [one for one in exposures if one.numbers.get("type", "SCI") == "SCI"] or list(exposures)
        references = [one for one in exposures if one.numbers.get("type") == "REF"][:MOST_REFERENCES]
        shown = targets[:MOST_OPENINGS]
        found = _without_star(shown, references)
        for exposure in shown:
            subtracted = None if found is None else _of_exposure(found, exposure)
            panel = _as_reduced(exposure) if subtracted is None else _subtracted_panel(subtracted)
            if panel is not None:
                yield Opening(exposure, panel)
        if found is not None:
            curves, unit = curves_of(found), target_unit(found)
            draw = lambda: coronagraph.draw_contrast(curves, unit=unit)  # noqa: E731
            yield Opening(shown[0], Panel("coron_contrast", "Faintest companions", draw))

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that can be drawn from the products."""
        found = _Products(exposure)
        pictures = []
        if found.rate is not None:
            pictures.append(Picture(found.rate, "rate: of the exposure", stretch_of(found.rate, top=99.9)))
        cube = found.cube
        if cube is not None and len(cube):
            middle, scatter = _median_and_scatter(cube)
            pictures.append(Picture(middle, "median: of the integrations", stretch_of(middle, top=99.9)))
            pictures.append(Picture(scatter, "scatter: between integrations", stretch_of(scatter)))
        if pictures:
            yield Panel("coron_rate", "Rate and integrations", pictures=pictures)
        if brief or cube is None or len(cube) < 2:
            return
        yield Panel("coron_mosaic", "Integrations", pictures=[_mosaic(cube - middle)])
        yield from _noise(found, cube, middle)
        models = list(_models(found))
        if models:
            yield Panel("coron_models", "What was subtracted", pictures=models, beside=True)
        if found.flags is not None:
            yield Panel("coron_flags", "Flags", pictures=list(_flag_pictures(found.flags)), beside=True)


def _without_star(targets: Sequence[Exposure], references: Sequence[Exposure]) -> SubtractedTarget | None:
    """Return exposures of one target without their star, as `detectorist subtract` makes them of rates, or None."""
    images = [image for one in targets if (image := _image_of(one)) is not None]
    others = [image for one in references if (image := _image_of(one)) is not None]
    if not images or not others:
        return None
    first = images[0]
    alike = [
        [one for one in group if (one.data.shape, one.filter, one.unit) == (first.data.shape, first.filter, first.unit)]
        for group in (images, others)
    ]
    try:
        return subtract_from_target(*alike, SubtractionSettings())
    except DetectoristError:
        return None


def _image_of(exposure: Exposure) -> CoronImage | None:
    try:
        return read_coron_image(exposure.folder / f"{exposure.name}_rate.fits")
    except (DetectoristError, ValueError, KeyError):
        return None


def _of_exposure(found: SubtractedTarget, exposure: Exposure) -> SubtractedExposure | None:
    return next((one for one in found.exposures if one.image.name == exposure.name), None)


def _as_reduced(exposure: Exposure) -> Panel | None:
    rate = _Products(exposure).usable_rate
    if rate is None:
        return None
    return Panel("coron_target", "Target", pictures=[Picture(rate, "target: as reduced", stretch_of(rate, top=99.9))])


def _subtracted_panel(subtracted: SubtractedExposure) -> Panel:
    """Return an exposure before and after its star was subtracted."""
    rate, left = subtracted.image.data, subtracted.star.image
    number = len(subtracted.star.references)
    label = f"star subtracted: by {number} {'image' if number == 1 else 'images'} of a reference star"
    pictures = [
        Picture(left, label, stretch_of(left, top=99.9)),
        Picture(rate, "target: as reduced", stretch_of(rate, top=99.9)),
    ]
    return Panel("coron_subtracted", "Target without its star", pictures=pictures)


def _noise(found: _Products, cube: np.ndarray, middle: np.ndarray) -> Iterator[Panel]:
    """Yield noise against distance from the star, and the spectrum of the 1/f noise."""
    finite = np.isfinite(middle)
    if not finite.any():
        return
    residuals = cube - middle
    centre = find_star(middle)
    star = _light_of_star(middle, centre)
    if star > 0:
        radius, first = measure_radial_noise(residuals[0], centre)
        single = np.nanmedian([first, *(_noise_of(image, centre) for image in residuals[1:6])], axis=0)
        curves = {"one integration": (radius, single)}
        mean = _noise_of(residuals[::2].mean(axis=0) - residuals[1::2].mean(axis=0), centre) / 2
        if mean.shape == radius.shape:
            curves["all integrations"] = (radius, mean)
        yield Panel("coron_radial_noise", "Noise against radius", lambda: coronagraph.draw_radial_noise(curves, star))
    bright = ~finite | (middle > np.quantile(middle[finite], FAINT_SHARE))
    images = {**({} if found.striped is None else {"before": found.striped - middle}), "after": residuals}
    yield Panel(
        "coron_spectrum", "Spectrum of the 1/f noise", lambda: coronagraph.draw_flicker_spectrum(images, bright)
    )


def _noise_of(image: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    return measure_radial_noise(image, centre)[1]


def _light_of_star(image: np.ndarray, centre: tuple[float, float]) -> float:
    y, x = np.indices(image.shape)
    near = np.hypot(x - centre[0], y - centre[1]) <= STAR_RADIUS_PIX
    return float(np.nansum(image[near] - np.nanmedian(image[~near]))) if not near.all() else float("nan")


def _models(found: _Products) -> Iterator[Picture]:
    """Yield kTC offsets and stripes of the first integration, where the run has kept them."""
    if found.offsets is not None:
        known = np.where(found.offsets == 0, np.nan, found.offsets)
        seen = np.isfinite(known).any(axis=0)
        level = np.where(seen, 0.0, np.nan)
        level[seen] = np.nanmean(known[:, seen], axis=0)
        change = known[0] - (level if len(known) > 1 else np.nanmedian(known[0]))
        yield Picture(change, "kTC: offsets of the first integration over their mean", difference_stretch(change), "DN")
    if found.stripes is not None:
        many = found.stripes.ndim == 4
        last = found.stripes[0, -1] if many else found.stripes.reshape(-1, *found.stripes.shape[-2:])[0]
        label = f"1/f: stripes of the first integration{', last group' if many else ''}"
        yield Picture(last, label, difference_stretch(last), "DN" if many else "DN/s")


def _flag_pictures(flags: np.ndarray) -> Iterator[Picture]:
    """Yield how often each pixel carries a flag; flags that no pixel has are left out."""
    names = {
        dq.DO_NOT_USE: "unusable",
        dq.JUMP_DET: "cosmic ray",
        dq.OUTLIER: "outlier",
        dq.SATURATED: "saturated",
    }
    for bit, name in names.items():
        share = 100 * (flags & bit > 0).mean(axis=0)
        if share.any() or bit == dq.DO_NOT_USE:
            yield Picture(share, f"{name}: share of the integrations", Stretch(0, 100), "%")


def _median_and_scatter(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median over integrations and the robust scatter about it; NaN where nothing is known."""
    filled = np.where(np.isfinite(cube).any(axis=0), cube, 0.0)
    middle = nanmedian(filled, axis=0)
    scatter = 1.4826 * nanmedian(np.abs(filled - middle), axis=0)
    unknown = ~np.isfinite(cube).any(axis=0)
    middle[unknown] = scatter[unknown] = np.nan
    return middle, scatter


def _mosaic(residuals: np.ndarray) -> Picture:
    """Return integrations without their median as tiles of one picture, spread over the exposure, first on top."""
    chosen = np.unique(np.linspace(0, len(residuals) - 1, min(MOST_TILES, len(residuals))).astype(int))
    n_columns = min(TILE_COLUMNS, key=lambda n: -len(chosen) % n) if len(chosen) > 3 else len(chosen)
    n_rows = -(-len(chosen) // n_columns)
    ny, nx = residuals.shape[1:]
    mosaic = np.full((n_rows * (ny + GAP_PIX) - GAP_PIX, n_columns * (nx + GAP_PIX) - GAP_PIX), np.nan)
    for number, k in enumerate(chosen):
        y, x = (n_rows - 1 - number // n_columns) * (ny + GAP_PIX), number % n_columns * (nx + GAP_PIX)
        mosaic[y : y + ny, x : x + nx] = residuals[k]
    shown = ", ".join(str(k + 1) for k in chosen)
    return Picture(mosaic, f"integrations {shown}: without their median", difference_stretch(residuals[chosen], 1))


@dataclass(frozen=True)
class _Products:
    """The images of one exposure, read when they are asked for; None where there is no product."""

    exposure: Exposure

    @cached_property
    def rate(self) -> np.ndarray | None:
        """The rate image, DN/s, shape (ny, nx); None where it cannot be read."""
        return self._read("rate", "SCI", float)

    @property
    def usable_rate(self) -> np.ndarray | None:
        """The rate, NaN where a pixel cannot be used."""
        bad = self._read("rate", "DQ", np.int64)
        if self.rate is None or bad is None or bad.shape != self.rate.shape:
            return self.rate
        return np.where(bad & dq.DO_NOT_USE > 0, np.nan, self.rate)

    @cached_property
    def cube(self) -> np.ndarray | None:
        """The rates of the integrations, DN/s, shape (n_ints, ny, nx); None where they cannot be read."""
        return self._read("rateints", "SCI", float)

    @cached_property
    def flags(self) -> np.ndarray | None:
        """DQ of the integrations, shape of `cube`; None where it cannot be read."""
        return self._read("rateints", "DQ", int)

    @cached_property
    def offsets(self) -> np.ndarray | None:
        """The kTC offsets that were subtracted."""
        return self._read("ktc", "SCI", float)

    @cached_property
    def stripes(self) -> np.ndarray | None:
        """The stripes that were subtracted, of integrations or of groups."""
        return self._read("1overf", "SCI", float)

    @property
    def striped(self) -> np.ndarray | None:
        """The integrations with the stripes that were subtracted; None where these were not kept."""
        time = self.exposure.header.get("group time (s)")
        if self.stripes is None or self.cube is None or self.stripes.shape[0] != len(self.cube):
            return None
        if self.stripes.ndim == 3:
            return self.cube + self.stripes
        if not time or self.stripes.shape[1] < 2:
            return None
        groups = np.arange(self.stripes.shape[1]) - (self.stripes.shape[1] - 1) / 2
        slope = np.tensordot(self.stripes, groups, ((1,), (0,))) / (groups**2).sum()
        return self.cube + slope / float(time)

    def _read(self, product: str, extension: str, kind: type) -> np.ndarray | None:
        return read_image(self.exposure.folder / f"{self.exposure.name}_{product}.fits", extension, kind)
