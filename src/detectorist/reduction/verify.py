"""Standard code and engine on one exposure: is every value and every flag the same, and what does each cost?

Each runs in its own process, so that time and memory are measured separately. Products are compared bit by bit;
differences of floats are reported in units in the last place.
"""

from __future__ import annotations

import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from crds.core.exceptions import CrdsError
from jwst.pipeline import Detector1Pipeline
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.crds_source import without_crds
from detectorist.errors import DetectoristError, InputError
from detectorist.fits_files import named_for_jwst, opened
from detectorist.libraries.garbage_collection import FrozenHeap
from detectorist.reduction.engine_steps.by_name import ENGINE_STEPS

#: Extensions that say nothing about the data.
_NOT_COMPARED = ("ASDF", "PRIMARY", "INT_TIMES", "GROUP")


class EngineDetector1Pipeline(FrozenHeap, Detector1Pipeline):
    """The standard stage-1 pipeline with the engine in the steps that have one."""

    step_defs: ClassVar = {**Detector1Pipeline.step_defs, **ENGINE_STEPS}

    @classmethod
    def get_config_reftype(cls) -> str:
        """Take the parameters that CRDS has for the standard pipeline."""
        return Detector1Pipeline.get_config_reftype()

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record what our steps log."""
        return (*Detector1Pipeline.get_stpipe_loggers(), "detectorist")


@dataclass(frozen=True)
class Cost:
    """The cost of one run, without imports, with the first use of compiled code."""

    wall_s: float
    cpu_s: float
    peak_mib: float


#: How each of the two runs is called.
_CODE = {"stock": "the standard code", "engine": "the compiled engine"}


@dataclass(frozen=True)
class Difference:
    """One extension of one product."""

    product: str
    extension: str
    n_values: int
    n_differing: int
    worst_ulp: float = 0.0  # of floats; inf where one is NaN and the other is not
    flags: dict[str, int] = field(default_factory=dict)  # of flags: how many values differ in each


@dataclass(frozen=True)
class Verification:
    """All comparisons, the cost of both runs, and the steps that ran in the engine."""

    differences: list[Difference]
    stock: Cost
    engine: Cost
    steps: dict[str, str]

    @property
    def identical(self) -> bool:
        """Whether nothing differs anywhere."""
        return all(entry.n_differing == 0 for entry in self.differences)


def verify(
    file: str | Path,
    *,
    folder: str | Path | None = None,
    steps: dict[str, dict[str, Any]] | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> Verification:
    """Run stage 1 on `file` with standard code and with the engine, and compare every product.

    Parameters
    ----------
    file : str or Path
        An `_uncal.fits` file; the source of references must have been set (`crds_source.use_references`).
    folder : str or Path, optional
        Where products go, below `stock/` and `engine/`; by default a temporary folder that is removed.
    steps : dict, optional
        Parameters of steps, the same for both.
    tell : callable
        Called with a line of text as each part begins.

    Raises
    ------
    InputError
        When the file does not exist, cannot be read or holds no ramps, or a run fails.
    """
    models.require_kind_of_file(Path(file), RampModel)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        base = Path(folder or scratch)
        runs = {}
        for engine in ("stock", "engine"):
            tell(f"running with {_CODE[engine]}")
            runs[engine] = _run_apart(Path(file), base / engine, engine, steps or {})
        tell("comparing")
        differences = list(compare_folders(base / "stock", base / "engine"))
    costs = {name: Cost(**run["cost"]) for name, run in runs.items()}
    return Verification(differences, costs["stock"], costs["engine"], runs["engine"]["steps"])


def _run_apart(file: Path, folder: Path, engine: str, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    folder.mkdir(parents=True, exist_ok=True)
    order = json.dumps({"file": str(file), "folder": str(folder), "engine": engine, "steps": steps})
    command = [sys.executable, "-m", "detectorist.reduction.verify", order]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ.copy())
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{file}: stage 1 with {_CODE[engine]} failed: {last}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def run_here(file: str, folder: str, engine: str, steps: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Run stage 1 in this process; return its cost and what each step recorded about the engine."""
    heard: dict[str, str] = {}
    listener, logger = _Listener(heard), logging.getLogger("detectorist")
    pipeline = Detector1Pipeline if engine == "stock" else EngineDetector1Pipeline
    wall, cpu = time.perf_counter(), time.process_time()
    logger.addHandler(listener)
    try:
        with named_for_jwst(Path(file)) as name:
            pipeline.call(str(name), steps=steps, output_dir=folder, save_results=True, save_calibrated_ramp=True)
    finally:
        logger.removeHandler(listener)
    cost = Cost(
        round(time.perf_counter() - wall, 3),
        round(time.process_time() - cpu, 3),
        round(_peak_mib(), 1),
    )
    return {"cost": cost.__dict__, "steps": heard}


