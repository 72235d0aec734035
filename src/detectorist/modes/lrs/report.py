"""MIRI LRS slitless in the report: frames, profile, background, light curves, shifts, noise, calibration of errors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any, ClassVar

import h5netcdf
import numpy as np

from detectorist.algorithms.spectra.profile import TRACE_COLUMN
from detectorist.errors import InputError
from detectorist.figures import time_series, time_series_quality
from detectorist.figures.stretch import Stretch, coloured
from detectorist.modes.exposure import Exposure
from detectorist.modes.lrs import measurements, quality
from detectorist.modes.section import Opening, Panel, Section
from detectorist.reduction.recipes.in_force import in_force

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
#: Exposures whose science opens the report.
MOST_OPENINGS = 2


class LrsSections(Section):
    """Spectra through time."""

    title: ClassVar = "MIRI LRS time series"
    columns: ClassVar = quality.COLUMNS
    checks: ClassVar = quality.CHECKS
    merits: ClassVar = quality.MERITS

    def __init__(self) -> None:
        # The opening and the figures of an exposure share what is read and fitted.
        self._products = lru_cache(MOST_OPENINGS)(_Products)

    def defaults(self) -> dict[tuple[str, str], Any]:
        """Return the parameters of a bare LrsPipeline."""
        from detectorist.modes.lrs.pipeline import LrsPipeline
        from detectorist.reduction.runner import build_pipeline

        return in_force(build_pipeline(LrsPipeline, None).get_pars())

    def thumbnail(self, exposure: Exposure) -> np.ndarray | None:
        """Return all light curves at once: time upward, wavelength to the right."""
        found = self._products(exposure.folder)
        if found.spectra is None:
            return None
        relative = time_series_quality.relative_flux(found.spectra)
        if not relative.size:
            return None
        rows = np.linspace(0, relative.shape[0] - 1, THUMBNAIL_PIX[1]).astype(int)
        columns = np.linspace(0, relative.shape[1] - 1, THUMBNAIL_PIX[0]).astype(int)
        small = relative[np.ix_(rows, columns)]
        limit = float(np.nanpercentile(np.abs(small), 98)) if np.isfinite(small).any() else 1.0
        return coloured(small, Stretch(-limit or -1.0, limit or 1.0, difference=True))

    def opening(self, exposures: Sequence[Exposure]) -> Iterator[Opening]:
        """Yield the white light curve of the first exposures, with transit, baseline and residuals."""
        for exposure in exposures[:MOST_OPENINGS]:
            panel = next(self._light(self._products(exposure.folder)), None)
            if panel is not None and panel.key == "lrs_white_light":
                yield Opening(exposure, panel)

    def panels(self, exposure: Exposure, *, brief: bool = False) -> Iterator[Panel]:
        """Yield the figures that can be drawn from the products."""
        if brief:
            yield from self._drawn(exposure.folder / "figures")
            return
        found = self._products(exposure.folder)
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
                lambda: time_series_quality.draw_groups(chosen["deviation_pct"], chosen.get("groups") or ()),
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
        if spectra is None:
            return
        white, fit = found.white, found.fit
        if white is not None:
            yield found.white_light
        yield Panel("lrs_light_curves_2d", "All light curves at once", lambda: time_series.draw_light_curves(spectra))
        if white is not None:
            yield Panel(
                "lrs_spectroscopic",
                "Spectroscopic light curves",
                lambda: time_series_quality.draw_spectroscopic(spectra),
                interactive=lambda: _interactive("draw_spectroscopic", spectra),
            )
        yield Panel(
            "lrs_spectrum",
            "Spectrum",
            lambda: time_series.draw_spectrum(spectra),
            interactive=lambda: _interactive("draw_spectrum", spectra),
        )
        yield Panel("lrs_trace", "Shifts and width of the trace", lambda: time_series.draw_trace(spectra))
        if white is not None and white.flux.size >= time_series_quality.LEAST_INTEGRATIONS:
            yield Panel(
                "lrs_noise",
                "Noise against bin size",
                lambda: time_series.draw_noise(white, fit, found.white_photon_error),
            )

    @staticmethod
    def _frames(found: _Products) -> Iterator[Panel]:
        frames = found.frames
        assert frames is not None
        number, column = found.example_integration, found.trace_column
        yield Panel("lrs_frames", "Frames, raw and cleaned", lambda: time_series_quality.draw_frames(frames, number))
        yield Panel("lrs_replaced", "Pixels replaced", lambda: time_series_quality.draw_replaced(frames["replaced"]))
        yield Panel(
            "lrs_profile", "Spatial profile", lambda: time_series_quality.draw_profile(frames["profile"], column)
        )

    @staticmethod
    def _spectra(found: _Products) -> Iterator[Panel]:
        spectra = found.spectra
        assert spectra is not None
        yield Panel("lrs_background", "Background", lambda: time_series_quality.draw_background(spectra))
        if len(spectra["flux"]) >= time_series_quality.LEAST_INTEGRATIONS:
            yield Panel("lrs_errors", "Calibration of the errors", lambda: time_series_quality.draw_errors(spectra))


def _interactive(name: str, *arguments: Any) -> dict[str, Any]:
    from detectorist.modes.lrs import interactive

    return getattr(interactive, name)(*arguments)


@dataclass(frozen=True)
class _Products:
    """The arrays of one exposure, read when they are asked for; None where there is no product."""

    folder: Path

    @cached_property
    def spectra(self) -> dict[str, np.ndarray] | None:
        """The variables of stage_2_output.nc; None where it cannot be read."""
        return _read(self.folder / "stage_2" / "stage_2_output.nc")

    @cached_property
    def frames(self) -> dict[str, np.ndarray] | None:
        """The images kept for the report, of frames.nc; None where it cannot be read."""
        return _read(self.folder / "stage_2" / "frames.nc")

    @property
    def example_integration(self) -> int:
        """The integration that is shown, counted from 0."""
        return int(self.frames["example_integration"]) if self.frames else 0

    @property
    def trace_column(self) -> int:
        """The column of the trace, as measured or as usual."""
        return int((self.frames or {}).get("trace_column", TRACE_COLUMN))

    @cached_property
    def white(self) -> Any:
        """The white light curve; None where no wavelength has flux in all integrations."""
        try:
            return time_series_quality.white_light(self.spectra)
        except ValueError:
            return None

    @cached_property
    def fit(self) -> Any:
        """Transit and baseline of the white light curve, as its numbers have it."""
        return None if self.white is None else measurements.fit_white_light(self.white, self.spectra)

    @cached_property
    def white_light(self) -> Panel:
        """The panel of the white light curve, which may be shown twice and is drawn once."""
        assert self.spectra is not None
        hours = time_series_quality.hours_of(self.spectra)
        return Panel(
            "lrs_white_light",
            "White light curve",
            cache(lambda: time_series.draw_white_light(self.white, hours, self.fit)),
            interactive=cache(lambda: _interactive("draw_white_light", self.spectra, self.fit)),
        )

    @property
    def white_photon_error(self) -> np.ndarray | None:
        """What photons alone would give as error of the white light curve."""
        error = self.frames["photon_error"] if self.frames else None
        if error is None or not np.isfinite(error).any():
            return None
        rows = self.spectra.get("detector_row")
        error = error if rows is None else error[:, rows]
        return time_series_quality.white_light({**self.spectra, "flux_error": error}).error


def _read(path: Path) -> dict[str, np.ndarray] | None:
    if not path.is_file():
        return None
    try:
        with h5netcdf.File(path, "r") as file:
            arrays = {name: np.asarray(variable[...]) for name, variable in file.variables.items()}
            return {**arrays, **{name: np.asarray(value) for name, value in file.attrs.items()}}
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); is the file damaged?") from error
