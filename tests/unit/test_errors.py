"""Errors carry their numbers, also between processes."""

import pickle

import pytest

from detectorist import errors

KINDS = [
    errors.InputError,
    errors.NoSuchFile,
    errors.ParameterError,
    errors.AlreadyCorrected,
    errors.TooFewPixels,
    errors.ReferenceMissing,
    errors.OutputError,
    errors.PlaceTaken,
    errors.ReductionFailed,
]


@pytest.mark.parametrize("kind", KINDS)
def test_errors_survive_pickling_with_their_numbers(kind):
    error = kind("one.fits: 3 groups; 5 are needed", n_groups=3, needed=5, values=[1.5, 2.0])
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) == error.message == "one.fits: 3 groups; 5 are needed"
    assert again.numbers == {"n_groups": 3, "needed": 5, "values": [1.5, 2.0]}


@pytest.mark.parametrize("kind", KINDS)
def test_all_are_caught_as_one(kind):
    with pytest.raises(errors.DetectoristError, match="what"):
        raise kind("what")


def test_they_are_what_python_would_raise():
    assert issubclass(errors.InputError, TypeError)
    assert issubclass(errors.ParameterError, ValueError)


def test_every_error_of_the_module_is_tested():
    found = {c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.DetectoristError)}
    assert found == {*KINDS, errors.DetectoristError}
