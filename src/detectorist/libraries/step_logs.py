"""The log of a pipeline goes into what it writes once, and not into the model after every step.

The standard steps copy all lines of the run so far into their result, which is then validated: where stage 1 runs in
chunks, the run has lines of all chunks before, and the cost grows with the square of their number.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stdatamodels.jwst.datamodels import JwstDataModel

if TYPE_CHECKING:
    from jwst.stpipe import Pipeline as Mixable
else:
    Mixable = object  # always mixed into a pipeline


class LogWrittenOnce(Mixable):
    """Mixed into a pipeline, before its stpipe class: its steps find no lines to copy, and `put_log` stores them.

    Where the result of a step is saved or handed to a hook, they find them as ever.
    """

    @property
    def log_records(self) -> list[str]:
        """Return the lines of the last run."""
        return self.__dict__.get("_lines", [])

    @property
    def is_looked_at(self) -> bool:
        """Whether the result of a step is saved or handed to a hook."""
        return any(step.save_results or step._post_hooks for step in map(self._step, self.step_defs))

    @property
    def _log_records(self) -> list[str]:
        """Return what the steps copy."""
        return self.log_records if self.is_looked_at else []

    @_log_records.setter
    def _log_records(self, lines: list[str]) -> None:
        self.__dict__["_lines"] = lines

    def _step(self, name: str) -> Any:
        return getattr(self, name)

    def put_log(self, model: JwstDataModel) -> None:
        """Store the lines of the run so far in a model, as the last step would have done."""
        model.cal_logs = {**model.instance.get("cal_logs", {}), self.class_alias: list(self.log_records)}
