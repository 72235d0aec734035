"""The reference files that belong to simulated data, as a CRDS cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import LRS_SLITLESS, MIRI, MIRI_INTERFERENCE, MiriSubarray
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.core.detector import interference_wave
from detectorist.simulate.core.miri_detector import FixedPatterns, MiriScene, shape_of
from detectorist.simulate.lrs.sky import SHAPE, SUBARRAY, wavelengths_um

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

    from detectorist.simulate.lrs.scene import LrsScene

#: DATE and USEAFTER of the references: the same in every cache.
DATE = "2026-01-01T00:00:00.000"
USE_AFTER = "2020-01-01T00:00:00"
#: Groups of the reset reference: what is left of the decay after them is below 0.1 DN.
_RESET_GROUPS = 20
#: Rows of the wavelength reference per row of the detector. The pipeline smooths it by a spline with a fixed sum of
#: squared residuals: the more rows, the closer it stays.
_WAVETABLE_SAMPLING = 40
#: Row (0-based) that the wavelength reference counts from; any will do.
_ZERO_ROW = 300
#: Place of the subarray's zero point in the telescope's focal plane, arcsec (public exposures).
V2_REF_ARCSEC, V3_REF_ARCSEC = -378.8, -344.9


def build_lrs_cache(
    root: Path | str,
    scene: LrsScene | None = None,
    *,
    n_groups: int = 100,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all references for MIRI LRS slitless data of a scene, and return the folder of the cache.

    root : path
        Folder of the cache; one that is there is replaced.
    scene : LrsScene or None
        The scene whose detector the references describe; None stands for the default one. What a scene leaves out is
        left out here: no nonlinearity, no reset decay, and so on.
    n_groups : int
        Longest ramp that the dark reference is to serve; longer ones would go without dark subtraction.
    files : mapping, optional
        Reference files to be taken instead of the made ones, by type: {"specwcs": "my_specwcs.fits"}.
    """
    from detectorist.simulate.lrs.scene import LrsScene

    scene = LrsScene() if scene is None else scene
    patterns = miri_detector.fixed_patterns(scene)
    files = dict(files or {})
    cache = CacheBuilder(Path(root), date=DATE)
    for kind, model in (*detector_references(scene, patterns, n_groups), *_spectroscopic(scene, patterns)):
        match = {"META.INSTRUMENT.DETECTOR": MIRI.name, "META.SUBARRAY.NAME": SUBARRAY.name}
        suffix = ".asdf" if kind in ("emicorr", "distortion") else ".fits"
        cache.add("miri", kind, files.pop(kind, model), match, suffix=suffix)
        model.close()
    for kind, path in files.items():
        cache.add("miri", kind, path, {"META.INSTRUMENT.DETECTOR": MIRI.name})
    return cache.finish()


def detector_references(
    scene: MiriScene, patterns: FixedPatterns, n_groups: int
) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references that stage 1 needs for a scene in a subarray of MIRI's imager."""
    from stdatamodels.jwst import datamodels

    shape = shape_of(scene)
    zero_dq = np.zeros(shape, np.uint32)

    def constant(value: float) -> np.ndarray:
        return np.full(shape, value, np.float32)

    def described(kind: str, model: JwstDataModel, *, subarray: bool = True) -> tuple[str, JwstDataModel]:
        return _describe_miri(kind, model, scene.subarray if subarray else None)

    yield described("mask", mask_model(patterns.dq))
    saturation = datamodels.SaturationModel(data=constant(scene.detector.saturation_dn), dq=zero_dq)
    yield described("saturation", saturation)
    # No crosstalk between neighbours is simulated: the kernel leaves an image as it is.
    yield described("ipc", datamodels.IPCModel(data=np.pad(np.ones((1, 1), np.float32), 1)), subarray=False)
    coefficients = miri_detector.response_curve(scene).reference_coefficients(patterns.pedestal_dn)
    coefficients[:, :, : MIRI.n_reference_cols] = 0.0
    coefficients[1, :, : MIRI.n_reference_cols] = 1.0
    yield described("linearity", datamodels.LinearityModel(coeffs=coefficients, dq=zero_dq))
    yield described("gain", datamodels.GainModel(data=constant(scene.detector.gain)))
    # Read-noise references hold the noise of a difference of two reads (CDS), in DN.
    read_noise = scene.read_noise.rms_dn if scene.has("read_noise") else 0.0
    yield described("readnoise", datamodels.ReadnoiseModel(data=constant(np.sqrt(2) * max(read_noise, 0.1))))
    yield described("reset", _reset_model(scene, patterns))
    yield described("dark", _dark_model(scene, patterns, n_groups))
    yield described("rscd", _rscd_model(scene), subarray=False)
    yield described("emicorr", _emi_model(scene), subarray=False)


