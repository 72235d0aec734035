"""Options that only `detectorist run imaging` has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from detectorist.modes.job import Wanted

FILES, CHOICES, HOW = "Input and output", "What is done", "How it is run"
#: Columns of a table of choices that are not named step.parameter, as the CEERS survey's.
COLUMNS = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}
#: What a threshold in such a table asks for as well, as `destripe --thresh` does: the other method has none.
IMPLIED = {"stripes.thresh": "stripes.method=median"}


def options(
    input_dir: Annotated[
        Path,
        typer.Option(help="Folder in which files are looked for that are not found as given.", rich_help_panel=FILES),
    ] = Path("uncals"),
    wisp_templates: Annotated[
        Path | None,
        typer.Option(
            help="Folder of wisp templates: wisps_nrca3_f150w.fits or WISP_NRCA3_F150W_CLEAR.fits. Without it wisps "
            "stay in.",
            rich_help_panel=FILES,
        ),
    ] = None,
    delete_interim: Annotated[
        bool,
        typer.Option(
            "--delete-interim",
            "--delete_interim",
            help="Keep no rates of the integrations and no ramps.",
            rich_help_panel=FILES,
        ),
    ] = False,
    maximum_cores: Annotated[
        str | None,
        typer.Option(
            "--maximum-cores",
            "--maximum_cores",
            help="none, quarter, half or all: threads for jump detection and ramp fit.",
            rich_help_panel=CHOICES,
        ),
    ] = None,
    persistence_time: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds for which pixels that saturated are flagged in later exposures on their detector, as 4000; "
            "0: never.",
            rich_help_panel=CHOICES,
        ),
    ] = 0.0,
) -> Wanted:
    """Reduce NIRCam images: standard stage 1 with snowballs flagged, then wisps and 1/f noise subtracted.

    Nothing has to be chosen by eye; a table may choose for single exposures all the same.

    Example: detectorist run imaging sim/*_uncal.fits -o out --references sim/crds --wisp-templates sim/wisps
    """
    overrides = ["delete_interim=true"] if delete_interim else []
    if maximum_cores is not None:
        overrides += [f'{step}.maximum_cores="{maximum_cores}"' for step in ("jump", "ramp_fit")]
    return Wanted(
        settings=() if wisp_templates is None else (template_setting(wisp_templates),),
        overrides=overrides,
        find=lambda file: locate(file, input_dir),
        columns=COLUMNS,
        implied=IMPLIED,
        all_matched=False,
        persistence_time_s=persistence_time,
    )


def template_setting(folder: Path) -> str:
    """Return the setting that names a folder of wisp templates, whatever folder a process works in."""
    return f"wisps.template_dir={json.dumps(str(folder.resolve()))}"


def locate(file: Path, folder: Path) -> Path:
    """Return the file, or the one of its name in the folder where there is only that."""
    other = folder / file.name
    return other if other.is_file() and not file.is_file() else file
