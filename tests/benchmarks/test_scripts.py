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


def run(code):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), *sys.path])}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER, env=environment, capture_output=True, text=True, check=False
    )


def test_help_of_every_script_is_shown():
    """In one process: each by itself would import the standard pipeline once more."""
    done = run(f"""
import contextlib, io, runpy, sys
for path in {[str(path) for path in COMMANDS]}:
    shown = io.StringIO()
    sys.argv = [path, "--help"]
    try:
        with contextlib.redirect_stdout(shown):
            runpy.run_path(path, run_name="__main__")
    except SystemExit as ended:
        print(path, ended.code, "usage:" in shown.getvalue())
""")
    assert done.stdout.splitlines() == [f"{path} 0 True" for path in COMMANDS], done.stderr[-2000:]


def test_every_module_can_be_imported():
    """In one process, as `validation.py` imports those that it is asked for."""
    done = run("\n".join(f"import {path.stem}" for path in SCRIPTS))
    assert done.returncode == 0, done.stderr[-2000:]


def test_notes_of_a_page_outlive_a_new_measurement(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(FOLDER)
    from page_notes import notes_of

    page = tmp_path / "page.md"
    assert notes_of(page) == ""
    page.write_text("# Title\n\n| a |\n\n## Notes\n\nWhat it **means**.\n\nAnd why.\n\n## All cases\n\n| b |\n")
    assert notes_of(page) == "## Notes\n\nWhat it **means**.\n\nAnd why.\n"
    page.write_text("# Title\n\n| a |\n\n" + notes_of(page))
    assert notes_of(page) == "## Notes\n\nWhat it **means**.\n\nAnd why.\n"
