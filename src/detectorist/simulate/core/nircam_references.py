"""The references that stage 1 needs for a NIRCam detector, in any mode."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core import nircam_detector
from detectorist.simulate.core.nircam_detector import FixedPatterns, NircamScene, Window
from detectorist.simulate.core.references import mask_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from stdatamodels.jwst.datamodels import JwstDataModel


def detector_references(
    scene: NircamScene, window: Window, patterns: FixedPatterns, *, dq: np.ndarray, read_noise_cds_dn: float
) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of the references that follow from the detector alone, still without their metadata.

    dq : ndarray of uint32, shape (ny, nx)
        Flags of the mask reference.
    read_noise_cds_dn : float
        Noise of a difference of two reads (CDS), DN, as in read-noise references.
    """
    from stdatamodels.jwst import datamodels

    zero_dq = np.zeros(window.shape, np.uint32)

    def constant(value: float) -> np.ndarray:
        return np.full(window.shape, value, np.float32)

    yield "mask", mask_model(dq)
    saturation = nircam_detector.saturation_dn(scene, patterns, window)
    yield "saturation", datamodels.SaturationModel(data=saturation, dq=zero_dq)
    yield "superbias", datamodels.SuperBiasModel(data=patterns.bias_dn, dq=zero_dq, err=constant(0.0))
    # The polynomial meets ramps without their bias.
    coefficients = nircam_detector.response_curve(scene).reference_coefficients(np.zeros(window.shape))
    yield "linearity", datamodels.LinearityModel(coeffs=coefficients, dq=zero_dq)
    del coefficients
    yield "gain", datamodels.GainModel(data=constant(nircam_detector.gain_of(scene)))
    yield "readnoise", datamodels.ReadnoiseModel(data=constant(read_noise_cds_dn))


def dark_model(dark_dn: np.ndarray, window: Window) -> JwstDataModel:
    """Return a dark reference from its ramp, shape (n_groups, ny, nx), DN, averaged as the window's groups are."""
    from stdatamodels.jwst import datamodels

    model = datamodels.DarkModel(data=dark_dn, dq=np.zeros(window.shape, np.uint32))
    exposure = model.meta.exposure
    exposure.nframes, exposure.groupgap, exposure.ngroups = window.n_frames, window.n_skipped, len(dark_dn)
    return model
