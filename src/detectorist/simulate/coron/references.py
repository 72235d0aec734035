"""The reference files that belong to simulated coronagraphic exposures, as a CRDS cache."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core import miri_detector
from detectorist.simulate.core import nircam_detector as imaging_detector
from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.coron import nircam_readout as coron_detector
from detectorist.simulate.coron.header import fill_subarray
from detectorist.simulate.lrs import references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

    from detectorist.simulate.coron.scene import CoronagraphScene, CoronScene


def build_coron_cache(
    root: Path | str,
    *scenes: CoronagraphScene,
    n_groups: int = 40,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all stage-1 references for coronagraphic exposures, and return the folder of the cache.

    root : path
        Folder of the cache; one that is there is replaced.
    scenes : CoronScene or MiriCoronScene
        The scenes whose detectors the references describe, at most one per instrument; none stands for the default
        scenes of both. What a scene leaves out is left out here.
    n_groups : int
        Longest ramp that the dark reference is to serve; longer ones would go without dark subtraction.
    files : mapping, optional
        Reference files to be taken instead of the made ones, by type, for all scenes: {"gain": "my_gain.fits"}.
    """
    from detectorist.simulate.coron.scene import SCENES

    cache = CacheBuilder(Path(root), date=references.DATE)
    for scene in scenes or [kind() for kind in SCENES.values()]:
        mode, own = scene.mode, dict(files or {})
        match = {"META.INSTRUMENT.DETECTOR": mode.detector, "META.SUBARRAY.NAME": mode.subarray.name}
        for kind, model in _references_of(scene, n_groups):
            suffix = ".asdf" if kind == "emicorr" else ".fits"
            cache.add(mode.instrument.lower(), kind, own.pop(kind, model), match, suffix=suffix)
            model.close()
        for kind, path in own.items():
            cache.add(mode.instrument.lower(), kind, path, match)
    return cache.finish()


def _references_of(scene: CoronagraphScene, n_groups: int) -> Iterator[tuple[str, JwstDataModel]]:
    if scene.mode.instrument == "NIRCAM":
        return _nircam(scene, n_groups)
    return references.detector_references(scene, miri_detector.fixed_patterns(scene), n_groups)


def _nircam(scene: CoronScene, n_groups: int) -> Iterator[tuple[str, JwstDataModel]]:
    from stdatamodels.jwst import datamodels

    window = coron_detector.window_of(scene)
    patterns = coron_detector.coron_patterns(scene, window)
    zero_dq = np.zeros(window.shape, np.uint32)
    gain = imaging_detector.gain_of(scene)

    def constant(value: float) -> np.ndarray:
        return np.full(window.shape, value, np.float32)

    def described(kind: str, model: JwstDataModel) -> tuple[str, JwstDataModel]:
        references.describe(kind, model, scene.mode.instrument, scene.mode.detector)
        if kind != "ipc":
            fill_subarray(model.meta.subarray, scene.mode)
        return kind, model

    yield described("mask", references.mask_model(patterns.dq))
    saturation = imaging_detector.saturation_dn(scene, patterns.fixed, window)
    yield described("saturation", datamodels.SaturationModel(data=saturation, dq=zero_dq))
    superbias = datamodels.SuperBiasModel(data=patterns.fixed.bias_dn, dq=zero_dq, err=constant(0.0))
    yield described("superbias", superbias)
    # No crosstalk between neighbours is simulated: the kernel leaves an image as it is.
    yield described("ipc", datamodels.IPCModel(data=np.pad(np.ones((1, 1), np.float32), 1)))
    # The polynomial meets ramps without their bias.
    coefficients = imaging_detector.response_curve(scene).reference_coefficients(np.zeros(window.shape))
    yield described("linearity", datamodels.LinearityModel(coeffs=coefficients, dq=zero_dq))
    per_second = patterns.fixed.dark_e_s / gain
    ramp = (per_second * window.group_times_s(n_groups)[:, None, None]).astype(np.float32)
    dark = datamodels.DarkModel(data=ramp, dq=zero_dq)
    meta = dark.meta.exposure
    meta.nframes, meta.groupgap, meta.ngroups = window.n_frames, window.n_skipped, n_groups
    yield described("dark", dark)
    yield described("gain", datamodels.GainModel(data=constant(gain)))
    # Read-noise references hold the noise of a difference of two reads (CDS), in DN.
    white = max(imaging_detector.read_noise_e(scene) / gain, 0.1)
    yield described("readnoise", datamodels.ReadnoiseModel(data=constant(np.sqrt(2) * white)))
