"""`detectorist simulate coron`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detectorist.errors import ParameterError
from detectorist.simulate.core.commands import Overwrite, Seed, write_observation
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet, scene_option, size_option


class Coronagraph(StrEnum):
    """Instruments whose coronagraphs are simulated."""

    nircam = "nircam"
    miri = "miri"
    miri_lyot = "miri-lyot"


OutputDir = Annotated[
    Path, typer.Option("--output-dir", "-o", help="Folder for raw files, the truth, and reference files (crds/).")
]
Instrument = Annotated[
    Coronagraph, typer.Option(help="nircam: MASKA335R; miri: 4QPM at 11.4 µm; miri-lyot: Lyot spot at 23 µm.")
]
Ints = Annotated[int, size_option("Integrations per exposure.")]
Groups = Annotated[
    int | None,
    size_option("Groups per integration. Default: 4; MIRI 12.", show_default=False),
]
Pattern = Annotated[
    str | None,
    size_option(
        "NIRCam readout pattern, e.g. SHALLOW4; patterns that average frames have a ZEROFRAME. Default: RAPID.",
        show_default=False,
    ),
]
Rolls = Annotated[int, size_option("Roll angles on the target.")]
Dithers = Annotated[int, size_option("Small-grid dithers of the reference star, up to 5.")]
Backgrounds = Annotated[
    bool | None,
    size_option(
        "Background exposures for both stars. Default: MIRI only.",
        "--backgrounds/--no-backgrounds",
        show_default=False,
    ),
]
Companion = Annotated[
    float | None,
    scene_option("Count rate of the companion, DN/s. Default: 150; MIRI 600.", show_default=False),
]
FlickerSpectrum = Annotated[
    str | None,
    scene_option("NIRCam: a spectrum of 1/f noise measured in flight, e.g. nrca3-2022; by default a power law."),
]
Without = Annotated[
    list[str] | None,
    scene_option("Leave out a component, e.g. cosmic_rays, flicker, drift, spill, emi; repeatable."),
]


def simulate(
    output_dir: OutputDir,
    instrument: Instrument = (Coronagraph.nircam),
    ints: Ints = 10,
    groups: Groups = None,
    pattern: Pattern = None,
    rolls: Rolls = 2,
    dithers: Dithers = 3,
    backgrounds: Backgrounds = None,
    seed: Seed = 0,
    companion: Companion = None,
    flicker: FlickerSpectrum = None,
    without: Without = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a star with a companion behind a coronagraph, and its reference star.

    Example: detectorist simulate coron -o sim --seed 5
    """
    from detectorist.simulate.coron.scene import SCENES

    scene = SCENES[instrument.value]()
    if companion is not None:
        scene = scene.with_("companion", rate_dn_s=companion)
    if pattern is not None:
        if instrument is not Coronagraph.nircam:
            raise ParameterError(
                "--pattern applies to NIRCam only; MIRI coronagraphs are read with FASTR1: leave it out"
            )
        scene = scene.with_("detector", pattern=pattern)
    if flicker is not None:
        if instrument is not Coronagraph.nircam:
            raise ParameterError("--flicker applies to NIRCam only; MIRI has no 1/f noise here: leave it out")
        scene = scene.with_("flicker", measured=flicker)
    scene = scene.without(*(without or ()))
    observation = scene.observe(
        ints=ints, groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
    )
    paths = write_observation(observation, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [f"{path} ({visit.kind})" for path, visit in zip(paths, observation.visits, strict=True)]
    print_lines([*lines, f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"], quiet=quiet)
