"""Blocks of Python and TOML on pages that are no notebooks run as they stand."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
#: Blocks on real data: with the orbit of a planet, or references from CRDS.
REAL = ("mid_time=2459915.121", 'references="crds"')
#: Real names that pages mention; here they are the simulated exposure.
NAMED = re.compile(r'"(jw02783\w+-seg001_mirimage_uncal\.fits)"')


def blocks(language):
    """Return (page, number, text) of the blocks of a language."""
    found = []
    for page in PAGES:
        if "_build" not in page.parts:
            parts = re.findall(rf"```{language}\n(.*?)```", page.read_text(), flags=re.S)
            found += [pytest.param(part, id=f"{page.stem}-{k}") for k, part in enumerate(parts)]
    return found


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with a simulated exposure in `sim` and its reduction in `out`."""
    from detectorist import reduce_lrs
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("blocks")
    files = LrsScene().write(folder / "sim", ints=6, groups=12, segments=1, seed=7)
    (entry,) = reduce_lrs(files, folder / "out", references=folder / "sim" / "crds").values()
    assert entry.state == "done", entry.record.message
    return folder


RUN = """
import sys, types, builtins
import matplotlib
matplotlib.use("agg")
cluster = types.ModuleType("dask_jobqueue")
class SLURMCluster:
    scheduler_address = "tcp://localhost:8786"
    def __init__(self, *, cores, processes, memory, walltime, job_extra_directives, scheduler_options):
        assert cores == processes == 1
    def adapt(self, *, minimum, maximum):
        assert minimum < maximum
cluster.SLURMCluster = SLURMCluster
sys.modules["dask_jobqueue"] = cluster
builtins.input = lambda words: ""
from detectorist.crds_source import use_references
use_references("sim/crds")
exec(compile(open(sys.argv[1]).read(), sys.argv[1], "exec"), {"__name__": "__main__"})
"""


@pytest.mark.long
@pytest.mark.parametrize("text", blocks("python"))
def test_python_runs(text, workplace, tmp_path):
    if any(words in text for words in REAL):
        pytest.skip("for real data")
    for name in ("sim", "out"):
        if f'write("{name}"' not in text:
            (tmp_path / name).symlink_to(workplace / name)
        (tmp_path / f"{name}_lrs").symlink_to(workplace / name)
    (tmp_path / "old").symlink_to(workplace / "out")
    raw = next((workplace / "sim").glob("*_uncal.fits"))
    for name in NAMED.findall(text):
        (tmp_path / name).symlink_to(raw)
    references = "sim/crds" if (tmp_path / "sim").exists() else str(workplace / "sim" / "crds")
    (tmp_path / "block.py").write_text(text)
    (tmp_path / "run.py").write_text(RUN.replace("sim/crds", references))
    done = subprocess.run(
        [sys.executable, "run.py", "block.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize("text", blocks("toml"))
def test_toml_is_understood(text, tmp_path):
    table = tomllib.loads(text)
    if "mode" in table:
        from detectorist.campaign.campaign_file import read_campaign

        (tmp_path / "raw").mkdir()
        (tmp_path / "raw" / "jw1_uncal.fits").touch()
        path = tmp_path / "campaign.toml"
        path.write_text(text)
        assert read_campaign(path).mode == table["mode"]
    else:
        assert isinstance(table, dict)
