"""The scripts in `benchmarks` take hours: that they still find what they use is seen without running them."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
SCRIPTS = sorted(FOLDER.glob("*.py"))
COMMANDS = [path for path in SCRIPTS if "ArgumentParser" in path.read_text()]


def name_of(path):
    return path.name


@pytest.mark.parametrize("path", SCRIPTS, ids=name_of)
def test_every_name_from_the_package_exists(path):
    """Late imports too: they would fail only after a scene has been simulated."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("detectorist"):
            module = importlib.import_module(node.module)
            missing = [alias.name for alias in node.names if not hasattr(module, alias.name)]
            submodules = {alias for alias in missing if importlib.util.find_spec(f"{node.module}.{alias}")}
            assert set(missing) == submodules, f"{path.name}, line {node.lineno}: {node.module}"


@pytest.mark.parametrize("path", COMMANDS, ids=name_of)
def test_help_is_shown(path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, path.name, "--help"], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "usage:" in done.stdout


def test_every_module_can_be_imported():
    """In one process, as `validation.py` imports those that it is asked for."""
    code = "\n".join(f"import {path.stem}" for path in SCRIPTS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
