"""Stage 1 of coronagraphy for all exposures of a database, one after the other."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from astropy.io import fits

from detectorist import __version__
from detectorist.campaign.database import Database, stem_of
from detectorist.campaign.obs_record import write_obs_record
from detectorist.errors import DetectoristError, InputError, OutputError, ParameterError
from detectorist.parameters import nearest

if TYPE_CHECKING:
    from detectorist.crds_source import ReferenceSource
    from detectorist.pipelines.coron1 import Coron1Pipeline

log = logging.getLogger(__name__)

Progress = Callable[[float, int, str], None]

#: Thresholds of the jump step unless told otherwise, sigma.
JUMP_THRESHOLD = 4.0
#: Keywords that turn a step off: keyword -> (step, parameter, value when the keyword is true).
SKIPS = {
    "skip_ktc": ("subtract_ktc", "skip", True),
    "skip_fnoise": ("subtract_1overf", "skip", True),
    "skip_fnoise_vert": ("subtract_1overf", "vertical_corr", False),
    "skip_charge": ("charge_migration", "skip", True),
    "skip_jump": ("jump", "skip", True),
    "skip_dark": ("dark_current", "skip", True),
    "skip_ipc": ("ipc", "skip", True),
    "skip_persistence": ("persistence", "skip", True),
}
#: Keywords that go to the pipeline itself.
OPTIONS = ("save_intermediates", "return_rateints", "save_calibrated_ramp", "rate_int_outliers", "stage_1overf")
#: Keyword in which a product names the version of this package that made it.
VERSION_KEYWORD = "DT_VERS"
#: States of an exposure after a run.
DONE, KEPT, FAILED = "done", "kept", "failed"


@dataclass(frozen=True)
class ObsRecord:
    """What became of one exposure.

    Attributes
    ----------
    name : str
        Of the exposure.
    concatenation, type : str
        As in the database.
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
    from detectorist.pipelines import runner

    plan = _Plan(database, steps, overwrite, kwargs)
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


@dataclass(frozen=True)
class _Exposure:
    """A row of a table, and where it is."""

    concatenation: str
    index: int
    name: str
    type: str
    subarray: str
    uncal: str


class _Plan:
    """What is to be done, checked before anything is."""

    def __init__(
        self, database: Database, steps: Mapping[str, Mapping[str, Any]], overwrite: bool, keywords: dict[str, Any]
    ):
        from detectorist.pipelines.coron1 import Coron1Pipeline

        if not len(database):
            raise ParameterError("the database has no exposure: read some files first")
        known = (*SKIPS, *OPTIONS)
        for name in keywords:
            if name not in known:
                raise ParameterError(f'no keyword "{name}"{nearest(name, known)}; known are {", ".join(known)}')
        self.concerns, self.overwrite = database.check(), overwrite
        self._keywords = {name: value for name, value in keywords.items() if value is not None}
        self._steps = {name: dict(table) for name, table in steps.items()}
        self._science = {
            (name, kind): [str(file) for file in database.select(name, kind)["UNCALFILE"] if file]
            for name in database.obs
            for kind in ("SCI", "SCI_BG")
        }
        self.exposures = [
            _Exposure(name, k, stem_of(row["FITSFILE"]), str(row["TYPE"]), str(row["SUBARRAY"]), str(row["UNCALFILE"]))
            for name, table in database.obs.items()
            for k, row in enumerate(table)
        ]
        self._require_science()
        _check_names(Coron1Pipeline, self._steps)
        self.build(self.exposures[0], None)

    @property
    def _masks_groups(self) -> bool:
        return not self._steps.get("mask_groups", {}).get("skip", True)

    def _require_science(self) -> None:
        """Refuse to match reference stars to targets where there are none."""
        if not self._masks_groups or self._steps["mask_groups"].get("mask_method") == "custom":
            return
        for exposure in self.exposures:
            if exposure.type.startswith("REF") and not self._science[exposure.concatenation, "SCI"]:
                raise ParameterError(
                    f"{exposure.concatenation}: mask_groups compares reference stars with the science target; "
                    "no raw file of TYPE SCI is there"
                )

    def steps_for(self, exposure: _Exposure) -> dict[str, dict[str, Any]]:
        """Return the parameters of all steps: defaults of this module, keywords, then what the user gave by step."""
        thresholds = ("rejection_threshold", "three_group_rejection_threshold", "four_group_rejection_threshold")
        steps: dict[str, dict[str, Any]] = {
            "jump": dict.fromkeys(thresholds, JUMP_THRESHOLD),
            "persistence": {"skip": True},
            "dark_current": {"skip": "FULL" not in exposure.subarray.upper()},
        }
        for keyword, (step, parameter, when_true) in SKIPS.items():
            if keyword in self._keywords:
                value = when_true if self._keywords[keyword] else not when_true
                steps.setdefault(step, {})[parameter] = value
        for name, table in self._steps.items():
            steps.setdefault(name, {}).update(table)
        if self._masks_groups:
            steps["mask_groups"] = self._mask_groups_for(exposure, steps["mask_groups"])
        return steps

    def _mask_groups_for(self, exposure: _Exposure, given: dict[str, Any]) -> dict[str, Any]:
        """Leave the target's own exposures alone; compare a reference star with the target, a field with a field."""
        if not exposure.type.startswith("REF"):
            return {"skip": True}
        kinds = ("SCI_BG", "SCI") if exposure.type == "REF_BG" else ("SCI",)
        found = next((files for kind in kinds if (files := self._science[exposure.concatenation, kind])), [])
        return {"science_files": found, **given}

    def build(self, exposure: _Exposure, dataset: str | None, folder: Path | None = None) -> Coron1Pipeline:
        """Return the pipeline for an exposure."""
        from detectorist.pipelines.coron1 import Coron1Pipeline
        from detectorist.pipelines.runner import build_pipeline

        options = {name: self._keywords[name] for name in OPTIONS if name in self._keywords}
        if folder is not None:
            options |= {"output_dir": str(folder), "save_results": True}
        return build_pipeline(Coron1Pipeline, dataset, steps=self.steps_for(exposure), **options)


