"""`detectorist snowballs | destripe`: one correction of one file at a time, like the CEERS scripts."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from detectorist.modes.imaging.command import require_located
from detectorist.product_names import stem_of, without_ending
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet

Output = Annotated[Path, typer.Option("--output-dir", "-o", help="Folder for products.")]
Input = Annotated[Path, typer.Option(help="Folder to look in if the file is not found under the path given.")]
References = Annotated[
    str | None,
    typer.Option(
        help="Where reference files come from: crds, none, or a CRDS cache folder. Default: crds if set up, else none."
    ),
]
InPlace = Annotated[bool, typer.Option("--in-place", help="Overwrite the input file.")]
MaskFile = Annotated[
    Path | None, typer.Option(help="Source mask: FITS image, non-zero on sources. Default: sources are detected.")
]
NoFlat = Annotated[bool, typer.Option("--no-flat", help="Measure on the image without flat-fielding it.")]


class Method(StrEnum):
    """How 1/f noise is estimated."""

    flicker = "flicker"
    median = "median"


class Grouping(StrEnum):
    """How snowballs are found."""

    default = "default"
    ceers = "ceers"


def snowballs(
    file: Annotated[Path, typer.Argument(help="Raw exposure, _uncal.fits.")],
    output_dir: Output = Path("calibrated"),
    input_dir: Input = Path("uncals"),
    references: References = None,
    method: Annotated[
        Grouping, typer.Option(help="default: by shape; ceers: by disks of fixed radii.")
    ] = Grouping.default,
    maximum_cores: Annotated[
        str, typer.Option("--maximum-cores", "--maximum_cores", help="CPU cores: none, quarter, half or all.")
    ] = "none",
    delete_interim: Annotated[
        bool,
        typer.Option(
            "--delete-interim",
            "--delete_interim",
            help="Delete the ramps and the rates of single integrations at the end.",
        ),
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Run stage 1 with snowballs flagged: raw ramps to a rate image, before wisps and 1/f noise are subtracted.

    Example: detectorist snowballs jw01345001001_10201_00001_nrca3_uncal.fits
    """
    found = require_located(file, input_dir)
    from detectorist.modes.imaging.reduction import reduce_exposure
    from detectorist.reduction.inputs.headers import require_sound
    from detectorist.reduction.runner import Request

    settings = [
        f'snowballs.method="{method.value}"',
        f'jump.maximum_cores="{maximum_cores}"',
        f'ramp_fit.maximum_cores="{maximum_cores}"',
        "wisps.skip=true",
        "stripes.skip=true",
        f"delete_interim={str(delete_interim).lower()}",
        f"save_calibrated_ramp={str(not delete_interim).lower()}",
    ]
    require_sound(found)
    prefix = f"{stem_of(found)}_"
    made = reduce_exposure(Request([found], output_dir, settings=settings, references=references, prefix=prefix))
    if not quiet:
        print_lines([f"read {found}", f"wrote {made.rate}"])


def destripe(
    file: Annotated[Path, typer.Argument(help="Rate image, _rate.fits, or rates of integrations, _rateints.fits.")],
    thresh: Annotated[
        float | None,
        typer.Option(
            help="Masked fraction of an amplifier row above which the median of the whole row is used; implies "
            "--method median. Default: 0.8.",
            show_default=False,
        ),
    ] = None,
    save_patterns: Annotated[
        bool, typer.Option("--save-patterns", "--save_patterns", help="Write *_horiz.fits and *_vert.fits.")
    ] = False,
    method: Annotated[
        Method | None,
        typer.Option(
            help="flicker: 1/f noise modelled along the readout; median: medians of rows and columns. Default: "
            "flicker; median with --thresh.",
            show_default=False,
        ),
    ] = None,
    output_dir: Output = Path("calibrated"),
    input_dir: Input = Path("calibrated"),
    references: References = None,
    mask_file: MaskFile = None,
    no_flat: NoFlat = False,
    in_place: InPlace = False,
    quiet: Quiet = False,
) -> None:
    """Subtract 1/f noise (stripes) from a rate image.

    An existing source mask *_1fmask.fits next to the product is reused, unless --mask-file names another.

    Example: detectorist destripe jw01345001001_10201_00001_nrca3_rate.fits --thresh 0.15
    """
    from detectorist.errors import ParameterError

    if thresh is not None and method is Method.flicker:
        raise ParameterError("--thresh is for the median method; flicker has no threshold", parameter="thresh")
    chosen = method or (Method.flicker if thresh is None else Method.median)
    folder = require_located(file, input_dir).parent if in_place else output_dir
    earlier = folder / f"{without_ending(file)}_1fmask.fits"
    if mask_file is None and earlier.is_file():
        mask_file = earlier
        if not quiet:
            print_lines([f"source mask {earlier}"])
    parameters = parameters_of_rate_step(mask_file, no_flat)
    parameters |= {"method": chosen.value, "save_patterns": save_patterns, "save_mask": mask_file is None}
    if thresh is not None:
        parameters["thresh"] = thresh
    correct("stripes", file, output_dir, input_dir, references, in_place, parameters, quiet)


def parameters_of_rate_step(mask_file: Path | None, no_flat: bool) -> dict[str, Any]:
    """Return the parameters of a step on rates that correspond to its options."""
    parameters: dict[str, Any] = {"apply_flat": not no_flat}
    if mask_file is not None:
        parameters["mask_file"] = str(mask_file)
    return parameters


def correct(
    step: str,
    file: Path,
    output_dir: Path,
    input_dir: Path,
    references: str | None,
    in_place: bool,
    parameters: dict[str, Any],
    quiet: bool,
) -> None:
    """Run a step on a rate file, and print the files read and written."""
    found = require_located(file, input_dir)
    from detectorist.modes.imaging.rate_correction import RateRequest, correct_rate_file

    if in_place:
        file = found
    result = correct_rate_file(RateRequest(step, file, output_dir, input_dir, in_place, parameters, references))
    if quiet:
        return
    reason = result.record.get("reason", "nothing to correct")
    written = f"wrote {result.target}" if result.target else f"left alone: {reason}"
    print_lines([f"read {result.source}", written])
