"""A subtraction as files: images in FITS, tables in ECSV, figures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from astropy import wcs
from astropy.io import fits
from astropy.table import Table
from stdatamodels.jwst.datamodels import CubeModel, ImageModel

from detectorist import __version__, models
from detectorist.algorithms import dq
from detectorist.atomic_files import whole_file, whole_set
from detectorist.errors import OutputError
from detectorist.figures import coronagraph
from detectorist.figures.display import show_or_write
from detectorist.fits_files import read_keywords
from detectorist.modes.coron.subtraction.subtract import SubtractedExposure, SubtractedTarget
from detectorist.modes.coron.subtraction.tables import TOGETHER, companion_table, contrast_table
from detectorist.reduction import products

#: Endings of images: without its star, aligned references; of all exposures, north up. Those of the standard pipeline.
WITHOUT_STAR, ALIGNED, NORTH_UP = "psfsub", "psfalign", "psfsub_north"
CONTRAST, COMPANIONS = "contrast", "companions"


def paths_of(target: Sequence[str], name: str, folder: Path) -> list[Path]:
    """Return the paths of all products of exposures (by name) of a target called `name`."""
    of_exposures = [folder / f"{exposure}_{kind}.fits" for exposure in target for kind in (WITHOUT_STAR, ALIGNED)]
    tables = [folder / f"{name}_{table}.{ending}" for table in (CONTRAST, COMPANIONS) for ending in ("ecsv",)]
    return [*of_exposures, folder / f"{name}_{NORTH_UP}.fits", *tables, folder / f"{name}_{CONTRAST}.png"]


def require_free(paths: Sequence[Path], *, overwrite: bool) -> None:
    """Raise OutputError if a product exists already, before any work is done."""
    existing = [path for path in paths if path.exists()]
    if existing and not overwrite:
        raise OutputError(f"{existing[0]}: exists already; allow overwriting it, or choose another folder")


def write_subtraction(target: SubtractedTarget, name: str, folder: Path) -> list[Path]:
    """Write all products of a target called `name`, and return their paths.

    Raises
    ------
    OutputError
        When a file cannot be written.
    """
    figure = coronagraph.draw_contrast(curves_of(target), star=target.settings.star_flux, unit=target_unit(target))
    with whole_set(folder) as partial:
        for exposure in target.exposures:
            _write_image(exposure, target, partial)
            _write_references(exposure, target, partial)
        _write_north_up(target, partial / f"{name}_{NORTH_UP}.fits")
        for kind, table in ((CONTRAST, contrast_table(target)), (COMPANIONS, companion_table(target))):
            _write_table(table, partial / f"{name}_{kind}.ecsv")
        show_or_write(figure, "", path=str(partial / f"{name}_{CONTRAST}.png"))
    return paths_of([one.image.name for one in target.exposures], name, folder)


def curves_of(target: SubtractedTarget) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return {label: (separation in arcsec, limit)} of the exposures, and of all together where there are several."""
    curves = {one.image.name: one.curve for one in target.exposures}
    if len(curves) > 1:
        curves[TOGETHER] = target.curve
    return {label: (curve.radius_pix * target.pixel_arcsec, curve.limit) for label, curve in curves.items()}


def target_unit(target: SubtractedTarget) -> str:
    """Return the unit of fluxes."""
    return f"{target.exposures[0].image.unit} × pixel"


def history_of(exposure: SubtractedExposure, target: SubtractedTarget) -> str:
    """Return the processing of an exposure, for its HISTORY."""
    settings, star = target.settings, exposure.star
    parts = [
        f"{image.path.name} moved by {one.shift_pix[0]:+.3f}, {one.shift_pix[1]:+.3f} pixel"
        for image, one in zip(target.references, star.references, strict=True)
    ]
    modes = max(len(ring.modes.shapes) for ring in star.rings)
    return (
        f"star subtracted: {modes} KL modes (at most {settings.most_modes}) on rings of {settings.ring_pix:g} pixels "
        f"about column {star.centre[0]:.2f}, row {star.centre[1]:.2f} (from 0); references: {'; '.join(parts)}"
    )


def _write_image(exposure: SubtractedExposure, target: SubtractedTarget, folder: Path) -> None:
    image, star = exposure.image, exposure.star
    with models.open_as(image.path, ImageModel) as model:
        unknown = ~np.isfinite(star.image)
        model.data = star.image.astype(np.float32)
        model.err = np.sqrt(star.variance).astype(np.float32)
        model.dq = dq.add(np.asarray(models.flags(model)), unknown, dq.DO_NOT_USE)
        for name in ("var_poisson", "var_rnoise", "var_flat", "area"):
            if model.hasattr(name):
                delattr(model, name)
        models.add_history(model, history_of(exposure, target))
        scales = [one.scale for one in star.references]
        models.record_step(model, "subtract_star", "COMPLETE", {"scales": scales, **_numbers(exposure)})
        products.write_model(model, folder / f"{image.name}_{WITHOUT_STAR}.fits")


def _numbers(exposure: SubtractedExposure) -> dict[str, object]:
    star = exposure.star
    return {
        "shifts_pix": [list(one.shift_pix) for one in star.references],
        "star_x": star.centre[0],
        "star_y": star.centre[1],
        "rings": len(star.rings),
    }


def _write_references(exposure: SubtractedExposure, target: SubtractedTarget, folder: Path) -> None:
    cube = np.stack([one.image for one in exposure.star.references]).astype(np.float32)
    known = np.stack([one.known for one in exposure.star.references])
    model = CubeModel(data=cube, dq=np.where(known, 0, dq.DO_NOT_USE).astype(np.uint32))
    with models.open_as(exposure.image.path, ImageModel) as source:
        model.update(source)
    models.add_history(model, f"references aligned with {exposure.image.path.name}: {history_of(exposure, target)}")
    products.write_model(model, folder / f"{exposure.image.name}_{ALIGNED}.fits")
    model.close()


def _write_north_up(target: SubtractedTarget, path: Path) -> None:
    """Write the mean of all exposures with a WCS, and the map of fluxes, as plain FITS."""
    header = _sky(target).to_header()
    header["BUNIT"] = target.exposures[0].image.unit
    header["CAL_CODE"] = (f"detectorist {__version__}", "program")
    for exposure in target.exposures:
        header.add_history(f"{exposure.image.path.name}: {history_of(exposure, target)}")
    hdus = [fits.PrimaryHDU(), fits.ImageHDU(target.image.astype(np.float32), header, "SCI")]
    fluxes = fits.ImageHDU(target.fluxes.astype(np.float32), header, "FLUX")
    fluxes.header["BUNIT"] = target_unit(target).replace("×", "x")
    with whole_file(path) as partial:
        fits.HDUList([*hdus, fluxes]).writeto(partial, checksum=True)


def _sky(target: SubtractedTarget) -> wcs.WCS:
    keywords = read_keywords(target.exposures[0].image.path)
    where = [keywords.number(name) or 0.0 for name in ("TARG_RA", "TARG_DEC")]
    sky = wcs.WCS(naxis=2)
    sky.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    sky.wcs.crval, sky.wcs.crpix = where, [target.centre[0] + 1, target.centre[1] + 1]
    sky.wcs.cdelt = [-target.pixel_arcsec / 3600, target.pixel_arcsec / 3600]
    return sky


def _write_table(table: Table, path: Path) -> None:
    text = io.StringIO()
    table.write(text, format="ascii.ecsv")
    products.write_text(text.getvalue(), path)
