"""Keys of jobs: a digest of everything that a job's products depend on besides its input."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from detectorist.modes import Mode
from detectorist.modes.job import Job

#: Words of a setting that may name files.
_WORDS = re.compile(r"[^\s\"',\[\]]+\.(?:fits|fits\.gz|asdf)\b")


def versions_of(mode: Mode) -> dict[str, str]:
    """Return the releases of the packages that a mode's products depend on."""
    found = {}
    for name in mode.packages():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


def with_keys(mode: Mode, jobs: Sequence[Job]) -> list[Job]:
    """Return jobs with their keys: digests of mode, recipe, settings, references and versions."""
    versions = versions_of(mode)
    states: dict[str | None, Any] = {}
    recipes: dict[str | None, str] = {}
    files: dict[str, str] = {}
    keyed = []
    for job in jobs:
        if job.references not in states:
            states[job.references] = _reference_state(job.references)
        if job.recipe not in recipes:
            recipes[job.recipe] = _recipe_text(mode, job.recipe)
        parts = {
            "mode": job.mode,
            "recipe": recipes[job.recipe],
            "settings": [_by_content(text, files) for text in job.settings],
            "references": states[job.references],
            "versions": versions,
        }
        digest = hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
        keyed.append(replace(job, key=digest[:32]))
    return keyed


def _recipe_text(mode: Mode, name: str | None) -> str:
    """Return a recipe in full: what its name stands for is part of what products depend on."""
    if not mode.pipeline:
        return name or ""
    from detectorist.reduction.recipes.recipe_files import DEFAULT, read_recipe_text

    return read_recipe_text(mode.name, name or DEFAULT)


def _by_content(setting: str, seen: dict[str, str]) -> str:
    """Let a setting that names a file count by the file's content."""
    files = [word for word in _WORDS.findall(setting.partition("=")[2]) if Path(word).is_file()]
    for path in files:
        if path not in seen:
            with open(path, "rb") as handle:
                seen[path] = hashlib.file_digest(handle, "sha256").hexdigest()
    return "#".join([setting, *(seen[path] for path in files)])


def _reference_state(references: str | None) -> Any:
    """Tell a folder by names, sizes and times of its files, CRDS by its context."""
    folder = Path(references) if references else None
    if folder is None or not folder.is_dir():
        return [references, os.environ.get("CRDS_CONTEXT", "")]
    files = sorted(path for path in (folder / "references").rglob("*") if path.is_file())
    return [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
