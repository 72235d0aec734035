"""Coronagraphic scenes: `CoronScene().with_("companion", rate_dn_s=300.0).write("sim", seed=5)`."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from detectorist.detectors import MiriSubarray
from detectorist.errors import ParameterError
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.coron.components import (
    Background,
    CoronComponents,
    MiriCoronComponents,
    NircamCoronComponents,
)
from detectorist.simulate.coron.coronagraphs import MIRI_LYOT, CoronMode
from detectorist.simulate.coron.observation import CoronObservation


class CoronagraphScene(CoronComponents):
    """The part that scenes of both instruments share: how they are observed."""

    default_groups: ClassVar[int]
    default_backgrounds: ClassVar[bool]

    def observe(
        self,
        *,
        ints: int = 10,
        groups: int | None = None,
        rolls: int = 2,
        dithers: int = 3,
        backgrounds: bool | None = None,
        seed: int = 0,
    ) -> CoronObservation:
        """Return the exposures of a target and its reference star, determined by a seed.

        ints, groups : int
            Of every exposure; by default 4 groups with NIRCam, 12 with MIRI.
        rolls : int
            Orientations of the telescope on the target, 10 degrees apart.
        dithers : int
            Positions of the reference star behind the mask, up to 5; 0 for none.
        backgrounds : bool, optional
            Empty fields for target and reference star; by default with MIRI.

        Raises
        ------
        ParameterError
            When a number is too small or too large.
        """
        groups = self.default_groups if groups is None else groups
        limits = (("ints", ints, 1, 9_999), ("groups", groups, 2, 9_999), ("rolls", rolls, 1, 3))
        for name, value, least, most in (*limits, ("dithers", dithers, 0, 5), ("seed", seed, 0, 2**63)):
            if not least <= value <= most:
                raise ParameterError(f"{name} is {value}, but must be between {least} and {most}", parameter=name)
        backgrounds = self.default_backgrounds if backgrounds is None else backgrounds
        return CoronObservation(
            self, n_ints=ints, n_groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
        )

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 10,
        groups: int | None = None,
        rolls: int = 2,
        dithers: int = 3,
        backgrounds: bool | None = None,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, a `_truth.nc` beside each and references `crds/` into a folder; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        observation = self.observe(
            ints=ints, groups=groups, rolls=rolls, dithers=dithers, backgrounds=backgrounds, seed=seed
        )
        return observation.write(folder, overwrite=overwrite, progress=progress)


@dataclass(frozen=True)
class CoronScene(NircamCoronComponents, CoronagraphScene):
    """A star with a companion behind NIRCam's round mask MASKA335R, in SUB320A335R (one output).

    Its components are the fields of `NircamCoronComponents`; leaving one out does not change the random numbers of the
    others (photon noise follows the remaining light).

    Examples
    --------
    >>> CoronScene().without("flicker").write("sim", ints=5, seed=7)
    """

    default_groups: ClassVar[int] = 4
    default_backgrounds: ClassVar[bool] = False


@dataclass(frozen=True)
class MiriCoronScene(MiriCoronComponents, CoronagraphScene):
    """A star with a companion behind MIRI's four-quadrant phase mask, in MASK1140.

    Its components are the fields of `MiriCoronComponents`.
    """

    default_groups: ClassVar[int] = 12
    default_backgrounds: ClassVar[bool] = True


@dataclass(frozen=True)
class MiriLyotScene(MiriCoronScene):
    """A star with a companion behind MIRI's Lyot spot, in MASKLYOT: as `MiriCoronScene`, without quadrants and glow."""

    background: Background = field(default_factory=lambda: Background(level_dn_s=60.0))

    mode: ClassVar[CoronMode] = MIRI_LYOT
    subarray: ClassVar[MiriSubarray] = MIRI_LYOT.subarray


SCENES = {"nircam": CoronScene, "miri": MiriCoronScene, "miri-lyot": MiriLyotScene}
