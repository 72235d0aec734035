"""A time series comes in exposures, and these in segments: put them in order, refuse what does not belong to it."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist.errors import InputError
from detectorist.models import describe
from detectorist.product_names import stem_of
from detectorist.reduction.inputs.headers import metadata_of, read_header, require_consistent_input
from detectorist.step import LRS_SLITLESS

log = logging.getLogger(__name__)

#: Metadata that all segments of one time series share; long ones are several exposures of a visit.
IDENTITY = (
    "observation.program_number",
    "observation.observation_number",
    "observation.visit_number",
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
    def exposure(self) -> str:
        """What its exposure is called within the time series."""
        keys = ("visit_group", "sequence_id", "activity_id", "exposure_number")
        return "_".join(str(self.meta.get(f"observation.{key}") or "") for key in keys)

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
    """Return the segments of one MIRI LRS time series in the order of time, those of an exposure together.

    What lacks at either end of an exposure is said in the log: the files may not be there yet.

    Parameters
    ----------
    sources : iterable of str, Path or JwstDataModel
    allow_gaps : bool
        Accept missing integrations between segments.

    Raises
    ------
    InputError
        When a file cannot be read or is of another mode; when ramps and rates are mixed, or segments of different
        visits or settings; when a segment is given twice, one in between is missing, or one of several does not say
        which integrations it holds.
    """
    segments = [_read(source) for source in sources]
    if not segments:
        raise InputError("no input: at least one uncal or rateints file is needed")
    for segment in segments:
        _require_lrs(segment)
        require_consistent_input(segment.source)
        _require_slope(segment)
    _require_one_series(segments)
    exposures: dict[str, list[Segment]] = {}
    for segment in segments:
        exposures.setdefault(segment.exposure, []).append(segment)
    ordered = []
    for _, members in sorted(exposures.items(), key=lambda item: _begin(item[1])):
        members.sort(key=lambda segment: (segment.first or 0, segment.name))
        if len(members) > 1:
            _require_same_total(members)
            _require_contiguous(members, allow_gaps=allow_gaps)
        _say_what_lacks(members)
        ordered += members
    return ordered


def require_pointing(segment: Segment) -> None:
    """Refuse a file that does not say where the telescope pointed, which wavelengths are computed by.

    Raises
    ------
    InputError
    """
    keywords = ("RA_REF", "DEC_REF", "ROLL_REF", "V2_REF", "V3_REF")
    missing = [word for word in keywords if segment.meta.get(f"wcsinfo.{word.lower()}") is None]
    if missing and segment.meta.get("cal_step.assign_wcs") != "COMPLETE":
        raise InputError(
            f"{segment.name}: {', '.join(missing)} missing; wavelengths are computed by the pointing (or give "
            "wavelength_map, a file with the wavelength of every pixel)"
        )


def _begin(members: list[Segment]) -> tuple[float, str]:
    """Return when an exposure began (MJD, 0 where headers do not say), and its name: what exposures are sorted by."""
    starts = [segment.meta.get("exposure.start_time") for segment in members]
    known = [float(start) for start in starts if isinstance(start, int | float)]
    return min(known, default=0.0), members[0].exposure


def _read(source: Any) -> Segment:
    if not isinstance(source, JwstDataModel):
        return Segment(Path(source), read_header(Path(source)))
    return Segment(source, {**metadata_of(source), "model_type": type(source).__name__})


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


def _require_one_series(segments: list[Segment]) -> None:
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
                    f"{first.name} and {other.name} are from different time series: "
                    f"{key} is {first.meta.get(key)} and {other.meta.get(key)}"
                )


def _require_numbers(segments: list[Segment]) -> None:
    """Refuse segments of one exposure that do not say which of its integrations they hold."""
    for segment in segments:
        for keyword, value in (("INTSTART", segment.first), ("INTEND", segment.last)):
            if value is None:
                raise InputError(
                    f"{segment.name}: no number of its {'first' if keyword == 'INTSTART' else 'last'} integration "
                    f"({keyword}); several segments cannot be put in order"
                )


def _require_contiguous(segments: list[Segment], *, allow_gaps: bool) -> None:
    _require_numbers(segments)
    for before, after in itertools.pairwise(segments):
        assert before.last is not None  # else refused
        assert after.first is not None
        if after.first <= before.last:
            raise InputError(
                f"{before.name} and {after.name} both hold integration {after.first}: is a segment given twice?"
            )
        if after.first == before.last + 1:
            continue
        lack = f"integrations {before.last + 1} to {after.first - 1} are missing between {before.name} and {after.name}"
        if not allow_gaps:
            raise InputError(
                f"{lack}: give the segment in between, or allow gaps (--set allow_gaps=true)",
                missing_from=before.last + 1,
                missing_to=after.first - 1,
            )
        log.warning(lack)


def _require_same_total(segments: list[Segment]) -> None:
    """Refuse ramps of one exposure that do not agree on how many integrations it has."""
    known = [segment for segment in segments if segment.is_ramp and segment.meta.get("exposure.nints") is not None]
    for other in known[1:]:
        said, also = known[0].meta["exposure.nints"], other.meta["exposure.nints"]
        if said != also:
            raise InputError(
                f"{known[0].name} and {other.name} are segments of one exposure, but NINTS is {said} and {also}; the "
                "number of integrations in all is needed in both"
            )


def _say_what_lacks(segments: list[Segment]) -> None:
    """Warn of segments that lie before the first or behind the last of an exposure."""
    first, last = segments[0], segments[-1]
    total = last.meta.get("exposure.segment_total")
    if first.first is not None and first.first > 1:
        _warn(_missing(1, first.meta.get("exposure.segment_number"), total), 1, first.first - 1, first.name)
    n_ints = last.meta.get("exposure.nints")
    if last.last is not None and isinstance(n_ints, int) and n_ints > last.last:
        number = last.meta.get("exposure.segment_number")
        after = number + 1 if isinstance(number, int) else None
        behind = total + 1 if isinstance(total, int) else None
        _warn(_missing(after, behind, total), last.last + 1, n_ints, last.name)


def _missing(first: int | None, stop: int | None, total: int | None) -> str:
    """Return "segment 1 of 2", "segments 1 to 3 of 5", or no more than "segments" where headers do not say."""
    if not (isinstance(first, int) and isinstance(stop, int) and isinstance(total, int)) or stop <= first:
        return "segments"
    return f"segment {first} of {total}" if stop == first + 1 else f"segments {first} to {stop - 1} of {total}"


def _warn(which: str, first: int, last: int, name: str) -> None:
    log.warning("%s missing: integrations %d-%d of the exposure of %s", which, first, last, name)
