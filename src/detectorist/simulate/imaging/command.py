"""`detectorist simulate imaging`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from detectorist.simulate.core.commands import Overwrite, Seed, write_observation
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet, scene_option, size_option

OutputDir = Annotated[
    Path,
    typer.Option(
        "--output-dir",
        "-o",
        help="Folder for raw files, the truth, wisp templates (wisps/) and reference files (crds/).",
    ),
]
Groups = Annotated[int, size_option("Groups per integration.")]
Ints = Annotated[int, size_option("Integrations per exposure.")]
Exposures = Annotated[int, size_option("Number of dithered exposures, one file each.")]
Pattern = Annotated[str, size_option("Readout pattern, e.g. RAPID, SHALLOW4, MEDIUM8.")]
Subarray = Annotated[str, size_option("FULL, SUB640, SUB320 or SUB160.")]
Size = Annotated[
    int | None,
    size_option("Rows and columns of a smaller frame, for quick trials.", show_default=False),
]
Outputs = Annotated[
    int | None,
    size_option("Number of amplifiers: 1 or 4. Default: 4 for FULL, else 1.", show_default=False),
]
Detector = Annotated[str, scene_option("Detector, e.g. NRCA3 or NRCBLONG.")]
Filter = Annotated[str, scene_option("Filter, e.g. F200W.", "--filter")]
Sky = Annotated[float, scene_option("Sky background, DN/s.")]
Wisp = Annotated[tuple[float, float], scene_option("Strengths of the two wisp components.")]
FlickerSpectrum = Annotated[
    str | None,
    scene_option("A spectrum of 1/f noise measured in flight, e.g. nrca3-2022; by default a power law."),
]
HotPixels = Annotated[
    Path | None,
    scene_option("FITS map of the full detector, non-zero on hot pixels; used instead of random ones."),
]
Without = Annotated[
    list[str] | None,
    scene_option("Leave out a component, e.g. cosmic_rays, snowballs, wisps, flicker; repeatable."),
]


def simulate(
    output_dir: OutputDir,
    groups: Groups = 9,
    ints: Ints = 1,
    exposures: Exposures = 1,
    pattern: Pattern = "MEDIUM8",
    subarray: Subarray = "FULL",
    size: Size = None,
    outputs: Outputs = None,
    seed: Seed = 0,
    detector: Detector = "NRCB4",
    filter_: Filter = "F200W",
    sky: Sky = 0.3,
    wisp: Wisp = (0.8, 0.8),
    flicker: FlickerSpectrum = None,
    hot_pixels: HotPixels = None,
    without: Without = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Simulate images of a field of stars and galaxies on one NIRCam detector.

    Example: detectorist simulate imaging -o sim --seed 3
    """
    from detectorist.simulate.imaging.scene import ImagingScene

    scene = ImagingScene().with_("sky", level_dn_s=sky).with_("wisps", strengths=wisp)
    if flicker is not None:
        scene = scene.with_("flicker", measured=flicker)
    if hot_pixels is not None:
        scene = scene.with_("bad_pixels", hot_map=str(hot_pixels))
    scene = scene.with_detector(
        name=detector, filter=filter_, subarray=subarray, size=size, outputs=outputs, pattern=pattern
    ).without(*(without or ()))
    observation = scene.observe(ints=ints, groups=groups, exposures=exposures, seed=seed)
    paths = write_observation(observation, output_dir, overwrite=overwrite, quiet=quiet)
    lines = [str(path) for path in paths]
    lines += [f"truth: {output_dir}/*_truth.nc", f"references: {output_dir / 'crds'}"]
    if observation.wisp_templates is not None:
        lines.append(f"wisp templates: {output_dir / 'wisps'}")
    print_lines(lines, quiet=quiet)
