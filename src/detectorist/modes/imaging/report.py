"""NIRCam imaging in the report: before and after, 1/f noise, wisps, source mask, snowballs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from detectorist.algorithms import dq
from detectorist.figures import image_quality, snowballs, wisps
from detectorist.figures.stretch import (
    SHOWN_PIX,
    Stretch,
    coloured,
    difference_stretch,
    limits_of,
    shrink,
    stretch_of,
)
from detectorist.figures.style import blocks_of
from detectorist.modes.exposure import Exposure
from detectorist.modes.imaging import quality
from detectorist.modes.section import Opening, Panel, Picture, Section, read_image
from detectorist.reduction.recipes.in_force import in_force

#: Pixels of a thumbnail along its longer side.
THUMBNAIL_PIX = 96
#: Exposures whose science opens the report.
MOST_OPENINGS = 2


class ImagingSections(Section):
    """Rate images."""

    title: ClassVar = "NIRCam images"
    columns: ClassVar = quality.COLUMNS
    checks: ClassVar = quality.CHECKS
    merits: ClassVar = quality.MERITS

    def __init__(self) -> None:
        # The opening, the thumbnail and the figures of an exposure share what is read.
        self._products = lru_cache(MOST_OPENINGS)(_Products)

    def _of(self, exposure: Exposure) -> _Products:
        return self._products(exposure.folder, exposure.name)

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare ImagingPipeline."""
        from detectorist.modes.imaging.pipeline import ImagingPipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(ImagingPipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the corrected image."""
        rate = self._of(exposure).rate
        return None if rate is None else coloured(rate, stretch_of(rate), largest_pix=THUMBNAIL_PIX)

    def opening(self, exposures: Sequence[Exposure]) -> Iterator[Opening]:
        """Yield the first images before and after."""
        for exposure in exposures[:MOST_OPENINGS]:
            found = self._of(exposure)
            if found.rate is not None:
                yield Opening(exposure, replace(_before_after(found), slider=True))

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that can be drawn from the products."""
        found = self._of(exposure)
        if found.rate is None:
            return
        yield _before_after(found)
        if brief:
            return
        yield from _subtracted(found, exposure)
        if found.tiers is not None:
            stretch = Stretch(0, max(float(found.tiers.max()), 1))
            picture = Picture(found.tiers, "tiers: 0 not masked, higher for smoother images", stretch, "tier")
            yield Panel("imaging_mask", "Source mask", pictures=[picture])
        yield from _measured(found, exposure)


def _before_after(found: _Products) -> Panel:
    """Return the image before and after with one stretch, and what lies between."""
    before, after = found.shown("before"), found.shown("rate")
    if before is None:
        return Panel("imaging_after", "Image", pictures=[found.picture(after, "image: corrected", stretch_of(after))])
    # Averages have less noise than pixels: with their stretch, structure below the noise of a pixel shows.
    stretch = stretch_of(before, after)
    pictures = [
        found.picture(before, "before: with snowballs flagged, wisps and 1/f noise left", stretch),
        found.picture(after, "after: wisps and 1/f noise subtracted", stretch),
        found.picture(before - after, "difference: what was subtracted", difference_stretch(before - after)),
    ]
    return Panel("imaging_before_after", "Before and after", pictures=pictures)


def _subtracted(found: _Products, exposure: Exposure) -> Iterator[Panel]:
    """Yield what was taken off the image: 1/f noise, wisps."""
    if found.striped is not None and _completed(exposure, "stripes"):
        pattern = found.shown("striped") - found.shown("rate")
        picture = found.picture(pattern, "pattern: 1/f noise", difference_stretch(pattern))
        yield Panel("imaging_stripes", "1/f noise subtracted", pictures=[picture])
        yield Panel(
            "imaging_rows",
            "Rows before and after",
            lambda: image_quality.draw_rows(found.striped, found.rate, found.mask),
        )
    if found.wispy is not None and found.striped is not None and _completed(exposure, "wisps"):
        wisp = found.shown("wispy") - found.shown("striped")
        picture = found.picture(wisp, "wisp: template times its strength", Stretch(*limits_of(wisp, 0.2)))
        yield Panel("imaging_wisp", "Wisp subtracted", pictures=[picture])


def _measured(found: _Products, exposure: Exposure) -> Iterator[Panel]:
    """Yield what steps recorded: the fit of the wisp, the snowballs found."""
    steps = next(iter(exposure.steps.values()), {})
    curve = steps.get("wisps", {}).get("curve") or {}
    if curve.get("scale"):
        best, error = steps["wisps"]["scale"][0], steps["wisps"]["scale_error"][0]
        yield Panel(
            "imaging_wisp_curve",
            "Fit of the wisp",
            lambda: wisps.draw_wisp_curve(curve["scale"], curve["spread"], best=best, error=error),
        )
    events = steps.get("snowballs", {}).get("events")
    if events:
        n_groups = int(exposure.header.get("groups", 1))
        yield Panel(
            "imaging_snowballs",
            "Snowballs",
            lambda: snowballs.draw_snowballs(found.jumps, events, n_groups=n_groups),
            wide=True,
        )
        yield Panel(
            "imaging_snowball_groups",
            "Snowballs, group by group",
            lambda: snowballs.draw_snowball_groups(events, found.rate.shape, n_groups=n_groups),
            wide=True,
        )


def _completed(exposure: Exposure, step: str) -> bool:
    return any(part.get(step, {}).get("state") == "COMPLETE" for part in exposure.steps.values())


@dataclass(frozen=True)
class _Products:
    """The images of one exposure, read when they are asked for; None where there is no product."""

    folder: Path
    name: str

    def shown(self, name: str) -> Any:
        """Return an image, of an attribute here, as averages of as many blocks as the page shows; None without it."""
        if name not in self._shown:
            image = getattr(self, name)
            self._shown[name] = None if image is None else shrink(image, SHOWN_PIX)
        return self._shown[name]

    @cached_property
    def _shown(self) -> dict[str, Any]:
        return {}

    def picture(self, shown: np.ndarray, label: str, stretch: Stretch) -> Picture:
        """Return an image that was shrunk by `shown`, to be drawn in pixels of the detector."""
        return Picture(shown, label, stretch, block=max(blocks_of(self.rate.shape, SHOWN_PIX)))

    @cached_property
    def rate(self) -> np.ndarray | None:
        """The rate image, DN/s, shape (ny, nx); None where it cannot be read."""
        return self._read("rate")

    @cached_property
    def wispy(self) -> np.ndarray | None:
        """The rate before wisps were subtracted."""
        return self._read("rate_prewisp")

    @cached_property
    def striped(self) -> np.ndarray | None:
        """The rate before stripes were subtracted."""
        return self._read("rate_pre1f")

    @property
    def before(self) -> np.ndarray | None:
        """The rate before any correction."""
        return self.wispy if self.wispy is not None else self.striped

    @cached_property
    def tiers(self) -> np.ndarray | None:
        """The source mask that the 1/f step kept, shape (ny, nx); None where there is none."""
        return self._read("rate_1fmask", None)

    @cached_property
    def flags(self) -> np.ndarray:
        """DQ of the rate image, shape (ny, nx); 0 where it cannot be read."""
        flags = self.read_flags()
        return np.zeros(self.rate.shape, int) if flags is None else flags

    def read_flags(self) -> np.ndarray | None:
        """Return DQ of the rate."""
        return self._read("rate", "DQ", np.uint32)

    @property
    def mask(self) -> np.ndarray:
        """Pixels on sources, unusable pixels, and reference pixels."""
        bad = self.flags & (dq.DO_NOT_USE | dq.REFERENCE_PIXEL) > 0
        return bad if self.tiers is None or self.tiers.shape != bad.shape else bad | (self.tiers > 0)

    @property
    def jumps(self) -> np.ndarray:
        """True where a group of the ramp was flagged as a jump, shape (ny, nx)."""
        return self.flags & dq.JUMP_DET > 0

    def _read(self, product: str, extension: str | None = "SCI", kind: type = np.float32) -> np.ndarray | None:
        return read_image(self.folder / f"{self.name}_{product}.fits", extension, kind)
