"""NIRCam images as immutable chains: `ImagingScene().with_("sky", level_dn_s=1.0).write("sim")`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectorist.errors import ParameterError
from detectorist.simulate.core.scene import Progress, require_number
from detectorist.simulate.imaging.components import ImagingComponents
from detectorist.simulate.imaging.exposure import MAX_INTS
from detectorist.simulate.imaging.observation import ImagingObservation
from detectorist.simulate.imaging.window import make_window


@dataclass(frozen=True)
class ImagingScene(ImagingComponents):
    """A field of stars and galaxies seen by one detector of NIRCam.

    Its components are the fields of `ImagingComponents`; each has its own random numbers, so that leaving one out does
    not change the others (photon noise follows the remaining light).

    Examples
    --------
    >>> scene = ImagingScene().with_detector(size=512, outputs=4, pattern="SHALLOW4").without("wisps")
    >>> scene.write("sim", groups=6, seed=3)
    """

    def with_detector(self, **changes: Any) -> ImagingScene:
        """Return the scene on another detector, subarray or readout: parameters of `nircam_components.Detector`.

        Raises
        ------
        ParameterError
            As `make_window`.
        """
        scene = self.with_("detector", **changes)
        make_window(scene.detector)
        return scene

    def observe(self, *, ints: int = 1, groups: int = 9, exposures: int = 1, seed: int = 0) -> ImagingObservation:
        """Return the exposures of the scene, determined by a seed, ready to be read out or written.

        Raises
        ------
        ParameterError
            When a number is too small.
        """
        for name, value, least in (("ints", ints, 1), ("groups", groups, 1), ("exposures", exposures, 1)):
            require_number(name, value, least=least)
        if ints >= MAX_INTS:
            raise ParameterError(f"ints is {ints}: less than {MAX_INTS} is needed", parameter="ints")
        if seed < 0:
            raise ParameterError(f"seed is {seed}: 0 or more is needed", parameter="seed")
        return ImagingObservation(self, n_ints=ints, n_groups=groups, n_exposures=exposures, seed=seed)

    def write(
        self,
        folder: Path | str,
        *,
        ints: int = 1,
        groups: int = 9,
        exposures: int = 1,
        seed: int = 0,
        overwrite: bool = False,
        progress: Progress | None = None,
    ) -> list[Path]:
        """Write uncal files, a truth beside each, templates `wisps/` and references `crds/`; return the uncal files.

        Raises
        ------
        ParameterError
            As `observe`.
        OutputError
            When the folder holds such files already and `overwrite` is False, or cannot be written.
        """
        observation = self.observe(ints=ints, groups=groups, exposures=exposures, seed=seed)
        return observation.write(folder, overwrite=overwrite, progress=progress)
