"""What can go wrong, as types that carry their numbers.

Every error is one sentence that names what was found and what was needed. The numbers behind it are in
`DetectoristError.numbers`, so that a campaign can store them, and survive pickling between processes.
"""

from __future__ import annotations

from typing import Any


class DetectoristError(Exception):
    """An error a user can act upon.

    Parameters
    ----------
    message : str
        One sentence: which file or parameter, what was found, what was needed.
    **numbers
        The evidence: plain values (float, int, str, lists of them).
    """

    def __init__(self, message: str, **numbers: Any):
        super().__init__(message)
        self.message = message
        self.numbers = numbers

    def __reduce__(self):
        """Pickle the evidence with the message."""
        return _rebuild, (type(self), self.message, self.numbers)


def _rebuild(kind: type[DetectoristError], message: str, numbers: dict[str, Any]) -> DetectoristError:
    return kind(message, **numbers)


class InputError(DetectoristError, TypeError):
    """The data are not what this step needs: instrument, mode, product, shape or content."""


class NoSuchFile(InputError):
    """A file or folder that was named is not there."""


class ParameterError(DetectoristError, ValueError):
    """A parameter has a value that makes no sense, alone or for these data."""


class AlreadyCorrected(DetectoristError):
    """A correction that subtracts was asked for twice on the same data."""


class TooFewPixels(DetectoristError):
    """Not enough usable pixels for an estimate."""


class ReferenceMissing(DetectoristError):
    """A reference file, or any source of references, is missing."""


class ReductionFailed(DetectoristError):
    """An exposure could not be reduced, and what was asked for needs its products."""


class OutputError(DetectoristError):
    """A product cannot be written."""


class PlaceTaken(OutputError):
    """A file stands where a product goes, and is not replaced."""


def is_unprocessable(error: BaseException) -> bool:
    """Return whether what was asked for is at fault; the disk and the references may be better tomorrow."""
    if isinstance(error, PlaceTaken):
        return True
    return isinstance(error, DetectoristError) and not isinstance(error, OutputError | ReferenceMissing)
