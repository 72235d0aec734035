"""The reference files that belong to simulated LRS exposures, as a CRDS cache."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import LRS_SLITLESS, MIRI
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.core.miri_detector import FixedPatterns
from detectorist.simulate.core.miri_references import describe_miri, detector_references
from detectorist.simulate.core.plane_distortion import plane_distortion
from detectorist.simulate.core.references import DATE
from detectorist.simulate.lrs.components import LrsComponents
from detectorist.simulate.lrs.header import V2_REF_ARCSEC, V3_REF_ARCSEC
from detectorist.simulate.lrs.sky import SHAPE, SUBARRAY, wavelengths_um

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

#: Rows of the wavelength reference per row of the detector. The pipeline smooths it by a spline with a fixed sum of
#: squared residuals: the more rows, the closer it stays.
_WAVETABLE_SAMPLING = 40
#: Row (0-based) that the wavelength reference counts from; any will do.
_ZERO_ROW = 300


def build_cache(
    root: Path | str,
    scene: LrsComponents | None = None,
    *,
    n_groups: int = 100,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all references for MIRI LRS slitless data of a scene, and return the folder of the cache.

    root : path
        Folder of the cache; an existing one is replaced.
    scene : LrsComponents or None
        The scene whose detector the references describe; None means the default one. Components that a scene leaves out
        are left out here: no nonlinearity, no reset decay, and so on.
    n_groups : int
        Longest ramp that the dark reference covers; longer ones would not be dark-subtracted.
    files : mapping, optional
        Reference files to be used instead of the simulated ones, by type: {"specwcs": "my_specwcs.fits"}.
    """
    scene = LrsComponents() if scene is None else scene
    patterns = miri_detector.fixed_patterns(scene)
    cache = CacheBuilder(Path(root), date=DATE)
    made = chain(detector_references(scene, patterns, n_groups), _spectroscopic(scene, patterns))
    match = {"META.INSTRUMENT.DETECTOR": MIRI.name, "META.SUBARRAY.NAME": SUBARRAY.name}
    others = cache.add_made("miri", made, match, files or {})
    for kind, path in others.items():
        cache.add("miri", kind, path, {"META.INSTRUMENT.DETECTOR": MIRI.name})
    return cache.finish()


def _spectroscopic(scene: LrsComponents, patterns: FixedPatterns) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references of stage 2."""
    from stdatamodels.jwst import datamodels

    flat = patterns.flat.astype(np.float32)
    flat_model = datamodels.FlatModel(data=flat, dq=np.zeros(SHAPE, np.uint32), err=np.zeros(SHAPE, np.float32))
    flat_model.meta.instrument.filter = LRS_SLITLESS.filter
    flat_model.meta.exposure.type = LRS_SLITLESS.exposure_type
    yield describe_miri("flat", flat_model, SUBARRAY)
    yield describe_miri("distortion", _distortion_model(), None)
    yield describe_miri("specwcs", _specwcs_model(scene.star.trace_column), None)


def _distortion_model() -> JwstDataModel:
    place, exposure_type = _zero_point(LRS_SLITLESS.trace_column), LRS_SLITLESS.exposure_type
    return plane_distortion(place, (V2_REF_ARCSEC, V3_REF_ARCSEC), MIRI.pixel_scale_arcsec, exposure_type)


def _zero_point(trace_column: float) -> tuple[float, float]:
    """Return column and row (0-based, on the detector) that the wavelength reference counts from."""
    return SUBARRAY.x_start - 1 + trace_column, SUBARRAY.y_start - 1 + _ZERO_ROW


def _specwcs_model(trace_column: float) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    first, last = LRS_SLITLESS.wavelength_table[0][0], LRS_SLITLESS.wavelength_table[-1][0]
    rows = np.linspace(last, first, (last - first) * _WAVETABLE_SAMPLING + 1)
    names = ["x_center", "y_center", "wavelength", "x0", "y0", "x1", "y1", "x2", "y2", "x3", "y3"]
    table = np.zeros(rows.size, [(name, "f8") for name in names])
    table["y_center"], table["wavelength"] = rows - _ZERO_ROW, wavelengths_um(rows)
    for name, width in (("x0", -20), ("x3", -20), ("x1", 20), ("x2", 20)):
        table[name] = width
    # The box in which the calibration holds is grown to whole pixels plus a half by the pipeline: beyond the table the
    # footprint of the exposure would be NaN.
    inside = np.clip(rows, first + 1, last - 1) - _ZERO_ROW
    for name in ("y0", "y1", "y2", "y3"):
        table[name] = inside
    x, y = _zero_point(trace_column)
    model = datamodels.MiriLRSSpecwcsModel(
        wavetable=table, x_ref=326.13, y_ref=300.7, x_ref_slitless=x + 1, y_ref_slitless=y + 1
    )
    model.meta.exposure.type = LRS_SLITLESS.exposure_type
    return model
