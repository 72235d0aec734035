"""`detectorist subtract`: star subtraction for coronagraphic images."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from detectorist.errors import ParameterError
from detectorist.modes.coron.subtraction.settings import SubtractionSettings
from detectorist.terminal.options import Quiet, choice_option, file_option

_DEFAULT = SubtractionSettings()

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="Folders of `detectorist run coron`, rates or calibrated images (*_cal.fits) of target and reference star."
    ),
]
OutputDir = Annotated[
    Path | None, file_option("Folder for products. Default: `subtraction` beside the input.", "--output-dir", "-o")
]
References = Annotated[
    str | None, file_option('Reference files for stage 2: "crds", or a folder in CRDS\'s layout.', "--references")
]
Stage2 = Annotated[
    bool,
    choice_option(
        "Run calwebb_image2 on rates first (backgrounds, WCS, flat, photometry), or subtract rates as they are.",
        "--stage2/--no-stage2",
    ),
]
Modes = Annotated[int, choice_option("KL modes of the references, at most.", "--modes")]
RingWidth = Annotated[float, choice_option("Width of the rings on which they are fitted, pixel.", "--ring")]
Psf = Annotated[
    Path | None,
    file_option(
        "FITS image of a point source (odd size, source in the middle, flux 1). Default: diffraction by the mirror.",
        "--psf",
    ),
]
StarFlux = Annotated[
    float | None,
    choice_option(
        "Flux of the star without mask, unit of the image times pixel: contrasts are relative to it.", "--star-flux"
    ),
]
KnownCompanions = Annotated[
    list[str] | None,
    choice_option("A known companion: SEPARATION,ANGLE (arcsec, degrees). Repeatable. Default: search.", "--companion"),
]
Overwrite = Annotated[bool, file_option("Replace existing products.", "--overwrite")]


def subtract(
    sources: Sources,
    output_dir: OutputDir = None,
    references: References = None,
    stage_2: Stage2 = True,
    modes: Modes = _DEFAULT.most_modes,
    ring: RingWidth = _DEFAULT.ring_pix,
    psf: Psf = None,
    star_flux: StarFlux = None,
    companion: KnownCompanions = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Subtract a star by its reference stars: images without it, contrast curves, fluxes of companions.

    Example: detectorist subtract out --references sim/crds
    """
    settings = SubtractionSettings(
        most_modes=modes,
        ring_pix=ring,
        psf=None if psf is None else str(psf),
        star_flux=star_flux,
        companions=tuple(_companion(text) for text in companion or ()),
    )
    first = sources[0]
    folder = output_dir or (first if first.is_dir() else first.parent) / "subtraction"
    how = {"stage_2": stage_2, "references": references, "overwrite": overwrite}
    _subtract_and_say(sources, folder, settings, how, quiet)


def _subtract_and_say(
    sources: list[Path], folder: Path, settings: SubtractionSettings, how: dict[str, Any], quiet: bool
) -> None:
    from detectorist.modes.coron.subtraction.api import subtract_star
    from detectorist.modes.coron.subtraction.summary import summarise
    from detectorist.terminal.lines import print_lines
    from detectorist.terminal.progress import progress_bar

    with progress_bar("subtract", quiet=quiet) as progress:
        found = subtract_star(sources, folder, settings, progress=progress, **how)
    for one in found:
        names = ", ".join(path.name for path in one.files)
        print_lines([*summarise(one), f"written: {folder} ({names})"], quiet=quiet)


def _companion(text: str) -> tuple[float, float]:
    try:
        separation, angle = (float(part) for part in text.split(","))
    except ValueError as error:
        raise ParameterError(f"--companion is {text!r}; SEPARATION,ANGLE (arcsec, degrees) is needed") from error
    return separation, angle
