"""Options that only `detectorist run coron` has."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist.errors import ParameterError
from detectorist.modes.coron.keywords import SKIPS
from detectorist.modes.job import Wanted

FILES, CHOICES = "Input and output", "Processing"

#: Corrections that can be skipped: the keywords of `run_obs` without "skip_".
NAMES = ", ".join(name.removeprefix("skip_") for name in SKIPS)


def options(
    subdir: Annotated[
        str, typer.Option(help="Subfolder of OUTPUT_DIR for products.", rich_help_panel=FILES)
    ] = "stage1",
    outliers: Annotated[
        bool,
        typer.Option(
            "--outliers",
            help="Flag outliers across integrations, and refit the ramps that have them.",
            rich_help_panel=CHOICES,
        ),
    ] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(help=f"Skip a correction: {NAMES}. Repeatable.", rich_help_panel=CHOICES, show_default=False),
    ] = None,
    through: Annotated[
        str,
        typer.Option(
            help="Last stage: stage1 (rates) or stage2 (backgrounds subtracted, calibrated). Parameters of stage 2: "
            "--set stage2.flat_field.skip=true.",
            rich_help_panel=CHOICES,
        ),
    ] = "stage1",
) -> Wanted:
    """Reduce NIRCam or MIRI coronagraphy: raw ramps to rates of every integration.

    --through stage2 goes on with the standard pipeline to calibrated images.

    The type of each exposure (SCI, REF, SCI_BG, REF_BG) is read from its header and written to
    OUTPUT_DIR/database.ecsv. Edit that table and pass it instead of the files to change a type.

    Example: detectorist run coron sim/*_uncal.fits -o out --references sim/crds
    """
    overrides = ["rate_int_outliers=true"] if outliers else []
    for name in skip or []:
        if f"skip_{name}" not in SKIPS:
            raise ParameterError(f"--skip {name}: one of {NAMES} is needed", parameter="skip")
        step, parameter, value = SKIPS[f"skip_{name}"]
        overrides.append(f"{step}.{parameter}={str(value).lower()}")
    return Wanted(overrides=overrides, subdir=subdir, through=through)