def _peak_mib() -> float:
    """Return the peak resident memory of this process, MiB."""
    with suppress(OSError):  # getrusage's figure begins, on Linux, with that of the process which started this one
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform != "darwin" else 2**20)


class _Listener(logging.Handler):
    """A log handler that keeps the engine's line about each step."""

    def __init__(self, heard: dict[str, str]):
        super().__init__()
        self.heard = heard

    def emit(self, record: logging.LogRecord) -> None:
        """Note which code a step says it ran in."""
        step, _, how = record.getMessage().partition(": ")
        if "code" in how or "engine" in how:
            self.heard[step] = how


def compare_folders(stock: Path, engine: Path) -> Iterator[Difference]:
    """Compare all FITS files of `stock` with those of the same name in `engine`, extension by extension."""
    for path in sorted(stock.glob("*.fits")):
        yield from compare_files(path, engine / path.name)


def compare_files(stock: Path, engine: Path) -> Iterator[Difference]:
    """Compare the arrays of two products.

    Raises
    ------
    InputError
        When an extension is missing in one of them, or a shape differs.
    """
    with opened(stock) as wanted, opened(engine) as got:
        if [hdu.name for hdu in wanted] != [hdu.name for hdu in got]:
            raise InputError(f"{engine}: extensions are {[h.name for h in got]}, not {[h.name for h in wanted]}")
        for one, other in zip(wanted, got, strict=True):
            if one.name in _NOT_COMPARED or one.data is None or one.data.dtype.names:
                continue
            if one.data.shape != other.data.shape:
                raise InputError(f"{engine}: {one.name} has shape {other.data.shape}, not {one.data.shape}")
            product = stock.stem.rsplit("_", 1)[-1]
            yield compare_arrays(product, one.name, np.asarray(one.data), np.asarray(other.data))


def compare_arrays(product: str, extension: str, stock: np.ndarray, engine: np.ndarray) -> Difference:
    """Compare two arrays of the same shape; NaN equals NaN."""
    if stock.dtype.kind == "f":
        differs = ~((stock == engine) | (np.isnan(stock) & np.isnan(engine)))
        one, other = stock[differs].astype(float), engine[differs].astype(float)
        if not one.size:
            return Difference(product, extension, stock.size, 0)
        ulp = np.abs(one - other) / np.spacing(np.abs(one).astype(np.float32)).astype(float)
        worst = float(np.max(np.where(np.isfinite(ulp), ulp, np.inf)))
        return Difference(product, extension, stock.size, one.size, worst_ulp=worst)
    changed = stock ^ engine
    return Difference(
        product, extension, stock.size, int(np.count_nonzero(changed)), flags=_flags_in(changed, extension)
    )


def _flags_in(changed: np.ndarray, extension: str) -> dict[str, int]:
    from stdatamodels.jwst.datamodels import dqflags

    if "DQ" not in extension or not changed.any():
        return {}
    names = {value: name for name, value in dqflags.pixel.items()}
    counts = {bit: int(np.count_nonzero(changed & bit)) for bit in (2**k for k in range(8 * changed.dtype.itemsize))}
    return {names.get(bit, str(bit)): count for bit, count in counts.items() if count}


def main(order: str) -> None:
    """Run what the JSON text `order` asks of `run_here`, and print its answer as JSON; a failure is one last line."""
    try:
        print(json.dumps(run_here(**json.loads(order))))
    except DetectoristError as error:
        sys.exit(" ".join(str(error).split()))
    except (SystemExit, CrdsError) as error:
        sys.exit(" ".join(str(without_crds(error)).split()))


if __name__ == "__main__":
    main(sys.argv[1])
