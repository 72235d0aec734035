"""Scenes as immutable chains: `LrsScene().with_star(mag=8.5).without("cosmic_rays").observe(ints=20, groups=30)`."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from detectorist.detectors import MIRI_SUBARRAYS, MiriSubarray
from detectorist.errors import ParameterError
from detectorist.simulate.core import miri_components as ingredients

if TYPE_CHECKING:
    from detectorist.simulate.lrs.observation import LrsObservation

#: What `progress` is called with: integrations done, integrations in all, the file or work in hand.
Progress = Callable[[float, int, str], None]


class Scene:
    """What scenes of all modes have in common: ingredients by name, changed by copying.

    A subclass is a frozen dataclass with one field per ingredient and a field `left_out` (frozenset of str).
    """

    left_out: frozenset[str]

    @classmethod
    def ingredients(cls) -> tuple[str, ...]:
        """Return the names of all ingredients."""
        return tuple(f.name for f in dataclasses.fields(cls) if f.name not in ("left_out", "detector"))

    def has(self, name: str) -> bool:
        """Tell whether an ingredient is part of the scene."""
        return name in self.ingredients() and name not in self.left_out

    def without(self, *names: str) -> Self:
        """Return the scene without some of its ingredients.

        Raises
        ------
        ParameterError
            For a name that is none of `ingredients()`; the nearest one is suggested.
        """
        for name in names:
            require_known(name, self.ingredients(), "ingredient")
        return dataclasses.replace(self, left_out=self.left_out | set(names))

    def only(self, *names: str) -> Self:
        """Return the scene with no ingredients but these."""
        for name in names:
            require_known(name, self.ingredients(), "ingredient")
        return dataclasses.replace(self, left_out=frozenset(self.ingredients()) - set(names))

    def with_(self, ingredient: str, **changes: Any) -> Self:
        """Return the scene with other parameters of one ingredient, put back in where it was left out.

        Raises
        ------
        ParameterError
            For an ingredient or a parameter that does not exist; the nearest name is suggested.
        """
        require_known(ingredient, (*self.ingredients(), "detector"), "ingredient")
        current = getattr(self, ingredient)
        known = [f.name for f in dataclasses.fields(current)]
        for name in changes:
            require_known(name, known, f"parameter of {ingredient}")
        changed = dataclasses.replace(current, **changes)
        return dataclasses.replace(self, **{ingredient: changed}, left_out=self.left_out - {ingredient})


def require_known(name: str, known: Collection[str], what: str) -> None:
    """Raise ParameterError for a name that is none of `known`; the nearest one is suggested."""
    if name not in known:
        nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f' (did you mean "{nearest[0]}"?)' if nearest else ""
        raise ParameterError(f'"{name}" is no {what}{hint}; known are {", ".join(known) or "none"}', found=name)


@dataclass(frozen=True)
class LrsScene(Scene):
    """A transiting planet seen by MIRI's low-resolution spectrometer without a slit.

    Every field but `detector` is an ingredient that can be left out by its name; each has its own random numbers, so
    that leaving one out changes no other (photon noise follows the light that is left). `ingredients` describes their
    parameters.

    Examples
    --------
    >>> scene = LrsScene().with_star(mag=9.5).with_transit(depth=0.02).without("cosmic_rays", "emi")
    >>> scene.write("sim", ints=20, groups=30, segments=2, seed=7)
    """

    star: ingredients.Star = field(default_factory=ingredients.Star)
    transit: ingredients.Transit = field(default_factory=ingredients.Transit)
    background: ingredients.Background = field(default_factory=ingredients.Background)
    jitter: ingredients.Jitter = field(default_factory=ingredients.Jitter)
    photon_noise: ingredients.PhotonNoise = field(default_factory=ingredients.PhotonNoise)
    read_noise: ingredients.ReadNoise = field(default_factory=ingredients.ReadNoise)
    reset_noise: ingredients.ResetNoise = field(default_factory=ingredients.ResetNoise)
    dark: ingredients.Dark = field(default_factory=ingredients.Dark)
    flat: ingredients.Flat = field(default_factory=ingredients.Flat)
    nonlinearity: ingredients.NonlinearityCurve = field(default_factory=ingredients.NonlinearityCurve)
    rscd: ingredients.Rscd = field(default_factory=ingredients.Rscd)
    reset_decay: ingredients.ResetDecay = field(default_factory=ingredients.ResetDecay)
    last_frame: ingredients.LastFrame = field(default_factory=ingredients.LastFrame)
    emi: ingredients.Emi = field(default_factory=ingredients.Emi)
    drift: ingredients.OutputDrift = field(default_factory=ingredients.OutputDrift)
    cosmic_rays: ingredients.CosmicRayHits = field(default_factory=ingredients.CosmicRayHits)
    bad_pixels: ingredients.BadPixels = field(default_factory=ingredients.BadPixels)
    detector: ingredients.Detector = field(default_factory=ingredients.Detector)
    left_out: frozenset[str] = frozenset()

    subarray: ClassVar[MiriSubarray] = MIRI_SUBARRAYS["SLITLESSPRISM"]

    @classmethod
    def for_long_ramps(cls, n_groups: int = 100) -> LrsScene:
        """Return a scene whose ramps of n_groups lose some 6 % to nonlinearity at their end and do not saturate.

        The response hardly departs from linear in the first 40 % of the ramps and then falls off
        (`ingredients.late_curve`).
        """
        scene = cls()
        top_dn = 50_000.0
        wanted = top_dn / (n_groups * cls.subarray.frame_time_s)
        mag = 9.0 - 2.5 * np.log10(wanted / scene.star.peak_dn_s_at_mag_9)
        curve = ingredients.late_curve(pedestal_dn=scene.detector.pedestal_dn, top_dn=top_dn)
        return scene.with_star(mag=float(mag)).with_nonlinearity(coefficients=curve)

    def with_star(self, **changes: Any) -> LrsScene:
        """Return the scene with another star: parameters of `ingredients.Star`."""
        return self.with_("star", **changes)

    def with_transit(self, **changes: Any) -> LrsScene:
        """Return the scene with another transit: parameters of `ingredients.Transit`.

        `depth_spectrum` may be any sequence of (micron, depth), or a pair of arrays.
        """
        table = changes.get("depth_spectrum")
        if table is not None:
            array = np.asarray(table, float)
            array = array.T if array.ndim == 2 and array.shape[0] == 2 and array.shape[1] != 2 else array
            if array.ndim != 2 or array.shape[1] != 2 or not np.all(np.diff(array[:, 0]) > 0):
                raise ParameterError(
                    f"depth_spectrum has shape {array.shape}: pairs (micron, depth) of rising wavelength are needed"
                )
            changes["depth_spectrum"] = tuple((float(um), float(depth)) for um, depth in array)
        return self.with_("transit", **changes)

    def with_background(self, **changes: Any) -> LrsScene:
        """Return the scene with another background: parameters of `ingredients.Background`."""
        return self.with_("background", **changes)

    def with_jitter(self, **changes: Any) -> LrsScene:
        """Return the scene with another pointing: parameters of `ingredients.Jitter`."""
        return self.with_("jitter", **changes)

    def with_nonlinearity(self, **changes: Any) -> LrsScene:
        """Return the scene with another response: parameters of `ingredients.NonlinearityCurve`."""
        return self.with_("nonlinearity", **changes)

    def with_drift(self, **changes: Any) -> LrsScene:
        """Return the scene with other drifts of the outputs: parameters of `ingredients.OutputDrift`."""
        return self.with_("drift", **changes)

    def with_detector(self, **changes: Any) -> LrsScene:
        """Return the scene on another detector: parameters of `ingredients.Detector`."""
        return self.with_("detector", **changes)

    def observe(self, *, ints: int = 40, groups: int = 20, segments: int = 2, seed: int = 0) -> LrsObservation:
        """Return the exposure of the scene: everything that a seed decides, ready to be read out or written.

        Raises
        ------
        ParameterError
            When a number is too small, or there are more segments than integrations.
        """
        from detectorist.simulate.lrs.observation import LrsObservation

        for name, value, least in (("ints", ints, 1), ("groups", groups, 2), ("segments", segments, 1)):
            if value < least:
                raise ParameterError(f"{name} is {value}: at least {least} is needed", parameter=name)
        if seed < 0:
            raise ParameterError(f"seed is {seed}: 0 or more is needed", parameter="seed")
        if segments > ints:
            raise ParameterError(f"{segments} segments of {ints} integrations: each segment needs one")
        return LrsObservation(self, n_ints=ints, n_groups=groups, n_segments=segments, seed=seed)

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 40,
        groups: int = 20,
        segments: int = 2,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, `truth.nc` and the references `crds/` into a folder; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        exposure = self.observe(ints=ints, groups=groups, segments=segments, seed=seed)
        return exposure.write(folder, overwrite=overwrite, progress=progress)
