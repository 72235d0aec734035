"""The reference files and wisp templates that belong to simulated NIRCam images."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.core.nircam_detector import FixedPatterns, Window, fixed_patterns, gain_of, read_noise_e
from detectorist.simulate.core.nircam_references import dark_model, detector_references
from detectorist.simulate.core.output_files import save_reproducibly
from detectorist.simulate.core.plane_distortion import plane_distortion
from detectorist.simulate.core.references import DATE, describe
from detectorist.simulate.imaging import header
from detectorist.simulate.imaging.calibration_references import catalog_references, pixel_references
from detectorist.simulate.imaging.components import ImagingComponents
from detectorist.simulate.imaging.ipc import decoupling_kernel, ipc_fraction
from detectorist.simulate.imaging.window import make_window

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

#: References whose schema has no subarray.
_WITHOUT_PLACE = ("ipc", "distortion", "photom", "area")
#: Noise of a template, DN/s: public ones are stacks of exposures.
_TEMPLATE_NOISE_DN_S = 0.0015


def build_imaging_cache(
    root: Path | str,
    scene: ImagingComponents | None = None,
    *,
    n_groups: int = 20,
    patterns: FixedPatterns | None = None,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all references for NIRCam images of a scene, and return the folder of the cache.

    root : path
        Folder of the cache; an existing one is replaced.
    scene : ImagingComponents or None
        The scene whose detector the references describe; None means the default one. Components that a scene leaves out
        are left out here.
    n_groups : int
        Longest ramp that the dark reference covers; it is averaged in the scene's readout pattern.
    patterns : FixedPatterns, optional
        Those of the scene, if they exist already.
    files : mapping, optional
        Reference files to be used instead of the simulated ones, by type: {"flat": "my_flat.fits"}.
    """
    scene = ImagingComponents() if scene is None else scene
    window = make_window(scene.detector)
    patterns = fixed_patterns(scene, window) if patterns is None else patterns
    cache = CacheBuilder(Path(root), date=DATE)
    match = {"META.INSTRUMENT.DETECTOR": scene.detector.name, "META.SUBARRAY.NAME": window.name}
    others = cache.add_made("nircam", _references(scene, window, patterns, n_groups), match, files or {})
    # A mosaic has no detector of its own.
    others = cache.add_made("nircam", _of_mosaics(scene), {"META.EXPOSURE.TYPE": "NRC_IMAGE"}, others)
    for kind, path in others.items():
        cache.add("nircam", kind, path, match)
    return cache.finish()


def _references(
    scene: ImagingComponents, window: Window, patterns: FixedPatterns, n_groups: int
) -> Iterator[tuple[str, JwstDataModel]]:
    kernel = decoupling_kernel(ipc_fraction(scene))
    noise = read_noise_cds_dn(scene, kernel)
    made = chain(
        detector_references(scene, window, patterns, dq=patterns.dq, read_noise_cds_dn=noise),
        _own_references(scene, window, patterns, n_groups, kernel),
        pixel_references(scene, window),
    )
    for kind, model in made:
        describe(kind, model, "NIRCAM", scene.detector.name)
        header.fill_instrument(model.meta, scene)
        if kind not in _WITHOUT_PLACE:
            header.fill_subarray(model.meta.subarray, window)
        yield kind, model


def _of_mosaics(scene: ImagingComponents) -> Iterator[tuple[str, JwstDataModel]]:
    for kind, model in catalog_references(scene):
        describe(kind, model, "NIRCAM", scene.detector.name)
        yield kind, model


def _own_references(
    scene: ImagingComponents, window: Window, patterns: FixedPatterns, n_groups: int, kernel: np.ndarray
) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of what images need beyond the detector's references."""
    from stdatamodels.jwst import datamodels

    yield "ipc", datamodels.IPCModel(data=kernel.astype(np.float32))
    per_second = patterns.dark_e_s / np.float32(gain_of(scene))
    times = window.group_times_s(n_groups).astype(np.float32)
    yield "dark", dark_model(per_second * times[:, None, None], window)
    dq, err = np.zeros(window.shape, np.uint32), np.zeros(window.shape, np.float32)
    yield "flat", datamodels.FlatModel(data=patterns.flat, dq=dq, err=err)
    yield "distortion", _distortion_model(window)


def read_noise_cds_dn(scene: ImagingComponents, kernel: np.ndarray) -> float:
    """Return the noise of a difference of two reads for a reference, DN: white noise after the IPC correction."""
    white = read_noise_e(scene) * np.sqrt((kernel**2).sum())
    return float(np.sqrt(2) * max(white, 0.1) / gain_of(scene))


def _distortion_model(window: Window) -> JwstDataModel:
    long_wave = window.facts.is_long_wave
    scale = header.LONG_SCALE_ARCSEC if long_wave else header.SHORT_SCALE_ARCSEC
    middle = window.facts.n_cols / 2 - 0.5
    zero = (header.V2_REF_ARCSEC, header.V3_REF_ARCSEC)
    model = plane_distortion((middle, middle), zero, scale, "NRC_IMAGE")
    model.meta.instrument.p_pupil = "CLEAR|"
    return model


def write_wisp_templates(folder: Path, scene: ImagingComponents, components: np.ndarray) -> list[Path]:
    """Write templates under both public naming schemes, and return the files.

    components : ndarray, shape (n, ny, nx)
        DN/s at strength 1. The template is their sum, with the noise of a stack; the components themselves are written,
        numbered, into the folder `components`.
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
        header.fill_instrument(model.meta, scene)
        paths.append(save_reproducibly(model, folder / file, DATE))
        model.close()
    return paths
