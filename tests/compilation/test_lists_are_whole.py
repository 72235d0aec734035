"""What a run of a mode compiles is in its list, and so compiled ahead."""

import json
import subprocess
import sys

import pytest

from detectorist.compilation.kernel_lists import read_list
from detectorist.modes import MODES, load_mode

RUN = """
import json, sys
from detectorist.cli import main
from detectorist.compilation.record import kernels_in_use
sys.argv[0] = "detectorist"
try:
    main()
finally:
    print(json.dumps(kernels_in_use()))
"""


@pytest.mark.long
@pytest.mark.parametrize("mode", MODES)
def test_a_run_uses_no_kernel_that_is_not_listed(mode, tmp_path):
    scene = tmp_path / "scene"
    detectorist = [sys.executable, "-W", "ignore", "-m", "detectorist"]
    subprocess.run([*detectorist, "simulate", mode, "-o", scene, "--seed", "3", "--quiet"], check=True)
    how = ["--references", scene / "crds", "-o", tmp_path / "out", "--quiet"]
    wisps = ["--wisp-templates", scene / "wisps"] if (scene / "wisps").is_dir() else []
    command = [sys.executable, "-W", "ignore", "-c", RUN, "run", mode, *scene.glob("*_uncal.fits"), *how, *wisps]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    used = json.loads(done.stdout.splitlines()[-1])
    listed = read_list(load_mode(mode).kernels())
    assert len(used) > 10
    assert {name: [one for one in found if one not in listed.get(name, [])] for name, found in used.items()} == {
        name: [] for name in used
    }
