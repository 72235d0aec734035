"""Stage 1 of a long segment in bounded memory, with the results of the whole segment bit for bit.

Steps before the jump step treat integrations independently, so they run on chunks of integrations. Jump detection and
ramp fitting compare the integrations of a pixel (the median over all of them), but use few of its neighbours: they run
on all integrations of a few rows. Between the two the ramps lie on disk, already cut into rows.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst.datamodels import CubeModel, RampModel

from detectorist import models
from detectorist.algorithms.ramps.groups import count_deciding
from detectorist.algorithms.ramps.refpix import N_OUTPUTS
from detectorist.atomic_files import PARTIAL
from detectorist.errors import InputError, ParameterError
from detectorist.fits_files import read_keywords
from detectorist.libraries.garbage_collection import release_models
from detectorist.reduction.arrays_on_disk import ArrayOnDisk
from detectorist.reduction.inputs.exposure_parts import chunks_of, count_integrations, read_integrations, shape_of
from detectorist.reduction.inputs.headers import flag_missing_samples
from detectorist.reduction.ramp_store import RampStore, ramps_of_tiles


def reasons_against(pipeline: Any) -> list[str]:
    """Return why a pipeline cannot run in chunks: steps that look across integrations or the frame."""
    jump, emicorr = pipeline.jump, pipeline.emicorr
    checks = (
        (
            not emicorr.skip and not (emicorr.algorithm == "joint" and emicorr.fit_ints_separately),
            "emicorr fits one wave to all integrations (fit_ints_separately=true fits each by itself)",
        ),
        (not jump.skip and jump.expand_large_events, "jump.expand_large_events looks at the whole frame"),
        (not jump.skip and jump.find_showers, "jump.find_showers looks at the whole frame"),
        (
            not jump.skip and (jump.after_jump_flag_dn1 > 0 or jump.after_jump_flag_dn2 > 0),
            "jump.after_jump_flag_dn is scaled by the median gain of the whole frame",
        ),
    )
    return [reason for holds, reason in checks if holds]


def require_chunkable(pipeline: Any) -> None:
    """Refuse settings with which chunks would give results different from those of the whole segment.

    Raises
    ------
    ParameterError
    """
    reasons = reasons_against(pipeline)
    if reasons:
        raise ParameterError(f"chunk_ints={pipeline.chunk_ints}: {'; '.join(reasons)}", parameter="chunk_ints")


def fit_in_chunks(pipeline: Any, path: Path, before: Sequence[str], *, chunk_ints: int) -> CubeModel:
    """Run stage 1 and return rates per integration, whose arrays are read-only and on disk.

    Parameters
    ----------
    pipeline : DetectoristPipeline
        Its steps are run with their parameters.
    path : Path
        Raw file.
    before : sequence of str
        Steps on chunks of integrations, in order.
    chunk_ints : int
        Integrations per chunk. All integrations of as many rows as make the same amount of data are fitted together.

    Notes
    -----
    Peak memory is that of the whole pipeline on `chunk_ints` integrations. On disk, 5 bytes per sample (10 of the first
    integrations, which choices are made from) and 20 per pixel and integration beside the product, gone when the rates
    are.
    """
    require_chunkable(pipeline)
    n_ints = count_integrations(path)
    chunk_ints = max(chunk_ints, _planes_of_dark(pipeline, path))
    with _scratch(pipeline.folder) as folder:
        begun = decide(pipeline, path, before, chunk_ints=chunk_ints, folder=folder)
        store = None
        for chunk in chunks_of(n_ints, chunk_ints):
            ramps, left = begun.take(chunk) if chunk in begun else (_read(path, *chunk), before)
            for name in left:
                ramps = getattr(pipeline, name).run(ramps)
            # The jump step flags the four neighbours of a jump, when asked to; else rows know nothing of each other.
            halo = int(not pipeline.jump.skip and pipeline.jump.flag_4_neighbors)
            store = store or RampStore.make(folder, ramps.data.shape[2], n_ints, chunk_ints, halo)
            store.add(ramps)
            del ramps
            release_models()
        assert store is not None
        return _fit_rows(pipeline, store)


class Begun:
    """Chunks after the first steps, which choices were made from: on disk, so that these steps are not run again."""

    def __init__(self, folder: Path, shape: tuple[int, ...], left: Sequence[str] = ()):
        self.data = ArrayOnDisk(folder / "data", shape, np.float32)
        self.flags = ArrayOnDisk(folder / "flags", shape, np.uint8)
        #: Names of the steps that are left to be run.
        self.left = left
        self._models: dict[tuple[int, int], RampModel] = {}

    def add(self, chunk: tuple[int, int], ramps: RampModel) -> None:
        """Append a chunk, whose arrays of the size of ramps are released."""
        self.data.append(ramps.data)
        self.flags.append(models.group_flags(ramps))
        models.drop_arrays(ramps, "data", "groupdq")
        self._models[chunk] = ramps

    def __contains__(self, chunk: object) -> bool:
        """Return whether a chunk, its first integration and the one after its last, is there."""
        return chunk in self._models

    def take(self, chunk: tuple[int, int]) -> tuple[RampModel, Sequence[str]]:
        """Return the ramps of a chunk, which is forgotten, and the steps that are left."""
        ramps = self._models.pop(chunk)
        ramps.data, ramps.groupdq = self.data.read(*chunk), self.flags.read(*chunk)
        return ramps, self.left


def decide(pipeline: Any, path: Path, before: Sequence[str], *, chunk_ints: int, folder: Path) -> Begun:
    """Let steps with automatic choices make them from the first integrations, as for a whole segment.

    The choices are used for all chunks of the segment. What has been done for them is returned.
    """
    drop, refpix = pipeline.drop_groups, pipeline.reference_pixel
    drop.decided = refpix.decided = None
    choosing = [not drop.skip and drop.drop_groups == "auto", not refpix.skip and refpix.smoothing == "auto"]
    n_ints, *frame = shape_of(path)
    n_ints = count_deciding((n_ints, *frame)) if any(choosing) else 0
    n_first = before.index("drop_groups")
    begun = Begun(folder, (n_ints, *frame), before[n_first:])
    if not any(choosing):
        return begun
    pixeldq = None
    for chunk in chunks_of(n_ints, chunk_ints):
        ramps = _read(path, *chunk)
        for name in before[:n_first]:
            ramps = getattr(pipeline, name).run(ramps)
        begun.add(chunk, ramps)
        pixeldq = ramps.pixeldq[:, :N_OUTPUTS] | (0 if pixeldq is None else pixeldq)
        release_models()
    drop.decided = drop.decide_from(begun.data, begun.flags) if choosing[0] else None
    if choosing[1]:
        # Reference columns are all it looks at.
        columns = ramps.copy()
        columns.data, columns.groupdq = (array[:, :, :, :N_OUTPUTS] for array in (begun.data, begun.flags))
        columns.pixeldq = pixeldq
        refpix.decided = refpix.decide(drop.run(columns))
    return begun


def _read(path: Path, first: int, stop: int) -> RampModel:
    ramps = read_integrations(path, first, stop)
    flag_missing_samples(ramps)
    return ramps


def _planes_of_dark(pipeline: Any, path: Path) -> int:
    """Return how many first integrations the dark tells apart: the stock step counts them from the chunk's first."""
    if pipeline.dark_current.skip:
        return 2
    with read_integrations(path, 0, 1) as one:
        name = pipeline.dark_current.get_reference_file(one, "dark")
    if name == "N/A":
        return 2
    axes = read_keywords(name).axes
    return max(2, axes[0] if len(axes) == 4 else 1)


