"""The compiled stage-1 engine against the stock code it replaces: CPU time, memory, agreement; both in one run.

    python benchmarks/engine.py                        # everything, some four minutes
    python benchmarks/engine.py --only jump ramp_fit   # some rows
    python benchmarks/engine.py --small                # small arrays: a check in half a minute
    python benchmarks/engine.py --threads 2            # a column with threads (needs an idle second core)

Ramps are simulated here: a NIRCam full frame of 9 groups of 8 frames, and 100 x 20 x 416 x 72 of MIRI LRS, with cosmic
rays, saturation and flagged pixels. CPU seconds are the median of three warm calls (stock: one call); memory is the
peak above what was there before. "Differing" counts values and flags that are not the same to the last bit. Two whole
simulated exposures, with references and products, are compared as `detectorist verify FILE` does it.
"""

from __future__ import annotations

import argparse
import json
import logging
import time
import types
import warnings
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

import engine_whole
from detectorist.engine.correct import convolve, linearize
from detectorist.engine.jump import flag_jumps
from detectorist.engine.ramp_fit import fit_ramps
from detectorist.engine.saturation import flag_saturation
from detectorist.engine.snowballs import SnowballRule, flag_large_events
from measure import cpu_seconds, peak_above

MODES = {"NIRCam": ((1, 9, 2048, 2048), 8), "MIRI LRS": ((100, 20, 416, 72), 1)}
SMALL = {"NIRCam": ((1, 9, 256, 256), 8), "MIRI LRS": ((100, 8, 64, 72), 1)}
GROUP_S, FRAME_S = {"NIRCam": 107.4, "MIRI LRS": 0.159}, {"NIRCam": 10.74, "MIRI LRS": 0.159}


class Exposure(NamedTuple):
    """A ramp and its references."""

    data: np.ndarray
    groupdq: np.ndarray
    pixeldq: np.ndarray
    gain: np.ndarray
    read_noise: np.ndarray


class Job(NamedTuple):
    """One row: two calls that give tuples of arrays to be compared; `ours` takes the number of threads."""

    step: str
    mode: str
    stock: Callable[[], tuple[np.ndarray, ...]] | None
    ours: Callable[[int], tuple[np.ndarray, ...]]


