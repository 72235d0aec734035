"""`detectorist wisps FILE` subtracts wisps from a rate image; `detectorist wisps template` makes templates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from detectorist.modes.imaging.single_steps import (
    InPlace,
    Input,
    MaskFile,
    NoFlat,
    Output,
    References,
    correct,
    parameters_of_rate_step,
)
from detectorist.terminal.lines import print_lines
from detectorist.terminal.options import Quiet

DEFAULT = "subtract"


class WispsGroup(TyperGroup):
    """Accepts `wisps FILE` as `wisps subtract FILE`, with options before or after; its help is that of this command."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Insert the name of the default command if a file or its options come first."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [DEFAULT, *args]
        return super().parse_args(ctx, args)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of the default command, which names the other one."""
        command = self.commands[DEFAULT]
        own = command.context_class(command, info_name=ctx.info_name, parent=ctx.parent)
        command.format_help(own, formatter)


app = typer.Typer(
    help="Subtract wisps (`detectorist wisps FILE`) or make templates (`detectorist wisps template FILES`).\n\n"
    "Example: detectorist wisps jw01345001001_10201_00001_nrca3_rate.fits --wisp-templates wisp_templates",
    no_args_is_help=True,
    cls=WispsGroup,
)


@app.command(DEFAULT, hidden=True)
def subtract(
    file: Annotated[Path, typer.Argument(help="Rate image, _rate.fits.")],
    fit_scaling: Annotated[
        bool, typer.Option("--fit-scaling", "--fit_scaling", help="Fit the strength (the default).")
    ] = False,
    scale: Annotated[
        float | None, typer.Option(help="Use this strength instead of fitting it.", show_default=False)
    ] = None,
    wisp_templates: Annotated[
        Path, typer.Option(help="Folder of wisp templates: wisps_nrca3_f150w.fits or WISP_NRCA3_F150W_CLEAR.fits.")
    ] = Path("wisp_templates"),
    output_dir: Output = Path("calibrated"),
    input_dir: Input = Path("calibrated"),
    references: References = None,
    mask_file: MaskFile = None,
    no_flat: NoFlat = False,
    in_place: InPlace = False,
    quiet: Quiet = False,
) -> None:
    """Subtract wisps from a rate image of NRCA3, NRCA4, NRCB3 or NRCB4.

    To make templates from your own exposures: detectorist wisps template --help

    Example: detectorist wisps jw01345001001_10201_00001_nrca3_rate.fits --scale 0.7
    """
    from detectorist.errors import ParameterError

    if fit_scaling and scale is not None:
        raise ParameterError("--fit-scaling and --scale: give one of the two", parameter="scale")
    parameters = parameters_of_rate_step(mask_file, no_flat)
    parameters |= {"template_dir": str(wisp_templates), "save_mask": scale is None, "draw_wisps": True}
    if scale is not None:
        parameters["scale"] = scale
    correct("wisps", file, output_dir, input_dir, references, in_place, parameters, quiet)


@app.command("template")
def template(
    files: Annotated[
        list[Path],
        typer.Argument(
            help="Rate images with wisps not subtracted, _rate.fits: at least 3 fields per detector and filter."
        ),
    ],
    output_dir: Annotated[
        Path, typer.Option("--output-dir", "-o", help="Folder for templates, to be passed to --wisp-templates.")
    ] = Path("wisp_templates"),
    references: References = None,
    no_flat: Annotated[bool, typer.Option("--no-flat", help="Stack images that are not flat-fielded.")] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing templates.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make wisp templates from your own exposures, one per detector and filter.

    Use as many exposures as you have, of different fields or dithered by more than the size of the sources: sources
    are masked, and the light that all exposures have in common is the wisp. Files of detectors without wisps are
    ignored.

    Example: detectorist wisps template calibrated/*_rate.fits -o wisp_templates
    """
    from detectorist.modes.imaging.wisp_templates import TemplateRequest, make_wisp_templates
    from detectorist.terminal.progress import progress_bar

    with progress_bar("templates", quiet=quiet) as progress:
        made, left_out = make_wisp_templates(
            TemplateRequest(files, output_dir, references, not no_flat, overwrite, progress),
        )
    if quiet:
        return
    for one in made:
        low, high = min(one.strength), max(one.strength)
        print_lines([f"{one.path}: {len(one.names)} exposures, strengths from {low:.2f} to {high:.2f} of their mean"])
    print_lines(f"left out: {line}" for line in left_out)
