"""Commands of the pages that a newcomer reads first, run as they stand, one after the other in an empty folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
#: What makes an environment, which the tests run in already, or runs all that stands below it.
NOT_HERE = ("make ", "pip ", "git ", "cd ")


def commands(page: str) -> list[str]:
    """Return the lines of all shell blocks of a page that are run here."""
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    lines = [line for block in blocks for line in block.splitlines() if line and not line.startswith("#")]
    return [line for line in lines if not line.startswith(NOT_HERE)]


@pytest.mark.long
@pytest.mark.parametrize("page", ["README.md", "docs/getting_started.md"])
def test_every_command_runs(page, tmp_path):
    wanted = commands(page)
    assert len(wanted) >= 5
    beside = str(Path(sys.executable).parent)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CRDS_")}
    environment |= {"PATH": f"{beside}{os.pathsep}{os.environ['PATH']}"}
    for line in wanted:
        done = subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stderr[-2000:]}"
