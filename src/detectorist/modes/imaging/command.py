"""Options that only `detectorist run imaging` has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from detectorist.errors import NoSuchFile
from detectorist.modes.job import Wanted
from detectorist.parameters import require_utf8

FILES, CHOICES, HOW = "Input and output", "Processing", "Execution"
#: Columns of a table of choices that are not named step.parameter, as the CEERS survey's.
COLUMNS = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}
#: What a threshold in such a table asks for as well, as `destripe --thresh` does: the other method has none.
IMPLIED = {"stripes.thresh": "stripes.method=median"}


InputDir = Annotated[
    Path,
    typer.Option(help="Folder to look in for files that are not found under the path given.", rich_help_panel=FILES),
]
WispTemplates = Annotated[
    Path | None,
    typer.Option(
        help="Folder of wisp templates: wisps_nrca3_f150w.fits or WISP_NRCA3_F150W_CLEAR.fits. Without it, wisps "
        "are not subtracted.",
        rich_help_panel=FILES,
    ),
]
Through = Annotated[
    str,
    typer.Option(
        help="Last stage: stage1 (rate images), stage2 (calibrated images) or stage3 (a mosaic and a catalogue per "
        "target and filter). Parameters of later stages: --set stage3.tweakreg.snr_threshold=5.",
        rich_help_panel=CHOICES,
    ),
]
DeleteInterim = Annotated[
    bool,
    typer.Option(
        "--delete-interim",
        "--delete_interim",
        help="Delete the ramps and the rates of single integrations at the end.",
        rich_help_panel=FILES,
    ),
]
MaximumCores = Annotated[
    str | None,
    typer.Option(
        "--maximum-cores",
        "--maximum_cores",
        help="CPU cores for jump detection and ramp fitting: none, quarter, half or all.",
        rich_help_panel=CHOICES,
    ),
]
PersistenceTime = Annotated[
    float,
    typer.Option(
        min=0,
        help="Time (s) for which pixels that saturated are flagged for persistence in later exposures of the "
        "same detector, e.g. 4000; 0 turns this off.",
        rich_help_panel=CHOICES,
    ),
]


def options(
    input_dir: InputDir = Path("uncals"),
    wisp_templates: WispTemplates = None,
    through: Through = "stage1",
    delete_interim: DeleteInterim = False,
    maximum_cores: MaximumCores = None,
    persistence_time: PersistenceTime = 0.0,
) -> Wanted:
    """Reduce NIRCam images: stage 1 with snowballs flagged, then wisps and 1/f noise (stripes) subtracted.

    --through stage3 goes on with the standard pipelines to calibrated images and mosaics.

    Thresholds and wisp strengths are measured on each image; --table sets them by hand for single exposures.

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
        through=through,
    )


def template_setting(folder: Path) -> str:
    """Return the setting for a folder of wisp templates, as an absolute path."""
    return f"wisps.template_dir={json.dumps(str(folder.resolve()))}"


def locate(file: Path, folder: Path) -> Path:
    """Return the file or, if it does not exist, the one of its name in the folder."""
    other = folder / file.name
    return other if other.is_file() and not file.is_file() else file


def require_located(file: Path, folder: Path) -> Path:
    """Return the file as `locate` does.

    Raises
    ------
    NoSuchFile
        When it is in neither place.
    ParameterError
        When its name is not valid UTF-8.
    """
    found = locate(file, folder)
    if not found.exists():
        raise NoSuchFile(f"{file}: no such file")
    require_utf8(found)
    return found
