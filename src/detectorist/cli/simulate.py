"""`detectorist simulate`: raw exposures with a known truth, and the reference files that they need."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from detectorist.errors import ParameterError
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet, scene_option, size_option

if TYPE_CHECKING:
    from detectorist.simulate.coron.observation import CoronObservation
    from detectorist.simulate.imaging.observation import ImagingObservation
    from detectorist.simulate.lrs.observation import LrsObservation

app = typer.Typer(help="Simulate raw exposures, with their truth and reference files.", no_args_is_help=True)

Seed = Annotated[int, size_option("Seed of everything random: the same seed gives the same bytes.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier simulation.")]


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
    ints: Annotated[int, size_option("Integrations.")] = 40,
    groups: Annotated[
        int | None,
        size_option("Groups per integration. Default: 20, with --preset long 100.", show_default=False),
    ] = None,
    segments: Annotated[int, size_option("Files of the exposure.")] = 2,
    seed: Seed = 0,
    preset: Annotated[
        Preset,
        scene_option(
            "long: a star that brings the ramps to where the response has lost some 6 %, "
            "which sets in late; short: the ordinary response."
        ),
    ] = Preset.short,
    star_mag: Annotated[
        float | None,
        scene_option(
            "Magnitude of the star: 9 gives a brightest pixel of 3,500 DN/s. Default: 9, or as the preset says.",
            show_default=False,
        ),
    ] = None,
    depth: Annotated[
        float | None,
        scene_option("Transit depth outside the molecular band. Default: 0.01.", show_default=False),
    ] = None,
    trace_column: Annotated[
        float | None,
        scene_option("Column of the trace, from 0. Default: 36.", show_default=False),
    ] = None,
    gain: Annotated[
        float | None,
        scene_option("Gain of the detector, e-/DN. Default: 3.1.", show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None,
        scene_option("Leave out an ingredient, as cosmic_rays, emi, drift, bad_pixels; repeatable."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a transit seen by MIRI's low-resolution spectrometer without a slit.

    Example: detectorist simulate lrs -o sim --ints 40 --groups 20 --seed 7
    """
    from detectorist.simulate.lrs.scene import LrsScene

    if groups is None:
        groups = 100 if preset is Preset.long else 20
    scene = LrsScene.for_long_ramps(groups) if preset is Preset.long else LrsScene()
    star = {"mag": star_mag, "trace_column": trace_column}
    for ingredient, changes in (("star", star), ("transit", {"depth": depth}), ("detector", {"gain": gain})):
        scene = scene.with_(ingredient, **{name: value for name, value in changes.items() if value is not None})
    scene = scene.without(*(without or ()))
    exposure = scene.observe(ints=ints, groups=groups, segments=segments, seed=seed)
    paths = _write(exposure, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [
        *(str(path) for path in paths),
        f"truth: {output_dir / 'truth.nc'}",
        f"references: {output_dir / 'crds'}",
        _saturation(exposure.saturation_group),
    ]
    print_lines(lines, quiet=quiet)


@app.command("imaging")
def imaging(
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir", "-o", help="Folder for raw files, their truth, wisp templates wisps/, references crds/."
        ),
    ],
    groups: Annotated[int, size_option("Groups per integration.")] = 9,
    ints: Annotated[int, size_option("Integrations per exposure.")] = 1,
    exposures: Annotated[int, size_option("Dithered exposures, a file each.")] = 1,
    pattern: Annotated[str, size_option("Readout pattern, as RAPID, SHALLOW4, MEDIUM8.")] = "MEDIUM8",
    subarray: Annotated[str, size_option("FULL, SUB640, SUB320 or SUB160.")] = "FULL",
    size: Annotated[
        int | None,
        size_option("Rows and columns of a small frame of one's own, for trials.", show_default=False),
    ] = None,
    outputs: Annotated[
        int | None,
        size_option("Outputs it is read through: 1 or 4. Default: 4 on the full frame, else 1.", show_default=False),
    ] = None,
    seed: Seed = 0,
    detector: Annotated[str, scene_option("Detector, as NRCA3 or NRCBLONG.")] = "NRCB4",
    filter_: Annotated[str, scene_option("Filter, as F200W.", "--filter")] = "F200W",
    sky: Annotated[float, scene_option("Level of the sky, DN/s.")] = 0.3,
    wisp: Annotated[tuple[float, float], scene_option("Strengths of the wisps' two components.")] = (0.8, 0.8),
    hot_pixels: Annotated[
        Path | None,
        scene_option("FITS map of the whole detector, not zero on hot pixels, instead of random ones."),
    ] = None,
    without: Annotated[
        list[str] | None,
        scene_option("Leave out an ingredient, as cosmic_rays, snowballs, wisps, flicker; repeatable."),
    ] = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate images of a field of stars and galaxies with one detector of NIRCam.

    Example: detectorist simulate imaging -o sim --seed 3
    """
    from detectorist.simulate.imaging.scene import ImagingScene

    scene = ImagingScene().with_("sky", level_dn_s=sky).with_("wisps", strengths=wisp)
    if hot_pixels is not None:
        scene = scene.with_("bad_pixels", hot_map=str(hot_pixels))
    scene = scene.with_detector(
        name=detector, filter=filter_, subarray=subarray, size=size, outputs=outputs, pattern=pattern
    ).without(*(without or ()))
    observation = scene.observe(ints=ints, groups=groups, exposures=exposures, seed=seed)
    paths = _write(observation, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [str(path) for path in paths]
    lines += [f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"]
    if observation.wisp_templates is not None:
        lines.append(f"wisp templates: {output_dir / 'wisps'}")
    print_lines(lines, quiet=quiet)


@app.command("coron")
def coron(
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for raw files, their truth and references crds/.")
    ],
    instrument: Annotated[Coronagraph, typer.Option(help="nircam: MASKA335R; miri: 4QPM at 11.4 micron.")] = (
        Coronagraph.nircam
    ),
    ints: Annotated[int, size_option("Integrations per exposure.")] = 10,
    groups: Annotated[
        int | None,
        size_option("Groups per integration. Default: 4, MIRI 12.", show_default=False),
    ] = None,
    pattern: Annotated[
        str | None,
        size_option(
            "NIRCam's readout pattern, as SHALLOW4: groups of several frames come with a zeroframe. Default: RAPID.",
            show_default=False,
        ),
    ] = None,
    rolls: Annotated[int, size_option("Orientations on the target.")] = 2,
    dithers: Annotated[int, size_option("Positions of the reference star behind the mask, up to 5.")] = 3,
    backgrounds: Annotated[
        bool | None,
        size_option(
            "Empty fields for both stars. Default: with MIRI only.",
            "--backgrounds/--no-backgrounds",
            show_default=False,
        ),
    ] = None,
    seed: Seed = 0,
    companion: Annotated[
        float | None,
        scene_option("Rate of the companion, DN/s. Default: 150, MIRI 600.", show_default=False),
    ] = None,
    without: Annotated[
        list[str] | None,
        scene_option("Leave out an ingredient, as cosmic_rays, flicker, drift, spill, emi; repeatable."),
    ] = None,
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
        if instrument is Coronagraph.miri:
            raise ParameterError("--pattern is NIRCam's; MIRI's coronagraphs are read with FASTR1")
        scene = scene.with_("detector", pattern=pattern)
    scene = scene.without(*(without or ()))
    observation = scene.observe(
        ints=ints, groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
    )
    paths = _write(observation, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [f"{path} ({visit.kind})" for path, visit in zip(paths, observation.visits, strict=True)]
    print_lines([*lines, f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"], quiet=quiet)


def _write(
    observation: LrsObservation | ImagingObservation | CoronObservation, folder: Path, *, overwrite: bool, quiet: bool
) -> list[Path]:
    from detectorist.terminal.progress import progress_bar

    with progress_bar("simulating", quiet=quiet) as progress:
        return observation.write(folder, overwrite=overwrite, progress=progress)


def _saturation(group: int | None) -> str:
    if group is None:
        return "the brightest pixel does not saturate"
    return f"the brightest pixel saturates in group {group} (from 0)"
