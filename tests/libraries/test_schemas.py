"""Schema documents of asdf are parsed once while a pipeline runs, and validation stays what it is."""

import numpy as np
import pytest
from asdf import schema as asdf_schema
from asdf.extension import _serialization_context as asdf_context
from stdatamodels.exceptions import ValidationWarning
from stdatamodels.jwst.datamodels import ImageModel

from detectorist.libraries import schemas


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


def test_a_resolver_is_made_once_and_anew_where_the_last_one_is_in_a_document(monkeypatch):
    model, made, make = ImageModel(), [], getattr(asdf_schema, schemas.FACTORY)
    monkeypatch.setattr(asdf_schema, schemas.FACTORY, lambda: made.append(make()) or made[-1])
    with schemas.parsed_once():
        for _ in range(3):
            model.data = np.zeros((4, 4), np.float32)
            model.meta.exposure.ngroups = 3
        assert len(made) == 1
        made[0].push_scope("somewhere")
        model.meta.exposure.ngroups = 4
        assert len(made) == 2
        assert getattr(made[1], schemas.PLACES) == schemas.NOWHERE


def test_versions_are_checked_once_and_unknown_ones_refused():
    before = getattr(asdf_context, schemas.CHECK)
    with schemas.parsed_once():
        check = getattr(asdf_context, schemas.CHECK)
        assert check is not before
        assert check("1.6.0") == check("1.6.0") == "1.6.0"
        for _ in range(2):
            with pytest.raises(ValueError, match="not supported"):
                check("99.0.0")
    assert getattr(asdf_context, schemas.CHECK) is before
