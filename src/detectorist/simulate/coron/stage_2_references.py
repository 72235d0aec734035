"""The references of stage 2 of coronagraphy: flat, distortion and photometry."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core.plane_distortion import plane_distortion
from detectorist.simulate.coron.coronagraphs import CoronMode

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stdatamodels.jwst.datamodels import JwstDataModel

_PHOTOM_ROWS = {
    "NIRCAM": ("NrcImgPhotomModel", "pupil"),
    "MIRI": ("MirImgPhotomModel", "subarray"),
}


def stage_2_references(mode: CoronMode, flat: np.ndarray) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references, still without their metadata.

    flat : ndarray of float, shape (ny, nx)
        Relative sensitivity.
    """
    from stdatamodels.jwst import datamodels

    flat = flat.astype(np.float32)
    yield "flat", datamodels.FlatModel(data=flat, dq=np.zeros(flat.shape, np.uint32), err=np.zeros_like(flat))
    x, y = mode.subarray.x_start - 1 + mode.centre[0], mode.subarray.y_start - 1 + mode.centre[1]
    distortion = plane_distortion((x, y), mode.v2_v3_arcsec, mode.pixel_scale_arcsec, mode.exposure_type)
    if mode.pupil is not None:
        distortion.meta.instrument.p_pupil = f"{mode.pupil}|"
    yield "distortion", distortion
    yield "photom", photometry_model(mode)


def photometry_model(mode: CoronMode) -> JwstDataModel:
    """Return the surface brightness of 1 DN/s, and the size of a pixel on the sky."""
    from stdatamodels.jwst import datamodels

    kind, column = _PHOTOM_ROWS[mode.instrument]
    row = (mode.filter, mode.pupil if column == "pupil" else mode.subarray.name, mode.mjy_sr_per_dn_s, 0.0)
    names = ("filter", column, "photmjsr", "uncertainty")
    model = getattr(datamodels, kind)(
        phot_table=np.array([row], list(zip(names, ("S12", "S15", "f4", "f4"), strict=True)))
    )
    model.meta.photometry.pixelarea_arcsecsq = mode.pixel_scale_arcsec**2
    model.meta.photometry.pixelarea_steradians = mode.pixel_scale_arcsec**2 * (np.pi / 648_000) ** 2
    return model
