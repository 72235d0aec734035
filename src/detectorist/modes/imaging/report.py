"""NIRCam imaging in the report: before and after, stripes, wisps, source mask, snowballs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits

from detectorist.figures import imaging_quality, snowballs, wisps
from detectorist.figures.pictures import colour, limits_of
from detectorist.modes.exposure import Exposure
from detectorist.modes.imaging.quality import least_strength_seen
from detectorist.modes.quality import Check, Column
from detectorist.modes.section import Panel, Picture, Section
from detectorist.reduction.in_force import in_force

#: Flags in DQ of a rate: of a pixel that cannot be used, saturated, has a jump, sees no light.
DO_NOT_USE, SATURATED, JUMP_DET, REFERENCE_PIXEL = 1, 2, 4, 1 << 31
#: Pixels along the longer side: of thumbnails, of pictures among many.
THUMBNAIL_PIX, BRIEF_PIX = 96, 256
#: Percent left out on either side of a stretch that has to show faint patterns beside bright sources.
CLIP_PCT = 4.0


class ImagingSections(Section):
    """Rate images."""

    title: ClassVar = "NIRCam images"
    columns: ClassVar = (
        Column("snowballs", "snowballs", "", "Large events found", "d", compared=False),
        Column("flagged_pct", "flagged", "%", "Samples of the ramps that the snowball step flagged", ".2f"),
        Column("wisp_scale", "wisp", "", "Strength of the wisp template that was subtracted", ".3f", compared=False),
        Column("wisp_error", "wisp error", "", "Its uncertainty", ".3f"),
        Column("wisp_hidden_pct", "wisp hidden", "%", "Part of the wisp under sources", ".0f", compared=False),
        Column("wisp_goodness", "wisp residual", "", "Scatter of the image over what noise gives, at the fit", ".2f"),
        Column("stripes_rms", "stripes", "DN/s", "Rms of the 1/f pattern that was subtracted", ".4f"),
        Column("row_ratio", "rows left", "", "Scatter of rows after the correction over what white noise gives", ".2f"),
        Column("flicker_over_white", "1/f over white", "", "1/f noise over the white noise of a pixel", ".2f"),
        Column("masked_pct", "masked", "%", "Pixels left out as sources when stripes were measured", ".0f"),
        Column("sky", "level", "DN/s", "Median of the image", ".3g"),
        Column("jumps_pct", "jumps", "%", "Pixels with a cosmic ray in their ramp", ".1f"),
        Column("saturated_pct", "saturated", "%", "Pixels that saturate", ".2f"),
    )
    checks: ClassVar = (
        Check(
            "row_ratio",
            "rows scatter {value:.1f} times as much as white noise explains after the correction (up to {high:g} is "
            "usual): 1/f noise is left, or light of sources is not masked; look at the rows and at the source mask",
            high=1.0,
        ),
        Check(
            "wisp_hidden_pct",
            "{value:.0f} % of the wisp lie under what was taken for sources (up to {high:g} % is usual): a galaxy "
            "hides it, or the template does not fit and what is left of the wisp passes for sources",
            high=40.0,
        ),
        Check(
            "wisp_error_share",
            "the strength of the wisp is known to {value:.0%} only (up to {high:.0%} is usual)",
            high=0.1,
        ),
        Check(
            "wisp_unseen",
            "the wisp cannot be measured and stays in the image: one of {value:.2f} of its template would not have "
            "been found (up to {high:g} is usual); sources hide it, or too few pixels with its light are usable",
            high=0.3,
        ),
        Check(
            "flicker_over_white",
            "1/f noise is {value:.2f} times the white noise of a pixel (up to {high:g} is usual): is light of sources "
            "taken for stripes? Look at the source mask",
            high=0.35,
        ),
        Check(
            "flagged_pct",
            "snowballs cover {value:.1f} % of all samples (up to {high:g} % is usual)",
            high=3.0,
        ),
        Check(
            "saturated_pct",
            "{value:.1f} % of the pixels saturate (up to {high:g} % is usual)",
            high=5.0,
        ),
    )

    def complete(self, exposure: Exposure) -> None:
        """Add what the steps recorded."""
        steps = next(iter(exposure.steps.values()), {})
        events, wisp, stripes = (steps.get(name, {}) for name in ("snowballs", "wisps", "stripes"))
        numbers: dict[str, Any] = {
            "snowballs": events.get("n_events"),
            "flagged_pct": _share_of_samples(events.get("n_flagged"), exposure.header),
            "wisp_goodness": wisp.get("residual_ratio"),
            "stripes_rms": stripes.get("stripes_rms"),
        }
        if wisp.get("scale") and wisp.get("state") == "COMPLETE":
            numbers["wisp_scale"], numbers["wisp_error"] = wisp["scale"][0], wisp["scale_error"][0]
            numbers["wisp_error_share"] = wisp["scale_error"][0] / max(abs(wisp["scale"][0]), 1e-6)
        if wisp.get("measured") is False:
            numbers["wisp_unseen"] = least_strength_seen(wisp["scale_error"])
        if stripes.get("masked_fraction") is not None:
            numbers["masked_pct"] = 100 * stripes["masked_fraction"]
        if wisp.get("hidden") is not None:
            numbers["wisp_hidden_pct"] = 100 * wisp["hidden"]
        if stripes.get("white_noise"):
            flicker = np.hypot(stripes.get("rms_common", np.nan), stripes.get("rms_own", np.nan))
            numbers["flicker_over_white"] = float(flicker / stripes["white_noise"])
        if stripes.get("row_rms_white") and stripes.get("row_rms_after") is not None:
            numbers["row_ratio"] = stripes["row_rms_after"] / stripes["row_rms_white"]
        products = _Products(exposure)
        flags = products.read_flags()
        if flags is not None:
            sky = products.sky(flags)
            if np.isfinite(sky):
                numbers["sky"] = sky
            numbers["jumps_pct"] = 100.0 * float(np.mean(flags & JUMP_DET > 0))
            numbers["saturated_pct"] = 100.0 * float(np.mean(flags & SATURATED > 0))
        exposure.numbers.update({name: value for name, value in numbers.items() if value is not None})

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare ImagingPipeline."""
        from detectorist.modes.imaging.pipeline import ImagingPipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(ImagingPipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return the corrected image."""
        rate = _Products(exposure).rate
        return None if rate is None else colour(rate, limits_of(rate, CLIP_PCT), largest_pix=THUMBNAIL_PIX)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that the products allow."""
        found = _Products(exposure)
        largest = BRIEF_PIX if brief else 640
        if found.rate is not None and found.before is not None:
            yield Panel("imaging_before_after", "Before and after", pictures=_pictures(found, largest))
        if brief or found.rate is None:
            return
        yield from _subtracted(found, exposure, largest)
        if found.tiers is not None:
            picture = Picture(
                colour(found.tiers, (0, max(float(found.tiers.max()), 1)), largest_pix=largest),
                "tiers: not masked (dark) to the smoothest (bright)",
            )
            yield Panel("imaging_mask", "Source mask", pictures=[picture])
        yield from _measured(found, exposure)


def _subtracted(found: _Products, exposure: Exposure, largest: int) -> Iterator[Panel]:
    """Yield what was taken off the image: stripes, wisps."""
    if found.striped is not None and _completed(exposure, "stripes"):
        pattern = found.striped - found.rate
        yield Panel("imaging_stripes", "Stripes subtracted", pictures=[_difference(pattern, "pattern", largest)])
        yield Panel(
            "imaging_rows",
            "Rows before and after",
            lambda: imaging_quality.draw_rows(found.striped, found.rate, found.mask),
        )
    if found.wispy is not None and found.striped is not None and _completed(exposure, "wisps"):
        wisp = found.wispy - found.striped
        limits = limits_of(wisp, 0.2)
        pictures = [Picture(colour(wisp, limits, largest_pix=largest), f"wisp: {_range(limits)}")]
        yield Panel("imaging_wisp", "Wisp subtracted", pictures=pictures)


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
        )
        yield Panel(
            "imaging_snowball_groups",
            "Snowballs, group by group",
            lambda: snowballs.draw_snowball_groups(events, found.rate.shape, n_groups=n_groups),
        )


