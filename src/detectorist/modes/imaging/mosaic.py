"""Stage 3 of NIRCam images: `calwebb_image3` on all calibrated images of a field in one filter."""

from __future__ import annotations

import json
import logging
import tempfile
from pathlib import Path
from typing import Any

from astropy.table import Table
from jwst.pipeline import Image3Pipeline

from detectorist.modes.imaging.stages_quality import measure_mosaic, read_image
from detectorist.modes.job import Job, Outcome, Progress
from detectorist.reduction.inputs.headers import read_header
from detectorist.reduction.needed_references import find_references
from detectorist.reduction.standard_pipeline import Finished, run_standard

log = logging.getLogger(__name__)

#: Association's name, which becomes part of the names of images with outliers flagged (`*_crf.fits`).
ASN_ID = "a3001"
#: Fluxes in the catalogue need this reference file; CRDS has none for some combinations of detector and filter.
CATALOG_STEP, CATALOG_REFERENCE = "source_catalog", "apcorr"


def combine(job: Job, progress: Progress) -> Outcome:
    """Align images, match their skies, flag outliers, combine them and find sources.

    Raises
    ------
    DetectoristError
        As `run_standard`; InputError when the pipeline makes no mosaic.
    """
    images = [Path(path) for path in job.left]
    progress(0, 1, f"calwebb_image3 on {len(images)} images")
    left_out = _steps_without_references(job, images[0])
    with tempfile.TemporaryDirectory() as folder:
        association = Path(folder) / "association.json"
        association.write_text(json.dumps(make_association(job.name, images)))
        made = run_standard(
            Image3Pipeline, job, images[0], str(association), rename=lambda name: name, left_out=left_out
        )
    numbers = {
        "images": len(images),
        "missing": len(job.after) - len(images),
        **({} if left_out else {"sources": _n_sources(made)}),
        **measure_mosaic(read_image(made.ending_in("_i2d.fits"))),
    }
    products = sorted(made.products, key=lambda path: not path.name.startswith(job.name))  # the mosaic's own first
    return Outcome(products, {"exposure": numbers}, resolved=made.resolved)


def _steps_without_references(job: Job, image: Path) -> tuple[str, ...]:
    """Return the step that finds sources where CRDS has no aperture corrections: it would end the pipeline."""
    named = any(setting.startswith(f"{CATALOG_STEP}.override_{CATALOG_REFERENCE}") for setting in job.settings)
    if named or find_references(image, [CATALOG_REFERENCE], job.references)[CATALOG_REFERENCE] != "N/A":
        return ()
    log.warning("%s: CRDS has no aperture corrections for these images, so there is no catalogue of sources", job.name)
    return (CATALOG_STEP,)


def make_association(name: str, images: list[Path]) -> dict[str, Any]:
    """Return the association of a mosaic, as `calwebb_image3` reads it."""
    meta = read_header(images[0])
    return {
        "asn_type": "image3",
        "asn_rule": "DMS_Level3_Base",
        "asn_pool": "none",
        "asn_id": ASN_ID,
        "program": str(meta.get("observation.program_number") or "noprogram"),
        "target": str(meta.get("target.proposer_name") or meta.get("target.catalog_name") or "none"),
        "products": [
            {"name": name, "members": [{"expname": str(path), "exptype": "science"} for path in images]},
        ],
    }


def _n_sources(made: Finished) -> int:
    """Return the length of the catalogue; the pipeline writes none where it finds no source."""
    catalogs = [path for path in made.products if path.name.endswith("_cat.ecsv")]
    return len(Table.read(catalogs[0], format="ascii.ecsv")) if catalogs else 0
