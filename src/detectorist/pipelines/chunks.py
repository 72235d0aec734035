"""Stage 1 of a long segment in bounded memory, with the results of the whole segment bit for bit.

Steps before the jump step treat every integration by itself, so they run on chunks of integrations. Jump detection and
ramp fitting compare the integrations of a pixel (the median over all of them), but hardly look at its neighbours: they
run on all integrations of a few rows. Between the two the ramps lie on disk, already cut into rows.

A chunk says which integrations it holds (INTSTART, INTEND), so that reset, RSCD and dark corrections, which differ
for the first integrations of an exposure, take the right plane.
"""

from __future__ import annotations

import copy
import itertools
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from stdatamodels.jwst.datamodels import CubeModel, JwstDataModel, RampModel

from detectorist import models
from detectorist.algorithms import dq
from detectorist.algorithms.groups import count_deciding
from detectorist.errors import InputError, ParameterError
from detectorist.pipelines.headers import flag_missing_samples

#: Extensions with an axis of integrations first.
_PER_INTEGRATION = ("SCI", "REFOUT", "ZEROFRAME", "GROUPDQ", "ERR", "DQ", "VAR_POISSON", "VAR_RNOISE")
#: Integrations that stage 2 takes at a time: some of its estimates of noise pool integrations, so that this is a
#: part of the result and no setting.
BLOCK_INTS = 128


def reasons_against(pipeline: Any) -> list[str]:
    """Return why a pipeline, as it is set, cannot run in chunks: steps that look across integrations or the frame."""
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
    """Refuse settings under which chunks would give other results than the whole.

    Raises
    ------
    ParameterError
    """
    reasons = reasons_against(pipeline)
    if reasons:
        raise ParameterError(f"chunk_ints={pipeline.chunk_ints}: {'; '.join(reasons)}", parameter="chunk_ints")


def count_integrations(path: Path) -> int:
    """Return the number of integrations in a raw file; raises InputError as `shape_of`."""
    return shape_of(path)[0]


def shape_of(path: Path) -> tuple[int, ...]:
    """Return (n_ints, n_groups, ny, nx) of a raw file, from its header.

    Raises
    ------
    InputError
        When there is no SCI array of four dimensions.
    """
    try:
        with fits.open(path) as hdus:
            header = hdus["SCI"].header
            if header["NAXIS"] != 4:
                raise InputError(f"{path}: SCI has {header['NAXIS']} dimensions; a ramp with 4 is needed")
            return tuple(int(header[f"NAXIS{axis}"]) for axis in (4, 3, 2, 1))
    except (OSError, KeyError) as error:
        raise InputError(f"{path}: not readable as a ramp ({error}); is the file complete?") from error


def read_integrations(
    path: Path, first: int, stop: int, kind: type[JwstDataModel] = RampModel
) -> RampModel | CubeModel:
    """Return integrations [first, stop) of a file, counted within it, and read no others.

    kind : type
        RampModel for a raw file, CubeModel for rates.

    Raises
    ------
    InputError
        When the file ends before its header says.
    """
    try:
        # Raw counts are stored with an offset, which memory maps do not undo; `section` reads only what is asked for.
        with fits.open(path, memmap=False) as hdus:
            sci = hdus["SCI"].header
            n_ints = sci[f"NAXIS{sci['NAXIS']}"]
            model = kind(fits.HDUList([_cut(hdu, first, stop, n_ints) for hdu in hdus]))
            model.data = np.asarray(model.data, np.float32)
            models.require_sound_tree(model)
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: not readable as a {kind.__name__} ({error}); is the file complete?") from error
    _number(model, first, stop)
    model.meta.filename = path.name
    return model


def slice_integrations(rates: CubeModel, first: int, stop: int) -> CubeModel:
    """Return integrations [first, stop) of rates as a model of their own."""
    part = CubeModel()
    for name in ("data", "err", "dq", "var_poisson", "var_rnoise"):
        array = getattr(rates, name, None)
        if array is not None and np.shape(array) == rates.data.shape:
            setattr(part, name, np.array(array[first:stop]))
    part.update(rates)
    if rates.int_times is not None:
        part.int_times = rates.int_times
    _number(part, first, stop)
    return part


