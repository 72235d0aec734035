"""Coronagraphy in the report: rate and integrations side by side, what single integrations do, flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits

from detectorist.figures.pictures import colour, limits_of, shrink
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, Column
from detectorist.modes.section import Panel, Picture, Section
from detectorist.reduction.in_force import in_force

#: Flags in DQ of rates: of a pixel that cannot be used, one that saturated, one with a jump, an outlier.
DO_NOT_USE, SATURATED, JUMP_DET, OUTLIER = 1, 2, 4, 16
THUMBNAIL_PIX, BRIEF_PIX, LARGE_PIX = 80, 200, 480
#: Integrations in the mosaic, and numbers of columns it may have, the first that leaves least empty.
MOST_TILES, TILE_COLUMNS = 16, (5, 4, 3, 6)
#: Part of the pixels that count as bright when integrations are compared, and integrations that this takes.
BRIGHT_SHARE, LEAST_COMPARED = 0.01, 3
#: Records of the steps -> numbers of the exposure: step, name there, name here.
_RECORDED = (
    ("subtract_ktc", "ktc_rms_dn", "ktc_rms_dn"),
    ("subtract_ktc", "ramps_unmeasured", "ktc_unmeasured"),
    ("subtract_1overf", "stripes_rms", "stripes_rms"),
    ("subtract_1overf", "images_unmeasured", "stripes_unmeasured"),
    ("apply_rateints_outliers", "outliers", "outliers"),
    ("mask_groups", "pixels_masked", "pixels_masked"),
)


class CoronSections(Section):
    """Stage 1 of coronagraphy."""

    title: ClassVar = "Coronagraphy"
    columns: ClassVar = (
        Column("type", "type", "", "SCI, REF or a background of these", "s", compared=False),
        Column("integrations", "integrations", "", "", "d", compared=False),
        Column("ktc_rms_dn", "kTC", "DN", "Rms of the offsets that were subtracted", ".1f"),
        Column("stripes_rms", "stripes", "", "Rms of the 1/f noise that was subtracted, unit of the data", ".3g"),
        Column("outliers", "outliers", "", "Outliers across integrations that were flagged", "d"),
        Column("outliers_ppm", "outliers", "ppm", "The same over all pixels of all integrations", ".1f"),
        Column(
            "integration_unlike",
            "most unlike",
            "",
            "Departure of one integration from their median where the star is bright, over its errors; the largest",
            ".2f",
        ),
        Column("jumps_pct", "jumps", "%", "Pixels of an integration with a cosmic ray in their ramp", ".2f"),
        Column("saturated_pct", "saturated", "%", "Pixels of an integration that saturate", ".2f"),
        Column("unusable_pct", "unusable", "%", "Pixels of an integration that cannot be used", ".2f"),
        Column("pixels_masked", "late groups", "pixel", "Pixels whose late groups were left out", "d", compared=False),
    )
    checks: ClassVar = (
        Check(
            "stripes_unmeasured",
            "1/f noise could not be measured in {value:.0f} images, which were left alone: too many pixels are masked",
            high=0.5,
        ),
        Check(
            "ktc_unmeasured_pct",
            "the offset of {value:.1f} % of the ramps could not be measured (up to {high:g} % is usual): they have no "
            "usable group",
            high=5.0,
        ),
        Check(
            "integration_unlike",
            "one integration differs from the others by {value:.1f} times its errors where the star is bright (up to "
            "{high:g} is usual): has the star moved or changed? Look at the integrations without their median",
            high=1.25,
        ),
        Check(
            "unusable_pct",
            "{value:.1f} % of the pixels cannot be used in an integration (up to {high:g} % is usual)",
            high=10.0,
        ),
    )

    def complete(self, exposure: Exposure) -> None:
        """Add what the steps recorded and how many integrations there are."""
        steps = next(iter(exposure.steps.values()), {})
        for step, name, here in _RECORDED:
            if steps.get(step, {}).get(name) is not None:
                exposure.numbers[here] = steps[step][name]
        numbers = exposure.numbers
        if isinstance(exposure.header.get("integrations"), int):
            numbers["integrations"] = exposure.header["integrations"]
        products = _Products(exposure)
        flags = products.flags
        if flags is None or not flags.size:
            return
        unlike = _most_unlike(products)
        if np.isfinite(unlike):
            numbers["integration_unlike"] = unlike
        for name, bit in (("jumps_pct", JUMP_DET), ("saturated_pct", SATURATED), ("unusable_pct", DO_NOT_USE)):
            numbers[name] = 100.0 * float(np.mean(flags & bit > 0))
        if "outliers" in numbers:
            numbers["outliers_ppm"] = 1e6 * numbers["outliers"] / flags.size
        if "ktc_unmeasured" in numbers:
            numbers["ktc_unmeasured_pct"] = 100.0 * numbers["ktc_unmeasured"] / flags.size

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare Coron1Pipeline."""
        from detectorist.modes.coron.pipeline import Coron1Pipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(Coron1Pipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the rate."""
        found = _Products(exposure)
        return None if found.rate is None else _bright(found.rate, THUMBNAIL_PIX)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that the products allow."""
        found = _Products(exposure)
        largest = BRIEF_PIX if brief else LARGE_PIX
        pictures = []
        if found.rate is not None:
            pictures.append(Picture(_bright(found.rate, largest), "rate: logarithmic"))
        cube = found.cube
        if cube is not None and len(cube):
            middle, scatter = _median_and_scatter(cube)
            pictures.append(Picture(_bright(middle, largest), "median: of the integrations, logarithmic"))
            limits = limits_of(scatter, 2)
            text = f"scatter: between integrations, {limits[0]:.3g} to {limits[1]:.3g} DN/s"
            pictures.append(Picture(colour(scatter, limits, largest_pix=largest), text))
        if pictures:
            yield Panel("coron_rate", "Rate and integrations", pictures=pictures, beside=True)
        if brief or cube is None or len(cube) < 2:
            return
        yield Panel("coron_mosaic", "Integrations", pictures=[_mosaic(cube - middle)], beside=True)
        models = list(_model_pictures(found, largest))
        if models:
            yield Panel("coron_models", "What was subtracted", pictures=models, beside=True)
        if found.flags is not None:
            yield Panel("coron_flags", "Flags", pictures=list(_flag_pictures(found.flags, largest)), beside=True)


def _most_unlike(found: _Products) -> float:
    """Return how far one integration departs from the median of all where the star is bright, in its errors.

    The robust scatter over the brightest pixels of the rate, of the integration that departs most; about 0.9 where
    noise alone makes them differ (each takes part in the median). NaN where there is nothing to compare.
    """
    if found.rate is None or found.cube is None or found.errors is None or len(found.cube) < LEAST_COMPARED:
        return float("nan")
    usable = np.isfinite(found.rate) & (found.flags & DO_NOT_USE == 0).all(axis=0)
    if not usable.any():
        return float("nan")
    bright = usable & (found.rate >= np.quantile(found.rate[usable], 1 - BRIGHT_SHARE))
    values, errors = found.cube[:, bright], found.errors[:, bright]
    away = np.abs(values - np.median(values, axis=0)) / np.where(errors > 0, errors, np.nan)
    known = np.isfinite(away).any(axis=1)
    return float(1.4826 * np.nanmedian(away[known], axis=1).max()) if known.any() else float("nan")


def _model_pictures(found: _Products, largest: int) -> Iterator[Picture]:
    """Yield kTC offsets and stripes of the first integration, where the run has kept them."""
    if found.offsets is not None:
        known = np.where(found.offsets == 0, np.nan, found.offsets)
        seen = np.isfinite(known).any(axis=0)
        level = np.where(seen, 0.0, np.nan)
        level[seen] = np.nanmean(known[:, seen], axis=0)
        change = known[0] - (level if len(known) > 1 else np.nanmedian(known[0]))
        yield _centred(change, "kTC: offsets of the first integration over their mean", "DN", largest)
    if found.stripes is not None:
        stripes = found.stripes.reshape(-1, *found.stripes.shape[-2:])
        many = found.stripes.ndim == 4
        last = found.stripes[0, -1] if many else stripes[0]
        yield _centred(
            last,
            f"1/f: stripes of the first integration{', last group' if many else ''}",
            "DN" if many else "DN/s",
            largest,
        )


def _centred(image: np.ndarray, name: str, unit: str, largest: int) -> Picture:
    low, high = limits_of(image, 0.5)
    limit = max(abs(low), abs(high)) or 1.0
    return Picture(
        colour(image, (-limit, limit), difference=True, largest_pix=largest),
        f"{name}, {-limit:.3g} to {limit:.3g} {unit}",
    )


def _flag_pictures(flags: np.ndarray, largest: int) -> Iterator[Picture]:
    """Yield how often each pixel carries a flag; flags that no pixel has are left out."""
    names = {DO_NOT_USE: "unusable", JUMP_DET: "cosmic ray", OUTLIER: "outlier", SATURATED: "saturated"}
    for bit, name in names.items():
        share = 100 * (flags & bit > 0).mean(axis=0)
        if share.any() or bit == DO_NOT_USE:
            yield Picture(colour(share, (0, 100), largest_pix=largest), f"{name}: 0 to 100 % of the integrations")


def _bright(image: np.ndarray, largest_pix: int) -> np.ndarray:
    """Return an image coloured so that halo and noise both show: linear near zero, logarithmic above the noise."""
    small = shrink(np.asarray(image, float), largest_pix)
    finite = small[np.isfinite(small)]
    level = np.median(finite) if finite.size else 0.0
    noise = 1.4826 * np.median(np.abs(finite - level)) if finite.size else 1.0
    scaled = np.arcsinh((small - level) / (noise or 1.0))
    return colour(scaled, limits_of(scaled, 0.5))


def _median_and_scatter(cube: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the median over integrations and the robust scatter about it; NaN where nothing is known."""
    filled = np.where(np.isfinite(cube).any(axis=0), cube, 0.0)
    middle = np.nanmedian(filled, axis=0)
    scatter = 1.4826 * np.nanmedian(np.abs(filled - middle), axis=0)
    unknown = ~np.isfinite(cube).any(axis=0)
    middle[unknown] = scatter[unknown] = np.nan
    return middle, scatter


def _mosaic(residuals: np.ndarray) -> Picture:
    """Return integrations without their median as tiles of one picture, spread over the exposure."""
    chosen = np.unique(np.linspace(0, len(residuals) - 1, min(MOST_TILES, len(residuals))).astype(int))
    n_columns = min(TILE_COLUMNS, key=lambda n: -len(chosen) % n) if len(chosen) > 3 else len(chosen)
    size = LARGE_PIX // n_columns * 2
    low, high = limits_of(residuals[chosen], 1)
    limit = max(abs(low), abs(high)) or 1.0
    tiles = [colour(residuals[k], (-limit, limit), difference=True, largest_pix=size) for k in chosen]
    ny, nx = tiles[0].shape[:2]
    n_rows = -(-len(tiles) // n_columns)
    picture = np.full((n_rows * (ny + 4) - 4, n_columns * (nx + 4) - 4, 3), 128, np.uint8)
    for number, tile in enumerate(tiles):
        y, x = number // n_columns * (ny + 4), number % n_columns * (nx + 4)
        picture[y : y + ny, x : x + nx] = tile
    first_last = ", ".join(str(k + 1) for k in chosen)
    return Picture(picture, f"integrations {first_last} without their median: {-limit:.3g} to {limit:.3g} DN/s")


@dataclass(frozen=True)
class _Products:
    """The images of one exposure, read when they are asked for; None where there is no product."""

    exposure: Exposure

    @cached_property
    def rate(self) -> np.ndarray | None:
        return self._read("rate", "SCI", float)

    @cached_property
    def cube(self) -> np.ndarray | None:
        return self._read("rateints", "SCI", float)

    @cached_property
    def errors(self) -> np.ndarray | None:
        return self._read("rateints", "ERR", float)

    @cached_property
    def flags(self) -> np.ndarray | None:
        return self._read("rateints", "DQ", int)

    @cached_property
    def offsets(self) -> np.ndarray | None:
        """The kTC offsets that were subtracted."""
        return self._read("ktc", "SCI", float)

    @cached_property
    def stripes(self) -> np.ndarray | None:
        """The stripes that were subtracted, of integrations or of groups."""
        return self._read("1overf", "SCI", float)

    def _read(self, product: str, extension: str, kind: type) -> np.ndarray | None:
        path = self.exposure.folder / f"{self.exposure.name}_{product}.fits"
        try:
            with fits.open(path, memmap=False) as hdus:
                return np.asarray(hdus[extension].data, kind)
        except (OSError, KeyError):
            return None
