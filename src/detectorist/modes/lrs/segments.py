"""An exposure comes in segments: put them in order, and refuse a set that is not one whole exposure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.errors import InputError
from detectorist.models import describe
from detectorist.product_names import stem_of
from detectorist.reduction.headers import read_header, require_consistent_ramp, sci_axes
from detectorist.step import LRS_SLITLESS

#: Metadata that all segments of one exposure share.
IDENTITY = (
    "observation.program_number",
    "observation.observation_number",
    "observation.visit_number",
    "observation.visit_group",
    "observation.activity_id",
    "observation.exposure_number",
    "instrument.detector",
    "subarray.name",
    "exposure.ngroups",
    "exposure.readpatt",
)
#: Product endings that are ramps; everything else must be rates per integration.
RAMPS = ("Level1bModel", "RampModel")
#: Groups without which a ramp has no slope.
MIN_GROUPS = 2
#: What headers of this mode say, where they say anything: references are chosen by it.
_LRS_HEADER = (
    ("instrument.detector", "MIRIMAGE"),
    ("instrument.filter", "P750L"),
    ("subarray.name", "SLITLESSPRISM"),
    ("subarray.xstart", 1),
    ("subarray.ystart", 529),
)


@dataclass(frozen=True)
class Segment:
    """One file (or open model) of an exposure.

    Attributes
    ----------
    source : pathlib.Path or JwstDataModel
    meta : dict
        Its metadata, flat: {"exposure.nints": ...}.
    """

    source: Path | JwstDataModel
    meta: dict[str, Any]

    @property
    def name(self) -> str:
        """File name as errors show it."""
        return str(self.source) if isinstance(self.source, Path) else describe(self.source)

    @property
    def stem(self) -> str:
        """File name without product and ending: products of this segment start with it."""
        filename = self.source.name if isinstance(self.source, Path) else describe(self.source)
        return stem_of(filename)

    @property
    def is_ramp(self) -> bool:
        """Whether stage 1 has still to be run."""
        return self.meta.get("model_type") in RAMPS

    @property
    def first(self) -> int | None:
        """Number of its first integration within the exposure, from 1."""
        return self.meta.get("exposure.integration_start")

    @property
    def last(self) -> int | None:
        """Number of its last integration."""
        return self.meta.get("exposure.integration_end")


def order_segments(sources: Iterable[Any], *, allow_gaps: bool = False) -> list[Segment]:
    """Return the segments of one MIRI LRS exposure in the order of time.

    Parameters
    ----------
    sources : iterable of str, Path or JwstDataModel
    allow_gaps : bool
        Accept missing integrations between segments.

    Raises
    ------
    InputError
        When a file cannot be read or is of another mode; when ramps and rates are mixed, or segments of different
        exposures; when a segment is given twice or one in between is missing.
    """
    segments = [_read(source) for source in sources]
    if not segments:
        raise InputError("no input: at least one uncal or rateints file is needed")
    for segment in segments:
        _require_lrs(segment)
        if segment.is_ramp and isinstance(segment.source, Path):
            require_consistent_ramp(segment.name, segment.meta, sci_axes(segment.source))
        _require_slope(segment)
    _require_one_exposure(segments)
    segments.sort(key=lambda segment: (segment.first or 0, segment.name))
    _require_contiguous(segments, allow_gaps=allow_gaps)
    return segments


def _read(source: Any) -> Segment:
    if not isinstance(source, JwstDataModel):
        return Segment(Path(source), read_header(Path(source)))
    flat = source.to_flat_dict(include_arrays=False)
    meta = {key.removeprefix("meta."): value for key, value in flat.items()}
    return Segment(source, {**meta, "model_type": type(source).__name__})


def _require_lrs(segment: Segment) -> None:
    instrument, kind = segment.meta.get("instrument.name"), segment.meta.get("exposure.type")
    if instrument != "MIRI" or kind != LRS_SLITLESS:
        raise InputError(
            f"{segment.name}: {instrument or 'unknown instrument'}, exposure type {kind or 'unknown'}; "
            f"MIRI {LRS_SLITLESS} is needed"
        )
    for key, wanted in _LRS_HEADER:
        found = segment.meta.get(key)
        if found not in (wanted, None):
            raise InputError(f"{segment.name}: {key} is {found or 'empty'}; {wanted} is needed", found=found)
    model_type = segment.meta.get("model_type")
    if model_type not in (*RAMPS, "CubeModel"):
        raise InputError(
            f"{segment.name}: a {model_type}; an uncal (ramps) or rateints (one image per integration) is needed"
        )


def _require_slope(segment: Segment) -> None:
    """Refuse ramps of one group: the stock fit takes its counts, pedestal and all, for the light of its time."""
    n_groups = segment.meta.get("exposure.ngroups")
    if segment.is_ramp and n_groups is not None and n_groups < MIN_GROUPS:
        raise InputError(
            f"{segment.name}: {n_groups} group; a slope is fitted, {MIN_GROUPS} are needed", found=n_groups
        )


def _require_one_exposure(segments: list[Segment]) -> None:
    kinds = {segment.is_ramp for segment in segments}
    if len(kinds) > 1:
        ramp = next(s.name for s in segments if s.is_ramp)
        rate = next(s.name for s in segments if not s.is_ramp)
        raise InputError(f"{ramp} holds ramps and {rate} rates: segments of one kind are needed")
    first = segments[0]
    for other in segments[1:]:
        for key in IDENTITY:
            if first.meta.get(key) != other.meta.get(key):
                raise InputError(
                    f"{first.name} and {other.name} are of different exposures: "
                    f"{key} is {first.meta.get(key)} and {other.meta.get(key)}"
                )


def _require_contiguous(segments: list[Segment], *, allow_gaps: bool) -> None:
    for before, after in itertools.pairwise(segments):
        if before.last is None or after.first is None:
            raise InputError(
                f"{after.name}: no number of its first integration (INTSTART); several segments cannot be put in order"
            )
        if after.first <= before.last:
            raise InputError(
                f"{before.name} and {after.name} both hold integration {after.first}: is a segment given twice?"
            )
        if after.first > before.last + 1 and not allow_gaps:
            raise InputError(
                f"integrations {before.last + 1} to {after.first - 1} are missing between {before.name} and "
                f"{after.name}: give the segment in between, or allow gaps (--set allow_gaps=true)",
                missing_from=before.last + 1,
                missing_to=after.first - 1,
            )
