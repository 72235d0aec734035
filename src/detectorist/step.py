"""The base of our steps: copy, refuse, report.

A step opens its input (`open_input`: a copy of the right class, of a mode it is made for), calls one algorithm, writes
the result back, and ends with `complete` or `skip`, which leave the same evidence everywhere: the state in
`meta.cal_step`, a line of HISTORY, the numbers on the model and on the step, one line in the log.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from jwst.stpipe import Step
from stdatamodels.jwst.datamodels import JwstDataModel

from detectorist import __version__, models
from detectorist.errors import AlreadyCorrected, InputError
from detectorist.interruption import require_not_interrupted
from detectorist.parameters import as_list

if TYPE_CHECKING:
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)

#: EXP_TYPE of MIRI low-resolution spectroscopy without a slit.
LRS_SLITLESS = "MIR_LRS-SLITLESS"


class DetectoristStep(Step):
    """What our steps have in common.

    Class attributes that a step sets:

    instruments, exposure_types : tuple of str
        Accepted INSTRUME and EXP_TYPE; empty accepts any.
    subtracts : bool
        The step subtracts something and refuses to do so twice.

    Attributes
    ----------
    record : dict
        The numbers of the last run, as they were also stored on the returned model.
    written : list of Path
        Figures, masks and the like that it has written beside its result.

    Notes
    -----
    `Step.call` makes a new instance with the parameters given to `call`: what the constructor was given counts only
    for `.run`.
    """

    instruments: ClassVar[tuple[str, ...]] = ()
    exposure_types: ClassVar[tuple[str, ...]] = ()
    subtracts: ClassVar[bool] = False

    spec = """
        figure_path = string(default=None)  # where a figure goes that is not shown in a notebook
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **as_plain(kwargs))
        self.record: dict[str, Any] = {}
        self.written: list[Path] = []

    def __setattr__(self, name: str, value: Any) -> None:
        """Set a parameter, collections of indices as lists; anything else as it is."""
        if isinstance(value, Iterable) and re.search(rf"^\s*{name} = pass\b", self.spec, re.MULTILINE):
            value = _plain(value)
        super().__setattr__(name, value)

    @classmethod
    def call(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a step with the parameters given and run it."""
        return super().call(*args, **as_plain(kwargs))

    @classmethod
    def _get_config_from_parameters(cls, crds_parameters, crds_observatory):
        """Return no parameters from CRDS: it has none for our steps and logs an error for each it does not know."""
        return cls._empty_config()

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record our log lines beside its own."""
        return (*Step.get_stpipe_loggers(), "detectorist")

    def default_suffix(self) -> str:
        """Name saved results after the alias: `<input>_drop_groups.fits`."""
        return self.class_alias

    def require_possible(self) -> None:
        """Refuse values that no data could make right; a pipeline asks before any exposure is read.

        Raises
        ------
        ParameterError
        NoSuchFile
            When a parameter names a file or folder that is not there.
        """

    def open_input(self, input_data: Any, kind: type[JwstDataModel]) -> JwstDataModel:
        """Return the input as a model of class `kind` that may be changed.

        A standalone step gets a copy, a step inside a pipeline the pipeline's own model, as stock steps do.

        Raises
        ------
        InputError
            When the data are of another product, instrument or mode than this step is for, or have no size.
        AlreadyCorrected
            When the step subtracts and has been run on these data.
        """
        require_not_interrupted()
        model = models.open_as(input_data, kind, copy=self.parent is None)
        self.require_mode(model)
        name = models.describe(model)
        if self.subtracts and models.state(model, self.class_alias) == "COMPLETE":
            raise AlreadyCorrected(f"{name}: {self.class_alias} has been run on these data; it would subtract twice")
        return model

    def require_mode(self, model: JwstDataModel) -> None:
        """Raise InputError unless `model` is of an instrument and mode that this step is for, and has a size."""
        name = models.describe(model)
        for found, accepted, what in (
            (model.meta.instrument.name, self.instruments, "instrument"),
            (model.meta.exposure.type, self.exposure_types, "exposure type"),
        ):
            if accepted and found not in accepted:
                raise InputError(
                    f"{name}: {what} is {found}; {self.class_alias} needs {' or '.join(accepted)}",
                    found=found,
                )
        if 0 in model.data.shape:
            raise InputError(f"{name}: SCI has shape {model.data.shape}; no axis may be empty")

    def complete(self, model: JwstDataModel, summary: str = "", **numbers: Any) -> JwstDataModel:
        """Stamp `model` as corrected, with `numbers` as the record; `summary` says it in words. Returns `model`."""
        return self._finish(model, "COMPLETE", summary, numbers)

    def skip_because(self, model: JwstDataModel, reason: str, **numbers: Any) -> JwstDataModel:
        """Stamp `model` as left alone, and say why. Returns `model`."""
        return self._finish(model, "SKIPPED", reason, {"reason": reason, **numbers})

    def _finish(self, model: JwstDataModel, state: str, summary: str, numbers: dict[str, Any]) -> JwstDataModel:
        models.record_step(model, self.class_alias, state, numbers)
        self.record = models.records(model)[self.class_alias]
        line = f"{self.class_alias}: {summary or 'done' if state == 'COMPLETE' else 'skipped, ' + summary}"
        models.add_history(model, f"{line} (detectorist {__version__})")
        log.info("%s: %s", models.describe(model), line)
        return model

    def draw(self, figure: Callable[[], Figure], model: JwstDataModel, *, name: str = "") -> None:
        """Show a figure in a notebook; elsewhere write `<input>_<step>.png` and log one line. Never blocks."""
        from detectorist.figures import display

        parts = [models.describe(model).removesuffix(".fits"), self.class_alias, *([name] if name else [])]
        written = display.show_or_write(
            figure(), "_".join(parts) + ".png", folder=self.search_attr("output_dir"), path=self.figure_path
        )
        if written is not None:
            self.written.append(written)
            log.info("%s: figure written to %s", models.describe(model), written)


def as_plain(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters, in tables of steps too, with scalars of numpy as Python's and collections of indices as lists.

    stpipe compares values with ==, which arrays refuse, copies them, which generators refuse, and takes no scalar of
    numpy for a number.
    """
    return {name: _plain(value) for name, value in parameters.items()}


def _plain(value: Any) -> Any:
    if type(value) is dict:
        return as_plain(value)
    return value.tolist() if _is_small(value) else as_list(value)


def _is_small(value: Any) -> bool:
    """Return whether a value is a scalar of numpy, or an array of indices rather than a reference in memory."""
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "iu" or (value.ndim == 1 and value.dtype.kind in "fb")
    return isinstance(value, np.generic)
