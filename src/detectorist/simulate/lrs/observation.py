"""A simulated LRS exposure as files: segments of raw data, truth and references."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from detectorist.simulate.core.exposure_times import integration_times, segment_bounds
from detectorist.simulate.core.output_files import make_room, save_reproducibly
from detectorist.simulate.core.scene import Progress
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.lrs.exposure import LrsExposure
from detectorist.simulate.lrs.header import DEC_DEG, RA_DEG, ROOT_NAME, START_DATE, START_TIME, fill_header
from detectorist.simulate.lrs.references import build_cache
from detectorist.simulate.lrs.sky import SHAPE
from detectorist.simulate.lrs.truth import TruthRecorder

TRUTH_NAME, CACHE_NAME = "truth.nc", "crds"


class LrsObservation(LrsExposure):
    """An exposure of an LRS scene that can be written; only one segment is held at a time. See `LrsScene.observe`."""

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truth and references; see `LrsScene.write`."""
        folder = Path(folder)
        written = (f"{ROOT_NAME}-seg*_mirimage_uncal.fits", TRUTH_NAME, CACHE_NAME)
        make_room(folder, written, overwrite=overwrite)
        recorder = TruthRecorder(self)
        times = integration_times(self.clock, ra_deg=RA_DEG, dec_deg=DEC_DEG)
        paths = []
        for segment, (first, end) in enumerate(segment_bounds(self.n_ints, self.n_segments), start=1):
            raw = np.empty((end - first, self.n_groups, *SHAPE), np.uint16)
            for integration in range(first, end):
                readout = self.read_out(integration)
                raw[integration - first] = readout.raw
                recorder.add(integration, readout)
                if progress is not None:
                    progress(integration + 1, self.n_ints, f"segment {segment}")
            paths.append(self._write_segment(folder, segment, raw, times[first:end]))
        write_truth(recorder.dataset(times), folder / TRUTH_NAME, recorder.encoding())
        build_cache(folder / CACHE_NAME, self.scene, n_groups=max(self.n_groups, 40))
        return paths

    def _write_segment(self, folder: Path, segment: int, raw: np.ndarray, times: np.ndarray) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        model = Level1bModel(data=raw)
        model.int_times = times
        fill_header(model, self, segment, times)
        path = folder / f"{ROOT_NAME}-seg{segment:03d}_mirimage_uncal.fits"
        save_reproducibly(model, path, f"{START_DATE}T{START_TIME}")
        model.close()
        return path
