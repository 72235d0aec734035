"""The types of references missing for an exposure: some steps are skipped without them, others fail."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from detectorist.crds_source import ReferenceSource
from detectorist.errors import ReferenceMissing
from detectorist.reduction.inputs.headers import read_header
from detectorist.reduction.needed_references import best_references, require_whole_references

log = logging.getLogger(__name__)

#: What steps cannot do without: the standard ones fail on the name "N/A".
INDISPENSABLE = {"jump": ("gain", "readnoise"), "ramp_fit": ("gain", "readnoise"), "assign_wcs": ("specwcs",)}
#: What steps are skipped without.
USUAL = {
    "dq_init": ("mask",),
    "saturation": ("saturation",),
    "ipc": ("ipc",),
    "superbias": ("superbias",),
    "reset": ("reset",),
    "linearity": ("linearity",),
    "rscd": ("rscd",),
    "dark_current": ("dark",),
    "flat_field": ("flat",),
}
#: Steps that an instrument does not go through.
OF_OTHERS = {"NIRCAM": ("reset", "rscd"), "MIRI": ("superbias",)}
#: Steps that make a reference from the data.
MADE = {"set_custom_gain": "gain", "set_custom_linearity": "linearity"}


def missing_types(pipeline: Any, names: Iterable[str], path: Path, source: ReferenceSource) -> str:
    """Return the types of references that are missing, and without which steps are skipped: "superbias, dark" or "".

    pipeline : Pipeline
        With its steps constructed.
    names : iterable of str
        Of the steps that this exposure goes through.
    path : Path
        A file of the exposure; its header decides.

    Raises
    ------
    ReferenceMissing
        When a step cannot run without one of them, with types, detector and subarray; when a file that is named is not
        there, or is not whole.
    """
    if source.name == "none":
        return ""
    detector, subarray, others = _setting(path)
    steps = [name for name in names if name not in others and not getattr(pipeline, name).skip]
    made = {MADE[name] for name in pipeline.step_defs if name in MADE and not getattr(pipeline, name).skip}
    wanted = {
        kind: name in INDISPENSABLE
        for name in steps
        for kind in (*USUAL.get(name, ()), *INDISPENSABLE.get(name, ()))
        if kind not in made and not getattr(getattr(pipeline, name), f"override_{kind}", None)
    }
    best = best_references(path, sorted(wanted)) if wanted else {}
    require_whole_references(best)
    missing = [kind for kind in wanted if str(best.get(kind, "NOT FOUND")).upper().startswith("NOT FOUND")]
    if any(wanted[kind] for kind in missing):
        raise ReferenceMissing(
            f"{path}: no reference of type {', '.join(missing)} for {detector}, subarray {subarray} (references from "
            f"{source.name}); references of this detector and subarray are needed",
            types=missing,
        )
    if missing:
        log.warning("%s: no reference of type %s for %s, subarray %s", path, ", ".join(missing), detector, subarray)
    return ", ".join(missing)


def _setting(path: Path) -> tuple[str, str, tuple[str, ...]]:
    """Return detector and subarray of an exposure, and the steps that its instrument does not go through."""
    meta = read_header(path)
    detector, subarray = (str(meta.get(key) or "unknown") for key in ("instrument.detector", "subarray.name"))
    return detector, subarray, OF_OTHERS.get(str(meta.get("instrument.name")), ())
