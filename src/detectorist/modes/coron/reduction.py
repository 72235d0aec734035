"""One coronagraphic exposure from its file to products, which appear when all are complete."""

from __future__ import annotations

import logging
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import ImageModel, RampModel

from detectorist import __version__, models
from detectorist.atomic_files import PARTIAL, sync, writing
from detectorist.crds_source import use_references
from detectorist.detectors import CORONAGRAPHIC_TYPES
from detectorist.errors import InputError, PlaceTaken
from detectorist.fits_files import read_array
from detectorist.libraries.garbage_collection import freeze_what_is_loaded, released_at_its_end
from detectorist.modes.coron.pipeline import RAMP_STEPS, Coron1Pipeline
from detectorist.modes.coron.quality import measure
from detectorist.modes.quality import MISSING_REFERENCES, ODD_FRAME_DIVISOR
from detectorist.product_names import product_of, stem_of
from detectorist.reduction import content_keys, products
from detectorist.reduction.inputs.frame_averaging import odd_frame_divisor
from detectorist.reduction.inputs.headers import has_tree, read_header
from detectorist.reduction.inputs.integration_numbers import are_missing, fill_in
from detectorist.reduction.missing_references import missing_types
from detectorist.reduction.recipes.recipe_files import load_recipe
from detectorist.reduction.runner import (
    Request,
    build_pipeline,
    log_file,
    references_in_words,
    require_writable,
    resolve,
)

log = logging.getLogger(__name__)

#: Products without which an exposure is not reduced.
NEEDED = ("rate", "rateints")
#: MIRI has no superbias: what one group holds is mostly the pedestal.
LEAST_GROUPS_MIRI = 2


@dataclass(frozen=True)
class Reduced:
    """The result for an exposure: all products, records of the steps, every parameter in force."""

    products: tuple[Path, ...]
    steps: dict[str, Any]
    resolved: dict[str, Any]


def reduce_exposure(request: Request) -> Reduced:
    """Reduce one coronagraphic exposure. Products appear under their names when all are complete.

    Raises
    ------
    InputError
        When the file is not a raw coronagraphic exposure, is incomplete, contradicts itself, or no rate could be
        fitted.
    PlaceTaken
        When a product would replace an input or a foreign file.
    DetectoristError
        As the steps say.
    """
    (file,) = request.files
    uncal = Path(file)
    require_ramp(uncal)
    recipe = load_recipe("coron", request.recipe).with_settings(request.settings)
    recipe.check(Coron1Pipeline)
    require_writable(request.output_dir)
    source = use_references(request.references)
    with log_file(request.beside("detectorist.log")):
        partial = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=request.output_dir))
        try:
            pipeline = build_pipeline(
                Coron1Pipeline,
                str(uncal),
                steps=recipe.steps,
                output_dir=str(partial),
                save_results=True,
                **recipe.parameters,
            )
            with released_at_its_end(pipeline):
                pipeline.hashes = {}
                with references_in_words(source):
                    doubts = {
                        "part": part_of_exposure(uncal),
                        MISSING_REFERENCES.key: missing_types(pipeline, pipeline.step_defs, uncal, source),
                        ODD_FRAME_DIVISOR.key: odd_frame_divisor(pipeline, uncal),
                    }
                    freeze_what_is_loaded()
                    found = pipeline.run(_as_named(uncal))
                resolved = resolve(Coron1Pipeline, pipeline, request, recipe, source, [str(uncal)])
                made = _require_whole(uncal, partial, found)
                key = content_keys.content_key(uncal, pipeline.get_pars(), source.name)
                written = tuple(_publish(path, request, uncal, key, pipeline.hashes.get(path.name)) for path in made)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return Reduced(written, _records(found, written, doubts), resolved)


def part_of_exposure(uncal: Path) -> str:
    """Return "1 to 3 of 77" for a file with a part of the integrations of its exposure, which is logged; else ""."""
    meta = read_header(uncal)
    first, last, total = (meta.get(f"exposure.{name}") for name in ("integration_start", "integration_end", "nints"))
    if first is None or last is None or total is None or last - first + 1 >= total:
        return ""
    part = f"{first} to {last} of {total}"
    log.warning("%s holds integrations %s of its exposure: its rate is that of these alone", uncal.name, part)
    return part


