"""`run_obs(database)`: stage 1 for all exposures of a database, with the keywords of spaceKLIP's function."""

from __future__ import annotations

import logging
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from detectorist.errors import ParameterError
from detectorist.modes.coron.choices import matched_groups, settings_by_type
from detectorist.modes.coron.database import Database, uncals_of
from detectorist.modes.coron.exposure_table import stem_of
from detectorist.modes.coron.keywords import settings_of, steps_in_place
from detectorist.modes.job import DONE, Gathered, Progress

if TYPE_CHECKING:
    from detectorist.campaign.ledger import Entry
    from detectorist.campaign.plan import PlanRequest

log = logging.getLogger(__name__)

#: States of exposures in records.
KEPT, FAILED = "kept", "failed"


@dataclass(frozen=True)
class ObsRecord:
    """The result for one exposure.

    Attributes
    ----------
    name : str
        Of the exposure.
    concatenation, type : str
        As in the database; empty for a file that cannot be read.
    state : str
        "done", "kept" (products were up to date) or "failed".
    products : tuple of Path
        Empty where it failed.
    error : str
        Why it failed.
    seconds : float
    """

    name: str
    concatenation: str
    type: str
    state: str
    products: tuple[Path, ...] = ()
    error: str = ""
    seconds: float = 0.0


def run_obs(
    database: Database,
    steps: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    subdir: str = "stage1",
    overwrite: bool = True,
    quiet: bool = False,
    verbose: bool = False,
    *,
    references: str | Path | None = None,
    workers: int = 0,
    progress: Progress | None = None,
    **kwargs: Any,
) -> list[ObsRecord]:
    """Run `Coron1Pipeline` on the raw files of all exposures of a database, with the recipe "default".

    Unlike the pipeline on its own: the dark is skipped for subarrays, jump thresholds are 4, and persistence is
    skipped. NIRCam ramps with a single good group are fitted, as spaceKLIP does; MIRI's are not, since their first
    group holds the pedestal, unless `suppress_one_group` says so. MIRI's emicorr is as in the standard pipeline: off,
    unless CRDS's parameters turn it on.
    An exposure that fails does not stop the others. Afterwards the database contains the new rateints files; the raw
    files stay in the column UNCALFILE, so that it can be run again.

    Parameters
    ----------
    database : Database
        Exposures with their types, from `Database(output_dir, files)`; products go below its `output_dir`.
    steps : mapping
        {step: {parameter: value}}; overrides everything below.
    subdir : str
        Folder for products, below the database's `output_dir`.
    overwrite : bool
        Make products again and replace those that this package made before; never an input or a foreign file. When
        False, products that would be the same are kept, and other files of that name make the exposure fail.
    quiet : bool
        Show nothing.
    verbose : bool
        Print the messages of every step. They are always in the logs beside the products.
    references : str or Path, optional
        "crds" or a folder in CRDS's layout; by default from the environment.
    workers : int
        Processes; 0: this one.
    progress : callable, optional
        Called as progress(done, total, what); by default a bar on the terminal.
    **kwargs
        `skip_ktc`, `skip_fnoise` (the 1/f noise), `skip_fnoise_vert` (its columns), `skip_charge`, `skip_jump`,
        `skip_dark`, `skip_ipc`, `skip_persistence`: True or False; None or not given means the default.
        `save_intermediates`, `return_rateints`, `save_calibrated_ramp`, `rate_int_outliers`, `stage_1overf`: options
        of the pipeline (`return_rateints` has no effect: both rates are saved).
        Of steps: `flag_rcsat`, `grow_diagonal`, `n_pix_grow_sat` (saturation); `nlower`, `nupper`, `nleft`, `nright`,
        `nrow_off`, `ncol_off` (refpix); `rejection_threshold`, `three_group_rejection_threshold`,
        `four_group_rejection_threshold` (jump); `suppress_one_group` (ramp_fit); `maximum_cores` (jump and ramp_fit);
        `mask_array` (mask_groups, method custom). `save_results`: must be True. Dotted names are passed as
        `**{"mask_groups.types": ["REF"], "ramp_fit.save_calibrated_ramp": True}` or by `steps`.

    Returns
    -------
    list of ObsRecord
        In the order of the tables.

    Raises
    ------
    ParameterError
        For an unknown keyword, step or parameter, a wrong value, or an empty database; raised before anything is done.
    ReferenceMissing
        When there is no source of references.
    OutputError
        When the folder cannot be written.
    """
    from detectorist.campaign import api, events
    from detectorist.campaign.run import Execution
    from detectorist.modes.coron.pipeline import Coron1Pipeline
    from detectorist.reduction.recipes.recipe import Recipe
    from detectorist.terminal.log import terminal_log
    from detectorist.terminal.progress import progress_bar

    if not len(database) and not database.unreadable:
        raise ParameterError("the database is empty: read some files first")
    Recipe("steps", steps=steps_in_place(steps)).check(Coron1Pipeline)
    for concern in database.check():
        log.warning("%s", concern)
    request = _request(database, subdir, settings_of(kwargs, steps), references, overwrite=overwrite)
    with terminal_log(verbose=verbose), progress_bar("reducing", quiet=quiet or progress is not None) as bar:
        show, reduced = api.as_report(progress or bar), set()

        def report(event: events.Event) -> None:
            if event.kind == events.FINISHED:
                reduced.add(event.name)
            show(event)

        entries = api.run(request, Execution(workers=workers), again=overwrite, report=report, command="run_obs")
    database.take_products([entry.record for entry in entries.values() if entry.state == DONE])
    records = [
        _record(name, str(row["TYPE"]), entries[stem_of(row["UNCALFILE"] or row["FITSFILE"])], reduced)
        for name, table in database.obs.items()
        for row in table
    ]
    return records + [_record("", "", entries[stem_of(path)], reduced) for path in database.unreadable]


def _request(
    database: Database,
    subdir: str,
    overrides: Sequence[str],
    references: str | Path | None,
    *,
    overwrite: bool,
) -> PlanRequest:
    from detectorist.campaign.plan import PlanRequest

    return PlanRequest(
        mode="coron",
        files=(),
        output_dir=database.output_dir,
        overrides=overrides,
        references=None if references is None else str(references),
        options={} if overwrite else {"keep": True},
        subdir=subdir,
        gathered=lambda steps: Gathered(
            (*uncals_of(database), *database.unreadable),
            settings_by_type(database, steps),
            matched_groups(database, steps),
        ),
    )


def _record(concatenation: str, kind: str, entry: Entry, reduced: Container[str]) -> ObsRecord:
    record = entry.record
    if entry.state != DONE:
        return ObsRecord(record.name, concatenation, kind, FAILED, error=record.message, seconds=record.seconds)
    products = tuple(Path(record.output_dir) / one.path for one in record.products if one.path.endswith(".fits"))
    state = DONE if record.name in reduced else KEPT
    return ObsRecord(record.name, concatenation, kind, state, products, seconds=record.seconds)


def summarise(records: Sequence[ObsRecord]) -> list[str]:
    """Return a line per exposure: name and type, result, time taken."""
    width = max((len(record.name) for record in records), default=0)
    return [
        f"{record.name:{width}}  {record.type:6}  {record.state:6}  {record.seconds:6.1f} s"
        + (f"  {record.error}" if record.error else "")
        for record in records
    ]