def _number(model: RampModel | CubeModel, first: int, stop: int) -> None:
    """Say which integrations of the exposure a part of a segment holds."""
    start = model.meta.exposure.integration_start or 1
    model.meta.exposure.integration_start = start + first
    model.meta.exposure.integration_end = start + stop - 1


def _cut(hdu: Any, first: int, stop: int, n_ints: int) -> Any:
    shape: tuple[int, ...] = getattr(hdu, "shape", ())
    if hdu.name in _PER_INTEGRATION and len(shape) >= 3 and shape[0] == n_ints:
        return fits.ImageHDU(hdu.section[first:stop], header=hdu.header)
    return hdu.copy()


def only_pixels(path: Path, rows: slice, columns: Sequence[int], chunk_ints: int) -> RampModel:
    """Return all integrations of a raw file with some rows of some columns filled in and all else zero.

    Zeros that nobody touches take no memory, and here the samples of a pixel lie together: what a step needs that uses
    few pixels.
    """
    n_ints, n_groups, ny, nx = shape_of(path)
    by_pixel = np.zeros((ny, nx, n_ints, n_groups), np.float32)
    data = by_pixel.transpose(2, 3, 0, 1)
    whole = None
    for begin, end in chunks_of(n_ints, chunk_ints):
        part = read_integrations(path, begin, end)
        for column in columns:
            data[begin:end, :, rows, column] = part.data[:, :, rows, column]
        whole = whole or part
    assert whole is not None
    whole.data, whole.groupdq = data, np.zeros(data.shape, np.uint8)
    whole.meta.exposure.integration_end = whole.meta.exposure.integration_start + n_ints - 1
    return whole


def chunks_of(n_ints: int, chunk_ints: int) -> list[tuple[int, int]]:
    """Return [first, stop) of every chunk; none holds a single integration, which some steps treat in another way."""
    firsts = list(range(0, n_ints, max(chunk_ints, 2)))
    if len(firsts) > 1 and n_ints - firsts[-1] == 1:
        firsts.pop()
    return list(zip(firsts, [*firsts[1:], n_ints], strict=True))


