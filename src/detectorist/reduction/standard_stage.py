"""The base of later stages that a standard pipeline runs, without importing it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar

from detectorist.modes import Stage
from detectorist.modes.job import Job


class StandardStage(Stage):
    """A stage that runs a standard pipeline; parameters are set by `--set STAGE.step.parameter=value`."""

    together: ClassVar = True
    #: The pipeline: "package.module:Class".
    standard: ClassVar[str] = ""

    @classmethod
    def standard_pipeline(cls) -> Any:
        """Return the class of the pipeline, which takes seconds to import."""
        module, _, name = cls.standard.partition(":")
        return getattr(import_module(module), name)

    def check(self, job: Job) -> None:
        """Refuse unknown steps and parameters, invalid values, and an invalid source of references."""
        from detectorist.reduction.standard_pipeline import check_parameters

        check_parameters(self.standard_pipeline(), job)

    def steps_of(self, job: Job) -> list[str]:
        """Return the steps that are not skipped."""
        from detectorist.reduction.standard_pipeline import active_steps

        return active_steps(self.standard_pipeline(), job)

    def references_of(self, job: Job) -> dict[str, str]:
        """Return the reference files that CRDS names."""
        from detectorist.reduction.standard_pipeline import references_of

        return references_of(self.standard_pipeline(), job)
