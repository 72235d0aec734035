"""A distortion reference without distortion: pixels of one size, aligned with V2 and V3."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel


def plane_distortion(
    zero_pix: tuple[float, float], v2_v3_arcsec: tuple[float, float], scale_arcsec: float, exposure_type: str
) -> JwstDataModel:
    """Return the reference.

    zero_pix : (x, y)
        Pixel of the detector, from 0, that lies at `v2_v3_arcsec`.
    scale_arcsec : float
        Side of a pixel.
    exposure_type : str
        EXP_TYPE of the exposures that it is for.
    """
    from astropy import units
    from astropy.modeling import models
    from stdatamodels.jwst import datamodels

    transform = (
        models.Shift(-zero_pix[0]) & models.Shift(-zero_pix[1])
        | models.Scale(scale_arcsec) & models.Scale(scale_arcsec)
        | models.Shift(v2_v3_arcsec[0]) & models.Shift(v2_v3_arcsec[1])
    )
    model = datamodels.DistortionModel(model=transform, input_units=units.pix, output_units=units.arcsec)
    model.meta.exposure.p_exptype = f"{exposure_type}|"
    return model