def _as_named(uncal: Path) -> Any:
    """Return a file for the pipeline, as a model where stpipe makes other names of its own, or needs more to be said.

    It reads ASDF only, and numbers integrations from 1.
    """
    usual = f"{stem_of(uncal)}_uncal.fits"
    if uncal.name == usual and has_tree(uncal) and not are_missing(uncal):
        return str(uncal)
    ramps = models.open_as(uncal, RampModel)
    fill_in(ramps, len(ramps.data))
    ramps.meta.filename = usual
    return ramps


def _require_whole(uncal: Path, folder: Path, found: Any) -> list[Path]:
    made = sorted(folder.glob("*.fits"))
    needed = {f"{stem_of(uncal)}_{product}.fits" for product in NEEDED}
    if found is None or not {path.name for path in made} >= needed or not np.isfinite(found.data).any():
        raise InputError(f"{uncal}: no rate could be fitted; are all groups flagged?")
    return made


def _publish(path: Path, request: Request, uncal: Path, key: str | None, digest: str | None) -> Path:
    target = request.output_dir / path.name
    products.require_ours(target, uncal, overwrite=request.overwrite)
    if request.keep and content_keys.is_whole(target):
        raise PlaceTaken(
            f"{target}: made by detectorist {_how_else(target)}, and is not overwritten; "
            "use --overwrite (run_obs: overwrite=True)"
        )
    with writing(target):
        content_keys.seal(path, key, digest=digest)
        sync(path)
        return path.replace(target)


def _how_else(target: Path) -> str:
    """Say why a product of ours is not the one that would be made now."""
    made_by = content_keys.made_by(target)
    return "with other parameters or input" if made_by == __version__ else f"{made_by} (this is {__version__})"


def _records(rate: ImageModel, made: tuple[Path, ...], doubts: dict[str, str]) -> dict[str, Any]:
    """Return what the steps recorded in the rate, and the figures of merit of the exposure."""
    rateints = next(path for path in made if product_of(path) == "rateints")
    steps = {alias: dict(numbers) for alias, numbers in models.records(rate).items()}
    cube, errors = (np.asarray(read_array(rateints, name), float) for name in ("SCI", "ERR"))
    numbers = measure(np.asarray(rate.data, float), cube, errors, read_array(rateints, "DQ"), steps)
    return {
        "exposure": {"type": _type_of(rate), **numbers, **{key: told for key, told in doubts.items() if told}},
        **steps,
    }


def _type_of(model: ImageModel) -> str:
    """Return what the header says of an exposure: SCI, REF, or a background of these."""
    kind = "REF" if model.meta.exposure.psf_reference else "SCI"
    return f"{kind}_BG" if model.meta.observation.bkgdtarg else kind


def require_ramp(path: Path) -> None:
    """Raise InputError for a file of another instrument or mode, without ramps, or with ramps too short for a slope."""
    meta = read_header(path)
    if (instrument := meta.get("instrument.name")) not in RAMP_STEPS:
        known = " or ".join(sorted(RAMP_STEPS, reverse=True))
        raise InputError(f"{path}: instrument is {instrument or 'unknown'}; {known} is needed")
    if (kind := meta.get("exposure.type")) not in (None, *CORONAGRAPHIC_TYPES):
        needed = ", ".join(CORONAGRAPHIC_TYPES)
        raise InputError(f"{path}: EXP_TYPE is {kind}; a coronagraphic exposure ({needed}) is needed")
    if product_of(path) in (*NEEDED, "cal", "calints"):
        raise InputError(
            f"{path}: only a rate is there; {stem_of(path)}_uncal.fits is needed beside it or one folder above"
        )
    if (
        meta.get("instrument.name") == "MIRI"
        and (meta.get("exposure.ngroups") or LEAST_GROUPS_MIRI) < LEAST_GROUPS_MIRI
    ):
        raise InputError(
            f"{path}: {meta['exposure.ngroups']} group per integration; {LEAST_GROUPS_MIRI} are needed, for the first "
            "one of MIRI holds the pedestal"
        )
    models.require_kind_of_file(path, RampModel)
