"""One simulated LRS exposure: from the scene to uncal files, truth and references."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from detectorist.detectors import LRS_SLITLESS, MIRI
from detectorist.simulate.core import exposure_times as exposure
from detectorist.simulate.core import miri_detector
from detectorist.simulate.core.miri_detector import Readout
from detectorist.simulate.core.truth_file import write_truth
from detectorist.simulate.lrs import sky as lrs_sky
from detectorist.simulate.lrs.references import V2_REF_ARCSEC, V3_REF_ARCSEC, build_lrs_cache
from detectorist.simulate.lrs.sky import SHAPE, SUBARRAY
from detectorist.simulate.lrs.truth import TruthRecorder

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

    from detectorist.simulate.lrs.scene import LrsScene, Progress

#: Start of every simulated exposure: 2026-07-01, MJD UTC.
START_MJD = 61_222.0
START_DATE, START_TIME = "2026-07-01", "00:00:00.000"
#: The target, degrees: high ecliptic latitude keeps the barycentric correction small and changing little.
RA_DEG, DEC_DEG = 80.0, -69.5
ROOT_NAME = "jw09999001001_04103_00001"
TRUTH_NAME, CACHE_NAME = "truth.nc", "crds"


class LrsObservation:
    """An exposure of an LRS scene. Integrations are made one by one; only one segment is held at a time.

    Made by `LrsScene.observe`. Integrations count from 0 here, from 1 in the files.

    Attributes
    ----------
    scene : LrsScene
    n_ints, n_groups, n_segments, seed : int
    clock : Clock
        When the integrations begin and end.
    """

    def __init__(self, scene: LrsScene, *, n_ints: int, n_groups: int, n_segments: int, seed: int):
        self.scene, self.seed = scene, seed
        self.n_ints, self.n_groups, self.n_segments = n_ints, n_groups, n_segments
        self.clock = exposure.Clock(START_MJD, SUBARRAY.frame_time_s, n_groups, n_ints)

    @cached_property
    def patterns(self) -> miri_detector.FixedPatterns:
        """The detector's fixed patterns."""
        return miri_detector.fixed_patterns(self.scene)

    @cached_property
    def pointing(self) -> lrs_sky.Pointing:
        """Offsets of the trace."""
        return lrs_sky.draw_pointing(self.scene.jitter if self.scene.has("jitter") else None, self.n_ints, self.seed)

    @cached_property
    def light_curves(self) -> np.ndarray:
        """Relative flux, shape (n_ints, n_rows): 1 without a transit."""
        if not self.scene.has("transit"):
            return np.ones((self.n_ints, SUBARRAY.n_rows))
        return lrs_sky.light_curves(self.scene.transit, self.clock.mid_times_s(), self.clock.exposure_s)

    @cached_property
    def spectrum(self) -> np.ndarray:
        """The star out of transit and with no offset, summed over columns, shape (n_rows,), DN/s."""
        if not self.scene.has("star"):
            return np.zeros(SUBARRAY.n_rows)
        return lrs_sky.star_spectrum(self.scene.star)

    def star_rate(self, integration: int) -> np.ndarray:
        """Return the star's rate per row in one integration, summed over columns, shape (n_rows,), DN/s."""
        shifted = lrs_sky.shifted_spectrum(self.spectrum, self.pointing.y_pix[integration])
        return shifted * self.light_curves[integration]

    def background_rate(self, integration: int) -> np.ndarray:
        """Return the background of one integration, shape (n_rows, n_cols), DN/s."""
        if not self.scene.has("background"):
            return np.zeros(SHAPE)
        return lrs_sky.background_image(self.scene.background, integration / max(self.n_ints - 1, 1))

    def light(self, integration: int) -> np.ndarray:
        """Return the light of one integration before the flat, shape (n_rows, n_cols), DN/s."""
        profile = lrs_sky.trace_profile(self.scene.star, self.pointing.x_pix[integration])
        return self.star_rate(integration)[:, None] * profile + self.background_rate(integration)

    def read_out(self, integration: int) -> Readout:
        """Return one integration as the detector writes it, shape (n_groups, n_rows, n_cols), with what was drawn."""
        return miri_detector.read_out(
            self.scene,
            self.patterns,
            self.light(integration),
            n_groups=self.n_groups,
            seed=self.seed,
            integration=integration,
        )

    @property
    def saturation_group(self) -> int | None:
        """The group (from 0) in which the brightest pixel is expected to saturate; None within these ramps."""
        rate = self.spectrum[:, None] * lrs_sky.trace_profile(self.scene.star, 0.0) + self.background_rate(0)
        detector = self.scene.detector
        limit = miri_detector.response_curve(self.scene).linear(np.array(detector.saturation_dn - detector.pedestal_dn))
        limit = min(float(limit), detector.full_well_e / detector.gain)
        if rate.max() <= 0:
            return None
        group = int(np.ceil(limit / (rate.max() * SUBARRAY.frame_time_s))) - 1
        return group if group < self.n_groups else None

    def write(self, folder: Path | str, *, overwrite: bool = False, progress: Progress | None = None) -> list[Path]:
        """Write uncal files, truth and references; `LrsScene.write` says how."""
        folder = Path(folder)
        written = (f"{ROOT_NAME}-seg*_mirimage_uncal.fits", TRUTH_NAME, CACHE_NAME)
        exposure.make_room(folder, written, overwrite=overwrite)
        recorder = TruthRecorder(self)
        times = exposure.integration_times(self.clock, ra_deg=RA_DEG, dec_deg=DEC_DEG)
        paths = []
        for segment, (first, end) in enumerate(exposure.segment_bounds(self.n_ints, self.n_segments), start=1):
            raw = np.empty((end - first, self.n_groups, *SHAPE), np.uint16)
            for integration in range(first, end):
                readout = self.read_out(integration)
                raw[integration - first] = readout.raw
                recorder.add(integration, readout)
                if progress is not None:
                    progress(integration + 1, self.n_ints, f"segment {segment}")
            paths.append(self._write_segment(folder, segment, raw, times[first:end]))
        write_truth(recorder.dataset(times), folder / TRUTH_NAME, recorder.encoding())
        build_lrs_cache(folder / CACHE_NAME, self.scene, n_groups=max(self.n_groups, 40))
        return paths

    def _write_segment(self, folder: Path, segment: int, raw: np.ndarray, times: np.ndarray) -> Path:
        from stdatamodels.jwst.datamodels import Level1bModel

        model = Level1bModel(data=raw)
        model.int_times = times
        self._fill_header(model, segment, times)
        path = folder / f"{ROOT_NAME}-seg{segment:03d}_mirimage_uncal.fits"
        exposure.save_reproducibly(model, path, f"{START_DATE}T{START_TIME}")
        model.close()
        return path

    def _fill_header(self, model: JwstDataModel, segment: int, times: np.ndarray) -> None:
        meta = model.meta
        meta.telescope, meta.origin = "JWST", "SIMULATED"
        meta.instrument.name, meta.instrument.detector = "MIRI", MIRI.name
        meta.instrument.filter = LRS_SLITLESS.filter
        meta.observation.date, meta.observation.time = START_DATE, START_TIME
        meta.observation.program_number, meta.observation.observation_number = "09999", "001"
        meta.observation.visit_number = "001"
        meta.observation.visit_id, meta.observation.observation_id = "09999001001", ROOT_NAME
        meta.visit.tsovisit = True
        subarray = meta.subarray
        subarray.name, subarray.xstart, subarray.ystart = SUBARRAY.name, SUBARRAY.x_start, SUBARRAY.y_start
        subarray.xsize, subarray.ysize = SUBARRAY.n_cols, SUBARRAY.n_rows
        subarray.fastaxis, subarray.slowaxis = MIRI.fast_axis, MIRI.slow_axis
        self._fill_exposure(meta.exposure, segment, times)
        meta.target.catalog_name = meta.target.proposer_name = "SIMULATED STAR"
        meta.target.ra, meta.target.dec = RA_DEG, DEC_DEG
        meta.target.source_type = meta.target.source_type_apt = "POINT"
        meta.dither.primary_type = "NONE"
        wcs = meta.wcsinfo
        wcs.ra_ref, wcs.dec_ref, wcs.roll_ref = RA_DEG, DEC_DEG, 30.0
        wcs.v2_ref, wcs.v3_ref, wcs.v3yangle, wcs.vparity = V2_REF_ARCSEC, V3_REF_ARCSEC, 0.0, -1
        wcs.velosys = 0.0
        meta.velocity_aberration.scale_factor = 1.0
        meta.bunit_data = "DN"

    def _fill_exposure(self, meta: JwstDataModel, segment: int, times: np.ndarray) -> None:
        exposure.fill_times(meta, self.clock)
        meta.type, meta.readpatt = LRS_SLITLESS.exposure_type, LRS_SLITLESS.read_pattern
        meta.noutputs = MIRI.n_outputs
        meta.segment_number, meta.total_segments = segment, self.n_segments
        meta.integration_start = int(times["integration_number"][0])
        meta.integration_end = int(times["integration_number"][-1])
