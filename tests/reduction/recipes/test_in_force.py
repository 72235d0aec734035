"""Which parameters say what is done: no places, no words about the run itself."""

from detectorist.reduction.recipes.in_force import in_force


def test_parameters_of_pipeline_and_steps_without_places_and_words():
    resolved = {
        "recipe": "default",
        "title": "x",
        "settings": ["a=1"],
        "inputs": ["x_uncal.fits"],
        "pipeline": "LrsPipeline",
        "output_dir": "/out",
        "engine": "auto",
        "references": {"source": "crds"},
        "steps": {"jump": {"skip": False, "output_ext": ".fits", "pre_hooks": []}, "linearity": {"skip": True}},
    }
    assert in_force(resolved) == {
        ("", "engine"): "auto",
        ("jump", "skip"): False,
        ("linearity", "skip"): True,
    }


def test_a_reduction_that_did_not_get_far_has_none():
    assert in_force({}) == {}
