"""FITS files are opened for reading here and nowhere else: keywords with types, arrays, and one error sentence."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from detectorist.errors import DetectoristError, InputError, NoSuchFile
from detectorist.libraries import idle_cores
from detectorist.product_names import without_ending

if TYPE_CHECKING:
    import numpy as np
    from astropy.io.fits import HDUList, Header


#: What 16-bit counts without a sign are stored less of.
UNSIGNED_ZERO = 32768
#: Rows that are read together take about so much: they stay in the cache until they have been used.
PIECE_BYTES = 1 << 20


@contextmanager
def opened(path: str | Path, what: str = "a FITS file", *, memmap: bool = False) -> Iterator[HDUList]:
    """Open a FITS file, compressed or not, to be read; it is closed also where astropy cannot make anything of it.

    what : str
        What it is read as, for the error.
    memmap : bool
        Read arrays as they are touched; not for raw counts, whose offset memory maps do not undo.

    Raises
    ------
    InputError
        When it cannot be read, an extension that is asked for is missing, or the file ends before its data do: also
        where this shows only in the body of the `with` statement.
    """
    from astropy.io import fits
    from astropy.utils.exceptions import AstropyWarning

    if Path(path).exists() and not Path(path).is_file():
        raise InputError(f"{path}: not a file; {what} is needed")
    try:
        with warnings.catch_warnings(), open(path, "rb") as handle:
            warnings.simplefilter("ignore", AstropyWarning)  # what is damaged fails when it is read, or is left out
            with fits.open(handle, memmap=memmap) as hdus:
                _require_progress(hdus)
                yield hdus
    except DetectoristError:
        raise
    except FileNotFoundError as error:
        raise NoSuchFile(f"{path}: no such file") from error
    except Exception as error:  # astropy fails in any way on damaged files
        # The first sentence: astropy's next ones are about its own options.
        said = str(error.args[0] if isinstance(error, KeyError) else error).partition(". ")[0].rstrip(".,")
        raise InputError(f"{path}: not readable as {what} ({said}); is the file complete?") from error


def _require_progress(hdus: HDUList) -> None:
    """Have astropy fail where an axis has a negative length: it would read the same extension for ever."""
    read_next = getattr(hdus, "_read_next_hdu", None)
    if read_next is None:
        return

    def read() -> bool:
        found = read_next()
        if found and list.__getitem__(hdus, -1).size < 0:
            raise OSError("an axis has a negative length")
        return found

    hdus._read_next_hdu = read


def has_small_ending(path: str | Path) -> bool:
    """Return whether a name ends in .fits or .fits.gz as jwst spells them: it opens no other file."""
    return str(path).endswith((".fits", ".fits.gz"))


@contextmanager
def named_for_jwst(path: Path) -> Iterator[Path]:
    """Yield a path that jwst opens: the file's own, or that of a link with the ending in small letters.

    What was opened stays readable when the link is gone.
    """
    if has_small_ending(path):
        yield path
        return
    with TemporaryDirectory(prefix="detectorist-") as folder:
        link = Path(folder, without_ending(path) + (".fits.gz" if path.suffix.lower() == ".gz" else ".fits"))
        link.symlink_to(path.resolve())
        yield link


@dataclass(frozen=True)
class Keywords:
    """Keywords of a file, by name: those of the first header, and of SCI what the first does not have.

    Attributes
    ----------
    axes : tuple of int
        Shape of the SCI array, slowest axis first; () where there is none.
    """

    path: Path
    headers: tuple[Header, ...]
    axes: tuple[int, ...]

    def value(self, name: str) -> Any:
        """Return a value as it stands there; None where the keyword is missing or empty.

        Raises InputError where the card is damaged.
        """
        from astropy.io import fits

        try:
            found = next((header[name] for header in self.headers if name in header), None)
        except (ValueError, fits.VerifyError) as error:
            raise InputError(f"{self.path}: {name} is not readable ({error}); is the file damaged?") from error
        return None if isinstance(found, fits.card.Undefined) else found

    def text(self, name: str) -> str | None:
        """Return a value as text."""
        found = self.value(name)
        return None if found is None else str(found)

    def number(self, name: str) -> float | None:
        """Return a number; raises InputError for a word."""
        found = self.value(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise InputError(f"{self.path}: {name} is {found!r}; a number is needed")
        return float(found)

    def whole(self, name: str) -> int | None:
        """Return a whole number; raises InputError for words, fractions and truth values."""
        found = self.value(name)
        if found is None:
            return None
        if isinstance(found, bool) or not isinstance(found, int | float) or found != int(found):
            raise InputError(f"{self.path}: {name} is {found!r}; a whole number is needed")
        return int(found)

    def known(self) -> dict[str, Any]:
        """Return {name: value} of all cards that say something; damaged ones are left out."""
        found: dict[str, Any] = {}
        for header in self.headers:
            for name in header:
                with suppress(InputError):
                    value = found.get(name, self.value(name)) if name else None
                    if isinstance(value, str | bool | int | float):
                        found[name] = value
        return found


def read_keywords(path: str | Path) -> Keywords:
    """Return the keywords of the first header and of SCI; no array is read.

    Raises
    ------
    InputError
        When the file cannot be read.
    """
    with opened(path) as hdus:
        headers = [hdus[0].header, *([hdus["SCI"].header] if "SCI" in hdus else [])]
        sci = headers[1] if len(headers) > 1 else {}
        axes = tuple(int(sci[f"NAXIS{axis}"]) for axis in range(int(sci.get("NAXIS", 0)), 0, -1))
    if min(axes, default=0) < 0:
        raise InputError(f"{path}: SCI has an axis of a negative length; is the file damaged?")
    return Keywords(Path(path), tuple(headers), axes)


def read_array(path: str | Path, extension: str, what: str = "a FITS file") -> np.ndarray:
    """Return the array of an extension; raises InputError where there is none, with the extensions that there are."""
    with opened(path, what) as hdus:
        if extension not in hdus or hdus[extension].data is None:
            found = ", ".join(hdu.name for hdu in hdus)
            raise InputError(f"{path}: extensions are {found}; {extension} with data is needed")
        return hdus[extension].data


@contextmanager
def opened_with_counts(path: Path) -> Iterator[HDUList]:
    """Open a raw file for a datamodel, its counts as float32 from the start; errors are those of astropy.

    astropy makes 16-bit integers of them first, in two passes, and jwst floats of those.
    """
    from astropy.io import fits

    with fits.open(path, memmap=False) as hdus:
        counts = _counts_of(hdus["SCI"]) if "SCI" in hdus else None
        if counts is not None:
            hdus["SCI"].data = counts
        yield hdus


def _counts_of(hdu: Any) -> np.ndarray | None:
    """Return raw counts as float32, plane by plane; None where an array is stored in another way.

    Raises
    ------
    OSError
        When the file ends before the array does.
    """
    import numpy as np

    header = hdu.header
    how = [header.get(name) for name in ("BITPIX", "BSCALE", "BZERO")]
    if header["NAXIS"] < 2 or how not in ([16, 1, UNSIGNED_ZERO], [16, None, UNSIGNED_ZERO]):
        return None
    where = hdu.fileinfo()
    if where["file"].compression or "BLANK" in header:
        return None
    counts = np.empty(hdu.shape, np.float32)
    planes = counts.reshape(-1, *hdu.shape[-2:])

    def read(first: int, last: int) -> None:
        stored = np.empty(hdu.shape[-2:], ">i2")  # of one plane, again and again: it stays in the cache
        with open(where["file"].name, "rb") as handle:
            handle.seek(where["datLoc"] + first * stored.nbytes)
            for plane in planes[first:last]:
                if handle.readinto(memoryview(stored).cast("B")) < stored.nbytes:
                    raise OSError(f"the array of {hdu.name} is cut short")
                np.add(stored, np.float32(UNSIGNED_ZERO), out=plane, dtype=np.float32)

    edges = [len(planes) * part // idle_cores.number() for part in range(idle_cores.number() + 1)]
    idle_cores.each(lambda ends: read(*ends), pairwise(edges))
    return counts


def floats_in_pieces(hdu: Any, shape: tuple[int, ...]) -> Iterator[tuple[int, slice, np.ndarray]] | None:
    """Return what reads the first planes of an array of float32 a few rows at a time, in the machine's byte order.

    shape : (n_planes, ny, nx), what is wanted; the array may have more planes.

    Yields the number of the plane, its rows, and their values, which hold until the next ones are asked for. None where
    the array has another shape or is stored in another way. The file has to stay where it is until all is read.
    """
    header = hdu.header
    as_it_is = header["BITPIX"] == -32 and not {"BSCALE", "BZERO"} & {*header}
    fits_in = len(hdu.shape) == 3 and hdu.shape[1:] == shape[1:] and hdu.shape[0] >= shape[0]
    where = hdu.fileinfo()
    if not (as_it_is and fits_in) or where["file"].compression:
        return None
    return _pieces(where["file"].name, where["datLoc"], shape, hdu.name)


def _pieces(path: str, begin: int, shape: tuple[int, ...], name: str) -> Iterator[tuple[int, slice, np.ndarray]]:
    import numpy as np

    n_planes, ny, nx = shape
    n_rows = max(min(ny, PIECE_BYTES // (4 * nx)), 1)
    room = np.empty((n_rows, nx), np.float32)
    with open(path, "rb") as handle:
        handle.seek(begin)
        for plane in range(n_planes):
            for row in range(0, ny, n_rows):
                values = room[: min(n_rows, ny - row)]
                if handle.readinto(memoryview(values).cast("B")) < values.nbytes:
                    raise OSError(f"the array of {name} is cut short")
                if sys.byteorder == "little":
                    values.byteswap(inplace=True)
                yield plane, slice(row, row + len(values)), values


def require_headers(path: str | Path, what: str = "a FITS file") -> None:
    """Raise InputError where the header of an extension cannot be read; no array is read."""
    with opened(path, what) as hdus:
        for hdu in hdus:
            hdu.header.tostring()


def read_plane(path: str | Path, what: str = "an image") -> np.ndarray:
    """Return the first two-dimensional image of a file, whatever its extension is called.

    Raises
    ------
    InputError
        When the file cannot be read or holds no image.
    """
    with opened(path, what) as hdus:
        planes = (hdu.data for hdu in hdus if hdu.is_image and len(hdu.shape) == 2)
        found = next((plane for plane in planes if plane is not None), None)
    if found is None:
        raise InputError(f"{path}: contains no image; {what} is needed")
    return found
