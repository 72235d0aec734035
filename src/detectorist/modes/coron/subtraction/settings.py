"""Settings of a star subtraction."""

from __future__ import annotations

from dataclasses import dataclass

from detectorist.algorithms.stars.star_subtraction_defaults import MOST_MODES, RING_PIX
from detectorist.errors import ParameterError


@dataclass(frozen=True)
class SubtractionSettings:
    """How a star is subtracted and what is measured then.

    Attributes
    ----------
    most_modes : int
        Largest number of modes; there are never more than references.
    ring_pix : float
        Width of the rings on which they are fitted, pixel.
    psf : str, optional
        FITS file with the image of a point source (first image, square, odd, source in the middle, flux 1 over all the
        sky, pixels of the detector). By default the diffraction pattern of the primary mirror.
    star_flux : float, optional
        Flux of the target's star without mask, unit of the image times pixel (DN/s of rates): contrasts are relative
        to it.
    companions : tuple of (float, float)
        Known companions: separation (arcsec) and position angle (degrees, north over east). By default they are
        searched for.
    """

    most_modes: int = MOST_MODES
    ring_pix: float = RING_PIX
    psf: str | None = None
    star_flux: float | None = None
    companions: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Raise ParameterError for values that make no sense."""
        if self.most_modes < 1:
            raise ParameterError(f"most_modes is {self.most_modes}; 1 or more are needed", parameter="most_modes")
        if not self.ring_pix >= 2:
            raise ParameterError(f"ring_pix is {self.ring_pix:g}; 2 pixels or more are needed", parameter="ring_pix")
        if self.star_flux is not None and not self.star_flux > 0:
            raise ParameterError(f"star_flux is {self.star_flux:g}; a positive flux is needed", parameter="star_flux")
        for separation, _ in self.companions:
            if not separation > 0:
                raise ParameterError(
                    f"a companion is at {separation:g} arcsec; a positive separation is needed", parameter="companions"
                )