def _fit_rows(pipeline: Any, store: RampStore) -> CubeModel:
    """Run jump, ramp_fit and gain_scale on a few rows at a time, and join the rates."""
    joined = _Joined(store)
    for numbers in store.groups_of_tiles():
        ramps = pipeline.jump.run(ramps_of_tiles(store, numbers))
        joined.count_jumps(ramps)
        _, rates = pipeline.ramp_fit.run(ramps)
        if rates is None:
            raise InputError(f"{models.describe(ramps)}: no pixel could be fitted; are all groups flagged?")
        joined.add(pipeline.gain_scale.run(rates), numbers)
        del ramps, rates  # else they stay while the next ones are made
        release_models()
    return joined.finish()


class _Joined:
    """Rates of all rows, filled tile by tile, on disk."""

    _ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise")

    def __init__(self, store: RampStore):
        self._store = store
        self._rates: CubeModel | None = None
        self._arrays: dict[str, ArrayOnDisk] = {}
        self._jumps: dict[str, float] = {}
        self._ny = store.tiles[-1].stop

    def count_jumps(self, ramps: RampModel) -> None:
        """Add up the rates of cosmic rays that the jump step wrote, weighted by rows."""
        rows = ramps.data.shape[2]
        for name in ("primary_cosmic_rays", "extended_emission_events"):
            value = getattr(ramps.meta.exposure, name, None)
            if value is not None:
                self._jumps[name] = self._jumps.get(name, 0.0) + value * rows / self._ny

    def add(self, rates: CubeModel, numbers: list[int]) -> None:
        """Put the rows of tiles `numbers` in their place."""
        low, high = self._store.tiles[numbers[0]], self._store.tiles[numbers[-1]]
        rows = slice(low.first - low.read_first, high.stop - low.read_first)
        for name in self._ARRAYS:
            part = getattr(rates, name)
            if name not in self._arrays:
                shape = (part.shape[0], self._ny, part.shape[2])
                self._arrays[name] = ArrayOnDisk(self._store.folder / name, shape, part.dtype)
            self._arrays[name].put_rows(low.first, part[:, rows])
        if self._rates is None:
            self._rates = rates
            for name in self._ARRAYS:
                setattr(rates, name, getattr(rates, name)[:1].copy())

    def finish(self) -> CubeModel:
        """Return the rates of the whole frame, with the metadata and records of all steps."""
        assert self._rates is not None
        assert self._store.template is not None
        template = self._store.template
        rates = self._rates
        for name, array in self._arrays.items():
            setattr(rates, name, array.mapped())
        subarray, whole = rates.meta.subarray, template.meta.subarray
        subarray.ystart, subarray.ysize = whole.ystart, whole.ysize
        for name, value in self._jumps.items():
            setattr(rates.meta.exposure, name, value)
        models.carry_provenance(template, rates)
        for alias, numbers in join_records(self._store.records).items():
            models.record_step(rates, alias, numbers.pop("state", "COMPLETE"), numbers)
        return rates


def join_records(records: Sequence[dict[str, dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Return the records of all chunks as one: a number on which they differ becomes a list in the order of chunks."""
    joined: dict[str, dict[str, Any]] = {}
    for alias in records[0]:
        numbers = [record.get(alias, {}) for record in records]
        joined[alias] = {}
        for name, first in numbers[0].items():
            values = [one.get(name) for one in numbers]
            joined[alias][name] = first if all(value == first for value in values) else values
    return joined


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Yield a folder beside the products; what an interrupted run leaves of it is swept by the next campaign."""
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(tempfile.mkdtemp(prefix=PARTIAL, dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
