"""From reduced exposures to a target without its star: `subtract_star`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from detectorist.errors import InputError, NoSuchFile
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.subtraction import products
from detectorist.modes.coron.subtraction.images import read_coron_image
from detectorist.modes.coron.subtraction.settings import SubtractionSettings
from detectorist.modes.coron.subtraction.subtract import Progress, SubtractedTarget, subtract_from_target
from detectorist.modes.job import Job
from detectorist.product_names import exposure_name, product_of, sibling, stem_of

#: Products that a subtraction begins with, and those that it refuses.
BEGINS_WITH, REFUSED = ("rate", "cal"), ("psfsub", "psfalign")
#: Folder of calibrated images beside the products of a subtraction.
STAGE_2 = "stage2"


@dataclass(frozen=True)
class Subtraction:
    """The result for one concatenation of instrument, filter, mask and subarray.

    Attributes
    ----------
    name : str
        Prefix of the products' names.
    target : SubtractedTarget
    files : tuple of Path
    """

    name: str
    target: SubtractedTarget
    files: tuple[Path, ...]


def subtract_star(
    sources: str | Path | Sequence[str | Path],
    output_dir: str | Path,
    settings: SubtractionSettings | None = None,
    *,
    stage_2: bool = True,
    references: str | Path | None = None,
    overwrite: bool = False,
    progress: Progress = lambda done, total, what: None,
) -> list[Subtraction]:
    """Calibrate rates of a target and its reference stars, and subtract the star.

    sources : path or sequence of paths
        Folders of `detectorist run coron`, rates (`*_rate.fits`) or calibrated images (`*_cal.fits`). Their types come
        from the headers, or from the table `database.ecsv` in the folder.
    output_dir : str or Path
        Folder for products; calibrated images go to `stage2` in it.
    settings : SubtractionSettings, optional
    stage_2 : bool
        Run calwebb_image2 on rates first, including those of the integrations: backgrounds of empty fields, WCS, flat,
        photometry. Otherwise rates are subtracted as they are, in DN/s.
    references : str or Path, optional
        Source of reference files for stage 2, as `detectorist.crds_source.use_references`.
    overwrite : bool
        Replace existing products.
    progress : callable, optional
        Called as progress(done, total, what).

    Returns
    -------
    list of Subtraction
        One per concatenation with a science target.

    Raises
    ------
    InputError
        When files are missing or unreadable, have their star subtracted already, or differ in size or unit, and when
        there is no target or no reference star.
    OutputError
        When a product exists and `overwrite` is False.
    ReferenceMissing
        When stage 2 finds no reference files.
    """
    settings, folder = settings or SubtractionSettings(), Path(output_dir)
    database = _database(_files(sources), folder)
    plans = list(_plans(database))
    for name, rows in plans:
        stems = [stem_of(path) for path in rows["SCI"]]
        products.require_free(products.paths_of(stems, name, folder), overwrite=overwrite)
    return [_subtract(name, rows, folder, settings, stage_2, references, overwrite, progress) for name, rows in plans]


def _files(sources: str | Path | Sequence[str | Path]) -> list[Path]:
    """Return the images that sources stand for: calibrated ones before rates of the same exposure."""
    paths = [Path(one) for one in ([sources] if isinstance(sources, str | Path) else sources)]
    found: dict[str, Path] = {}
    for path in paths:
        if not path.exists():
            raise NoSuchFile(f"{path}: no such file or folder")
        for file in _images_in(path) if path.is_dir() else [path]:
            if re.search(rf"_({'|'.join(REFUSED)})\.fits", file.name):
                raise InputError(f"{file}: its star is subtracted already; rates or calibrated images are needed")
            if product_of(file) not in BEGINS_WITH:
                raise InputError(f"{file}: images named *_rate.fits or *_cal.fits are needed")
            found.setdefault(stem_of(file), file)
    if not found:
        raise InputError(f"{paths[0] if paths else 'no source'}: no *_rate.fits or *_cal.fits is there")
    return list(found.values())


def _images_in(folder: Path) -> list[Path]:
    return [path for product in ("cal", "rate") for path in sorted(folder.rglob(f"*_{product}.fits"))]


def _database(files: Sequence[Path], folder: Path) -> Database:
    database = Database(folder, files)
    for path, problem in database.unreadable.items():
        raise InputError(f"{path}: {problem}" if str(path) not in problem else problem)
    _take_edited_types(database, files)
    return database


def _take_edited_types(database: Database, files: Sequence[Path]) -> None:
    """Let the types of a `database.ecsv` in a folder above the files stand over those of the headers."""
    for table_path in {one / "database.ecsv" for file in files for one in list(file.absolute().parents)[:2]}:
        if not table_path.is_file():
            continue
        edited = Database.load(table_path)
        types = {stem_of(row["FITSFILE"]): row["TYPE"] for table in edited.obs.values() for row in table}
        for table in database.obs.values():
            for row in table:
                row["TYPE"] = types.get(stem_of(row["FITSFILE"]), row["TYPE"])


def _plans(database: Database) -> Iterator[tuple[str, dict[str, list[Path]]]]:
    """Yield name and {type: files} of concatenations with a target.

    Raises
    ------
    InputError
        When none has one.
    """
    found = False
    for name, table in database.obs.items():
        rows = {
            kind: [Path(row["FITSFILE"]) for row in table if row["TYPE"] == kind]
            for kind in ("SCI", "REF", "SCI_BG", "REF_BG")
        }
        if rows["SCI"]:
            found = True
            yield name.removeprefix("JWST_").lower(), rows
    if not found:
        raise InputError(
            f"no exposure of a science target (TYPE SCI) among {len(database)} files; is IS_PSF right in their headers?"
        )


def _subtract(
    name: str,
    rows: dict[str, list[Path]],
    folder: Path,
    settings: SubtractionSettings,
    stage_2: bool,
    references: str | Path | None,
    overwrite: bool,
    progress: Progress,
) -> Subtraction:
    kinds = {kind: rows[kind] for kind in ("SCI", "REF")}
    if stage_2 and rows["REF"]:
        kinds = {
            kind: [
                _calibrated(path, folder / STAGE_2, rows[f"{kind}_BG"], references, overwrite, progress)
                for path in paths
            ]
            for kind, paths in kinds.items()
        }
    images = {kind: [read_coron_image(path) for path in paths] for kind, paths in kinds.items()}
    target = subtract_from_target(images["SCI"], images["REF"], settings, progress)
    return Subtraction(name, target, tuple(products.write_subtraction(target, name, folder)))


def _calibrated(
    path: Path,
    folder: Path,
    backgrounds: Sequence[Path],
    references: str | Path | None,
    overwrite: bool,
    progress: Progress,
) -> Path:
    """Return the calibrated image of an exposure; that of its integrations is made beside it where their rates are."""
    from detectorist.modes.coron.calibrated import calibrate

    if product_of(path) != "rate":
        return path
    rates = [one for rate in (path, *backgrounds) for one in (rate, sibling(rate, "rateints")) if one.is_file()]
    names = tuple(exposure_name(one, segments=False) for one in (path, *backgrounds))
    job = Job(
        f"{names[0]}_stage2",
        "coron/stage2",
        (),
        str(folder.resolve()),
        references=None if references is None else str(references),
        options={"overwrite": overwrite},
        after=names,
        left=tuple(str(one.resolve()) for one in rates),
        together=True,
    )
    made = calibrate(job, lambda done, total, what: progress(0, 1, f"{names[0]}: {what}"))
    return next(Path(one) for one in made.products if product_of(one) == "cal")
