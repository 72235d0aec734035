"""Recipes: every name checked, every layer in its order."""

from importlib import import_module

import pytest

from detectorist.errors import DetectoristError, ParameterError, ReferenceMissing
from detectorist.modes import PIPELINES, load_mode, mode_names
from detectorist.modes.lrs.pipeline import LrsPipeline
from detectorist.reduction.recipes.recipe import Recipe
from detectorist.reduction.recipes.recipe_files import DEFAULT, builtin_recipes, load_recipe
from detectorist.reduction.runner import build_pipeline

BUILTIN = [(mode, name) for mode in mode_names() for name in builtin_recipes(mode)]


def pipeline_of(mode):
    module, _, name = load_mode(mode).pipeline.partition(":")
    assert PIPELINES[name] == module
    return getattr(import_module(module), name)


@pytest.mark.parametrize(("mode", "name"), BUILTIN)
def test_builtin_recipes_construct(mode, name):
    recipe, kind = load_recipe(mode, name), pipeline_of(mode)
    recipe.check(kind)
    assert recipe.title
    pipeline = build_pipeline(kind, None, steps=recipe.steps, **recipe.parameters)
    for parameter, value in recipe.parameters.items():
        assert getattr(pipeline, parameter) == value, parameter
    for step, table in recipe.steps.items():
        for parameter, value in table.items():
            assert getattr(getattr(pipeline, step), parameter) == value, (step, parameter)


def test_the_published_values():
    short, long = load_recipe("lrs", "exotic-short").steps, load_recipe("lrs", "exotic-long").steps
    jump = {
        "rejection_threshold": 15.0,
        "four_group_rejection_threshold": 15.0,
        "three_group_rejection_threshold": 15.0,
        "flag_4_neighbors": False,
        "min_jump_to_flag_neighbors": 15.0,
        "expand_large_events": False,
    }
    for steps in (short, long):
        assert steps["jump"] == jump
        assert steps["saturation"] == {"n_pix_grow_sat": 1}
        assert steps["set_custom_gain"]["gain_value"] == 3.1
        assert steps["clean_outliers"]["window_heights"] == [150, 100, 50, 40, 30, 24]
        assert steps["clean_outliers"]["outlier_threshold"] == 5.0
        for skipped in ("emicorr", "ipc", "rscd", "lastframe", "reference_pixel"):
            assert steps[skipped] == {"skip": True}
    assert short["drop_groups"]["drop_groups"] == [-1]
    assert long["drop_groups"]["drop_groups"] == [*range(10), -1]
    assert short["set_custom_linearity"] == {"skip": True}
    assert long["set_custom_linearity"]["row_idx_end_used"] == 380
    assert short["extract_1d_box"]["aperture_left_width"] == 4
    assert long["extract_1d_box"]["aperture_left_width"] == 3


@pytest.mark.parametrize("mode", mode_names())
def test_every_mode_has_a_default_and_lists_it_first(mode):
    assert builtin_recipes(mode)[0] == DEFAULT
    assert load_recipe(mode) == load_recipe(mode, DEFAULT)


@pytest.mark.parametrize(("old", "new"), [("best", "default"), ("short", "exotic-short"), ("long", "exotic-long")])
def test_older_names_stand_for_the_same(old, new):
    former, recipe = load_recipe("lrs", old), load_recipe("lrs", new)
    assert (former.steps, former.parameters, former.title) == (recipe.steps, recipe.parameters, recipe.title)
    assert old not in builtin_recipes("lrs")


