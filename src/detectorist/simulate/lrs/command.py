"""`detectorist simulate lrs`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from detectorist.simulate.core.commands import Overwrite, Seed, write_observation
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet, scene_option, size_option


class Preset(StrEnum):
    """Named scenes."""

    short = "short"
    long = "long"


class Electronics(StrEnum):
    """Amplitudes of noise and drift of the electronics."""

    assumed = "assumed"
    measured = "measured"


OutputDir = Annotated[
    Path,
    typer.Option("--output-dir", "-o", help="Folder for raw files, the truth (truth.nc) and reference files (crds/)."),
]
Ints = Annotated[int, size_option("Number of integrations.")]
Groups = Annotated[
    int | None,
    size_option("Groups per integration. Default: 20; 100 with --preset long.", show_default=False),
]
Segments = Annotated[int, size_option("Number of segments (files).")]
ScenePreset = Annotated[
    Preset,
    scene_option("long: ramps up to where non-linearity takes 6 % of the signal; short: ordinary ramps."),
]
StarMag = Annotated[
    float | None,
    scene_option(
        "Magnitude of the star, on a scale where 9 gives 3500 DN/s in the brightest pixel. "
        "Default: 9, or that of the preset.",
        show_default=False,
    ),
]
Depth = Annotated[
    float | None,
    scene_option("Transit depth outside the molecular band. Default: 0.01.", show_default=False),
]
TraceColumn = Annotated[
    float | None,
    scene_option("Column of the trace, from 0. Default: 36.", show_default=False),
]
Gain = Annotated[
    float | None,
    scene_option("Gain of the detector, e-/DN. Default: 3.1.", show_default=False),
]
ElectronicSizes = Annotated[
    Electronics,
    scene_option(
        "Decay after resets, first and last frame, 390 Hz interference, drifts, read noise. measured: as in ground "
        "ramps of a real MIRI array; assumed: larger, and other signs."
    ),
]
Without = Annotated[
    list[str] | None,
    scene_option("Leave out a component, e.g. cosmic_rays, emi, drift, bad_pixels; repeatable."),
]


def simulate(
    output_dir: OutputDir,
    ints: Ints = 40,
    groups: Groups = None,
    segments: Segments = 2,
    seed: Seed = 0,
    preset: ScenePreset = Preset.short,
    star_mag: StarMag = None,
    depth: Depth = None,
    trace_column: TraceColumn = None,
    gain: Gain = None,
    detector: ElectronicSizes = Electronics.assumed,
    without: Without = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate a transit observed with MIRI LRS in slitless mode.

    Example: detectorist simulate lrs -o sim --ints 40 --groups 20 --seed 7
    """
    from detectorist.simulate.lrs.scene import LrsScene

    if groups is None:
        groups = 100 if preset is Preset.long else 20
    scene = LrsScene.for_long_ramps(groups) if preset is Preset.long else LrsScene()
    star = {"mag": star_mag, "trace_column": trace_column}
    for component, changes in (("star", star), ("transit", {"depth": depth}), ("detector", {"gain": gain})):
        scene = scene.with_(component, **{name: value for name, value in changes.items() if value is not None})
    if detector is Electronics.measured:
        scene = scene.with_measured_electronics()
    scene = scene.without(*(without or ()))
    exposure = scene.observe(ints=ints, groups=groups, segments=segments, seed=seed)
    paths = write_observation(exposure, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [
        *(str(path) for path in paths),
        f"truth: {output_dir / 'truth.nc'}",
        f"references: {output_dir / 'crds'}",
        _saturation(exposure.saturation_group),
    ]
    print_lines(lines, quiet=quiet)


def _saturation(group: int | None) -> str:
    if group is None:
        return "the brightest pixel does not saturate"
    return f"the brightest pixel saturates in group {group} (from 0)"
