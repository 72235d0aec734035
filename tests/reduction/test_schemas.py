"""Schema documents of asdf are parsed once while a pipeline runs, and validation stays what it is."""

import numpy as np
import pytest
from asdf import schema as asdf_schema
from stdatamodels.exceptions import ValidationWarning
from stdatamodels.jwst.datamodels import ImageModel

from detectorist.reduction import schemas


@pytest.fixture
def parsed(monkeypatch):
    """A list of what was parsed."""
    seen, load = [], asdf_schema.yaml.load

    def load_and_note(content, *args, **kwargs):
        seen.append(content)
        return load(content, *args, **kwargs)

    monkeypatch.setattr(asdf_schema.yaml, "load", load_and_note)
    return seen


def test_documents_are_parsed_once(parsed):
    model = ImageModel()
    with schemas.parsed_once():
        model.data = np.zeros((4, 4), np.float32)
        once = len(parsed)
        for _ in range(3):
            model.data = np.zeros((4, 4), np.float32)
        assert len(parsed) == once
    model.data = np.zeros((4, 4), np.float32)
    assert len(parsed) > once  # or asdf does it itself by now, and this module has no purpose any more


def test_asdf_is_left_as_it_was():
    before = getattr(asdf_schema, schemas.FACTORY)
    with schemas.parsed_once():
        with schemas.parsed_once():
            pass
        assert getattr(asdf_schema, schemas.FACTORY) is not before
    assert getattr(asdf_schema, schemas.FACTORY) is before


def test_asdf_is_left_as_it_was_after_an_error():
    before = getattr(asdf_schema, schemas.FACTORY)
    with pytest.raises(ZeroDivisionError), schemas.parsed_once():
        1 / 0  # noqa: B018
    assert getattr(asdf_schema, schemas.FACTORY) is before


def test_wrong_values_are_refused_as_ever():
    model = ImageModel()
    with schemas.parsed_once():
        for _ in range(2):
            with pytest.warns(ValidationWarning):
                model.meta.exposure.ngroups = "many"


def test_with_another_asdf_nothing_is_done(monkeypatch):
    monkeypatch.delattr(asdf_schema, schemas.FACTORY)
    with schemas.parsed_once():
        assert not hasattr(asdf_schema, schemas.FACTORY)
