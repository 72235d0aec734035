"""What lies in the tree is source: nothing large, nothing generated."""

import subprocess

import pytest
from imports import REPOSITORY

#: Bytes beyond which a file must be listed here, with its reason.
LARGEST = 200_000
LISTED: dict[str, str] = {}
#: Folders that runs make.
GENERATED = ("raw/", "out/", "sim/", "sim_lrs/", "calibrated/", "uncals/", "docs/_build/", "dist/")


@pytest.fixture(scope="module")
def tracked():
    done = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=False)
    if done.returncode:
        pytest.skip("no git checkout")
    return [name for name in done.stdout.decode().split("\0") if name]


def test_no_large_file_is_tracked(tracked):
    sizes = {name: (REPOSITORY / name).stat().st_size for name in tracked if (REPOSITORY / name).is_file()}
    assert {name: size for name, size in sizes.items() if size > LARGEST and name not in LISTED} == {}


def test_no_generated_folder_is_tracked_and_all_are_ignored(tracked):
    assert [name for name in tracked if name.startswith(GENERATED)] == []
    for folder in GENERATED:
        done = subprocess.run(["git", "check-ignore", "-q", f"{folder}x"], cwd=REPOSITORY, check=False)
        assert done.returncode == 0, f"{folder} is not ignored"


def test_no_source_is_ignored():
    done = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "src", "tests", "benchmarks"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    hidden = [name for name in done.stdout.split() if name.endswith((".py", ".toml", ".md", ".j2"))]
    assert hidden == []
