"""The base of our pipelines."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any, ClassVar

from configobj import ConfigObj, Section
from jwst.stpipe import Pipeline, Step
from stdatamodels.jwst.datamodels import RampModel
from stpipe import config_parser

from detectorist import models
from detectorist.fits_files import named_for_jwst
from detectorist.libraries.crds_keywords import look_keywords_up
from detectorist.libraries.garbage_collection import FrozenHeap
from detectorist.libraries.reference_trees import interpreted_once
from detectorist.libraries.schemas import parsed_once
from detectorist.product_names import is_fits
from detectorist.step import DetectoristStep, as_plain

#: Whether parameters are being put together for a recipe other than the default one.
_other_recipe: ContextVar[bool] = ContextVar("other_recipe", default=False)


def off_by_default(step: type[Step]) -> type[Step]:
    """Return a step for `step_defs` that runs only with `skip = false`."""
    body = {
        "spec": "skip = boolean(default=True) # run only when asked for",
        "__doc__": step.__doc__,
        "__module__": step.__module__,
    }
    return type(step.__name__, (step,), body)


class DetectoristPipeline(FrozenHeap, Pipeline):
    """A pipeline whose log lines are shown, and which queries CRDS only for parameters that can exist there.

    Attributes
    ----------
    progress : callable
        Called as progress(done, total, what) while the pipeline works; set by the caller that shows a progress bar.
    reference_source : str
        Where references come from, as `crds_source.ReferenceSource.name`: part of the conditions for reusing a product.
    """

    #: References of one's own are made first: before that, their type need not be in CRDS.
    prefetch_references = False
    #: Mode and name of the recipe that stands below all parameters given; () for the steps' own defaults.
    default_recipe: ClassVar[tuple[str, ...]] = ()

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **self._above_recipe(as_plain(kwargs)))
        self.progress: Callable[[float, int, str], None] = lambda done, total, what: None
        self.reference_source = "crds"

    @classmethod
    def call(cls, *args: Any, **kwargs: Any) -> Any:
        """Make a pipeline with the parameters given and run it."""
        return super().call(*args, **as_plain(kwargs))

    @classmethod
    def get_config_from_reference(cls, *args: Any, **kwargs: Any) -> Any:
        """Return the parameters from CRDS for a dataset, overridden by the default recipe: for `call` and `strun`."""
        config = super().get_config_from_reference(*args, **kwargs)
        if cls.default_recipe and not _other_recipe.get():
            config_parser.merge_config(config, cls._default_config())
        return config

    @classmethod
    def build_config_of_recipe(cls, dataset: str | None, **parameters: Any) -> Any:
        """Return the parameters of a run with a recipe, which replaces the default one."""
        look_keywords_up()
        token = _other_recipe.set(True)
        try:
            return cls.build_config(dataset, **parameters)
        finally:
            _other_recipe.reset(token)

    @classmethod
    def _default_config(cls) -> ConfigObj:
        from detectorist.reduction.recipes.recipe_files import load_recipe

        recipe = load_recipe(*cls.default_recipe)
        return ConfigObj({**recipe.parameters, "steps": recipe.steps}, interpolation=False)

    @classmethod
    def _above_recipe(cls, given: dict[str, Any]) -> dict[str, Any]:
        """Return the parameters of a pipeline that is constructed by hand, above the default recipe."""
        if not cls.default_recipe or isinstance(given.get("steps"), Section):
            return given  # stpipe has put everything together already
        config = cls._default_config()
        config_parser.merge_config(config, ConfigObj({"steps": given.get("steps") or {}}, interpolation=False))
        return {**{key: config[key] for key in config.scalars}, **given, "steps": config["steps"]}

    def prepare_output(self, init: Any, *args: Any, **kwargs: Any) -> Any:
        """Open the input as the standard pipeline does; raw counts of a file become float32 as they are read."""
        ramps = kwargs.get("open_as_ramp") and isinstance(init, str | Path) and is_fits(init)
        if not ramps or self._ramp_type(init) is not RampModel:
            return super().prepare_output(init, *args, **kwargs)
        model = models.open_as(init, RampModel)
        model.meta.filename = Path(init).name
        return model

    def run(self, *args: Any) -> Any:
        """Run the pipeline."""
        with parsed_once(), interpreted_once():
            return super().run(*args)

    def finalize_result(self, result: Any, reference_files_used: list[tuple[str, str]]) -> None:
        """Record the CRDS context; not without references, when the query would end the process."""
        if self.reference_source != "none":
            super().finalize_result(result, reference_files_used)

    @staticmethod
    def get_stpipe_loggers() -> tuple[str, ...]:
        """Let stpipe show and record our log lines as well."""
        return DetectoristStep.get_stpipe_loggers()

    @classmethod
    def _get_crds_parameters(cls, dataset: Any) -> Any:
        """Return what CRDS chooses parameters by, also of a file without ASDF, which stpipe refuses here."""
        try:
            return super()._get_crds_parameters(dataset)
        except KeyError:
            with cls._datamodels_open(dataset) as model:
                return super()._get_crds_parameters(model)

    @classmethod
    def _datamodels_open(cls, init: Any, **kwargs: Any) -> Any:
        """Open a model, also of a file whose ending is in capitals, which jwst refuses."""
        if not (isinstance(init, str | Path) and is_fits(init)):
            return super()._datamodels_open(init, **kwargs)
        with named_for_jwst(Path(init)) as name:
            return super()._datamodels_open(name, **kwargs)

    @classmethod
    def _get_config_from_parameters(cls, crds_parameters, crds_observatory):
        """Collect the parameters that CRDS holds for the steps; it knows none for a pipeline of ours."""
        config = cls._empty_config()
        config["steps"] = Section(config, config.depth + 1, config.main, name="steps")
        for name, step in cls.step_defs.items():
            config["steps"][name] = step._get_config_from_parameters(crds_parameters, crds_observatory)
        return config

    def choose_engine(self, engine: str) -> None:
        """Let all steps that can use the compiled engine do so ("auto"), or none of them ("stock")."""
        for name in self.step_defs:
            step = getattr(self, name)
            if engine == "stock" and hasattr(step, "engine"):
                step.engine = "stock"

    @property
    def folder(self) -> Path:
        """Where products go."""
        return Path(self.output_dir or ".")