def _pictures(found: _Products, largest: int) -> list[Picture]:
    """Return the image before and after with one stretch, and what lies between."""
    limits = limits_of(found.before, CLIP_PCT)
    return [
        Picture(colour(found.before, limits, largest_pix=largest), f"before: {_range(limits)}"),
        Picture(colour(found.rate, limits, largest_pix=largest), f"after: {_range(limits)}"),
        _difference(found.before - found.rate, "difference", largest),
    ]


def _difference(image: np.ndarray, name: str, largest: int) -> Picture:
    low, high = limits_of(image, 0.5)
    limit = max(abs(low), abs(high)) or 1.0
    return Picture(
        colour(image, (-limit, limit), difference=True, largest_pix=largest), f"{name}: {_range((-limit, limit))}"
    )


def _range(limits: tuple[float, float]) -> str:
    return f"{limits[0]:.3g} to {limits[1]:.3g} DN/s"


def _completed(exposure: Exposure, step: str) -> bool:
    return any(part.get(step, {}).get("state") == "COMPLETE" for part in exposure.steps.values())


def _share_of_samples(n_flagged: int | None, header: dict[str, Any]) -> float | None:
    sizes = [header.get(name) for name in ("integrations", "groups", "rows", "columns")]
    if n_flagged is None or not all(isinstance(size, int) and size > 0 for size in sizes):
        return None
    return 100.0 * n_flagged / float(np.prod(sizes))


@dataclass(frozen=True)
class _Products:
    """The images of one exposure, read when they are asked for; None where there is no product."""

    exposure: Exposure

    @cached_property
    def rate(self) -> np.ndarray | None:
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
        return self._read("rate_1fmask", None)

    @cached_property
    def flags(self) -> np.ndarray:
        flags = self.read_flags()
        return np.zeros(self.rate.shape, int) if flags is None else flags

    def sky(self, flags: np.ndarray) -> float:
        """Return the median of every eighth usable pixel along both axes: of the order of the sky's level."""
        some = np.s_[4::8, 4::8]
        usable = np.isfinite(self.rate[some]) & (flags[some] & (DO_NOT_USE | REFERENCE_PIXEL) == 0)
        return float(np.median(self.rate[some][usable])) if usable.any() else float("nan")

    def read_flags(self) -> np.ndarray | None:
        """Return DQ of the rate."""
        return self._read("rate", "DQ", np.uint32)

    @property
    def mask(self) -> np.ndarray:
        """Pixels on sources, those that cannot be used, and reference pixels, which see no sky."""
        bad = self.flags & (DO_NOT_USE | REFERENCE_PIXEL) > 0
        return bad if self.tiers is None or self.tiers.shape != bad.shape else bad | (self.tiers > 0)

    @property
    def jumps(self) -> np.ndarray:
        return self.flags & JUMP_DET > 0

    def _read(self, product: str, extension: str | None = "SCI", kind: type = float) -> np.ndarray | None:
        path = self.exposure.folder / f"{self.exposure.name}_{product}.fits"
        try:
            with fits.open(path, memmap=False) as hdus:
                hdu = hdus[extension] if extension else next(one for one in hdus if one.data is not None)
                return np.asarray(hdu.data, kind)
        except (OSError, KeyError, StopIteration):
            return None
