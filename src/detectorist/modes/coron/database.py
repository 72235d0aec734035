"""A table of coronagraphic exposures and their types, read from the headers and open to editing."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table, vstack

from detectorist.errors import InputError, ParameterError
from detectorist.modes.coron.exposure_table import (
    COLUMNS,
    PATH_DTYPE,
    STAGES,
    TYPES,
    UnreadableError,
    check_row,
    concatenation_of,
    count_rolls,
    make_table,
    read_row,
    stem_of,
    tell_types,
)
from detectorist.modes.job import JobRecord
from detectorist.parameters import nearest
from detectorist.product_names import product_of
from detectorist.terminal.lines import exposures

log = logging.getLogger(__name__)

TABLE_NAME = "database.ecsv"


class Database:
    """Coronagraphic exposures, in one table per concatenation of instrument, filter, mask and aperture.

    Parameters
    ----------
    output_dir : str or Path
        Folder for products, and for the table when it is saved.
    files : sequence of str or Path, optional
        Exposures to begin with; `read` adds more.

    Attributes
    ----------
    obs : dict of str to astropy.table.Table
        The tables by concatenation, as "JWST_NIRCAM_NRCALONG_F335M_MASKRND_MASKA335R_SUB320A335R". They may be edited:
        TYPE is one of SCI, REF, SCI_BG, REF_BG; ROLL counts orientations of the science target from 1.
    output_dir : Path
    unreadable : dict of Path to str
        Files that cannot be read, and the reasons: they are in no table, and fail individually in a run.

    Examples
    --------
    >>> database = Database("out", sorted(Path("raw").glob("*_uncal.fits")))
    >>> database.obs[database.concatenations[0]]["TYPE"][2] = "REF"
    >>> database.save()
    """

    def __init__(self, output_dir: str | Path = ".", files: Sequence[str | Path] = ()):
        self.output_dir = Path(output_dir)
        self.obs: dict[str, Table] = {}
        self.unreadable: dict[Path, str] = {}
        if files:
            self.read(files)

    @property
    def concatenations(self) -> list[str]:
        """Names of the tables."""
        return list(self.obs)

    def __len__(self) -> int:
        """Return the number of exposures."""
        return sum(len(table) for table in self.obs.values())

    def __repr__(self) -> str:
        """Return a line per concatenation."""
        lines = [f"Database of {len(self)} exposures, products in {self.output_dir}"]
        for name, table in self.obs.items():
            counts = [f"{np.sum(table['TYPE'] == kind)} {kind}" for kind in TYPES if np.any(table["TYPE"] == kind)]
            lines.append(f"  {name}: {', '.join(counts)}")
        return "\n".join(lines)

    def read(self, files: Iterable[str | Path]) -> Database:
        """Add exposures (uncal, rate or rateints files), determine their types, and return the database itself.

        Files already in the database are not added again. Exposures of target acquisition are left out. Only new rows
        get a TYPE: edited ones stay. A damaged file does not stop the others: see `unreadable`.

        Raises
        ------
        InputError
            For a file that does not exist or is not a coronagraphic exposure.
        ParameterError
            For an exposure that is listed twice under different paths.
        """
        known = {stem_of(row["FITSFILE"]): row["FITSFILE"] for table in self.obs.values() for row in table}
        rows: dict[str, list[dict[str, Any]]] = {}
        for file in files:
            path = Path(file).absolute()
            stem = stem_of(path)
            if known.get(stem) == str(path):
                log.warning("%s is listed twice and used once", path)
                continue
            if stem in known:
                raise ParameterError(f"{path}: exposure {stem} is listed twice, first as {known[stem]}")
            try:
                row = read_row(path)
            except UnreadableError as error:
                log.warning("%s", error)
                self.unreadable[path] = str(error)
                continue
            if row is None:
                continue
            known[stem] = str(path)
            rows.setdefault(concatenation_of(row), []).append(row)
        for name, new in rows.items():
            table = make_table(new)
            tables = [self.obs[name], table] if name in self.obs else [table]
            self.obs[name] = vstack(tables, metadata_conflicts="silent")
            tell_types(self.obs[name])
            count_rolls(self.obs[name])
        return self

    def read_jwst_s012_data(
        self,
        datapaths: str | Path | Iterable[str | Path],
        psflibpaths: str | Path | Iterable[str | Path] | None = None,
        bgpaths: str | Path | Iterable[str | Path] | None = None,
    ) -> Database:
        """Add exposures, and return the database itself; named as in spaceKLIP.

        Parameters
        ----------
        datapaths : path or paths
            Exposures whose types come from their headers, as in `read`.
        psflibpaths : path or paths, optional
            Exposures of reference stars: TYPE REF, regardless of their headers.
        bgpaths : path or paths, optional
            Exposures of empty fields: TYPE REF_BG if the header is that of a reference star, otherwise SCI_BG.

        Raises
        ------
        InputError, ParameterError
            As `read`.
        """
        self.read(_listed(datapaths))
        for paths, types in ((psflibpaths, ("REF", "REF")), (bgpaths, ("SCI_BG", "REF_BG"))):
            files = _listed(paths)
            self.read(files)
            self._set_types({stem_of(file) for file in files}, *types)
        return self

    def _set_types(self, stems: set[str], science: str, reference: str) -> None:
        """Give the rows of some exposures a type: one to those given as the target, one to the others."""
        for table in self.obs.values():
            for index, row in enumerate(table):
                if stem_of(row["FITSFILE"]) in stems:
                    table["TYPE"][index] = reference if str(row["TYPE"]).startswith("REF") else science
            count_rolls(table)

    def select(self, name: str, *types: str) -> Table:
        """Return the rows of a concatenation with some types; all rows if no type is given.

        Raises
        ------
        ParameterError
            When the concatenation does not exist.
        """
        if name not in self.obs:
            raise ParameterError(f'no concatenation "{name}"{nearest(name, self.obs)}; known: {", ".join(self.obs)}')
        table = self.obs[name]
        return table[np.isin(table["TYPE"], types)] if types else table

    def check(self) -> list[str]:
        """Return warnings, one sentence each: a table without science target or without reference star.

        Raises
        ------
        ParameterError
            For an invalid TYPE, or a row in the table of another concatenation.
        """
        concerns = []
        for name, table in self.obs.items():
            for row in table:
                check_row(name, row)
            for kind, meaning in (("SCI", "science target"), ("REF", "reference star")):
                if not np.any(table["TYPE"] == kind):
                    concerns.append(f"{name}: no {meaning} (TYPE {kind}) among {exposures(len(table))}")
        return concerns

    def save(self, path: str | Path | None = None) -> Path:
        """Write all tables to one ECSV file, by default `database.ecsv` in `output_dir`; return its path.

        Raises
        ------
        OutputError
            When the file cannot be written.
        """
        from detectorist.atomic_files import whole_file

        path = self.output_dir / TABLE_NAME if path is None else Path(path)
        parts = []
        for name, table in self.obs.items():
            part = table.copy()
            part.add_column(np.full(len(part), name, PATH_DTYPE), 0, "CONCATENATION")
            parts.append(part)
        whole = (
            vstack(parts, metadata_conflicts="silent") if parts else Table(names=["CONCATENATION"], dtype=[PATH_DTYPE])
        )
        whole.meta = {"output_dir": str(self.output_dir)}
        with whole_file(path) as partial:
            whole.write(partial, format="ascii.ecsv", overwrite=True)
        return path

    def finish(self, records: Sequence[JobRecord]) -> Path:
        """Enter the products of finished exposures, save the table and return its path."""
        self.take_products(records)
        return self.save()

    def take_products(self, records: Sequence[JobRecord]) -> None:
        """Enter the new rateints files of finished exposures, or their calints if there are any."""
        made = {product: _products_of(records, product) for product in ("calints", "rateints")}
        for table in self.obs.values():
            for index, row in enumerate(table):
                for product, found in made.items():
                    path = found.get(stem_of(row["FITSFILE"]))
                    if path is not None:
                        table["FITSFILE"][index], table["DATAMODL"][index] = str(path.resolve()), STAGES[product]
                        break

    @classmethod
    def load(cls, path: str | Path) -> Database:
        """Return the database that `save` wrote, edited by hand or not.

        Raises
        ------
        InputError
            When the file cannot be read, or lacks columns.
        """
        try:
            whole = Table.read(path, format="ascii.ecsv")
        except Exception as error:
            raise InputError(f"{path}: not readable as a database in ECSV ({error})") from error
        missing = (
            [] if len(whole) == 0 else [name for name in ("CONCATENATION", *COLUMNS) if name not in whole.colnames]
        )
        if missing:
            raise InputError(f"{path}: columns {', '.join(missing)} are missing")
        database = cls(whole.meta.get("output_dir", "."))
        for name in dict.fromkeys(whole["CONCATENATION"]):
            rows = whole[whole["CONCATENATION"] == name]
            database.obs[str(name)] = make_table([dict(zip(row.colnames, row, strict=True)) for row in rows])
        database.check()
        return database


def read_files(files: Sequence[Path], output_dir: Path) -> tuple[Database, tuple[Path, ...], tuple[str, ...]]:
    """Return the database of some files, the raw files to reduce, and notes on those that are not in it.

    A table (.ecsv) may be given instead of the files that it lists. A file that cannot be read stays among the files,
    so that it fails individually.
    """
    tables = [path for path in files if path.suffix == ".ecsv"]
    if tables:
        if len(files) > 1:
            raise ParameterError(f"{tables[0]}: a database must be the only file given; {len(files)} files are given")
        database = Database.load(tables[0])
        database.output_dir = output_dir
        return database, tuple(uncals_of(database)), ()
    database, unread = Database(output_dir), []
    for path in files:
        try:
            database.read([path])
        except InputError:
            unread.append(path)
    return database, (*uncals_of(database), *database.unreadable, *unread), ()


def _products_of(records: Sequence[JobRecord], product: str) -> dict[str, Path]:
    """Return {stem: path} of a product among what jobs wrote."""
    files = [Path(record.output_dir) / one.path for record in records for one in record.products]
    return {stem_of(path): path for path in files if product_of(path) == product}


def _listed(paths: str | Path | Iterable[str | Path] | None) -> list[Path]:
    if paths is None:
        return []
    return [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]


def uncals_of(database: Database) -> list[Path]:
    """Return the raw file of every row; the rate where there is none, which its job will refuse."""
    return [Path(str(row["UNCALFILE"]) or str(row["FITSFILE"])) for table in database.obs.values() for row in table]