@pytest.mark.parametrize("mode", [mode for mode in mode_names() if pipeline_of(mode).default_recipe])
def test_a_pipeline_without_a_recipe_takes_the_default(mode):
    """However it is made: by hand, by `call` or by `strun` (both from a configuration); what is given is stronger."""
    kind, recipe = pipeline_of(mode), load_recipe(mode)
    step, (name, value) = next((step, next(iter(table.items()))) for step, table in recipe.steps.items())
    config = kind.get_config_from_reference("nowhere.fits", disable=True)
    for pipeline in (kind(), kind.from_config_section(config)):
        for one, table in recipe.steps.items():
            for parameter, wanted in table.items():
                assert getattr(getattr(pipeline, one), parameter) == wanted, (one, parameter)
        assert all(getattr(pipeline, parameter) == wanted for parameter, wanted in recipe.parameters.items())
    other = {True: False, False: True}.get(value, value)
    assert getattr(getattr(kind(steps={step: {name: other}}), step), name) == other


def test_another_recipe_takes_the_place_of_the_default():
    """What only the default one says is the step's own default then."""
    pipeline = build_pipeline(LrsPipeline, None, steps={"jump": {"rejection_threshold": 7.0}})
    assert pipeline.jump.rejection_threshold == 7.0
    for step in ("subtract_group_offsets", "reference_pixel"):
        assert not load_recipe("lrs").steps[step]["skip"]
        assert getattr(pipeline, step).skip
    assert pipeline.drop_groups.drop_groups is None
    assert load_recipe("lrs").steps["drop_groups"]["drop_groups"] is not None


def test_settings_are_stronger_than_the_recipe():
    recipe = Recipe("mine", steps={"jump": {"rejection_threshold": 4.0}})
    got = recipe.with_settings(
        ["jump.rejection_threshold=7", "steps.drop_groups.drop_groups=[0, -1]", "extraction=optimal", "jump.skip=true"]
    )
    assert got.steps == {
        "jump": {"rejection_threshold": 7, "skip": True},
        "drop_groups": {"drop_groups": [0, -1]},
    }
    assert got.parameters == {"extraction": "optimal"}
    assert recipe.steps["jump"] == {"rejection_threshold": 4.0}


@pytest.mark.parametrize("setting", ["jump", "a.b.c=1", "=3", ".x=1"])
def test_a_setting_of_another_form_is_refused(setting):
    with pytest.raises(ParameterError, match=r"step\.parameter=value"):
        Recipe("mine").with_settings([setting])


@pytest.mark.parametrize(
    ("setting", "suggestion"),
    [
        ("jumpp.skip=true", 'did you mean "jump"'),
        ("jump.rejection_treshold=3", 'did you mean "rejection_threshold"'),
        ("extracton=box", 'did you mean "extraction"'),
    ],
)
def test_unknown_names_suggest_the_nearest(setting, suggestion):
    with pytest.raises(ParameterError, match=suggestion):
        Recipe("mine").with_settings([setting]).check(LrsPipeline)


def test_unknown_recipe_suggests_the_nearest():
    with pytest.raises(ParameterError, match='did you mean "exotic-short"'):
        load_recipe("lrs", "exotic-shrot")


def test_broken_toml_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[steps")
    with pytest.raises(ParameterError, match="mine.toml: not valid TOML"):
        load_recipe("lrs", str(path))


def test_a_wrong_type_is_found_before_any_exposure_starts():
    with pytest.raises(ParameterError, match="poly_order"):
        build_pipeline(LrsPipeline, None, steps={"clean_outliers": {"poly_order": "many"}})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"steps = 3", "steps is 3; a table"),
        (b"[[steps]]\nname = 'jump'", "steps is .*; a table"),
        (b"[steps]\njump = 3", "steps.jump is 3; a table"),
        (b"parameters = []", "parameters is .*; a table"),
        (b"title = 3", "title is 3; a text"),
        (b"pipeline = 3", "pipeline is 3; one for ImagingPipeline"),
        (b"pipeline = 'LrsPipeline'", "pipeline is 'LrsPipeline'; one for ImagingPipeline"),
        (b"[steps.jump]\nskip = " + b"1" * 5000, "not valid TOML"),
        ("title = 'x'".encode("utf-16"), "cannot be read as a recipe"),
    ],
)
def test_recipes_of_another_form_are_refused(tmp_path, content, words):
    path = tmp_path / "mine.toml"
    path.write_bytes(content)
    with pytest.raises(ParameterError, match=words) as caught:
        load_recipe("imaging", str(path))
    assert str(path) in str(caught.value)


