"""Sources of reference files that cannot be used are named, with what to give instead."""

import pytest

from detectorist.crds_source import THREE_WAYS, comes_from_crds, use_references, without_crds
from detectorist.errors import ReferenceMissing


def test_a_folder_of_another_kind_is_refused(tmp_path):
    with pytest.raises(ReferenceMissing, match=r"not a CRDS cache; it must contain config/jwst/server_config"):
        use_references(tmp_path)


def test_the_word_for_simulated_references_is_explained_where_none_are_made(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ReferenceMissing, match=r"only `detectorist run` makes .* OUT/references/sim_MODE"):
        use_references("sim")


def test_a_cache_whose_context_is_missing_is_refused(tmp_path):
    config = tmp_path / "config" / "jwst" / "server_config"
    config.parent.mkdir(parents=True)
    config.write_text("{'operational_context': 'jwst_0001.pmap'}")
    with pytest.raises(ReferenceMissing, match=r"mappings/jwst/jwst_0001\.pmap.* is missing; copy the whole cache"):
        use_references(tmp_path)
    config.write_text("nothing")
    with pytest.raises(ReferenceMissing, match="operational_context cannot be read"):
        use_references(tmp_path)


def test_without_any_source_three_are_offered(monkeypatch):
    for name in ("CRDS_PATH", "CRDS_SERVER_URL"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(ReferenceMissing) as refused:
        use_references()
    assert str(refused.value) == THREE_WAYS
    assert use_references(optional=True).name == "none"


@pytest.mark.parametrize("error", [SystemExit(-1), OSError("no route")])
def test_crds_that_cannot_be_reached_is_said_with_server_and_cache(monkeypatch, tmp_path, error):
    monkeypatch.setenv("CRDS_SERVER_URL", "https://crds.example.org")
    monkeypatch.setenv("CRDS_PATH", str(tmp_path))
    said = str(without_crds(error))
    assert f"no answer from https://crds.example.org, and no cache in {tmp_path}" in said
    assert ("no route" in said) == isinstance(error, OSError)
    monkeypatch.delenv("CRDS_PATH")
    assert "CRDS_PATH, which is not set" in str(without_crds(error))
    monkeypatch.delenv("CRDS_SERVER_URL")
    assert str(without_crds(error)) == THREE_WAYS


def test_only_what_is_raised_within_crds_comes_from_it():
    within: dict = {"__name__": "crds.core.log"}
    exec("def fatal_error(): raise SystemExit(-1)", within)
    with pytest.raises(SystemExit) as of_crds:
        within["fatal_error"]()
    with pytest.raises(SystemExit) as of_others:
        raise SystemExit(1)
    assert comes_from_crds(of_crds.value)
    assert not comes_from_crds(of_others.value)