def simulate(shape: tuple[int, ...], n_frames: int, seed: int = 1) -> Exposure:
    """Return ramps in DN of a faint scene with some bright pixels, cosmic rays, saturation and flags."""
    rng = np.random.default_rng(seed)
    n_groups, ny, nx = shape[1:]
    rate = (5 + 10 ** rng.uniform(-1, 3.2, (ny, nx)) * (rng.random((ny, nx)) < 0.1)).astype(np.float32)
    data = np.empty(shape, np.float32)
    for ramp in data:
        steps = rng.normal(rate, np.sqrt(rate / 2 + 30 / n_frames), (n_groups, ny, nx)).astype(np.float32)
        hits = rng.integers(0, steps.size, steps.size // 3000)
        steps.flat[hits] += rng.exponential(2000, hits.size)
        np.cumsum(steps, axis=0, out=ramp)
    flags = np.where(data > 12000, np.uint8(2), np.uint8(0))
    np.maximum.accumulate(flags, axis=1, out=flags)
    pixeldq = np.where(rng.random((ny, nx)) < 0.003, np.uint32(1), np.uint32(0))
    flags |= pixeldq.astype(np.uint8)
    gain = rng.uniform(1.8, 2.3, (ny, nx)).astype(np.float32)
    return Exposure(data, flags, pixeldq, gain, rng.uniform(5, 8, (ny, nx)).astype(np.float32))


def stock_jump(exposure: Exposure, n_frames: int) -> tuple[np.ndarray, ...]:
    from stcal.jump.jump import detect_jumps_data
    from stcal.jump.jump_class import JumpData
    from stdatamodels.jwst.datamodels import dqflags

    data, groupdq, pixeldq, gain, noise = (array.copy() for array in exposure)
    meta = types.SimpleNamespace(exposure=types.SimpleNamespace(nframes=n_frames))
    model = types.SimpleNamespace(data=data, groupdq=groupdq, pixeldq=pixeldq, meta=meta)
    settings = JumpData(model, gain, noise, dqflags.pixel)
    settings.max_cores = "none"
    return detect_jumps_data(settings)[:2]


def stock_fit(exposure: Exposure, n_frames: int, mode: str) -> tuple[np.ndarray, ...]:
    from stcal.ramp_fitting.ramp_fit import ramp_fit_data
    from stcal.ramp_fitting.ramp_fit_class import RampData
    from stdatamodels.jwst.datamodels import dqflags

    data, groupdq, pixeldq, gain, noise = (array.copy() for array in exposure)
    ramp = RampData()
    ramp.set_arrays(data, groupdq, pixeldq, np.zeros_like(gain), orig_gdq=None, zeroframe=None)
    ramp.set_meta(
        name=mode.split(maxsplit=1)[0].upper(),
        frame_time=FRAME_S[mode],
        group_time=GROUP_S[mode],
        groupgap=0,
        nframes=n_frames,
        drop_frames1=0,
    )
    ramp.algorithm = "OLS_C"
    ramp.set_dqflags(dqflags.pixel)
    ramp.start_row, ramp.num_rows, ramp.suppress_one_group_ramps = 0, data.shape[2], True
    products = ramp_fit_data(ramp, False, noise, gain, "OLS_C", "optimal", "none")[:2]
    return tuple(p[name] for p in products for name in ("slope", "var_poisson", "var_rnoise", "err", "dq"))


def ramp_jobs(mode: str, shape: tuple[int, ...], n_frames: int) -> Iterator[Job]:
    """Yield the jump step and the ramp fit on the same exposure, the fit with the jumps flagged."""
    exposure = simulate(shape, n_frames)
    yield Job(
        "jump",
        mode,
        lambda: stock_jump(exposure, n_frames),
        lambda threads: flag_jumps(*exposure, n_frames=n_frames, threads=threads)[:2],
    )
    flagged = exposure._replace(groupdq=flag_jumps(*exposure, n_frames=n_frames).groupdq)

    def fit(threads: int) -> tuple[np.ndarray, ...]:
        times = {"group_time_s": GROUP_S[mode], "frame_time_s": FRAME_S[mode], "n_frames": n_frames}
        products = fit_ramps(*flagged, **times, drop_unusable_groups=mode == "MIRI LRS", threads=threads)
        return (*products.rate, *products.rateints)

    yield Job("ramp_fit", mode, lambda: stock_fit(flagged, n_frames, mode), fit)


def snowball_jobs(mode: str, shape: tuple[int, ...]) -> Iterator[Job]:
    """Yield large events on an ordinary frame, and on a hostile one (ours alone: stock takes many minutes)."""
    from stcal.jump.jump import flag_large_events as stock

    def jobs(hostile: bool) -> Job:
        flags = large_events(shape, hostile=hostile)
        rule = SnowballRule()
        settings = types.SimpleNamespace(
            min_sat_area=1,
            min_jump_area=5,
            sat_required_snowball=True,
            expand_factor=2.0,
            min_sat_radius_extend=2.5,
            sat_expand=4,
            edge_size=25,
            max_extended_width=400,
            mask_persist_grps_next_int=True,
            persist_grps_flagged=25,
            fl_jump=4,
            fl_sat=2,
        )
        name = "snowballs, hostile" if hostile else "snowballs"
        theirs = None if hostile else lambda: stock(flags.copy(), 4, 2, settings)[:1]
        return Job(name, mode, theirs, lambda threads: flag_large_events(flags, rule)[:1])

    yield jobs(False)
    yield jobs(True)


def large_events(shape: tuple[int, ...], *, hostile: bool, seed: int = 3) -> np.ndarray:
    """Return group flags with cosmic rays (each with its four neighbours) and snowballs with saturated cores."""
    rng = np.random.default_rng(seed)
    n_groups, ny, nx = shape[1:]
    flags = np.zeros(shape, np.uint8)
    rays = rng.random(shape) < (0.03 if hostile else 0.0003)
    for dy, dx in ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0)):
        flags |= np.where(np.roll(rays, (dy, dx), (2, 3)), np.uint8(4), np.uint8(0))
    for _ in range((4000 if hostile else 40) * ny * nx // 2048**2):
        g, y, x, radius = rng.integers(1, n_groups), rng.integers(0, ny), rng.integers(0, nx), rng.uniform(3, 15)
        box = slice(max(y - 30, 0), y + 31), slice(max(x - 30, 0), x + 31)
        rows, columns = np.ogrid[box[0].start : min(y + 31, ny), box[1].start : min(x + 31, nx)]
        distance = np.hypot(rows - y, columns - x)
        flags[0, g, *box][distance < 2 * radius] |= 4
        flags[0, g:, *box][:, distance < 0.7 * radius] = 2
    return flags


def front_jobs(mode: str, shape: tuple[int, ...], n_frames: int) -> Iterator[Job]:
    """Yield saturation, inter-pixel capacitance and linearity."""
    from jwst.ipc.ipc_corr import NumRefPixels, ipc_convolve
    from stcal.linearity.linearity import linearity_correction
    from stcal.saturation.saturation import flag_saturated_pixels
    from stdatamodels.jwst.datamodels import dqflags

    rng = np.random.default_rng(5)
    exposure = simulate(shape, n_frames)
    raw = np.clip(exposure.data + 300, 0, 65535)
    clean, pixeldq = np.zeros(shape, np.uint8), exposure.pixeldq
    limit, zeros = rng.uniform(12000, 13000, shape[2:]).astype(np.float32), np.zeros(shape[2:], np.uint32)
    pattern = [[k + 1 + g * n_frames for k in range(n_frames)] for g in range(shape[1])]
    yield Job(
        "saturation",
        mode,
        lambda: flag_saturated_pixels(
            raw, clean.copy(), pixeldq, limit.copy(), zeros.copy(), 65535.0, dqflags.pixel, 1, read_pattern=pattern
        )[:2],
        lambda threads: flag_saturation(raw, clean, pixeldq, limit, zeros, read_pattern=pattern, threads=threads)[:2],
    )
    kernel = np.array([[0, -0.005, 0], [-0.005, 1.02, -0.005], [0, -0.005, 0]], np.float32)

    def stock_ipc() -> tuple[np.ndarray, ...]:
        data = raw.copy()
        for plane in data.reshape(-1, *shape[2:]):
            ipc_convolve(plane, kernel, NumRefPixels(4, 4, 4, 4))
        return (data,)

    def ipc(threads: int) -> tuple[np.ndarray, ...]:
        data = raw.copy()
        convolve(data, kernel, reference_edges=(4, 4, 4, 4), threads=threads)
        return (data,)

    yield Job("ipc", mode, stock_ipc, ipc)
    terms = (rng.normal(1, 0.01, (5, *shape[2:])) * np.array([0, 1, 1e-6, 1e-11, 1e-16])[:, None, None]).astype(
        np.float32
    )

    def stock_linearity() -> tuple[np.ndarray, ...]:
        return linearity_correction(raw.copy(), exposure.groupdq, pixeldq, terms.copy(), zeros, dqflags.pixel)[:2]

    def linearity(threads: int) -> tuple[np.ndarray, ...]:
        data = raw.copy()
        pixels, _ = linearize(data, exposure.groupdq, pixeldq, terms, zeros, threads=threads)
        return data, pixels

    yield Job("linearity", mode, stock_linearity, linearity)


def differing(stock: tuple[np.ndarray, ...], ours: tuple[np.ndarray, ...]) -> tuple[int, int]:
    """Return how many values were compared and how many are not the same."""
    pairs = [(np.asarray(one), np.asarray(other)) for one, other in zip(stock, ours, strict=True)]
    count = sum(
        int(np.count_nonzero(~((one == other) | ((one != one) & (other != other)))))  # noqa: PLR0124
        for one, other in pairs
    )
    return sum(one.size for one, _ in pairs), count


class Measured(NamedTuple):
    """What one job takes: CPU seconds, peaks in bytes, how many values are not the same; NaN and 0 without stock."""

    stock_s: float
    ours_s: float
    stock_peak: float
    ours_peak: float
    values: int
    differing: int


def measure(job: Job) -> Measured:
    """Run a job with stock code, where that is bearable, and with the engine."""
    start = time.process_time()
    stock = job.stock() if job.stock else None
    stock_s = time.process_time() - start if job.stock else float("nan")
    values, count = differing(stock, job.ours(1)) if stock else (0, 0)
    stock_peak = peak_above(job.stock) if job.stock else float("nan")
    ours_s = float(np.median(cpu_seconds(lambda: job.ours(1))))
    return Measured(stock_s, ours_s, stock_peak, peak_above(lambda: job.ours(1)), values, count)


def in_words(job: Job, one: Measured, threads: int) -> list[str]:
    """Return one row of the table."""
    known = job.stock is not None
    row = [
        job.step,
        job.mode,
        f"{one.stock_s:.2f}" if known else "(minutes)",
        f"{one.ours_s:.3f}",
        f"{one.stock_s / one.ours_s:.0f}" if known else "",
        *(f"{peak / 1e6:.0f}" for peak in (one.stock_peak, one.ours_peak)),
        f"{one.values:,}" if known else "",
        f"{one.differing:,}" if known else "",
    ]
    return [*row, f"{speed_up(job, threads):.2f}"] if threads > 1 else row


def speed_up(job: Job, threads: int, repeats: int = 5) -> float:
    """Return the best wall time on one thread over that on several."""
    best = []
    for n in (1, threads):
        walls = []
        for _ in range(repeats):
            start = time.perf_counter()
            job.ours(n)
            walls.append(time.perf_counter() - start)
        best.append(min(walls))
    return best[0] / best[1]


def all_jobs(modes: dict[str, Any]) -> Iterator[Job]:
    """Yield every row of the table."""
    for mode, settings in modes.items():
        yield from ramp_jobs(mode, *settings)
    yield from snowball_jobs("NIRCam", modes["NIRCam"][0])
    yield from front_jobs("NIRCam", *modes["NIRCam"])


def call_all() -> dict[str, float]:
    """Call every kernel of the benchmark once on small arrays; imports of libraries are not counted."""
    import numba  # noqa: F401 - its own import is not the kernels'

    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    jobs = list(all_jobs(SMALL))
    wall, cpu = time.perf_counter(), time.process_time()
    for job in jobs:
        job.ours(1)
    return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 1 when anything differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only",
        nargs="+",
        metavar="STEP",
        help="jump, ramp_fit, snowballs, saturation, ipc, linearity, first_call, whole",
    )
    parser.add_argument("--small", action="store_true", help="small arrays")
    parser.add_argument("--threads", type=int, default=1, help="also measure with so many threads")
    parser.add_argument("--call-all", action="store_true", help="print what the first call of all kernels costs here")
    wanted = parser.parse_args(arguments)
    if wanted.call_all:
        print(json.dumps(call_all()))
        return 0
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    modes: dict[str, Any] = SMALL if wanted.small else MODES
    headers = ["step", "mode", "stock CPU s", "ours", "x", "stock MB", "ours", "values", "differing"]
    table = Table(*headers, *(["speed-up"] if wanted.threads > 1 else []), title="stock code and compiled engine")
    different = 0
    for job in all_jobs(modes):
        if wanted.only and job.step.split(",")[0] not in wanted.only:
            continue
        one = measure(job)
        different += one.differing
        table.add_row(*in_words(job, one, wanted.threads))
    console = Console(width=130)
    if table.row_count:
        console.print(table)
    if not wanted.only or "first_call" in wanted.only:
        console.print(engine_whole.first_calls())
    if not wanted.only or "whole" in wanted.only:
        whole, count = engine_whole.whole_exposures(small=wanted.small)
        console.print(whole)
        different += count
    return int(different > 0)


if __name__ == "__main__":
    raise SystemExit(main())