def test_a_mark_of_byte_order_is_no_part_of_a_recipe(tmp_path):
    (tmp_path / "mine.toml").write_bytes(b"\xef\xbb\xbftitle = 'x'")
    assert load_recipe("imaging", str(tmp_path / "mine.toml")).title == "x"


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("jump.rejection_threshold=nan", "rejection_threshold is nan; a finite number is needed"),
        ("jump.rejection_threshold=[1, nan]", "rejection_threshold is nan"),
        ("jump.rejection_threshold=inf", "rejection_threshold is inf"),
        ("jump.rejection_threshold=-inf", "rejection_threshold is -inf"),
        ("jump.rejection_threshold=1e999", "rejection_threshold is inf"),
        ("jump.rejection_threshold=Infinity", "rejection_threshold is Infinity"),
        ("min_trace_sigma=NaN", "min_trace_sigma is NaN"),
        ("jump.rejection_threshold={a = 1}", "rejection_threshold is a table"),
        ("reuse={a = 1}", "reuse is a table"),
        ("jump.maximum_cores=x", "maximum_cores is x: none, quarter, half, all or"),
        ("ramp_fit.maximum_cores=0", "maximum_cores is 0"),
    ],
)
def test_values_that_no_parameter_can_have(setting, words):
    with pytest.raises(ParameterError, match=words):
        Recipe("test").with_settings([setting]).check(LrsPipeline)


def test_a_word_is_no_number_where_words_are_taken():
    Recipe("test").with_settings(["author=Infinity"]).check(LrsPipeline)


def test_a_number_without_end():
    with pytest.raises(ParameterError, match="Exceeds the limit"):
        Recipe("test").with_settings(["jump.rejection_threshold=" + "9" * 5000])


def test_a_recipe_that_is_no_name():
    with pytest.raises(ParameterError, match="recipe is 3: its name, or the path of a file, is needed"):
        load_recipe("imaging", 3)


@pytest.mark.parametrize(
    ("step", "table", "words"),
    [
        (
            "jump",
            {"rejection_threshold": -5.0},
            r"^jump\.rejection_threshold is -5\.0: too small; float\(min=0\) is needed$",
        ),
        ("jump", {"rejection_threshold": "abc"}, r"^jump\.rejection_threshold is abc: of the wrong type; float"),
        ("extract_1d_box", {"units": "Jy"}, r'^extract_1d_box\.units is Jy: unacceptable; option\("DN/s"'),
    ],
)
def test_a_refused_value_is_named_as_it_is_set_with_what_is_taken(step, table, words):
    with pytest.raises(ParameterError, match=words):
        build_pipeline(LrsPipeline, None, steps={step: table})


def test_crds_that_would_end_the_process_while_a_pipeline_is_made_is_an_error(monkeypatch):
    def give_up(*args, **kwargs):
        raise SystemExit(-1)

    monkeypatch.setenv("CRDS_SERVER_URL", "https://crds.example.org")
    monkeypatch.setattr(LrsPipeline, "build_config", give_up)
    monkeypatch.setattr(LrsPipeline, "build_config_of_recipe", give_up, raising=False)
    with pytest.raises(ReferenceMissing, match=r"no answer from https://crds\.example\.org"):
        build_pipeline(LrsPipeline, "a_uncal.fits")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("jump.rejection_threshold=nan", "setting jump.rejection_threshold: rejection_threshold is nan"),
        ("jmp.rejection_threshold=4", 'setting jmp.rejection_threshold: no step "jmp" (did you mean "jump"?)'),
        ("jump.rejection_treshold=4", 'setting jump.rejection_treshold: no parameter "rejection_treshold"'),
        ("extracton=box", 'setting extracton: no parameter "extracton" (did you mean "extraction"?)'),
        ("jump.output_dir=x", "setting jump.output_dir: output_dir is x"),
    ],
)
def test_a_wrong_setting_is_not_sought_in_the_recipe(setting, words):
    """A mistake of the recipe is one of the recipe, that of a setting one of the setting."""
    with pytest.raises(ParameterError) as caught:
        load_recipe("lrs", None).with_settings([setting]).check(LrsPipeline)
    assert str(caught.value).startswith(words)
    assert "recipe" not in str(caught.value)
    wrong = Recipe("mine", "", {}, {"jmp": {"rejection_threshold": 4}, "jump": {"rejection_threshold": 4}})
    with pytest.raises(ParameterError, match='recipe "mine", step jmp: no step "jmp"'):
        wrong.with_settings(["jump.rejection_threshold=5"]).check(LrsPipeline)


