"""Parts of reference files common to all instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from stdatamodels.jwst.datamodels import JwstDataModel

#: DATE and USEAFTER of the references: the same in every cache.
DATE = "2026-01-01T00:00:00.000"
USE_AFTER = "2020-01-01T00:00:00"


def describe(kind: str, model: JwstDataModel, instrument: str, detector: str) -> None:
    """Fill in the metadata that references of all types have."""
    meta = model.meta
    meta.telescope, meta.instrument.name, meta.instrument.detector = "JWST", instrument, detector
    meta.author, meta.pedigree, meta.useafter = "detectorist", "DUMMY", USE_AFTER
    meta.description = f"Simulated {kind} reference"
    meta.reftype = kind


def mask_model(dq: np.ndarray) -> JwstDataModel:
    """Return a mask reference from flags (ny, nx) of the data-quality table: each flag used gets its own bit."""
    from stdatamodels.jwst import datamodels
    from stdatamodels.jwst.datamodels import dqflags

    names = {value: name for name, value in dqflags.pixel.items() if value}
    used = [value for value in sorted(names) if np.any(dq & np.uint32(value))]
    # In memory the model holds the flags of the table; by this list it packs them when it is saved.
    rows = [(bit, 1 << bit, names[value], "") for bit, value in enumerate(used)]
    model = datamodels.MaskModel(dq=dq.astype(np.uint32))
    model.dq_def = np.array(rows, dtype=[("BIT", "i4"), ("VALUE", "u4"), ("NAME", "S40"), ("DESCRIPTION", "S80")])
    return model


def no_crosstalk() -> JwstDataModel:
    """Return an IPC reference whose kernel does not change an image: no crosstalk between neighbours is simulated."""
    from stdatamodels.jwst.datamodels import IPCModel

    return IPCModel(data=np.pad(np.ones((1, 1), np.float32), 1))
