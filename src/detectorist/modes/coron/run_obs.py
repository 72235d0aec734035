"""Stage 1 of coronagraphy for all exposures of a database, one after the other."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from detectorist.errors import DetectoristError
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.obs_plan import ObsExposure, ObsPlan
from detectorist.modes.coron.obs_record import ObsRecord, write_obs_record
from detectorist.modes.coron.obs_reduce import reduce_exposure

if TYPE_CHECKING:
    from detectorist.crds_source import ReferenceSource

log = logging.getLogger(__name__)

Progress = Callable[[float, int, str], None]

#: State of an exposure that could not be reduced.
FAILED = "failed"


def run_obs(
    database: Database,
    steps: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    subdir: str = "stage1",
    overwrite: bool = True,
    quiet: bool = False,
    verbose: bool = False,
    *,
    references: str | Path | None = None,
    progress: Progress | None = None,
    **kwargs: Any,
) -> list[ObsRecord]:
    """Run `Coron1Pipeline` on the raw files of all exposures of a database.

    Beyond the pipeline's own defaults: the dark is left out for subarrays, jumps are sought with thresholds of 4, and
    persistence is left out. MIRI's emicorr is as in the standard pipeline: off, unless CRDS's parameters turn it on.
    An exposure that fails does not stop the others. The database then names the new
    rateints files; its raw files stay in the column UNCALFILE, so that it may be run again.

    Parameters
    ----------
    database : Database
    steps : mapping
        {step: {parameter: value}}; stronger than everything below.
    subdir : str
        Folder for products, below the database's `output_dir`.
    overwrite : bool
        Make products again and replace those that this package made before; never an input or a foreign file. When
        False, products that would come out the same are kept, and others of that name make the exposure fail.
    quiet : bool
        Say nothing but errors; by default warnings too.
    verbose : bool
        Say what every step says. `detectorist.log` in `subdir` has it in any case.
    references : str or Path, optional
        "crds" or a folder in CRDS's layout; by default what the environment says.
    progress : callable, optional
        Called as progress(done, total, what).
    **kwargs
        `skip_ktc`, `skip_fnoise` (the 1/f noise), `skip_fnoise_vert` (its columns), `skip_charge`, `skip_jump`,
        `skip_dark`, `skip_ipc`, `skip_persistence`: True or False; not given or None stands for the default.
        `save_intermediates`, `return_rateints`, `save_calibrated_ramp`, `rate_int_outliers`, `stage_1overf`: options
        of the pipeline (`return_rateints` changes nothing here: both rates are saved).

    Returns
    -------
    list of ObsRecord
        In the order of the tables.

    Raises
    ------
    ParameterError
        For an unknown keyword, step or parameter, a wrong value, or an empty database: before anything is done.
    ReferenceMissing
        When there is no source of references.
    OutputError
        When the folder cannot be written.
    """
    from detectorist.crds_source import use_references
    from detectorist.reduction import runner

    plan = ObsPlan(database, steps, overwrite, kwargs)
    source = use_references(references)
    folder = database.output_dir / subdir
    runner.require_writable(folder)
    records: list[ObsRecord] = []
    report = progress or (lambda done, total, what: None)
    with terminal_log(quiet, verbose), runner.log_file(folder / "detectorist.log"):
        for concern in plan.concerns:
            log.warning("%s", concern)
        for exposure in plan.exposures:
            report(len(records), len(plan.exposures), exposure.name)
            records.append(_reduce(plan, exposure, folder, source))
            _update(database, exposure, records[-1])
    report(len(records), len(records), "done")
    write_obs_record(
        folder,
        records,
        inputs={exposure.name: exposure.uncal for exposure in plan.exposures},
        steps={exposure.name: plan.steps_for(exposure) for exposure in plan.exposures},
        parameters=plan.build(plan.exposures[0], None).get_pars(),
        source=source,
    )
    failed = [record for record in records if record.state == FAILED]
    log.info("%d exposures reduced, %d failed", len(records) - len(failed), len(failed))
    return records


def _reduce(plan: ObsPlan, exposure: ObsExposure, folder: Path, source: ReferenceSource) -> ObsRecord:
    """Reduce one exposure; whatever goes wrong is part of the record."""
    began = time.monotonic()
    about = {"name": exposure.name, "concatenation": exposure.concatenation, "type": exposure.type}
    try:
        state, products = reduce_exposure(plan, exposure, folder, source)
    except (Exception, SystemExit) as error:  # crds ends the process where it finds no references
        if not isinstance(error, DetectoristError):
            log.exception("%s failed", exposure.name)
        text = str(error) if isinstance(error, DetectoristError) else f"{type(error).__name__}: {error}"
        log.error("%s: %s", exposure.name, text)
        return ObsRecord(**about, state=FAILED, error=text, seconds=time.monotonic() - began)
    return ObsRecord(**about, state=state, products=products, seconds=time.monotonic() - began)


def _update(database: Database, exposure: ObsExposure, record: ObsRecord) -> None:
    """Let the database name the new rateints file."""
    rateints = [path for path in record.products if path.name.endswith("_rateints.fits")]
    if rateints:
        table = database.obs[exposure.concatenation]
        table["FITSFILE"][exposure.index] = str(rateints[0].resolve())
        table["DATAMODL"][exposure.index] = "STAGE1"


@contextmanager
def terminal_log(quiet: bool, verbose: bool) -> Iterator[None]:
    """Let a terminal see warnings, all that the steps say, or errors only."""
    from detectorist.reduction.base import DetectoristPipeline

    level = logging.INFO if verbose else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
    handler.setLevel(logging.ERROR if quiet else level)
    loggers = [logging.getLogger(name) for name in DetectoristPipeline.get_stpipe_loggers()]
    for logger in loggers:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeHandler(handler)
        handler.close()


def summarise(records: Sequence[ObsRecord]) -> list[str]:
    """Return a line per exposure: what it is, what became of it, how long it took."""
    width = max((len(record.name) for record in records), default=0)
    return [
        f"{record.name:{width}}  {record.type:6}  {record.state:6}  {record.seconds:6.1f} s"
        + (f"  {record.error}" if record.error else "")
        for record in records
    ]
