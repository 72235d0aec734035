"""The conda environment gives what pyproject.toml asks for."""

import tomllib
from pathlib import Path

import yaml
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ENVIRONMENT = yaml.safe_load((ROOT / "environment.yml").read_text())


def test_python_is_one_that_the_package_supports():
    asked = next(one.removeprefix("python") for one in ENVIRONMENT["dependencies"] if str(one).startswith("python"))
    supported, offered = SpecifierSet(PROJECT["requires-python"]), SpecifierSet(asked)
    versions = [f"3.{minor}" for minor in range(9, 20)]
    chosen = [version for version in versions if version in offered]
    assert chosen
    assert all(version in supported for version in chosen)


def test_the_rest_is_the_package_itself_by_pip():
    names = [one for one in ENVIRONMENT["dependencies"] if isinstance(one, str)]
    by_pip = next(one["pip"] for one in ENVIRONMENT["dependencies"] if isinstance(one, dict))
    assert "pip" in names
    assert by_pip == ["."]
    assert ENVIRONMENT["channels"][0] == "conda-forge"
    assert ENVIRONMENT["name"] == "detectorist"
