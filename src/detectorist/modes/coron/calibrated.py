"""Stage 2 of one coronagraphic exposure: `calwebb_image2` on its rates, with its background exposures."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jwst.pipeline import Image2Pipeline

from detectorist.errors import InputError
from detectorist.modes.coron.calibrated_quality import measure, read_calibrated
from detectorist.modes.job import Job, Outcome, Progress
from detectorist.product_names import exposure_name, product_of, stem_of
from detectorist.reduction.standard_pipeline import run_standard

#: What is calibrated: the rate of an exposure, and the rates of its integrations.
PRODUCTS = ("rate", "rateints")


def calibrate(job: Job, progress: Progress) -> Outcome:
    """Calibrate the rate of an exposure and, where they are there, the rates of its integrations.

    job : Job
        `after` names the exposure and then its empty fields; `left` are the rates of all of them.

    Raises
    ------
    DetectoristError
        As `run_standard`; InputError when the pipeline calibrates nothing.
    """
    own, fields = _by_product(job, own=True), _by_product(job, own=False)
    if "rate" not in own:
        raise InputError(f"{job.after[0]}: stage 2 needs its *_rate.fits")
    # A background has the dimensions of what it is subtracted from: rates of integrations from such.
    known = [product for product in PRODUCTS if product in own and len(fields[product]) == len(fields["rate"])]
    rates, fields_of = [own[product][0] for product in known], [fields[product] for product in known]
    n_fields = len(fields["rate"])
    progress(0, 1, f"calwebb_image2, {n_fields} backgrounds" if n_fields else "calwebb_image2")
    with tempfile.TemporaryDirectory() as folder:
        association = Path(folder) / "association.json"
        association.write_text(json.dumps(make_association(rates, fields_of)))
        made = run_standard(Image2Pipeline, job, rates[0], str(association), rename=lambda name: name)
    image = read_calibrated(made.ending_in("_cal.fits"))
    backgrounds = {"backgrounds": n_fields, "missing_backgrounds": len(job.after) - 1 - n_fields}
    return Outcome(
        made.products,
        {"exposure": {**measure(image), **backgrounds, "type": str(job.options.get("type", ""))}},
        resolved=made.resolved,
    )


def _by_product(job: Job, *, own: bool) -> dict[str, list[Path]]:
    """Return {product: files} of the exposure itself, or of its empty fields."""
    found: dict[str, list[Path]] = {} if own else {product: [] for product in PRODUCTS}
    for path in map(Path, job.left):
        if (exposure_name(path, segments=False) == job.after[0]) == own:
            found.setdefault(product_of(path), []).append(path)
    return found


def make_association(rates: Sequence[Path], fields: Sequence[Sequence[Path]]) -> dict[str, Any]:
    """Return the association of an exposure, as `calwebb_image2` reads it: a product for each of its rates.

    fields : sequence of sequence of Path
        The background exposures of each.
    """
    return {
        "asn_type": "image2",
        "asn_rule": "DMSLevel2bBase",
        "asn_pool": "none",
        "asn_id": "a3001",
        "program": "noprogram",
        "products": [
            {
                "name": stem_of(path),
                "members": [
                    {"expname": str(path), "exptype": "science"},
                    *({"expname": str(one), "exptype": "background"} for one in backgrounds),
                ],
            }
            for path, backgrounds in zip(rates, fields, strict=True)
        ],
    }
