"""Simulated coronagraphic exposures as files: raw data, truth and references."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from detectorist.simulate.core.exposure_times import integration_times
from detectorist.simulate.core.output_files import make_room, save_reproducibly
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.coron.exposure import CoronExposures
from detectorist.simulate.coron.header import fill_header
from detectorist.simulate.coron.programme import REFERENCE, TARGET, Visit
from detectorist.simulate.coron.references import build_cache
from detectorist.simulate.coron.truth import TruthRecorder

DATE = "2026-07-01T00:00:00.000"
CACHE_NAME = "crds"


class CoronObservation(CoronExposures):
    """The exposures of a scene that can be written. See `CoronScene.observe`."""

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truths and references; see `CoronScene.write`."""
        folder, detector = Path(folder), self.mode.detector.lower()
        written = (f"jw09999*_03102_*_{detector}_uncal.fits", f"jw09999*_03102_*_{detector}_truth.nc", CACHE_NAME)
        make_room(folder, written, overwrite=overwrite)
        paths, total = [], len(self.visits) * self.n_ints
        for visit in self.visits:

            def report(integration: int, visit: Visit = visit) -> None:
                if progress is not None:
                    progress(visit.number * self.n_ints + integration + 1, total, self.stem(visit))

            paths.append(self._write_visit(folder, visit, report))
        build_cache(folder / CACHE_NAME, self.scene, n_groups=max(self.n_groups, 40))
        return paths

    def _write_visit(self, folder: Path, visit: Visit, report: Callable[[int], None]) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        recorder = TruthRecorder(self, visit)
        raw = np.empty((self.n_ints, self.n_groups, *self.mode.shape), np.uint16)
        zero_frames = np.empty((self.n_ints, *self.mode.shape), np.uint16) if self.frames_of_group[0] > 1 else None
        for integration in range(self.n_ints):
            light = self.light(visit, integration)
            readout = self.read_out(visit, integration, light)
            raw[integration] = readout.raw
            if zero_frames is not None:
                zero_frames[integration] = readout.zero_frame
            recorder.add(integration, light, readout)
            report(integration)
        model = Level1bModel(data=raw)
        if zero_frames is not None:
            model.zeroframe = zero_frames
        star = REFERENCE if visit.is_reference else TARGET
        model.int_times = integration_times(self.clock(visit), ra_deg=star[1], dec_deg=star[2])
        fill_header(model, self, visit)
        path = folder / f"{self.stem(visit)}_uncal.fits"
        save_reproducibly(model, path, DATE)
        model.close()
        dataset = recorder.dataset()
        write_truth(dataset, folder / f"{self.stem(visit)}_truth.nc", recorder.encoding(dataset))
        return path
