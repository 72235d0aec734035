"""MIRI LRS slitless in the report: frames, profile, background, light curves, shifts, noise, calibration of errors."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import h5netcdf
import numpy as np

from detectorist.figures import lrs, lrs_quality
from detectorist.figures.pictures import colour
from detectorist.modes.exposure import Exposure
from detectorist.modes.quality import Check, Column
from detectorist.modes.section import Panel, Section
from detectorist.reduction.in_force import in_force

#: Pixels of a thumbnail, width and height.
THUMBNAIL_PIX = (120, 40)
#: Figures that a reduction draws: file name -> key and title here.
DRAWN = {
    "white_light": ("lrs_white_light", "White light curve"),
    "light_curves_2d": ("lrs_light_curves_2d", "All light curves at once"),
    "spectrum": ("lrs_spectrum", "Spectrum"),
    "trace": ("lrs_trace", "Shifts and width of the trace"),
    "noise": ("lrs_noise", "Noise against bin size"),
}
#: Standard deviation of a scatter from second differences, times the root of the number of integrations,
#: over the scatter: measured on white noise.
SCATTER_UNCERTAINTY = 1.0
#: Standard deviations by which a scatter from few integrations may be too large by chance.
CHANCE_SIGMA = 4.0


class LrsSections(Section):
    """Spectra through time."""

    title: ClassVar = "MIRI LRS time series"
    columns: ClassVar = (
        Column("n_integrations", "integrations", form="d", compared=False),
        Column("white_scatter_ppm", "white scatter", "ppm", "White light, from one integration to the next", ".0f"),
        Column("white_ratio", "over expected", "", "That scatter over what the stated errors explain", ".2f"),
        Column("pull_width", "pull width", "", "Scatter over stated error, median over wavelengths; 1 is right", ".2f"),
        Column("replaced_pct", "replaced", "%", "Spectral elements with a pixel replaced near the trace", ".1f"),
        Column("jumps_pct", "jumps", "%", "Pixels with a cosmic ray in their ramp", ".2f"),
        Column("saturated_pct", "saturated", "%", "Spectral elements with a saturated pixel near the trace", ".1f"),
        Column("motion_pix", "motion", "pixel", "Movement of the trace, rms of both axes", ".4f"),
        Column("background_level", "background", "DN/s", "Median background of a pixel", ".1f"),
        Column("groups_used", "groups used", "", "Groups of a ramp that were fitted", "d"),
    )
    checks: ClassVar = (
        Check(
            "white_ratio_at_least",
            "white light scatters at least {value:.2f} times as much as the errors explain (up to {high:g} is usual): "
            "noise that wavelengths share is left; look at the light curves and at drift, width and background",
            high=1.1,
        ),
        Check(
            "pull_width",
            "single wavelengths scatter {value:.2f} times their stated errors (expected 1, up to {high:g} is usual): "
            "errors are too small; look at the calibration of errors",
            high=1.1,
        ),
        Check(
            "pull_width",
            "single wavelengths scatter only {value:.2f} times their stated errors (expected 1): errors are too large; "
            "is the gain right?",
            low=0.9,
        ),
        Check(
            "replaced_pct",
            "{value:.1f} % of the spectral elements have a replaced pixel near the trace (up to {high:g} % is usual): "
            "look at the map of replaced pixels; the threshold may be too low",
            high=10.0,
        ),
        Check(
            "saturated_pct",
            "{value:.1f} % of the spectral elements have a saturated pixel near the trace (up to {high:g} % is usual)",
            high=5.0,
        ),
        Check(
            "no_flux_pct",
            "{value:.1f} % of the spectral elements between 5 and 12 µm have no flux (up to {high:g} % is usual)",
            high=0.5,
        ),
        Check(
            "motion_pix",
            "the trace moved by {value:.3f} pixel rms (up to {high:g} is usual): look at shifts and widths",
            high=0.05,
        ),
        Check(
            "times_computed",
            "the file has no times of its integrations: they were computed from the start of the exposure",
            high=0.5,
        ),
        Check(
            "reference_columns_lost",
            "{value:.0f} reference columns could not be used: drifts of these outputs are left in",
            high=0.5,
        ),
    )

    def complete(self, exposure: Exposure) -> None:
        """Add the movement of the trace, groups used, and what the reference pixels could not do."""
        numbers = exposure.numbers
        if "x_rms_pix" in numbers:
            numbers["motion_pix"] = float(np.hypot(numbers["x_rms_pix"], numbers["y_rms_pix"]))
        if "white_ratio" in numbers:
            # What a scatter from few integrations says for certain.
            uncertainty = SCATTER_UNCERTAINTY / np.sqrt(numbers["n_integrations"])
            numbers["white_ratio_at_least"] = numbers["white_ratio"] / (1 + CHANCE_SIGMA * uncertainty)
        if "times_from_header" in numbers:
            numbers["times_computed"] = int(numbers["times_from_header"])
        steps = next(iter(exposure.steps.values()), {})
        chosen = steps.get("drop_groups", {})
        if chosen.get("n_groups"):
            numbers["groups_used"] = int(chosen["n_groups"]) - len(chosen.get("groups") or ())
        counted = [part["inspect_dq_flags"] for part in exposure.steps.values() if "inspect_dq_flags" in part]
        n_pixels = sum(one.get("n_pixels", 0) for one in counted)
        if n_pixels:
            n_jumps = sum(one.get("counts", {}).get("JUMP_DET", 0) for one in counted)
            numbers["jumps_pct"] = 100.0 * n_jumps / n_pixels
        lost = [part.get("reference_pixel", {}).get("columns_unmeasured", 0) for part in exposure.steps.values()]
        numbers["reference_columns_lost"] = max(lost, default=0)

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare LrsPipeline."""
        from detectorist.modes.lrs.pipeline import LrsPipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(LrsPipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return all light curves at once: time upward, wavelength to the right."""
        found = _Products(exposure.folder)
        if found.spectra is None:
            return None
        relative = lrs_quality.relative_flux(found.spectra)
        if not relative.size:
            return None
        rows = np.linspace(0, relative.shape[0] - 1, THUMBNAIL_PIX[1]).astype(int)
        columns = np.linspace(0, relative.shape[1] - 1, THUMBNAIL_PIX[0]).astype(int)
        small = relative[np.ix_(rows, columns)]
        limit = float(np.nanpercentile(np.abs(small), 98)) if np.isfinite(small).any() else 1.0
        return colour(small, (-limit or -1.0, limit or 1.0), difference=True)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that the products allow."""
        if brief:
            yield from self._drawn(exposure.folder / "figures")
            return
        found = _Products(exposure.folder)
        if found.spectra is not None:
            yield from self._light(found)
        if found.frames is not None:
            yield from self._frames(found)
        if found.spectra is not None:
            yield from self._spectra(found)
        chosen = next(iter(exposure.steps.values()), {}).get("drop_groups", {})
        if chosen.get("deviation_pct"):
            yield Panel(
                "lrs_groups",
                "Groups of the ramps",
                lambda: lrs_quality.draw_groups(chosen["deviation_pct"], chosen.get("groups") or ()),
            )

    @staticmethod
    def _drawn(folder: Path) -> Iterator[Panel]:
        """Yield the figures that the reduction drew: to draw them again takes longer than all the rest."""
        for name, (key, title) in DRAWN.items():
            if (folder / f"{name}.png").is_file():
                yield Panel(key, title, file=folder / f"{name}.png")

    @staticmethod
    def _light(found: _Products) -> Iterator[Panel]:
        spectra = found.spectra
        assert spectra is not None
        white = found.white
        hours = lrs_quality.hours_of(spectra)
        if white is not None:
            yield Panel(
                "lrs_white_light",
                "White light curve",
                lambda: lrs.draw_white_light(white, hours),
                interactive=lambda: _interactive("draw_white_light", spectra),
            )
        yield Panel("lrs_light_curves_2d", "All light curves at once", lambda: lrs.draw_light_curves(spectra))
        yield Panel(
            "lrs_spectroscopic",
            "Spectroscopic light curves",
            lambda: lrs_quality.draw_spectroscopic(spectra),
            interactive=lambda: _interactive("draw_spectroscopic", spectra),
        )
        yield Panel("lrs_spectrum", "Spectrum", lambda: lrs.draw_spectrum(spectra))
        yield Panel("lrs_trace", "Shifts and width of the trace", lambda: lrs.draw_trace(spectra))
        if white is not None and white.flux.size >= lrs_quality.LEAST_INTEGRATIONS:
            yield Panel("lrs_noise", "Noise against bin size", lambda: lrs.draw_noise(white, found.white_photon_error))

    @staticmethod
    def _frames(found: _Products) -> Iterator[Panel]:
        frames = found.frames
        assert frames is not None
        number, column = found.example_integration, found.trace_column
        yield Panel("lrs_frames", "Frames, raw and cleaned", lambda: lrs_quality.draw_frames(frames, number))
        yield Panel("lrs_replaced", "Pixels replaced", lambda: lrs_quality.draw_replaced(frames["replaced"]))
        yield Panel("lrs_profile", "Spatial profile", lambda: lrs_quality.draw_profile(frames["profile"], column))

    @staticmethod
    def _spectra(found: _Products) -> Iterator[Panel]:
        spectra = found.spectra
        assert spectra is not None
        yield Panel("lrs_background", "Background", lambda: lrs_quality.draw_background(spectra))
        if len(spectra["flux"]) >= lrs_quality.LEAST_INTEGRATIONS:
            yield Panel("lrs_errors", "Calibration of the errors", lambda: lrs_quality.draw_errors(spectra))


def _interactive(name: str, spectra: dict[str, np.ndarray]) -> dict[str, Any]:
    from detectorist.modes.lrs import interactive

    return getattr(interactive, name)(spectra)


@dataclass(frozen=True)
class _Products:
    """The arrays of one exposure, read when they are asked for; None where there is no product."""

    folder: Path

    @cached_property
    def spectra(self) -> dict[str, np.ndarray] | None:
        return _read(self.folder / "stage_2" / "stage_2_output.nc")

    @cached_property
    def frames(self) -> dict[str, np.ndarray] | None:
        return _read(self.folder / "stage_2" / "frames.nc")

    @property
    def example_integration(self) -> int:
        return int(self.frames["example_integration"]) if self.frames else 0

    @property
    def trace_column(self) -> int:
        return int(self.frames["trace_column"]) if self.frames else 0

    @cached_property
    def white(self) -> Any:
        """The white light curve; None where no wavelength has flux in all integrations."""
        try:
            return lrs_quality.white_light(self.spectra)
        except ValueError:
            return None

    @property
    def white_photon_error(self) -> np.ndarray | None:
        """What photons alone would give as error of the white light curve."""
        error = self.frames["photon_error"] if self.frames else None
        if error is None or not np.isfinite(error).any():
            return None
        return lrs_quality.white_light({**self.spectra, "flux_error": error}).error


def _read(path: Path) -> dict[str, np.ndarray] | None:
    try:
        with h5netcdf.File(path, "r") as file:
            arrays = {name: np.asarray(variable[...]) for name, variable in file.variables.items()}
            return {**arrays, **{name: np.asarray(value) for name, value in file.attrs.items()}}
    except (OSError, ValueError):
        return None
