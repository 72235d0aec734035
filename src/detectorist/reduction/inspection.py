"""A summary of one product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist import models
from detectorist.errors import InputError, NoSuchFile
from detectorist.fits_files import named_for_jwst

#: Header entries worth a line, in this order.
_FACTS = (
    "instrument.name",
    "instrument.detector",
    "instrument.filter",
    "instrument.pupil",
    "exposure.type",
    "exposure.readpatt",
    "exposure.nints",
    "exposure.ngroups",
    "exposure.integration_start",
    "exposure.integration_end",
    "subarray.name",
    "target.catalog_name",
)


def inspect_file(path: str | Path) -> str:
    """Return a summary of one product: header, steps, our records, counts of flags.

    Raises
    ------
    InputError
        When the file is not a JWST product.
    """
    path = Path(path)
    if not path.is_file():
        is_folder = path.is_dir()
        raise NoSuchFile(f"{path}: {'is a folder; name the files in it' if is_folder else 'no such file'}")
    try:
        with named_for_jwst(path) as name:
            model = datamodels.open(name)
    except Exception as error:
        raise InputError(f"{path}: not readable as a JWST product ({error}); is the file complete?") from error
    with model:
        lines = [f"{path}: {type(model).__name__} {tuple(model.shape or ())}"]
        flat = model.to_flat_dict(include_arrays=False)
        lines += [f"  {name}: {flat[f'meta.{name}']}" for name in _FACTS if flat.get(f"meta.{name}") is not None]
        lines += _steps(model)
        lines += _records(model)
        lines += _flags(model)
    return "\n".join(lines)


def _steps(model: JwstDataModel) -> list[str]:
    states = model.meta.cal_step.instance
    done = [name for name, state in states.items() if state == "COMPLETE"]
    return [f"  steps run: {', '.join(done)}"] if done else ["  steps run: none"]


def _records(model: JwstDataModel) -> list[str]:
    return [f"  {alias}: {_short(numbers)}" for alias, numbers in models.records(model).items()]


def _short(numbers: dict[str, Any]) -> str:
    parts = []
    for name, value in numbers.items():
        text = f"{value:.5g}" if isinstance(value, float) else str(value)
        parts.append(f"{name} {text if len(text) <= 60 else text[:57] + '...'}")
    return ", ".join(parts)


def _flags(model: JwstDataModel) -> list[str]:
    from stdatamodels.jwst.datamodels import dqflags

    for name, table in (("groupdq", dqflags.group), ("dq", dqflags.pixel), ("pixeldq", dqflags.pixel)):
        flags = getattr(model, name, None) if model.hasattr(name) else None
        if flags is not None and np.size(flags):
            counts = {flag: int(np.count_nonzero(flags & bit)) for flag, bit in table.items() if bit}
            return [f"  {name} {flag}: {count} of {flags.size}" for flag, count in counts.items() if count]
    return []
