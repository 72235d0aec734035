"""`--references sim`: made on first use where a mode can, refused in words elsewhere."""

from pathlib import Path

import pytest

from detectorist.cli.references import folder_of_references
from detectorist.errors import ReferenceMissing


@pytest.mark.parametrize("mode", ["imaging", "nosuch"])
def test_modes_without_references_of_their_own_are_told_what_to_give(mode, tmp_path):
    with pytest.raises(ReferenceMissing, match=f"detectorist simulate {mode} -o sim: --references sim/crds"):
        folder_of_references(mode, "sim", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_was_made_before_is_used_again(tmp_path):
    config = tmp_path / "references" / "sim_lrs" / "config" / "jwst" / "server_config"
    config.parent.mkdir(parents=True)
    config.touch()
    assert folder_of_references("lrs", "sim", tmp_path) == str(config.parents[2].resolve())


@pytest.mark.parametrize("given", [None, "crds", "none"])
def test_other_words_are_handed_on(given, tmp_path):
    assert folder_of_references("lrs", given, tmp_path) == given


def test_folders_are_named_in_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("cache").mkdir()
    assert folder_of_references("lrs", "cache", tmp_path) == str(tmp_path / "cache")
