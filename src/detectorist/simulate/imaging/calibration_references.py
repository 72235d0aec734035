"""The references that stages 2 and 3 need for simulated NIRCam images: fluxes, areas of pixels, apertures."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core.nircam_detector import Window
from detectorist.simulate.imaging import header
from detectorist.simulate.imaging.components import ImagingComponents, Stars
from detectorist.simulate.imaging.sky import moffat_core

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stdatamodels.jwst.datamodels import JwstDataModel

#: Surface brightness of 1 DN/s in a pixel, MJy/sr (assumed; of the order of flight's), short and long wavelengths.
SHORT_MJY_SR, LONG_MJY_SR = 1.0, 0.4
#: Shares of a star's light for which radii are given.
ENCIRCLED = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
#: Ring in which the background of an aperture is measured, pixel.
RING_PIX = (10.0, 16.0)
#: AB minus Vega magnitude at 2.2 micron (about that of the K band); beyond, Vega's light falls as wavelength squared.
AB_VEGA_K, K_UM = 1.85, 2.2
SR_PER_ARCSEC2 = (np.pi / 180 / 3600) ** 2


def scale_arcsec(window: Window) -> float:
    """Return the side of a pixel, arcsec."""
    return header.LONG_SCALE_ARCSEC if window.facts.is_long_wave else header.SHORT_SCALE_ARCSEC


def mjy_sr_per_dn_s(window: Window) -> float:
    """Return the surface brightness of 1 DN/s in a pixel, MJy/sr."""
    return LONG_MJY_SR if window.facts.is_long_wave else SHORT_MJY_SR


def pixel_references(scene: ImagingComponents, window: Window) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references for the pixels of a detector, still without the detector's metadata."""
    from stdatamodels.jwst import datamodels

    dtype = [("filter", "S12"), ("pupil", "S12"), ("photmjsr", "f4"), ("uncertainty", "f4")]
    value = mjy_sr_per_dn_s(window)
    table = np.array([(scene.detector.filter, "CLEAR", value, 0.0)], dtype)
    photom = datamodels.NrcImgPhotomModel(phot_table=table)
    area = datamodels.PixelAreaModel(data=np.ones(window.shape, np.float32))
    for kind, model in (("photom", photom), ("area", area)):
        model.meta.photometry.pixelarea_arcsecsq = scale_arcsec(window) ** 2
        model.meta.photometry.pixelarea_steradians = scale_arcsec(window) ** 2 * SR_PER_ARCSEC2
        yield kind, model


def catalog_references(scene: ImagingComponents) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references that catalogues of mosaics need."""
    from astropy.table import Table
    from stdatamodels.jwst import datamodels

    name = scene.detector.filter
    yield "apcorr", datamodels.NrcImgApcorrModel(apcorr_table=aperture_table(scene.stars, name))
    rows = {"filter": [name], "pupil": ["CLEAR"], "abvega_offset": [_ab_vega(name)]}
    offsets = datamodels.ABVegaOffsetModel()
    offsets.abvega_offset = Table(rows)  # the constructor would take a table for keywords
    yield "abvegaoffset", offsets


def aperture_table(stars: Stars, filter_name: str) -> np.ndarray:
    """Return radii that contain fractions of a star's light, and aperture corrections for the net light in them.

    Light of the star's wings in the background ring is taken into account.
    """
    dtype = [("filter", "S12"), ("pupil", "S15"), *((name, "f4") for name in _APERTURE)]
    inner, outer = RING_PIX
    in_ring = (encircled(stars, outer) - encircled(stars, inner)) / (outer**2 - inner**2)
    rows = []
    for share in ENCIRCLED:
        radius = moffat_core(stars) * np.sqrt((1 - share) ** (1 / (1 - stars.beta)) - 1)
        rows.append((filter_name, "CLEAR", share, radius, 1 / (share - in_ring * radius**2), inner, outer))
    return np.array(rows, dtype)


_APERTURE = ("eefraction", "radius", "apcorr", "skyin", "skyout")


def encircled(stars: Stars, radius_pix: float) -> float:
    """Return the fraction of a star's light within a radius."""
    return float(1 - (1 + (radius_pix / moffat_core(stars)) ** 2) ** (1 - stars.beta))


def _ab_vega(filter_name: str) -> float:
    found = re.match(r"F(\d{3})", filter_name)
    wavelength_um = int(found[1]) / 100 if found else K_UM
    return AB_VEGA_K + 5 * float(np.log10(wavelength_um / K_UM))
