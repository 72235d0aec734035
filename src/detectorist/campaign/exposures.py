"""Choices per exposure: a table with a row per exposure (or glob) and a column per parameter."""

from __future__ import annotations

import csv
import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from detectorist.errors import ParameterError
from detectorist.parameters import nearest
from detectorist.product_names import exposure_name

#: Cells that say nothing, as tables write them.
EMPTY = ("", "--", "nan", "null")
#: What a name must not hold: signs that control a terminal, ends of lines, and bytes that are no text (UTF-8).
_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
#: Letters of a header that an error shows: what is no table may be one long line.
MOST_SHOWN = 200


@dataclass(frozen=True)
class Row:
    """One line of the table: a name or glob of exposures, and settings "step.parameter=value"."""

    pattern: str
    settings: tuple[str, ...]


@dataclass(frozen=True)
class Choices:
    """A table of choices.

    Attributes
    ----------
    source : str
        Where it was read from, for errors.
    rows : tuple of Row
        In the order of the file; later rows win.
    """

    source: str
    rows: tuple[Row, ...]

    def settings_for(self, name: str) -> tuple[str, ...]:
        """Return the settings of an exposure in order of increasing precedence; none when no row matches."""
        return tuple(setting for row in self.rows if _matches(name, row.pattern) for setting in row.settings)

    def require_all_matched(self, names: Iterable[str]) -> None:
        """Refuse rows that match no exposure: they are more often a typo than a request.

        Raises
        ------
        ParameterError
            Listing them.
        """
        names = list(names)
        if lost := self.unmatched(names):
            raise ParameterError(self.unmatched_in_words(names), unmatched=lost)

    def unmatched(self, names: Iterable[str]) -> list[str]:
        """Return the rows that match none of these exposures."""
        names = list(names)
        return [row.pattern for row in self.rows if not any(_matches(name, row.pattern) for name in names)]

    def unmatched_in_words(self, names: Iterable[str]) -> str:
        """Return a sentence on the rows that match none of these exposures; "" where all rows match one."""
        names = list(names)
        lost = self.unmatched(names)
        if not lost:
            return ""
        shown = ", ".join(f"{name}{nearest(name, names)}" for name in lost[:5])
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        return f"{self.source}: {len(lost)} of {len(self.rows)} rows match no exposure: {shown}{more}"


def read_choices(
    path: Path,
    *,
    exposure_column: str = "exposure",
    columns: Mapping[str, str] | None = None,
    ignore: Sequence[str] = (),
) -> Choices:
    """Read a CSV or ECSV table.

    Parameters
    ----------
    path : Path
    exposure_column : str
        Column with names or globs of exposures.
    columns : mapping, optional
        {column: "step.parameter"} for columns that are not named so themselves.
    ignore : sequence of str
        Columns that are not parameters.

    Raises
    ------
    ParameterError
        When it cannot be read, lacks a column, has an unsafe name or a column that is not a parameter.
    """
    header, lines = _read_lines(path)
    columns = dict(columns or {})
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise ParameterError(f"{path}: column {', '.join(twice)} is there twice; it is not known which one is valid")
    for name in (exposure_column, *columns):
        if name not in header:
            found = ", ".join(header)
            raise ParameterError(f'{path}: no column "{name}"{nearest(name, header)}; found: {found:.{MOST_SHOWN}}')
    targets = {}
    for column in header:
        if column == exposure_column or column in ignore:
            continue
        targets[column] = columns.get(column, column)
        if "." not in targets[column] and column not in columns:
            raise ParameterError(
                f'{path}: column "{column}" is not step.parameter; map it (columns = {{{column} = "step.parameter"}}) '
                "or ignore it"
            )
    rows = []
    for number, line in enumerate(lines, start=2):
        if len(line) != len(header):
            raise ParameterError(f"{path}: line {number} has {len(line)} cells; the header has {len(header)}")
        cells = dict(zip(header, line, strict=True))
        pattern = exposure_name(Path(require_safe_name(cells[exposure_column].strip(), f"{path}: line {number}")))
        settings = [
            f"{target}={cells[column].strip()}"
            for column, target in targets.items()
            if cells[column].strip().lower() not in EMPTY
        ]
        rows.append(Row(pattern, tuple(settings)))
    return Choices(str(path), tuple(rows))


def read_choices_as(table: Path, columns: Mapping[str, str], implied: Mapping[str, str]) -> Choices:
    """Read a table in which some columns have special names or imply further settings.

    Parameters
    ----------
    table : Path
    columns : mapping
        {column: step.parameter}, for columns that the table may have.
    implied : mapping
        {step.parameter: setting that comes with it}, unless the table has a column for that.
    """
    header, _ = _read_lines(table)
    choices = read_choices(table, columns={name: target for name, target in columns.items() if name in header})
    rows = []
    for row in choices.rows:
        names = {one.partition("=")[0] for one in row.settings}
        more = [extra for name, extra in implied.items() if name in names and extra.partition("=")[0] not in header]
        rows.append(replace(row, settings=(*row.settings, *more)))
    return replace(choices, rows=tuple(rows))


def require_safe_name(name: str, where: str) -> str:
    """Return a name that becomes a folder, refusing one that would leave the output folder or break lines.

    Raises
    ------
    ParameterError
    """
    if not is_safe_name(name):
        raise ParameterError(f"{where}: {name!r} is not the name of an exposure; give the name without a folder")
    return name


def is_safe_name(name: str) -> bool:
    """Return whether a name can be that of a folder for products, and be shown in a line."""
    return bool(name) and not name.startswith(".") and "/" not in name and not _UNSHOWN.search(name)


def _matches(name: str, pattern: str) -> bool:
    return name == pattern or fnmatch.fnmatchcase(name, pattern)


def _read_lines(path: Path) -> tuple[list[str], list[list[str]]]:
    if not Path(path).is_file():
        raise ParameterError(f"{path}: no such file")
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read as a table ({error})") from error
    if text.startswith("# %ECSV"):
        return _read_ecsv(path)
    lines = [line for line in csv.reader(text.splitlines()) if line and not line[0].startswith("#")]
    if not lines:
        raise ParameterError(f"{path}: an empty table; a header and one row per exposure are needed")
    return [name.strip() for name in lines[0]], lines[1:]


def _read_ecsv(path: Path) -> tuple[list[str], list[list[str]]]:
    from astropy.table import Table

    try:
        table = Table.read(path, format="ascii.ecsv")
    except Exception as error:
        raise ParameterError(f"{path}: not valid ECSV ({error})") from error
    return list(table.colnames), [["" if cell is None else str(cell) for cell in row] for row in table.iterrows()]
