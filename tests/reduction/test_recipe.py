"""Recipes: every name checked, every layer in its order."""

import pytest

from detectorist.errors import ParameterError
from detectorist.modes.lrs.pipeline import LrsPipeline
from detectorist.modes.lrs.reduction import build_pipeline
from detectorist.reduction.recipe import Recipe
from detectorist.reduction.recipe_files import builtin_recipes, choose_lrs_recipe, load_recipe


@pytest.mark.parametrize("name", builtin_recipes("lrs"))
def test_builtin_recipes_construct(name):
    recipe = load_recipe("lrs", name)
    recipe.check(LrsPipeline)
    pipeline = build_pipeline(LrsPipeline, None, steps=recipe.steps, **recipe.parameters)
    for step, table in recipe.steps.items():
        for parameter, value in table.items():
            assert getattr(getattr(pipeline, step), parameter) == value, (step, parameter)


def test_the_published_values():
    short, long = load_recipe("lrs", "short").steps, load_recipe("lrs", "long").steps
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


@pytest.mark.parametrize(("n_groups", "name"), [(5, "short"), (39, "short"), (40, "long"), (300, "long")])
def test_choice_by_number_of_groups(n_groups, name):
    assert choose_lrs_recipe(n_groups) == name


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
    with pytest.raises(ParameterError, match='did you mean "short"'):
        load_recipe("lrs", "shrot")


def test_broken_toml_names_the_file(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("[steps")
    with pytest.raises(ParameterError, match="mine.toml: not valid TOML"):
        load_recipe("lrs", str(path))


def test_a_wrong_type_is_found_before_any_exposure_starts():
    with pytest.raises(ParameterError, match="poly_order"):
        build_pipeline(LrsPipeline, None, steps={"clean_outliers": {"poly_order": "many"}})
