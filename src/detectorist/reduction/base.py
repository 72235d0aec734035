"""What our pipelines have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

from configobj import Section
from jwst.stpipe import Pipeline, Step

from detectorist.reduction.garbage_collection import FrozenHeap
from detectorist.reduction.schemas import parsed_once
from detectorist.step import DetectoristStep


def off_by_default(step: type[Step]) -> type[Step]:
    """Return a step for `step_defs` that runs only where `skip = false` asks for it."""
    body = {
        "spec": "skip = boolean(default=True) # run only when asked for",
        "__doc__": step.__doc__,
        "__module__": step.__module__,
    }
    return type(step.__name__, (step,), body)


class DetectoristPipeline(FrozenHeap, Pipeline):
    """A pipeline whose log lines are shown, and which asks CRDS only for parameters that CRDS can have.

    Attributes
    ----------
    progress : callable
        Called as progress(done, total, what) while the pipeline works; set by whoever shows a progress bar.
    reference_source : str
        Where references come from, as `crds_source.ReferenceSource.name`: part of what makes a product reusable.
    """

    #: References of one's own are made first: before that, their type need not be in CRDS.
    prefetch_references = False
    #: Mode and name of the recipe that stands below all parameters given; () for the steps' own defaults.
    default_recipe: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **self._above_recipe(kwargs))
        self.progress: Callable[[float, int, str], None] = lambda done, total, what: None
        self.reference_source = "crds"

    @classmethod
    def build_config(cls, input: Any, **kwargs: Any) -> Any:
        """Return the parameters of a run: those given, above the default recipe, above what CRDS holds."""
        return super().build_config(input, **cls._above_recipe(kwargs))

    @classmethod
    def build_bare_config(cls, input: Any, **kwargs: Any) -> Any:
        """Return the parameters of a run without the default recipe, for who brings another one."""
        return super().build_config(input, **kwargs)

    @classmethod
    def _above_recipe(cls, given: dict[str, Any]) -> dict[str, Any]:
        if not cls.default_recipe or isinstance(given.get("steps"), Section):
            return given  # stpipe has put everything together already
        from detectorist.reduction.recipe import load_recipe

        recipe = load_recipe(*cls.default_recipe)
        chosen = given.get("steps") or {}
        steps = {
            name: {**recipe.steps.get(name, {}), **chosen.get(name, {})}
            for name in dict.fromkeys((*recipe.steps, *chosen))
        }
        return {**recipe.parameters, **given, "steps": steps}

    def run(self, *args: Any) -> Any:
        """Run the pipeline."""
        with parsed_once():
            return super().run(*args)

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Note what CRDS gave; without references there is nothing to note, and asking ends the process."""
        if self.reference_source != "none":
            super().finalize_result(result, reference_files_used)

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record our log lines beside its own."""
        return DetectoristStep.get_stpipe_loggers()

    @classmethod
    def _get_config_from_parameters(cls, crds_parameters, crds_observatory):
        """Collect the parameters that CRDS holds for the steps; it knows none for a pipeline of ours."""
        config = cls._empty_config()
        config["steps"] = Section(config, config.depth + 1, config.main, name="steps")
        for name, step in cls.step_defs.items():
            config["steps"][name] = step._get_config_from_parameters(crds_parameters, crds_observatory)
        return config

    def choose_engine(self, engine: str) -> None:
        """Let all steps that know the compiled engine use it ("auto"), or none of them ("stock")."""
        for name in self.step_defs:
            step = getattr(self, name)
            if engine == "stock" and hasattr(step, "engine"):
                step.engine = "stock"

    @property
    def folder(self) -> Path:
        """Where products go."""
        return Path(self.output_dir or ".")
