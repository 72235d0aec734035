"""The reference files and wisp templates that belong to simulated NIRCam images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from detectorist.simulate.core import nircam_detector as imaging_detector
from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.core.exposure_times import save_reproducibly
from detectorist.simulate.imaging import header as imaging_header
from detectorist.simulate.lrs.references import DATE, describe, mask_model

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

    from detectorist.simulate.core.nircam_detector import FixedPatterns, Window
    from detectorist.simulate.imaging.scene import ImagingScene

#: Noise of a template, DN/s: public ones are stacks of exposures.
_TEMPLATE_NOISE_DN_S = 0.0015


def build_imaging_cache(
    root: Path | str,
    scene: ImagingScene | None = None,
    *,
    n_groups: int = 20,
    patterns: FixedPatterns | None = None,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all references for NIRCam images of a scene, and return the folder of the cache.

    root : path
        Folder of the cache; one that is there is replaced.
    scene : ImagingScene or None
        The scene whose detector the references describe; None stands for the default one. What a scene leaves out is
        left out here.
    n_groups : int
        Longest ramp that the dark reference is to serve: it is averaged as the scene's pattern is.
    patterns : FixedPatterns, optional
        Those of the scene, where they are made already.
    files : mapping, optional
        Reference files to be taken instead of the made ones, by type: {"flat": "my_flat.fits"}.
    """
    from detectorist.simulate.imaging.scene import ImagingScene

    scene = ImagingScene() if scene is None else scene
    window = imaging_detector.make_window(scene.detector)
    patterns = imaging_detector.fixed_patterns(scene, window) if patterns is None else patterns
    files = dict(files or {})
    cache = CacheBuilder(Path(root), date=DATE)
    match = {"META.INSTRUMENT.DETECTOR": scene.detector.name, "META.SUBARRAY.NAME": window.name}
    for kind, model in _references(scene, window, patterns, n_groups):
        suffix = ".asdf" if kind == "distortion" else ".fits"
        cache.add("nircam", kind, files.pop(kind, model), match, suffix=suffix)
        model.close()
    for kind, path in files.items():
        cache.add("nircam", kind, path, match)
    return cache.finish()


def _references(
    scene: ImagingScene, window: Window, patterns: FixedPatterns, n_groups: int
) -> Iterator[tuple[str, JwstDataModel]]:
    from stdatamodels.jwst import datamodels

    zero_dq = np.zeros(window.shape, np.uint32)

    def constant(value: float) -> np.ndarray:
        return np.full(window.shape, value, np.float32)

    def described(kind: str, model: JwstDataModel, *, subarray: bool = True) -> tuple[str, JwstDataModel]:
        describe(kind, model, "NIRCAM", scene.detector.name)
        imaging_header.fill_instrument(model.meta, scene)
        if subarray:
            _fill_subarray(model.meta.subarray, window)
        return kind, model

    yield described("mask", mask_model(patterns.dq))
    saturation = imaging_detector.saturation_dn(scene, patterns, window)
    yield described("saturation", datamodels.SaturationModel(data=saturation, dq=zero_dq))
    superbias = datamodels.SuperBiasModel(data=patterns.bias_dn, dq=zero_dq, err=constant(0.0))
    yield described("superbias", superbias)
    kernel = imaging_detector.decoupling_kernel(scene.ipc.fraction if scene.has("ipc") else 0.0)
    yield described("ipc", datamodels.IPCModel(data=kernel.astype(np.float32)), subarray=False)
    # The polynomial meets ramps without their bias.
    coefficients = imaging_detector.response_curve(scene).reference_coefficients(np.zeros(window.shape))
    yield described("linearity", datamodels.LinearityModel(coeffs=coefficients, dq=zero_dq))
    del coefficients
    yield described("dark", _dark_model(scene, window, patterns, n_groups))
    yield described("gain", datamodels.GainModel(data=constant(imaging_detector.gain_of(scene))))
    noise = read_noise_cds_dn(scene, kernel)
    yield described("readnoise", datamodels.ReadnoiseModel(data=constant(noise)))
    yield described("flat", datamodels.FlatModel(data=patterns.flat, dq=zero_dq, err=constant(0.0)))
    yield described("distortion", _distortion_model(window), subarray=False)


