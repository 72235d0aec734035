"""The reference files that belong to simulated coronagraphic exposures, as a CRDS cache."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.simulate.core import miri_detector, miri_references, nircam_references
from detectorist.simulate.core.crds_cache import CacheBuilder
from detectorist.simulate.core.nircam_detector import Window, gain_of, read_noise_e
from detectorist.simulate.core.references import DATE, describe, no_crosstalk
from detectorist.simulate.coron.components import CoronComponents, MiriCoronComponents, NircamCoronComponents
from detectorist.simulate.coron.header import fill_instrument, fill_subarray
from detectorist.simulate.coron.nircam_readout import CoronPatterns, coron_patterns, window_of
from detectorist.simulate.coron.stage_2_references import stage_2_references

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from stdatamodels.jwst.datamodels import JwstDataModel

#: References that are the same for every part of the detector.
WHOLE_DETECTOR = ("distortion", "photom")


def build_cache(
    root: Path | str,
    *scenes: CoronComponents,
    n_groups: int = 40,
    files: Mapping[str, Path | str] | None = None,
) -> Path:
    """Write all references of stages 1 and 2 for coronagraphic exposures, and return the folder of the cache.

    root : path
        Folder of the cache; an existing one is replaced.
    scenes : CoronComponents
        The scenes whose detectors the references describe, at most one per instrument; without any, the default scenes
        of both. Components that a scene leaves out are left out here.
    n_groups : int
        Longest ramp that the dark reference covers; longer ones would not be dark-subtracted.
    files : mapping, optional
        Reference files to be used instead of the simulated ones, by type, for all scenes: {"gain": "my_gain.fits"}.
    """
    cache = CacheBuilder(Path(root), date=DATE)
    for scene in scenes or (NircamCoronComponents(), MiriCoronComponents()):
        mode, instrument = scene.mode, scene.mode.instrument.lower()
        match = {"META.INSTRUMENT.DETECTOR": mode.detector, "META.SUBARRAY.NAME": mode.subarray.name}
        others = cache.add_made(instrument, _references_of(scene, n_groups), match, files or {})
        for kind, path in others.items():
            cache.add(instrument, kind, path, match)
    return cache.finish()


def _references_of(scene: CoronComponents, n_groups: int) -> Iterator[tuple[str, JwstDataModel]]:
    if isinstance(scene, NircamCoronComponents):
        return _nircam(scene, n_groups)
    return _miri(scene, n_groups)


def _miri(scene: MiriCoronComponents, n_groups: int) -> Iterator[tuple[str, JwstDataModel]]:
    patterns = miri_detector.fixed_patterns(scene)
    yield from miri_references.detector_references(scene, patterns, n_groups)
    for kind, model in stage_2_references(scene.mode, patterns.flat):
        subarray = None if kind in WHOLE_DETECTOR else scene.mode.subarray
        yield miri_references.describe_miri(kind, model, subarray)


def _nircam(scene: NircamCoronComponents, n_groups: int) -> Iterator[tuple[str, JwstDataModel]]:
    window = window_of(scene)
    patterns = coron_patterns(scene, window)
    # Read-noise references hold the noise of a difference of two reads (CDS), in DN.
    noise = np.sqrt(2) * max(read_noise_e(scene) / gain_of(scene), 0.1)
    made = chain(
        nircam_references.detector_references(scene, window, patterns.fixed, dq=patterns.dq, read_noise_cds_dn=noise),
        _own_references(scene, window, patterns, n_groups),
    )
    for kind, model in made:
        describe(kind, model, scene.mode.instrument, scene.mode.detector)
        if kind == "distortion":
            fill_instrument(model.meta, scene.mode)
        if kind not in ("ipc", *WHOLE_DETECTOR):
            fill_subarray(model.meta.subarray, scene.mode)
        yield kind, model


def _own_references(
    scene: NircamCoronComponents, window: Window, patterns: CoronPatterns, n_groups: int
) -> Iterator[tuple[str, JwstDataModel]]:
    """Yield (type, model) of what exposures need beyond the detector's references."""
    yield "ipc", no_crosstalk()
    per_second = patterns.fixed.dark_e_s / gain_of(scene)
    ramp = (per_second * window.group_times_s(n_groups)[:, None, None]).astype(np.float32)
    yield "dark", nircam_references.dark_model(ramp, window)
    yield from stage_2_references(scene.mode, patterns.fixed.flat)
