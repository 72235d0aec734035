"""A part that cannot be made is replaced by a message, and the rest of the page is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from detectorist.errors import DetectoristError, OutputError

T = TypeVar("T")


def attempt(make: Callable[[], T], otherwise: Callable[[str], T]) -> T:
    """Return the result of `make` or, if it fails, that of `otherwise` for the reason.

    Raises
    ------
    OutputError
        A full disk prevents the whole page.
    """
    try:
        return make()
    except OutputError:
        raise
    except Exception as error:
        return otherwise(reason(error))


def as_far_as_possible(items: Iterable[T], otherwise: Callable[[str], T]) -> Iterator[T]:
    """Yield the items until one cannot be made, and then the result of `otherwise` for the reason."""
    remaining = iter(items)
    while True:
        try:
            item = next(remaining)
        except StopIteration:
            return
        except OutputError:
            raise
        except Exception as error:
            yield otherwise(reason(error))
            return
        yield item


def reason(error: Exception) -> str:
    """Return an error in words."""
    return str(error) if isinstance(error, DetectoristError) else f"{type(error).__name__}: {error}"