def blocks_of(n_ints: int) -> list[tuple[int, int]]:
    """Return [first, stop) of blocks of nearly equal length, BLOCK_INTS at most, for stage 2."""
    edges = np.linspace(0, n_ints, -(-n_ints // BLOCK_INTS) + 1).astype(int)
    return [(int(a), int(b)) for a, b in itertools.pairwise(edges)]


@dataclass(frozen=True)
class _Tile:
    """Rows that are fitted together: [first, stop), and [read_first, read_stop) with the rows beside them."""

    first: int
    stop: int
    read_first: int
    read_stop: int


def fit_in_chunks(pipeline: Any, path: Path, before: Sequence[str], *, chunk_ints: int) -> CubeModel:
    """Run stage 1 up to ramp fitting and return rates per integration.

    Parameters
    ----------
    pipeline : LrsPipeline
        Its steps are run as they are.
    path : Path
        Raw file.
    before : sequence of str
        Steps on chunks of integrations, in order.
    chunk_ints : int
        Integrations per chunk. All integrations of as many rows as make the same amount of data are fitted together.

    Notes
    -----
    Peak memory is that of the whole pipeline on `chunk_ints` integrations plus the rates of all. On disk, 5 bytes per
    sample beside the product, removed at the end.
    """
    require_chunkable(pipeline)
    n_ints = count_integrations(path)
    chunk_ints = max(chunk_ints, _planes_of_dark(pipeline, path))
    decide(pipeline, path, before, chunk_ints=chunk_ints)
    with _scratch(pipeline.folder) as folder:
        store = None
        for first, stop in chunks_of(n_ints, chunk_ints):
            ramps = read_integrations(path, first, stop)
            flag_missing_samples(ramps)
            for name in before:
                ramps = getattr(pipeline, name).run(ramps)
            # The jump step flags the four neighbours of a jump, when asked to; else rows know nothing of each other.
            halo = int(not pipeline.jump.skip and pipeline.jump.flag_4_neighbors)
            store = store or _Store.make(folder, ramps.data.shape[2], n_ints, chunk_ints, halo)
            store.add(ramps)
            del ramps
        assert store is not None
        return _fit_rows(pipeline, store)


def decide(pipeline: Any, path: Path, before: Sequence[str], *, chunk_ints: int) -> None:
    """Let the steps that choose for themselves choose on the first integrations, as they do on a whole segment.

    Their choices then hold for all chunks of the segment.
    """
    drop, refpix = pipeline.drop_groups, pipeline.reference_pixel
    drop.decided = refpix.decided = None
    choosing = [not drop.skip and drop.drop_groups == "auto", not refpix.skip and refpix.smoothing == "auto"]
    if not any(choosing):
        return
    shape = shape_of(path)
    shape = (count_deciding(shape), *shape[1:])
    data, flags = np.empty(shape, np.float32), np.empty(shape, np.uint8)
    whole = None
    for begin, end in chunks_of(shape[0], chunk_ints):
        ramps = read_integrations(path, begin, end)
        flag_missing_samples(ramps)
        for name in before[: before.index("drop_groups")]:
            ramps = getattr(pipeline, name).run(ramps)
        data[begin:end], flags[begin:end] = ramps.data, models.group_flags(ramps)
        whole = whole or ramps
        del ramps
    assert whole is not None
    whole.data, whole.groupdq = data, flags
    drop.decided = drop.decide(whole) if choosing[0] else None
    if choosing[1]:
        refpix.decided = refpix.decide(drop.run(whole))


def _planes_of_dark(pipeline: Any, path: Path) -> int:
    """Return how many first integrations the dark tells apart: the stock step counts them from the chunk's first."""
    if pipeline.dark_current.skip:
        return 2
    with read_integrations(path, 0, 1) as one:
        name = pipeline.dark_current.get_reference_file(one, "dark")
    if name == "N/A":
        return 2
    with fits.open(name) as hdus:
        header = hdus["SCI"].header
        return max(2, int(header["NAXIS4"]) if header["NAXIS"] == 4 else 1)


class _Store:
    """Ramps between the two halves of stage 1, on disk, a pair of files per tile of rows."""

    def __init__(self, folder: Path, tiles: list[_Tile], n_ints: int):
        self.folder = folder
        self.tiles = tiles
        self.n_ints = n_ints
        self.template: RampModel | None = None
        self.pixeldq: np.ndarray | None = None
        #: For every tile and chunk (n_ints, n_groups, 3): all its pixels are DO_NOT_USE, saturated, or either.
        self.unusable: list[list[np.ndarray]] = [[] for _ in tiles]
        #: What our steps recorded on each chunk.
        self.records: list[dict[str, dict[str, Any]]] = []

    @classmethod
    def make(cls, folder: Path, ny: int, n_ints: int, chunk_ints: int, halo: int) -> _Store:
        """Return a store for frames of `ny` rows, with tiles about as large as chunks and `halo` rows beside them."""
        n_tiles = -(-n_ints // chunk_ints)
        edges = np.linspace(0, ny, min(n_tiles, ny) + 1).astype(int)
        tiles = [
            _Tile(int(a), int(b), max(int(a) - halo, 0), min(int(b) + halo, ny)) for a, b in itertools.pairwise(edges)
        ]
        return cls(folder, tiles, n_ints)

    def add(self, ramps: RampModel) -> None:
        """Append a chunk; it is emptied."""
        flags = models.group_flags(ramps)
        for number, tile in enumerate(self.tiles):
            rows = slice(tile.read_first, tile.read_stop)
            with open(self._file(number, "data"), "ab") as handle:
                np.ascontiguousarray(ramps.data[:, :, rows], np.float32).tofile(handle)
            with open(self._file(number, "flags"), "ab") as handle:
                np.ascontiguousarray(flags[:, :, rows], np.uint8).tofile(handle)
            own = flags[:, :, tile.first : tile.stop]
            tests = (dq.DO_NOT_USE, dq.SATURATED, dq.DO_NOT_USE | dq.SATURATED)
            self.unusable[number].append(np.stack([dq.has(own, bits).all(axis=(2, 3)) for bits in tests], axis=-1))
        self.records.append(copy.deepcopy(models.records(ramps)))
        self.pixeldq = ramps.pixeldq if self.pixeldq is None else self.pixeldq | ramps.pixeldq
        if self.template is None:
            self.template = ramps
            self.n_groups, _, self.nx = ramps.data.shape[1:]
            self.start = ramps.meta.exposure.integration_start
            ramps.data = ramps.data[:1, :, :, :].copy()
            ramps.groupdq = flags[:1].copy()

    def read(self, number: int, tile: _Tile) -> tuple[np.ndarray, np.ndarray]:
        """Return data and flags of a tile, all integrations."""
        shape = (self.n_ints, self.n_groups, tile.read_stop - tile.read_first, self.nx)
        data = np.fromfile(self._file(number, "data"), np.float32).reshape(shape)
        return data, np.fromfile(self._file(number, "flags"), np.uint8).reshape(shape)

    def groups_of_tiles(self) -> list[list[int]]:
        """Return which tiles must be fitted together.

        Stock steps treat a group in another way when every pixel of the frame is DO_NOT_USE or saturated in it. Where
        that holds for a tile but not for the frame, the tile is fitted together with its neighbours.
        """
        tables = [np.concatenate(parts) for parts in self.unusable]
        frame = np.logical_and.reduce(tables)
        groups: list[list[int]] = []
        pending: list[int] = []
        for number in range(len(self.tiles)):
            pending.append(number)
            if np.array_equal(np.logical_and.reduce([tables[one] for one in pending]), frame):
                groups.append(pending)
                pending = []
        if pending:
            groups = [*groups[:-1], [*groups[-1], *pending]] if groups else [pending]
        return groups

    def _file(self, number: int, kind: str) -> Path:
        return self.folder / f"tile_{number}.{kind}"


def _fit_rows(pipeline: Any, store: _Store) -> CubeModel:
    """Run jump and ramp_fit on a few rows at a time, and join the rates."""
    joined = _Joined(store)
    for numbers in store.groups_of_tiles():
        ramps = pipeline.jump.run(_ramps_of_tiles(store, numbers))
        joined.count_jumps(ramps)
        _, rates = pipeline.ramp_fit.run(ramps)
        if rates is None:
            raise InputError(f"{models.describe(ramps)}: no pixel could be fitted; are all groups flagged?")
        joined.add(rates, numbers)
        del ramps, rates  # else they stay while the next ones are made
    return joined.finish()


def _ramps_of_tiles(store: _Store, numbers: list[int]) -> RampModel:
    """Return the ramps of neighbouring tiles as a model of a subarray of their rows."""
    template = store.template
    assert template is not None
    assert store.pixeldq is not None
    parts = []
    for number in numbers:
        tile = store.tiles[number]
        low = tile.read_first if number == numbers[0] else tile.first
        high = tile.read_stop if number == numbers[-1] else tile.stop
        rows = slice(low - tile.read_first, high - tile.read_first)
        parts.append([array[:, :, rows] for array in store.read(number, tile)])
    first, stop = store.tiles[numbers[0]].read_first, store.tiles[numbers[-1]].read_stop
    data, flags = (
        np.concatenate(arrays, axis=2) if len(arrays) > 1 else arrays[0] for arrays in zip(*parts, strict=True)
    )
    ramps = RampModel(data=np.ascontiguousarray(data), groupdq=np.ascontiguousarray(flags))
    ramps.pixeldq = store.pixeldq[first:stop].copy()
    ramps.update(template)
    if template.hasattr("average_dark_current") and np.ndim(template.average_dark_current) == 2:
        ramps.average_dark_current = template.average_dark_current[first:stop].copy()
    if template.int_times is not None:
        ramps.int_times = template.int_times
    subarray = ramps.meta.subarray
    subarray.ystart, subarray.ysize = (subarray.ystart or 1) + first, stop - first
    ramps.meta.exposure.integration_start = store.start
    ramps.meta.exposure.integration_end = store.start + store.n_ints - 1
    return ramps


class _Joined:
    """Rates of all rows, filled tile by tile."""

    _ARRAYS = ("data", "err", "dq", "var_poisson", "var_rnoise")

    def __init__(self, store: _Store):
        self._store = store
        self._rates: CubeModel | None = None
        self._arrays: dict[str, np.ndarray] = {}
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
                self._arrays[name] = np.empty(shape, part.dtype)
            self._arrays[name][:, low.first : high.stop] = part[:, rows]
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
            setattr(rates, name, array)
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
    path = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
