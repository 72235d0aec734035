"""The references that stage 1 needs for a subarray of MIRI's imager, in any mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import MIRI, MIRI_INTERFERENCE, MiriSubarray
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.detector import interference_wave
from detectorist.simulate.core.miri_detector import FixedPatterns, MiriScene, shape_of
from detectorist.simulate.core.references import describe, mask_model, no_crosstalk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stdatamodels.jwst.datamodels import JwstDataModel

#: Groups of the reset reference at least, and what it may leave of the decay after them, DN.
_RESET_GROUPS, _RESET_LEFT_DN = 20, 0.1
#: Groups are dropped until no more than this part of the signal is missing.
_MISSING = 5e-4
#: READPATT of all exposures that are simulated.
_READ_PATTERN = "FASTR1"


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
        return describe_miri(kind, model, scene.subarray if subarray else None)

    yield described("mask", mask_model(patterns.dq))
    saturation = datamodels.SaturationModel(data=constant(scene.detector.saturation_dn), dq=zero_dq)
    yield described("saturation", saturation)
    yield described("ipc", no_crosstalk(), subarray=False)
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


def describe_miri(kind: str, model: JwstDataModel, subarray: MiriSubarray | None) -> tuple[str, JwstDataModel]:
    """Fill in the metadata of a reference and of its subarray; return (type, model)."""
    describe(kind, model, "MIRI", MIRI.name)
    if subarray is not None:
        meta = model.meta.subarray
        meta.name, meta.xstart, meta.ystart = subarray.name, subarray.x_start, subarray.y_start
        meta.xsize, meta.ysize = subarray.n_cols, subarray.n_rows
        meta.fastaxis, meta.slowaxis = MIRI.fast_axis, MIRI.slow_axis
    return kind, model


def _reset_model(scene: MiriScene, patterns: FixedPatterns) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    n_groups = _RESET_GROUPS
    if scene.has("reset_decay"):
        for amplitude, time_constant in (scene.reset_decay.of(first=first) for first in (True, False)):
            n_groups = max(n_groups, int(np.ceil(time_constant * np.log(max(abs(amplitude) / _RESET_LEFT_DN, 1)))))
    ramps = [miri_detector.reset_decay(scene, patterns, n_groups, first=first) for first in (True, False)]
    model = datamodels.ResetModel(data=np.array(ramps, np.float32), dq=np.zeros(shape_of(scene), np.uint32))
    model.meta.exposure.nints, model.meta.exposure.ngroups = 2, n_groups
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

    skips = [0, 0]
    if scene.has("rscd"):
        skips = [
            int(np.ceil(scene.rscd.time_constant_groups * np.log(max(abs(fraction) / _MISSING, 1))))
            for fraction in (scene.rscd.first_fraction, scene.rscd.fraction)
        ]
    model = datamodels.RSCDModel()
    model.rscd_group_skip_table = np.array(
        [(scene.subarray.name, _READ_PATTERN, *skips)],
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