def test_a_wrong_setting_of_a_later_stage_is_named_with_its_stage():
    recipe = Recipe("stage3").with_settings(["jump.skip_=true"], stage="stage3")
    with pytest.raises(ParameterError, match=r"^setting stage3\.jump\.skip_: no parameter"):
        recipe.check(LrsPipeline)


@pytest.mark.parametrize(
    ("mode", "settings", "words"),
    [
        ("lrs", ["clean_outliers.outlier_threshold=-1"], "outlier_threshold is -1"),
        ("lrs", ["clean_outliers.poly_order=-1"], "poly_order is -1: 0 or more"),
        ("lrs", ["set_custom_gain.skip=false", "set_custom_gain.gain_value=0"], "gain_value is 0"),
        ("coron", ["saturation.n_pix_grow_sat=-3"], "saturation.n_pix_grow_sat is -3: 0 or more"),
        ("imaging", ["wisps.mask_file=none.fits"], "wisps.mask_file is none.fits: no such file"),
        ("imaging", ["stripes.mask_file=none.fits"], "stripes.mask_file is none.fits: no such file"),
    ],
)
def test_what_no_data_could_make_right_is_refused_before_any_are_read(mode, settings, words):
    """Not after a stage that takes most of the time, and not once for every exposure."""
    recipe, kind = load_recipe(mode, None).with_settings(settings), pipeline_of(mode)
    with pytest.raises(DetectoristError, match=words):
        build_pipeline(kind, None, steps=recipe.steps, **recipe.parameters)
    step = settings[-1].partition(".")[0]
    skipped = recipe.with_settings([f"{step}.skip=true"])
    build_pipeline(kind, None, steps=skipped.steps, **skipped.parameters)


def test_a_folder_of_templates_that_is_not_there_matters_to_detectors_with_wisps_only():
    """One command serves images of all detectors; those with wisps are told when their own turn comes."""
    kind = pipeline_of("imaging")
    recipe = load_recipe("imaging", None).with_settings(["wisps.template_dir=/nowhere"])
    build_pipeline(kind, None, steps=recipe.steps, **recipe.parameters)


def test_a_parameter_file_of_another_mode_is_named_as_one(tmp_path):
    """It was refused for the first parameter that the other pipeline lacks."""
    from detectorist.reduction.recipes.recipe_export import recipe_as_asdf

    path = tmp_path / "mine.asdf"
    path.write_text(recipe_as_asdf("imaging", "ceers"))
    with pytest.raises(ParameterError, match=r"mine\.asdf: pipeline is 'ImagingPipeline'; one for LrsPipeline"):
        load_recipe("lrs", str(path))
    assert load_recipe("imaging", str(path)).steps


def test_a_step_alone_refuses_what_no_data_could_make_right():
    """The commands for single corrections build a step, not a pipeline."""
    from detectorist.stage_1 import StripesStep

    assert build_pipeline(StripesStep, None).class_alias == "stripes"
    with pytest.raises(DetectoristError, match=r"stripes\.mask_file is none\.fits: no such file"):
        build_pipeline(StripesStep, None, mask_file="none.fits")
