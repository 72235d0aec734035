from typing import Annotated

import typer

from detectorist.modes.job import Wanted


def options(times: Annotated[int, typer.Option(help="Count everything so often.")] = 1) -> Wanted:
    """Count the bytes of text files.

    Example: detectorist run tiny a_uncal.txt -o out
    """
    return Wanted(options={"times": times})
