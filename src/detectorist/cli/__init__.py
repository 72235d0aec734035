"""The command `detectorist`: arguments in, products and one clear sentence out."""

from __future__ import annotations

import sys

from detectorist.cli.exit_codes import BAD_ARGUMENTS, CRASHED, UNPROCESSABLE
from detectorist.errors import DetectoristError, ParameterError, ReferenceMissing


def main() -> None:
    """Run the command line; errors become one sentence and an exit code."""
    try:
        from detectorist.cli.app import app

        app()
    except (ParameterError, ReferenceMissing) as error:
        _fail(error, BAD_ARGUMENTS)
    except DetectoristError as error:
        _fail(error, UNPROCESSABLE)
    except KeyboardInterrupt:
        print("interrupted; what was finished is kept, the same command continues", file=sys.stderr)
        sys.exit(130)
    except Exception as error:
        kind = type(error).__name__
        print(
            f"error: {kind}: {error} (unforeseen; the traceback is in detectorist.log of the output folder)",
            file=sys.stderr,
        )
        sys.exit(CRASHED)


def _fail(error: DetectoristError, code: int) -> None:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(code)
