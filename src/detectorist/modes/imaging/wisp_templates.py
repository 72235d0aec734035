"""Wisp templates from rate files: one for each detector and filter among them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.table import Table
from stdatamodels.jwst.datamodels import ImageModel

from detectorist import models
from detectorist.algorithms.wisps.wisp_templates import MIN_EXPOSURES, WispTemplate, stack_template
from detectorist.atomic_files import whole_file
from detectorist.crds_source import ReferenceSource, use_references
from detectorist.errors import AlreadyCorrected, DetectoristError, InputError, OutputError, TooFewPixels
from detectorist.fits_files import read_keywords
from detectorist.modes.imaging.pipeline import has_wisps
from detectorist.modes.imaging.reduction import Exposure, read_exposure
from detectorist.reduction import content_keys
from detectorist.reduction.file_hash import file_hash
from detectorist.reduction.runner import references_in_words, require_writable
from detectorist.stage_1.nircam_readout import readout_of
from detectorist.stage_1.rate_images import flat_under, refuse_corrected, require_honest_size, unusable_pixels
from detectorist.stage_1.wisps import WispsStep

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class TemplateRequest:
    """A request for wisp templates.

    Attributes
    ----------
    files : sequence of str or Path
        Rate images with their wisps, of any detectors and filters.
    output_dir : Path
        Folder for the templates, as used by `wisps.template_dir`.
    references : str or Path, optional
        As in `crds_source.use_references`.
    apply_flat : bool
        Stack flat-fielded images, as templates should be.
    overwrite : bool
        Replace templates that exist.
    """

    files: Sequence[str | Path]
    output_dir: Path
    references: str | Path | None = None
    apply_flat: bool = True
    overwrite: bool = False
    progress: Callable[[float, int, str], None] = field(default=lambda done, total, what: None)


@dataclass(frozen=True)
class MadeTemplate:
    """A template that was written: its file, its figure, and its exposures."""

    path: Path
    figure: Path
    detector: str
    band: str
    names: list[str]
    strength: list[float]


@dataclass(frozen=True)
class TemplatePlan:
    """Exposures by (detector, filter), and a line for each of those that are left out."""

    groups: dict[tuple[str, str], list[Exposure]]
    left_out: list[str]


def plan_templates(files: Sequence[str | Path]) -> TemplatePlan:
    """Sort rate files by detector and filter.

    Files without wisps, and groups with too few files, are left out as long as any template can be made.

    Raises
    ------
    InputError
        When a file cannot be read or is not a NIRCam rate image, when no file shows wisps, or when images of one
        detector and filter differ in shape.
    AlreadyCorrected
        When wisps have been subtracted from a file.
    TooFewPixels
        When there are fewer than 3 exposures of every detector and filter.
    """
    if not files:
        raise InputError("no input: rate images are needed")
    groups: dict[tuple[str, str], list[Exposure]] = {}
    for file in files:
        exposure = read_exposure(file)
        if exposure.is_ramp:
            raise InputError(f"{file}: ramps; rate images are needed")
        instrument = (str(exposure.meta.get(f"instrument.{name}") or "").upper() for name in ("detector", "filter"))
        groups.setdefault(tuple(instrument), []).append(exposure)  # type: ignore[arg-type]
    left_out = [
        f"{detector} in {band}: no wisps are known there ({len(found)} files)"
        for (detector, band), found in groups.items()
        if not has_wisps(detector, band)
    ]
    groups = {key: found for key, found in groups.items() if has_wisps(*key)}
    if not groups:
        raise InputError(f"no file shows wisps: {'; '.join(left_out)}")
    few = {key: found for key, found in groups.items() if len(found) < MIN_EXPOSURES}
    left_out += [
        f"{detector} in {band}: {len(found)} exposures, {MIN_EXPOSURES} are needed"
        for (detector, band), found in few.items()
    ]
    groups = {key: groups[key] for key in sorted(groups) if key not in few}
    if not groups:
        raise TooFewPixels(f"no wisp template can be made: {'; '.join(left_out)}")
    for found in groups.values():
        _require_one_shape(found)
        for exposure in found:
            _require_wisps_in(exposure)
    return TemplatePlan(groups, left_out)


def make_wisp_templates(request: TemplateRequest) -> tuple[list[MadeTemplate], list[str]]:
    """Make and write a template for each detector and filter: `wisps_nrca3_f150w.fits`, with a figure beside it.

    Returns the templates, and a line for each detector and filter that was left out.

    All exposures of a detector and filter are in memory together: 25 MB for each full frame.

    Raises
    ------
    DetectoristError
        As `plan_templates` and `algorithms.wisp_templates.stack_template`; OutputError for a template that exists, or
        if nothing can be written.
    """
    plan = plan_templates(request.files)
    targets = {key: request.output_dir / f"wisps_{key[0].lower()}_{key[1].lower()}.fits" for key in plan.groups}
    there = [str(path) for path in targets.values() if path.exists()]
    if there and not request.overwrite:
        raise OutputError(f"{', '.join(there)}: exists; choose another output folder or use --overwrite")
    require_writable(request.output_dir)
    source = use_references(request.references, optional=True)
    if source.name == "none" and request.apply_flat:
        log.warning("no reference files are set: templates are made without a flat field")
    made: list[MadeTemplate] = []
    total = sum(len(found) for found in plan.groups.values())
    for key, found in plan.groups.items():
        done = sum(len(template.names) for template in made)

        def tell(number: int, what: str, done: int = done) -> None:
            request.progress(done + number, total, what)

        made.append(_make_one(request, source, key, found, targets[key], tell))
    request.progress(total, total, "done")
    return made, plan.left_out


def _require_one_shape(exposures: list[Exposure]) -> None:
    """Raise InputError unless all images lie on the same pixels of the detector."""
    first, place = exposures[0], [f"subarray.{name}" for name in ("xsize", "ysize", "xstart", "ystart")]
    for other in exposures[1:]:
        found = [[exposure.meta.get(key) for key in place] for exposure in (first, other)]
        if found[0] != found[1]:
            raise InputError(
                f"{first.path} and {other.path}: {found[0][0]} x {found[0][1]} pixels from {found[0][2:]} and "
                f"{found[1][0]} x {found[1][1]} from {found[1][2:]}; images of one shape and place are needed"
            )


def _require_wisps_in(exposure: Exposure) -> None:
    if exposure.meta.get("cal_step.wisps") == "COMPLETE" or read_keywords(exposure.path).text("S_WISPS") == "COMPLETE":
        raise AlreadyCorrected(f"{exposure.path}: its wisps have been subtracted; a rate from before is needed")


def _make_one(
    request: TemplateRequest,
    source: ReferenceSource,
    key: tuple[str, str],
    exposures: list[Exposure],
    target: Path,
    tell: Callable[[int, str], None],
) -> MadeTemplate:
    detector, band = key
    step = WispsStep()
    images, bad, flats = [], [], set()
    for number, exposure in enumerate(exposures):
        tell(number, exposure.stem)
        with models.open_as(exposure.path, ImageModel) as model:
            model.meta.filename = exposure.path.name
            require_honest_size(model)
            refuse_corrected(model, "wispsub")
            readout = readout_of(model)
            image, unusable = np.array(model.data, np.float32), unusable_pixels(model)
            if request.apply_flat and source.name != "none":
                with references_in_words(source):
                    flat = flat_under(step, model)
                if flat is not None:
                    unusable |= ~np.isfinite(flat)
                    image /= np.nan_to_num(flat, nan=1.0)
                    flats.add(Path(step.get_reference_file(model, "flat")).name)
        images.append(image)
        bad.append(unusable)
    tell(len(exposures) - 1, f"stacking {len(exposures)} exposures of {detector} in {band}")
    try:
        template = stack_template(images, bad, readout=readout)
    except DetectoristError as error:
        raise type(error)(f"{detector} in {band}: {error.message}", **error.numbers) from error
    _write(template, target, key, exposures, sorted(flats))
    figure = _draw(template, target)
    names = [exposure.path.name for exposure in exposures]
    return MadeTemplate(target, figure, detector, band, names, [float(s) for s in template.strength])


def _write(
    template: WispTemplate, target: Path, key: tuple[str, str], exposures: list[Exposure], flats: list[str]
) -> None:
    """Write the template, the exposures behind each pixel, and a table of the exposures with their strengths."""
    sci = fits.ImageHDU(template.image, name="SCI")
    sci.header["BUNIT"] = ("DN/s", "flat-fielded" if flats else "not flat-fielded")
    head = fits.PrimaryHDU()
    meta = exposures[0].meta
    for card, value, comment in (
        ("TELESCOP", "JWST", ""),
        ("INSTRUME", "NIRCAM", ""),
        ("DETECTOR", key[0], ""),
        ("FILTER", key[1], ""),
        ("PUPIL", meta.get("instrument.pupil"), ""),
        ("SUBARRAY", meta.get("subarray.name"), ""),
        ("SUBSTRT1", meta.get("subarray.xstart"), "first column on the detector, from 1"),
        ("SUBSTRT2", meta.get("subarray.ystart"), "first row on the detector, from 1"),
        ("NEXP", len(exposures), "exposures that were stacked, see EXPOSURES"),
        ("FLAT", ", ".join(flats) or "none", "flat fields that were divided out"),
        ("DATE", datetime.now(UTC).isoformat(timespec="seconds"), "UTC"),
    ):
        if value is not None:
            head.header[card] = (value, comment)
    head.header["HISTORY"] = "wisp template: clipped mean of exposures of different fields, sources masked,"
    head.header["HISTORY"] = "divided by the strength of the wisp in each; 1 is the mean of the strengths"
    head.header["HISTORY"] = ", ".join(f"{name} {version(name)}" for name in content_keys.PACKAGES)
    table = Table(
        {
            "file": [exposure.path.name for exposure in exposures],
            "strength": template.strength.astype(np.float32),
            "sha256": [file_hash(exposure.path) for exposure in exposures],
        }
    )
    used = fits.ImageHDU(template.n_used, name="NUSED")
    with whole_file(target) as partial:
        fits.HDUList([head, sci, used, fits.BinTableHDU(table, name="EXPOSURES")]).writeto(partial)


def _draw(template: WispTemplate, target: Path) -> Path:
    from detectorist.figures import display
    from detectorist.figures.wisp_template import draw_template

    path = target.with_suffix(".png")
    display.show_or_write(draw_template(template.image, template.n_used, template.strength), "", path=str(path))
    return path
