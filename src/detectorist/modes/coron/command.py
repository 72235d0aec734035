"""Options that only `detectorist run coron` has."""

from __future__ import annotations

from typing import Annotated

import typer

from detectorist.errors import ParameterError
from detectorist.modes.coron.keywords import SKIPS
from detectorist.modes.job import Wanted

FILES, CHOICES = "Input and output", "What is done"

#: What can be left out: the keywords of `run_obs` without "skip_".
NAMES = ", ".join(name.removeprefix("skip_") for name in SKIPS)


def options(
    subdir: Annotated[
        str, typer.Option(help="Folder for products below OUTPUT_DIR.", rich_help_panel=FILES)
    ] = "stage1",
    outliers: Annotated[
        bool,
        typer.Option(
            "--outliers", help="Flag outliers across integrations and fit them again.", rich_help_panel=CHOICES
        ),
    ] = False,
    skip: Annotated[
        list[str] | None,
        typer.Option(help=f"Leave something out: {NAMES}; repeatable.", rich_help_panel=CHOICES, show_default=False),
    ] = None,
) -> Wanted:
    """Reduce coronagraphic exposures of NIRCam or MIRI from raw ramps to rates.

    What each exposure is (SCI, REF, SCI_BG, REF_BG) is read from its header and written to OUTPUT_DIR/database.ecsv,
    which may be edited and given instead of the files.

    Example: detectorist run coron sim/*_uncal.fits -o out --references sim/crds
    """
    overrides = ["rate_int_outliers=true"] if outliers else []
    for name in skip or []:
        if f"skip_{name}" not in SKIPS:
            raise ParameterError(f"--skip {name}: one of {NAMES} is needed", parameter="skip")
        step, parameter, value = SKIPS[f"skip_{name}"]
        overrides.append(f"{step}.{parameter}={str(value).lower()}")
    return Wanted(overrides=overrides, subdir=subdir)
