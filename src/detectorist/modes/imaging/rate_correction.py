"""One correction of one NIRCam rate file: wisps or stripes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stdatamodels.jwst.datamodels import CubeModel, ImageModel, JwstDataModel

from detectorist import models
from detectorist.crds_source import use_references
from detectorist.errors import NoSuchFile, OutputError
from detectorist.modes.imaging.pipeline import RATE_STEPS
from detectorist.product_names import without_ending
from detectorist.reduction import products
from detectorist.reduction.inputs.headers import flag_missing_rates, require_rate_unit, require_sound
from detectorist.reduction.runner import build_pipeline, references_in_words, require_writable
from detectorist.stage_1.stripes import StripesStep
from detectorist.stage_1.subtract_1overf import product_of
from detectorist.stage_1.wisps import WispsStep

log = logging.getLogger(__name__)

_STEPS: dict[str, Any] = {"wisps": WispsStep, "stripes": StripesStep}


@dataclass(frozen=True)
class RateRequest:
    """A single correction of a single rate file.

    Attributes
    ----------
    step : str
        "wisps" or "stripes".
    file : Path
    output_dir, input_dir : Path
        Folder for products; folder in which files are searched that are not found as given.
    in_place : bool
        Write over the file given.
    parameters : dict
        Of the step.
    references : str, optional
        As in `crds_source.use_references`.
    """

    step: str
    file: Path
    output_dir: Path = Path("calibrated")
    input_dir: Path = Path("calibrated")
    in_place: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    references: str | Path | None = None


@dataclass(frozen=True)
class RateResult:
    """The files that a correction read and wrote; `target` is None if the image was not changed."""

    source: Path
    target: Path | None
    record: dict[str, Any]


def correct_rate_file(request: RateRequest) -> RateResult:
    """Run one correction on a rate file.

    It continues from the file of this name in the output folder, if there is one, so that corrections can be applied in
    turn. A copy of the input is kept as `*_prewisp.fits` or `*_pre1f.fits`.

    Raises
    ------
    InputError, AlreadyCorrected, ParameterError, ReferenceMissing
        As the step.
    OutputError
        When the product would replace the file given, and `in_place` does not allow that.
    """
    folder = request.file.parent if request.in_place else request.output_dir
    target = folder / request.file.name
    source = next(
        (path for path in (target, request.file, request.input_dir / request.file.name) if path.is_file()), None
    )
    if source is None:
        raise NoSuchFile(
            f"{request.file}: no such file, neither here nor in {request.output_dir} or {request.input_dir}"
        )
    if not request.in_place and request.file.is_file() and target.is_file() and target.samefile(request.file):
        raise OutputError(f"{target}: would overwrite the input; choose another output folder, or use --in-place")
    require_sound(source)
    require_writable(folder)
    references = use_references(request.references, optional=True)
    parameters = dict(request.parameters)
    if references.name == "none":
        log.warning("no reference files are set: measuring without a flat field")
        parameters["apply_flat"] = False
    step = build_pipeline(_STEPS[request.step], None, output_dir=str(folder), **parameters)
    kind: type[JwstDataModel] = CubeModel if product_of(source) is CubeModel else ImageModel
    model = models.open_as(source, kind)
    model.meta.filename = source.name
    require_rate_unit(model)
    flag_missing_rates(model)
    with references_in_words(references):
        corrected = step.run(model)
    if models.state(corrected, request.step) != "COMPLETE":
        return RateResult(source, None, step.record)
    ending = RATE_STEPS[request.step]
    products.write_model(model, folder / f"{without_ending(target)}_{ending}.fits")
    products.write_model(corrected, target)
    return RateResult(source, target, step.record)
