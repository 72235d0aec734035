"""Functions shared by the reference steps: reading without a copy, full-frame headers, saving."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from astropy.io import fits
from astropy.table import Table
from stdatamodels.jwst.datamodels import JwstDataModel, ReferenceFileModel

from detectorist import __version__, models
from detectorist.atomic_files import whole_file
from detectorist.errors import InputError, ReferenceMissing
from detectorist.step import LRS_SLITLESS, DetectoristStep

#: Full frame of the MIRI imager's detector, reference pixels included: rows, columns.
MIRI_FRAME = (1024, 1032)


class ReferenceStep(DetectoristStep):
    """A step that returns a reference and does not change its input."""

    instruments: ClassVar = ("MIRI",)
    exposure_types: ClassVar = (LRS_SLITLESS,)

    def read_input(self, input_data: Any, *kinds: type[JwstDataModel]) -> JwstDataModel:
        """Return the input, not to be changed, as the first of `kinds` that fits.

        Raises
        ------
        InputError
            When it is another kind of product, or from another instrument or mode.
        """
        wrong_shape: InputError | None = None
        for kind in kinds:
            try:
                model = models.open_as(input_data, kind, copy=False)
            except InputError as error:
                if "found_shape" not in error.numbers:
                    raise
                wrong_shape = wrong_shape or error
                continue
            self.require_mode(model)
            return model
        raise wrong_shape or InputError(f"{type(input_data).__name__} is not accepted by {self.class_alias}")

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Stamp the version only: reference models have no field for the references used."""
        super().finalize_result(result, [])

    def published_reference(self, model: JwstDataModel, kind: str, opened_as: type[JwstDataModel]):
        """Return the reference of type `kind` that CRDS (or `override_<kind>`) has for `model`.

        Raises
        ------
        ReferenceMissing
            When there is none.
        """
        try:
            name = self.get_reference_file(model, kind)
        except (Exception, SystemExit) as error:
            # CRDS ends the process where it finds no configuration.
            raise ReferenceMissing(
                f"{models.describe(model)}: no {kind} reference ({error}); set CRDS_PATH to a cache or give "
                f"override_{kind}",
                reference=kind,
            ) from error
        if isinstance(name, str) and name == "N/A":
            raise ReferenceMissing(
                f"{models.describe(model)}: CRDS has no {kind} reference for these data; give override_{kind}",
                reference=kind,
            )
        return opened_as(name)

    def path_for(self, path: str | None, suffix: str, model: JwstDataModel) -> Path:
        """Return where a reference goes: `path` if it names a file, else `<input>_<suffix>.fits` in that folder."""
        if path is not None and Path(path).suffix.lower() == ".fits":
            return Path(path)
        stem = models.describe(model).removesuffix(".fits").removesuffix("_uncal").removesuffix("_rateints")
        return Path(path or self.search_attr("output_dir") or ".") / f"{stem}_{suffix}.fits"


def as_full_frame(
    reference: ReferenceFileModel, model: JwstDataModel, *, kind: str, description: str
) -> ReferenceFileModel:
    """Fill the header of a full-frame reference so that standard steps can extract subarrays, and validate it."""
    meta = reference.meta
    meta.reftype = kind
    meta.telescope = "JWST"
    meta.instrument.name = "MIRI"
    meta.instrument.detector = model.meta.instrument.detector or "MIRIMAGE"
    meta.subarray.name = "FULL"
    meta.subarray.xstart, meta.subarray.ystart = 1, 1
    meta.subarray.ysize, meta.subarray.xsize = MIRI_FRAME
    meta.subarray.fastaxis, meta.subarray.slowaxis = 1, 2
    meta.author, meta.pedigree = f"detectorist {__version__}", "DUMMY"
    meta.useafter = f"{model.meta.observation.date or '2022-01-01'}T00:00:00"
    meta.description = description
    meta.filename = None
    reference.validate()
    return reference


def save_model(reference: JwstDataModel, path: Path) -> Path:
    """Write a model."""
    filename = reference.meta.filename

    def write(partial: Path) -> None:
        reference.save(str(partial))
        # Saving renames the model; it goes on under its own name.
        reference.meta.filename = filename

    return _write(write, path)


def save_array(array: np.ndarray, path: Path, header: dict[str, Any]) -> Path:
    """Write an array as the only extension of a FITS file."""
    hdu = fits.PrimaryHDU(array, fits.Header(list(header.items())))
    return _write(lambda partial: hdu.writeto(partial, overwrite=True), path)


def save_table(table: Table, path: Path) -> Path:
    """Write a table as a FITS file."""
    return _write(lambda partial: table.write(partial, format="fits", overwrite=True), path)


def _write(write: Callable[[Path], Any], path: Path) -> Path:
    with whole_file(path) as partial:
        write(partial)
    return path
