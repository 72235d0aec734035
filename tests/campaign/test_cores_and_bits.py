"""A single exposure on one core and on two: whole commands, all arrays of all products, to the last bit."""

import os
import subprocess
import sys

import pytest
import xarray as xr
from astropy.io import fits

from detectorist.libraries.numerical_threads import SETTINGS


def reduce(mode, scene, out, **said):
    environment = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    files = sorted(map(str, scene.glob("*_uncal.fits")))
    words = ["run", mode, *files, "--references", str(scene / "crds"), "--output-dir", str(out), "--quiet"]
    if mode == "imaging":
        words += ["--set", "wisps.skip=true"]
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", CODE, *words], env={**environment, **said}, check=True, timeout=300
    )


#: The command, with small arrays shared out as well; it leaves a note of how many cores it had for that.
CODE = """
import os, sys
os.sched_getaffinity = lambda pid: {0, 1}
from detectorist.engine import threads
from detectorist.libraries import idle_cores
threads._WORTH_BYTES = 0
shared, each = [], idle_cores.each
def noting(function, pieces):
    shared.append(idle_cores.number())
    return each(function, pieces)
idle_cores.each = noting
from detectorist.cli import main
try:
    main()
finally:
    open(sys.argv[sys.argv.index("--output-dir") + 1] + "/cores.txt", "w").write(str(max(shared)))
"""


def arrays(folder):
    found = {}
    for path in sorted(folder.rglob("*.fits")):
        with fits.open(path) as hdus:
            found.update(
                {(path.name, hdu.name, hdu.ver): hdu.data.tobytes() for hdu in hdus if hdu.name != "ASDF" and hdu.size}
            )
    for path in sorted(folder.rglob("*.nc")):
        with xr.open_dataset(path) as dataset:
            found.update({(path.name, name): dataset[name].values.tobytes() for name in dataset.variables})
    return found


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    folder = tmp_path_factory.mktemp("image")
    words = [
        "simulate",
        "imaging",
        "--groups",
        "5",
        "--size",
        "256",
        "--outputs",
        "4",
        "--seed",
        "15",
        "--quiet",
        "--output-dir",
    ]
    subprocess.run([sys.executable, "-m", "detectorist", *words, str(folder)], check=True, timeout=300)
    return folder


@pytest.mark.parametrize("mode", ["lrs", "imaging"])
def test_one_core_or_two(mode, request, tmp_path):
    scene = request.getfixturevalue("lrs_exposure" if mode == "lrs" else "image")
    reduce(mode, scene, tmp_path / "one", OMP_NUM_THREADS="1")
    reduce(mode, scene, tmp_path / "two")
    assert [(tmp_path / name / "cores.txt").read_text() for name in ("one", "two")] == ["1", "2"]
    one, two = arrays(tmp_path / "one"), arrays(tmp_path / "two")
    assert one.keys() == two.keys()
    assert len(one) > 5
    assert [key for key in one if one[key] != two[key]] == []