def _spectroscopic(scene: LrsScene, patterns: FixedPatterns) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references of stage 2."""
    from stdatamodels.jwst import datamodels

    flat = patterns.flat.astype(np.float32)
    flat_model = datamodels.FlatModel(data=flat, dq=np.zeros(SHAPE, np.uint32), err=np.zeros(SHAPE, np.float32))
    flat_model.meta.instrument.filter = LRS_SLITLESS.filter
    flat_model.meta.exposure.type = LRS_SLITLESS.exposure_type
    yield _describe_miri("flat", flat_model, SUBARRAY)
    yield _describe_miri("distortion", _distortion_model(), None)
    yield _describe_miri("specwcs", _specwcs_model(scene.star.trace_column), None)


def _describe_miri(kind: str, model: JwstDataModel, subarray: MiriSubarray | None) -> tuple[str, JwstDataModel]:
    describe(kind, model, "MIRI", MIRI.name)
    if subarray is not None:
        meta = model.meta.subarray
        meta.name, meta.xstart, meta.ystart = subarray.name, subarray.x_start, subarray.y_start
        meta.xsize, meta.ysize = subarray.n_cols, subarray.n_rows
        meta.fastaxis, meta.slowaxis = MIRI.fast_axis, MIRI.slow_axis
    return kind, model


def describe(kind: str, model: JwstDataModel, instrument: str, detector: str) -> None:
    """Fill in what a reference of any type says about itself."""
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", instrument, detector
    meta.author, meta.pedigree, meta.useafter = "detectorist", "DUMMY", USE_AFTER
    meta.description = f"Simulated {kind} reference"
    meta.reftype = kind


def mask_model(dq: np.ndarray) -> JwstDataModel:
    """Return a mask reference from flags (ny, nx) of the data-quality table: each flag used gets a bit of its own."""
    from stdatamodels.jwst import datamodels
    from stdatamodels.jwst.datamodels import dqflags

    names = {value: name for name, value in dqflags.pixel.items() if value}
    used = [value for value in sorted(names) if np.any(dq & np.uint32(value))]
    # In memory the model holds the flags of the table; by this list it packs them when it is saved.
    rows = [(bit, 1 << bit, names[value], "") for bit, value in enumerate(used)]
    model = datamodels.MaskModel(dq=dq.astype(np.uint32))
    model.dq_def = np.array(rows, dtype=[("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")])
    return model


def _reset_model(scene: MiriScene, patterns: FixedPatterns) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    ramps = [miri_detector.reset_decay(scene, patterns, _RESET_GROUPS, first=first) for first in (True, False)]
    model = datamodels.ResetModel(data=np.array(ramps, np.float32), dq=np.zeros(shape_of(scene), np.uint32))
    model.meta.exposure.nints, model.meta.exposure.ngroups = 2, _RESET_GROUPS
    return model


def _dark_model(scene: MiriScene, patterns: FixedPatterns, n_groups: int) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    per_group = patterns.dark_e_s / scene.detector.gain * scene.subarray.frame_time_s
    ramp = per_group * np.arange(1, n_groups + 1)[:, None, None]
    model = datamodels.DarkMIRIModel(
        data=ramp[None].astype(np.float32), dq=np.zeros((1, 1, *shape_of(scene)), np.uint32)
    )
    exposure = model.meta.exposure
    exposure.nframes, exposure.groupgap, exposure.ngroups, exposure.nints = 1, 0, n_groups, 1
    return model


def _rscd_model(scene: MiriScene) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    # Groups until less than 0.05 % of the signal is missing.
    skips = [0, 0]
    if scene.has("rscd"):
        skips = [
            max(0, int(np.ceil(scene.rscd.time_constant_groups * np.log(fraction / 5e-4))))
            for fraction in (scene.rscd.first_fraction, scene.rscd.fraction)
        ]
    model = datamodels.RSCDModel()
    model.rscd_group_skip_table = np.array(
        [(scene.subarray.name, LRS_SLITLESS.read_pattern, *skips)],
        dtype=[("subarray", "S17"), ("readpatt", "S12"), ("group_skip1", "i4"), ("group_skip", "i4")],
    )
    return model


def _emi_model(scene: MiriScene) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    amplitudes = scene.emi.amplitudes_dn or ((1, 1.0),)
    model = datamodels.EmiModel()
    model.frequencies = {
        "Hz390": {
            "frequency": MIRI_INTERFERENCE.frequency_hz,
            "phase_amplitudes": interference_wave(amplitudes, 500),
        }
    }
    model.subarray_cases = {
        scene.subarray.name: {
            "rowclocks": scene.subarray.row_clocks,
            "frameclocks": scene.subarray.frame_clocks,
            "freqs": {"FAST": ["Hz390"]},
        }
    }
    return model


def _distortion_model() -> JwstDataModel:
    from astropy import units
    from astropy.modeling import models
    from stdatamodels.jwst import datamodels

    scale = MIRI.pixel_scale_arcsec
    x, y = _zero_point(LRS_SLITLESS.trace_column)
    transform = (
        models.Shift(-x) & models.Shift(-y)
        | models.Scale(scale) & models.Scale(scale)
        | models.Shift(V2_REF_ARCSEC) & models.Shift(V3_REF_ARCSEC)
    )
    model = datamodels.DistortionModel(model=transform, input_units=units.pix, output_units=units.arcsec)
    model.meta.exposure.p_exptype = f"{LRS_SLITLESS.exposure_type}|"
    return model


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
