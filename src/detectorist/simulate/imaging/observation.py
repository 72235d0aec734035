"""Simulated NIRCam exposures as files: raw data, truth, wisp templates and references."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectorist.simulate.core.output_files import make_room, save_reproducibly
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.imaging import header
from detectorist.simulate.imaging.exposure import ImagingExposures
from detectorist.simulate.imaging.references import build_imaging_cache, write_wisp_templates
from detectorist.simulate.imaging.truth import record_truth

CACHE_NAME, WISPS_NAME = "crds", "wisps"


class ImagingObservation(ImagingExposures):
    """Dithered exposures of a scene that can be written; one exposure is held at a time. See `ImagingScene.observe`."""

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truth, templates and references; see `ImagingScene.write`."""
        folder = Path(folder)
        stem = f"{header.PREFIX}*_"
        ours = (f"{stem}uncal.fits", f"{stem}truth.nc", WISPS_NAME, CACHE_NAME)
        make_room(folder, ours, overwrite=overwrite)
        paths = [self._write_exposure(folder, number, progress) for number in range(self.n_exposures)]
        if self.wisp_templates is not None:
            write_wisp_templates(folder / WISPS_NAME, self.scene, self.wisp_templates)
        build_imaging_cache(folder / CACHE_NAME, self.scene, n_groups=self.n_groups, patterns=self.patterns)
        return paths

    def _write_exposure(self, folder: Path, number: int, progress: Progress | None) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        sources = self.sources(number)
        light = sources + self.sky() + self.wisp()
        raw = np.empty((self.n_ints, self.n_groups, *self.window.shape), np.uint16)
        zero_frames = np.empty((self.n_ints, *self.window.shape), np.uint16)
        readouts = []
        total = self.n_exposures * self.n_ints * self.n_groups
        for integration in range(self.n_ints):
            before = (number * self.n_ints + integration) * self.n_groups

            def tell(done: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + done, total, f"exposure {number + 1}, group {done}")

            readout = self.read_out(number, integration, light, tell)
            raw[integration], zero_frames[integration] = readout.raw, readout.zero_frame
            readouts.append(readout)
        model = Level1bModel(data=raw)
        if self.window.n_frames > 1:
            model.zeroframe = zero_frames
        start = header.fill_header(model, self, number)
        path = folder / header.file_name(self.scene.detector.name, number)
        save_reproducibly(model, path, start.date)
        model.close()
        truth = record_truth(self, number, sources, light, readouts)
        compressed = {name: {"zlib": True, "complevel": 1} for name in truth.data_vars if truth[name].ndim > 1}
        write_truth(truth, path.with_name(path.name.replace("_uncal.fits", "_truth.nc")), compressed)
        return path
