"""Gain and linearity references made from the last segment as files, since pipelines take no open models."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import JwstDataModel, LinearityModel, RampModel

from detectorist import models
from detectorist.algorithms.ramps.groups import count_deciding
from detectorist.algorithms.ramps.linearity import TRACE_COLUMNS
from detectorist.algorithms.ramps.refpix import N_OUTPUTS
from detectorist.errors import InputError, TooFewPixels
from detectorist.modes.lrs.segments import Segment
from detectorist.reduction import products
from detectorist.reduction.inputs import exposure_parts

log = logging.getLogger(__name__)

#: Steps that use the gain, and so take a gain of one's own.
GAIN_STEPS = ("jump", "ramp_fit", "gain_scale")
#: DN between which a linearity reference is looked at, and the change of their difference from which on it corrects.
PROBED_DN = (1.0e4, 5.0e4)
LEAST_CORRECTION = 1e-4


def make_references(pipeline: Any, last: Segment) -> dict[str, dict[str, Any]]:
    """Make the references that the recipe requests in `references/`, and pass them to the steps that use them.

    pipeline : LrsPipeline. last : its last segment, of ramps.
    Returns the records {step: numbers}, or the reasons why references were not made.
    """
    records = {}
    if not pipeline.set_custom_gain.skip:
        records["set_custom_gain"] = _make_gain(pipeline, last)
    if not pipeline.set_custom_linearity.skip:
        records["set_custom_linearity"] = _make_linearity(pipeline, last)
    return records


def _make_gain(pipeline: Any, last: Segment) -> dict[str, Any]:
    gain = pipeline.set_custom_gain.run(_first_integrations(last, 1))
    path = products.write_model(gain, pipeline.folder / "references" / f"{last.stem}_gain.fits")
    pipeline.written.append(path)
    for name in GAIN_STEPS:
        getattr(pipeline, name).override_gain = str(path)
    return {"state": "COMPLETE", **pipeline.set_custom_gain.record}


def _make_linearity(pipeline: Any, last: Segment) -> dict[str, Any]:
    step = pipeline.set_custom_linearity
    if step.when == "needed":
        known = describe_reference(pipeline.linearity, _first_integrations(last, 1))
        if known is not None:
            log.info("%s: no linearity correction is derived from the data: %s", last.name, known)
            return {"state": "SKIPPED", "reason": known}
    try:
        made = step.run(_source_of_linearity(pipeline, last))
    except (InputError, TooFewPixels) as error:
        if step.when != "needed":
            raise
        log.warning("the ramps are not corrected for non-linearity: %s", error.message)
        return {"state": "SKIPPED", "reason": error.message, **error.numbers}
    path = products.write_model(made, pipeline.folder / "references" / f"{last.stem}_linearity.fits")
    pipeline.written.append(path)
    pipeline.linearity.override_linearity = str(path)
    return {"state": "COMPLETE", **step.record}


def describe_reference(linearity: Any, model: JwstDataModel) -> str | None:
    """Describe the effect of the step's linearity reference on `model`; None if there is none or it changes nothing."""
    name = linearity.get_reference_file(model, "linearity")
    if name == "N/A":
        return None
    with LinearityModel(name) as reference:
        start = reference.meta.subarray
        whole = (start.xstart or 1, start.ystart or 1)
        coefficients = models.on_subarray(np.asarray(reference.coeffs), model, whole)[..., N_OUTPUTS:].astype(float)
    low, high = (np.polynomial.polynomial.polyval(dn, coefficients) for dn in PROBED_DN)
    changed = np.abs((high - low) / (PROBED_DN[1] - PROBED_DN[0]) - 1) > LEAST_CORRECTION
    # The standard step leaves pixels without a linear term as they are.
    changed &= coefficients[1] != 0
    if changed.mean() < 0.5:
        return None
    return f"{Path(name).name} corrects {100 * changed.mean():.0f} % of the pixels"


def _first_integrations(segment: Segment, n_ints: int) -> RampModel | JwstDataModel:
    if isinstance(segment.source, Path):
        return exposure_parts.read_integrations(segment.source, 0, n_ints)
    return segment.source


def _source_of_linearity(pipeline: Any, last: Segment) -> Any:
    """Return the ramps that the correction is made from: as much of the segment as the method looks at."""
    step = pipeline.set_custom_linearity
    if not isinstance(last.source, Path):
        return last.source
    if step.method == "above_pedestal":
        shape = exposure_parts.shape_of(last.source)
        return exposure_parts.read_integrations(last.source, 0, count_deciding(shape))
    if not pipeline.in_chunks(last.source):
        return last.source
    rows = slice(step.row_idx_start_used, step.row_idx_end_used)
    return exposure_parts.only_pixels(last.source, rows, TRACE_COLUMNS, pipeline.chunk_ints)