def read_noise_cds_dn(scene: ImagingScene, kernel: np.ndarray) -> float:
    """Return the noise of a difference of two reads as a reference holds it, DN: measured on corrected reads.

    White noise as IPC correction leaves it, and the part of the 1/f noise that varies from pixel to pixel.
    """
    white = imaging_detector.read_noise_e(scene) * np.sqrt((kernel**2).sum())
    return float(np.sqrt(2) * max(white, 0.1) / imaging_detector.gain_of(scene))


def _fill_subarray(subarray: Any, window: Window) -> None:
    subarray.name, subarray.xstart, subarray.ystart = window.name, window.x_start, window.y_start
    subarray.ysize, subarray.xsize = window.shape
    subarray.fastaxis, subarray.slowaxis = window.facts.fast_axis, window.facts.slow_axis


def _dark_model(scene: ImagingScene, window: Window, patterns: FixedPatterns, n_groups: int) -> JwstDataModel:
    from stdatamodels.jwst import datamodels

    per_second = patterns.dark_e_s / np.float32(imaging_detector.gain_of(scene))
    times = window.group_times_s(n_groups).astype(np.float32)
    model = datamodels.DarkModel(data=per_second * times[:, None, None], dq=np.zeros(window.shape, np.uint32))
    exposure = model.meta.exposure
    exposure.nframes, exposure.groupgap, exposure.ngroups = window.n_frames, window.n_skipped, n_groups
    return model


def _distortion_model(window: Window) -> JwstDataModel:
    from astropy import units
    from astropy.modeling import models
    from stdatamodels.jwst import datamodels

    long_wave = window.facts.is_long_wave
    scale = imaging_header.LONG_SCALE_ARCSEC if long_wave else imaging_header.SHORT_SCALE_ARCSEC
    middle = window.facts.n_cols / 2 - 0.5
    transform = (
        models.Shift(-middle) & models.Shift(-middle)
        | models.Scale(scale) & models.Scale(scale)
        | models.Shift(imaging_header.V2_REF_ARCSEC) & models.Shift(imaging_header.V3_REF_ARCSEC)
    )
    model = datamodels.DistortionModel(model=transform, input_units=units.pix, output_units=units.arcsec)
    model.meta.exposure.p_exptype = "NRC_IMAGE|"
    model.meta.instrument.p_pupil = "CLEAR|"
    return model


def write_wisp_templates(folder: Path, scene: ImagingScene, components: np.ndarray) -> list[Path]:
    """Write templates under both public naming schemes, and return the files.

    components : ndarray, shape (n, ny, nx)
        DN/s at strength 1. The template is their sum, with the noise of a stack; the components themselves go,
        numbered, into a folder `components` of their own.
    """
    from stdatamodels.jwst.datamodels import ImageModel

    detector, name = scene.detector.name, scene.detector.filter
    rng = np.random.default_rng(scene.detector.serial)
    noise = _TEMPLATE_NOISE_DN_S * rng.standard_normal(components.shape[1:], np.float32)
    stem = f"wisps_{detector.lower()}_{name.lower()}"
    contents = {
        f"{stem}.fits": components.sum(axis=0) + noise,
        f"WISP_{detector}_{name}_CLEAR.fits": components.sum(axis=0) + noise,
        **{f"components/{stem}_{k}.fits": component + noise for k, component in enumerate(components, start=1)},
    }
    (folder / "components").mkdir(parents=True, exist_ok=True)
    paths = []
    for file, image in contents.items():
        model = ImageModel(data=image.astype(np.float32))
        model.meta.telescope = "JWST"
        imaging_header.fill_instrument(model.meta, scene)
        paths.append(save_reproducibly(model, folder / file, DATE))
        model.close()
    return paths
