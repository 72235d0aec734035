"""Coronagraphy in the report: rate and integrations side by side, what single integrations do, flags."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits

from detectorist.report.concerns import Check, Column
from detectorist.report.gather import Exposure
from detectorist.report.media import colour, limits_of, shrink
from detectorist.report.parameters import in_force
from detectorist.report.sections import Panel, Picture, Sections

DO_NOT_USE = 1
THUMBNAIL_PIX, BRIEF_PIX, LARGE_PIX = 80, 200, 480
#: Integrations in the mosaic, and numbers of columns it may have, the first that leaves least empty.
MOST_TILES, TILE_COLUMNS = 16, (5, 4, 3, 6)
#: Records of the steps -> numbers of the exposure: step, name there, name here.
_RECORDED = (
    ("subtract_ktc", "ktc_rms_dn", "ktc_rms_dn"),
    ("subtract_ktc", "ramps_unmeasured", "ktc_unmeasured"),
    ("subtract_1overf", "stripes_rms", "stripes_rms"),
    ("subtract_1overf", "images_unmeasured", "stripes_unmeasured"),
    ("apply_rateints_outliers", "outliers", "outliers"),
    ("mask_groups", "pixels_masked", "pixels_masked"),
)


class CoronSections(Sections):
    """Stage 1 of coronagraphy."""

    title: ClassVar = "Coronagraphy"
    columns: ClassVar = (
        Column("type", "type", "", "SCI, REF or a background of these", "s", compared=False),
        Column("integrations", "integrations", "", "", "d", compared=False),
        Column("ktc_rms_dn", "kTC", "DN", "Rms of the offsets that were subtracted", ".1f"),
        Column("stripes_rms", "stripes", "", "Rms of the 1/f noise that was subtracted, unit of the data", ".3g"),
        Column("outliers", "outliers", "", "Outliers across integrations that were flagged", "d"),
        Column("pixels_masked", "late groups", "pixel", "Pixels whose late groups were left out", "d", compared=False),
    )
    checks: ClassVar = (
        Check(
            "stripes_unmeasured",
            "1/f noise could not be measured in {value:.0f} images, which were left alone: too many pixels are masked",
            high=0.5,
        ),
    )

    def complete(self, exposure: Exposure) -> None:
        """Add what the steps recorded and how many integrations there are."""
        steps = next(iter(exposure.steps.values()), {})
        for step, name, here in _RECORDED:
            if steps.get(step, {}).get(name) is not None:
                exposure.numbers[here] = steps[step][name]
        if isinstance(exposure.header.get("integrations"), int):
            exposure.numbers["integrations"] = exposure.header["integrations"]

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare Coron1Pipeline."""
        from detectorist.pipelines.coron1 import Coron1Pipeline
        from detectorist.pipelines.runner import build_pipeline

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
        yield Panel("coron_mosaic", "Integrations", pictures=[_mosaic(cube - middle)])
        if found.flags is not None:
            share = 100 * (found.flags & DO_NOT_USE > 0).mean(axis=0)
            picture = Picture(colour(share, (0, 100), largest_pix=largest), "flagged: 0 to 100 % of the integrations")
            yield Panel("coron_flags", "Pixels that cannot be used", pictures=[picture])


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
    def flags(self) -> np.ndarray | None:
        return self._read("rateints", "DQ", int)

    def _read(self, product: str, extension: str, kind: type) -> np.ndarray | None:
        path = self.exposure.folder / f"{self.exposure.name}_{product}.fits"
        try:
            with fits.open(path, memmap=False) as hdus:
                return np.asarray(hdus[extension].data, kind)
        except (OSError, KeyError):
            return None