def _check_names(pipeline: type[Coron1Pipeline], steps: dict[str, dict[str, Any]]) -> None:
    from detectorist.pipelines.recipe import Recipe

    Recipe("steps", steps=steps).check(pipeline)


def _reduce(plan: _Plan, exposure: _Exposure, folder: Path, source: ReferenceSource) -> ObsRecord:
    """Reduce one exposure; whatever goes wrong is part of the record."""
    began = time.monotonic()
    about = {"name": exposure.name, "concatenation": exposure.concatenation, "type": exposure.type}
    try:
        state, products = _reduce_or_raise(plan, exposure, folder, source)
    except (Exception, SystemExit) as error:  # crds ends the process where it finds no references
        if not isinstance(error, DetectoristError):
            log.exception("%s failed", exposure.name)
        text = str(error) if isinstance(error, DetectoristError) else f"{type(error).__name__}: {error}"
        log.error("%s: %s", exposure.name, text)
        return ObsRecord(**about, state=FAILED, error=text, seconds=time.monotonic() - began)
    return ObsRecord(**about, state=state, products=products, seconds=time.monotonic() - began)


def _reduce_or_raise(
    plan: _Plan, exposure: _Exposure, folder: Path, source: ReferenceSource
) -> tuple[str, tuple[Path, ...]]:
    from detectorist.pipelines import reuse
    from detectorist.pipelines.runner import references_in_words

    uncal = _require_uncal(exposure)
    targets = tuple(folder / f"{exposure.name}_{kind}.fits" for kind in ("rate", "rateints"))
    partial = Path(tempfile.mkdtemp(prefix=".partial-", dir=folder))
    try:
        with references_in_words(source):
            pipeline = plan.build(exposure, str(uncal), partial)
            key = reuse.content_key(uncal, pipeline.get_pars(), source.name)
            if not plan.overwrite and all(reuse.key_of(target) == key for target in targets):
                log.info("%s: products in %s are up to date", exposure.name, folder)
                return KEPT, targets
            for target in targets:
                _require_ours(target, uncal, overwrite=plan.overwrite)
            found = pipeline.run(str(uncal))
        made = sorted(partial.glob("*.fits"))
        if found is None or not {path.name for path in made} >= {target.name for target in targets}:
            raise InputError(f"{uncal}: no rate could be fitted; are all groups flagged?")
        for path in made:
            _require_ours(folder / path.name, uncal, overwrite=plan.overwrite)
            _stamp(path, key or "")
        return DONE, tuple(path.replace(folder / path.name) for path in made)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _require_uncal(exposure: _Exposure) -> Path:
    if not exposure.uncal:
        raise InputError(
            f"{exposure.name}: only a rate is there; {exposure.name}_uncal.fits is needed beside it or one folder above"
        )
    path = Path(exposure.uncal)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    return path


def _require_ours(target: Path, uncal: Path, *, overwrite: bool) -> None:
    """Refuse to replace an input, a foreign file or, unless told so, a product of before."""
    if not target.exists():
        return
    try:
        made_by = fits.getheader(target, 0).get(VERSION_KEYWORD)
    except OSError:
        made_by = None
    if made_by is None or target.samefile(uncal):
        raise OutputError(f"{target}: not made by detectorist, and not overwritten; choose another folder")
    if not overwrite:
        how = f"version {made_by} (this is {__version__})" if made_by != __version__ else "other parameters or input"
        raise OutputError(f"{target}: made by detectorist with {how}, and not overwritten; allow it, or choose another")
    if made_by != __version__:
        log.warning("%s was made by detectorist %s and is replaced", target, made_by)


def _stamp(path: Path, key: str) -> None:
    from detectorist.pipelines import reuse

    with fits.open(path, mode="update") as hdus:
        hdus[0].header[reuse.KEYWORD] = (key, "what this product was made from")
        hdus[0].header[VERSION_KEYWORD] = (__version__, "version of detectorist")


def _update(database: Database, exposure: _Exposure, record: ObsRecord) -> None:
    """Let the database name the new rateints file."""
    rateints = [path for path in record.products if path.name.endswith("_rateints.fits")]
    if rateints:
        table = database.obs[exposure.concatenation]
        table["FITSFILE"][exposure.index] = str(rateints[0].resolve())
        table["DATAMODL"][exposure.index] = "STAGE1"


@contextmanager
def terminal_log(quiet: bool, verbose: bool) -> Iterator[None]:
    """Let a terminal see warnings, all that the steps say, or errors only."""
    from detectorist.pipelines.base import DetectoristPipeline

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
