"""What cannot be made says so in its place, and the rest of the page is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from detectorist.errors import DetectoristError, OutputError

T = TypeVar("T")


def attempt(make: Callable[[], T], otherwise: Callable[[str], T]) -> T:
    """Return what `make` returns or, where it fails, what `otherwise` makes of the reason.

    Raises
    ------
    OutputError
        A disk without room fails all of the page.
    """
    try:
        return make()
    except OutputError:
        raise
    except Exception as error:
        return otherwise(reason(error))


def as_far_as_possible(items: Iterable[T], otherwise: Callable[[str], T]) -> Iterator[T]:
    """Yield the items up to where they cannot be made, and then what `otherwise` makes of the reason."""
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
