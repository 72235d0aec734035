"""Options of `detectorist spectrum`, under the headings of its help."""

from pathlib import Path
from typing import Annotated

import typer

ORBIT, PLANET, FIT, OUTPUT = "Orbit", "Star and planet", "Fit", "Output"

Sources = Annotated[
    list[Path],
    typer.Argument(
        help="Folders or stage_2_output.nc of `detectorist run lrs` (several exposures are joined), or one light "
        "curve as .csv or .ecsv."
    ),
]
Period = Annotated[float, typer.Option(help="Orbital period, days.", rich_help_panel=ORBIT)]
MidTime = Annotated[
    float, typer.Option(help="Mid-time of any transit, BJD_TDB or BJD_TDB - 2400000.5.", rich_help_panel=ORBIT)
]
AOverRs = Annotated[float, typer.Option(help="Semi-major axis over stellar radius.", rich_help_panel=ORBIT)]
Inclination = Annotated[float, typer.Option(help="Orbital inclination, degrees.", rich_help_panel=ORBIT)]
Eccentricity = Annotated[float, typer.Option(help="Orbital eccentricity.", rich_help_panel=ORBIT)]
Omega = Annotated[float, typer.Option(help="Longitude of periastron, degrees.", rich_help_panel=ORBIT)]
Event = Annotated[str, typer.Option(help="transit, eclipse, or phase_curve (the whole orbit).", rich_help_panel=PLANET)]
LimbDarkening = Annotated[
    str,
    typer.Option(help="Limb-darkening law, as in batman: quadratic, linear, power2, ...", rich_help_panel=PLANET),
]
Coefficients = Annotated[
    str | None,
    typer.Option(
        help="Fixed limb-darkening coefficients: 0.05,0.05, or a .csv or .ecsv with columns wavelength, u1, u2. "
        "Fitted by default.",
        rich_help_panel=PLANET,
    ),
]
Harmonics = Annotated[int, typer.Option(help="Harmonics of a phase curve: 1 or 2.", rich_help_panel=PLANET)]
Bins = Annotated[
    str,
    typer.Option(help="Wavelength bins: number (24), width (0.5um) or edges in um (5,6,8,12).", rich_help_panel=FIT),
]
WavelengthRange = Annotated[
    str, typer.Option("--range", help="First and last wavelength of the bins, um.", rich_help_panel=FIT)
]
FittedOrbit = Annotated[
    str | None,
    typer.Option(
        help="Fitted to white light: some of mid_time,a_over_rs,inclination_deg, or none to fix the orbit. "
        "Default: all three; for an eclipse mid_time.",
        rich_help_panel=FIT,
    ),
]
Priors = Annotated[
    list[str] | None,
    typer.Option(help="Prior of a fitted value: a_over_rs=4.87,0.02 (mean, error).", rich_help_panel=FIT),
]
BaselineOrder = Annotated[
    int, typer.Option(help="Order of the polynomial baseline in time, per exposure.", rich_help_panel=FIT)
]
Regressors = Annotated[
    str, typer.Option(help="Linear regressors of the baseline: x_shift,y_shift,psf_sigma.", rich_help_panel=FIT)
]
Settling = Annotated[
    bool,
    typer.Option(
        "--settling",
        help="Add an exponential from the start of every exposure to the baseline.",
        rich_help_panel=FIT,
    ),
]
Noise = Annotated[
    str,
    typer.Option(help="Noise model: red, white (errors scaled), or stated (errors as given).", rich_help_panel=FIT),
]
Sample = Annotated[bool, typer.Option("--sample", help="Sample posteriors with dynesty as well.", rich_help_panel=FIT)]
OutputDir = Annotated[
    Path | None,
    typer.Option("--output-dir", "-o", help="By default `spectrum` beside the input.", rich_help_panel=OUTPUT),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing files.", rich_help_panel=OUTPUT)]
