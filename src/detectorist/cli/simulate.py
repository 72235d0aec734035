"""`detectorist simulate`: raw exposures with a known truth, and the reference files that they need."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Simulate raw exposures, with their truth and reference files.", no_args_is_help=True)

SIZE, SCENE = "Size of the exposure", "Scene"


class Preset(StrEnum):
    """Scenes with a name."""

    short = "short"
    long = "long"


class Coronagraph(StrEnum):
    """Instruments whose coronagraphs are simulated."""

    nircam = "nircam"
    miri = "miri"


@app.command("lrs")
def lrs(
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for raw files, truth.nc and the references crds/.")
    ],
    ints: Annotated[int, typer.Option(help="Integrations.", rich_help_panel=SIZE)] = 40,
    groups: Annotated[
        int | None,
        typer.Option(
            help="Groups per integration. Default: 20, with --preset long 100.",
            rich_help_panel=SIZE,
            show_default=False,
        ),
    ] = None,
    segments: Annotated[int, typer.Option(help="Files of the exposure.", rich_help_panel=SIZE)] = 2,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random: the same seed gives the same bytes.", rich_help_panel=SIZE)
    ] = 0,
    preset: Annotated[
        Preset,
        typer.Option(
            help="long: a star that brings the ramps to where the response has lost some 6 %, "
            "which sets in late; short: the ordinary response.",
            rich_help_panel=SCENE,
        ),
    ] = Preset.short,
    star_mag: Annotated[
        float | None,
        typer.Option(
            help="Magnitude of the star: 9 gives a brightest pixel of 3,500 DN/s. Default: 9, or as the preset says.",
            rich_help_panel=SCENE,
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        float | None,
        typer.Option(
            help="Transit depth outside the molecular band. Default: 0.01.", rich_help_panel=SCENE, show_default=False
        ),
    ] = None,
    trace_column: Annotated[
        float | None,
        typer.Option(help="Column of the trace, from 0. Default: 36.", rich_help_panel=SCENE, show_default=False),
    ] = None,
    gain: Annotated[
        float | None,
        typer.Option(help="Gain of the detector, e-/DN. Default: 3.1.", rich_help_panel=SCENE, show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out an ingredient, as cosmic_rays, emi, drift, bad_pixels; repeatable.",
            rich_help_panel=SCENE,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Simulate a transit seen by MIRI's low-resolution spectrometer without a slit.

    Example: detectorist simulate lrs -o sim --ints 40 --groups 20 --seed 7
    """
    from rich.console import Console

    from detectorist.cli.progress import progress_bar
    from detectorist.simulate.builder import LrsScene

    if groups is None:
        groups = 100 if preset is Preset.long else 20
    scene = LrsScene.for_long_ramps(groups) if preset is Preset.long else LrsScene()
    star = {"mag": star_mag, "trace_column": trace_column}
    for ingredient, changes in (("star", star), ("transit", {"depth": depth}), ("detector", {"gain": gain})):
        scene = scene.with_(ingredient, **{name: value for name, value in changes.items() if value is not None})
    scene = scene.without(*(without or ()))
    exposure = scene.observe(ints=ints, groups=groups, segments=segments, seed=seed)
    with progress_bar("simulating", quiet=quiet) as progress:
        paths = exposure.write(output_dir, overwrite=overwrite, progress=progress)
    console = Console(quiet=quiet)
    lines = [
        *(str(path) for path in paths),
        f"truth: {output_dir / 'truth.nc'}",
        f"references: {output_dir / 'crds'}",
        _saturation(exposure.saturation_group),
    ]
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command("imaging")
def imaging(
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir", "-o", help="Folder for raw files, their truth, wisp templates wisps/, references crds/."
        ),
    ],
    groups: Annotated[int, typer.Option(help="Groups per integration.", rich_help_panel=SIZE)] = 9,
    ints: Annotated[int, typer.Option(help="Integrations per exposure.", rich_help_panel=SIZE)] = 1,
    exposures: Annotated[int, typer.Option(help="Dithered exposures, a file each.", rich_help_panel=SIZE)] = 1,
    pattern: Annotated[
        str, typer.Option(help="Readout pattern, as RAPID, SHALLOW4, MEDIUM8.", rich_help_panel=SIZE)
    ] = "MEDIUM8",
    subarray: Annotated[str, typer.Option(help="FULL, SUB640, SUB320 or SUB160.", rich_help_panel=SIZE)] = "FULL",
    size: Annotated[
        int | None,
        typer.Option(
            help="Rows and columns of a small frame of one's own, for trials.",
            rich_help_panel=SIZE,
            show_default=False,
        ),
    ] = None,
    outputs: Annotated[
        int | None,
        typer.Option(
            help="Outputs it is read through: 1 or 4. Default: 4 on the full frame, else 1.",
            rich_help_panel=SIZE,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random: the same seed gives the same bytes.", rich_help_panel=SIZE)
    ] = 0,
    detector: Annotated[str, typer.Option(help="Detector, as NRCA3 or NRCBLONG.", rich_help_panel=SCENE)] = "NRCB4",
    filter_: Annotated[str, typer.Option("--filter", help="Filter, as F200W.", rich_help_panel=SCENE)] = "F200W",
    sky: Annotated[float, typer.Option(help="Level of the sky, DN/s.", rich_help_panel=SCENE)] = 0.3,
    wisp: Annotated[
        tuple[float, float], typer.Option(help="Strengths of the wisps' two components.", rich_help_panel=SCENE)
    ] = (0.8, 0.8),
    hot_pixels: Annotated[
        Path | None,
        typer.Option(
            help="FITS map of the whole detector, not zero on hot pixels, instead of random ones.",
            rich_help_panel=SCENE,
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out an ingredient, as cosmic_rays, snowballs, wisps, flicker; repeatable.",
            rich_help_panel=SCENE,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Simulate images of a field of stars and galaxies with one detector of NIRCam.

    Example: detectorist simulate imaging -o sim --seed 3
    """
    from rich.console import Console

    from detectorist.cli.progress import progress_bar
    from detectorist.simulate.imaging import ImagingScene

    scene = ImagingScene().with_("sky", level_dn_s=sky).with_("wisps", strengths=wisp)
    if hot_pixels is not None:
        scene = scene.with_("bad_pixels", hot_map=str(hot_pixels))
    scene = scene.with_detector(
        name=detector, filter=filter_, subarray=subarray, size=size, outputs=outputs, pattern=pattern
    ).without(*(without or ()))
    observation = scene.observe(ints=ints, groups=groups, exposures=exposures, seed=seed)
    with progress_bar("simulating", quiet=quiet) as progress:
        paths = observation.write(output_dir, overwrite=overwrite, progress=progress)
    console = Console(quiet=quiet)
    lines = [str(path) for path in paths]
    lines += [f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"]
    if observation.wisp_templates is not None:
        lines.append(f"wisp templates: {output_dir / 'wisps'}")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)


@app.command("coron")
def coron(
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for raw files, their truth and references crds/.")
    ],
    instrument: Annotated[Coronagraph, typer.Option(help="nircam: MASKA335R; miri: 4QPM at 11.4 micron.")] = (
        Coronagraph.nircam
    ),
    ints: Annotated[int, typer.Option(help="Integrations per exposure.", rich_help_panel=SIZE)] = 10,
    groups: Annotated[
        int | None,
        typer.Option(help="Groups per integration. Default: 4, MIRI 12.", rich_help_panel=SIZE, show_default=False),
    ] = None,
    rolls: Annotated[int, typer.Option(help="Orientations on the target.", rich_help_panel=SIZE)] = 2,
    dithers: Annotated[
        int, typer.Option(help="Positions of the reference star behind the mask, up to 5.", rich_help_panel=SIZE)
    ] = 3,
    backgrounds: Annotated[
        bool | None,
        typer.Option(
            "--backgrounds/--no-backgrounds",
            help="Empty fields for both stars. Default: with MIRI only.",
            rich_help_panel=SIZE,
            show_default=False,
        ),
    ] = None,
    seed: Annotated[
        int, typer.Option(help="Seed of everything random: the same seed gives the same bytes.", rich_help_panel=SIZE)
    ] = 0,
    companion: Annotated[
        float | None,
        typer.Option(
            help="Rate of the companion, DN/s. Default: 150, MIRI 600.", rich_help_panel=SCENE, show_default=False
        ),
    ] = None,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Leave out an ingredient, as cosmic_rays, flicker, drift, spill, emi; repeatable.",
            rich_help_panel=SCENE,
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Simulate a star with a companion behind a coronagraph, and its reference star.

    Example: detectorist simulate coron -o sim --seed 5
    """
    from rich.console import Console

    from detectorist.cli.progress import progress_bar
    from detectorist.simulate.coron_scenes import SCENES

    scene = SCENES[instrument.value]()
    if companion is not None:
        scene = scene.with_("companion", rate_dn_s=companion)
    scene = scene.without(*(without or ()))
    observation = scene.observe(
        ints=ints, groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
    )
    with progress_bar("simulating", quiet=quiet) as progress:
        paths = observation.write(output_dir, overwrite=overwrite, progress=progress)
    console = Console(quiet=quiet)
    lines = [f"{path} ({visit.kind})" for path, visit in zip(paths, observation.visits, strict=True)]
    for line in (*lines, f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _saturation(group: int | None) -> str:
    if group is None:
        return "the brightest pixel does not saturate"
    return f"the brightest pixel saturates in group {group} (from 0)"
