"""Campaigns of small text files in a mode of the tests' own."""

import os
import sys
from pathlib import Path

import pytest

from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan
from detectorist.campaign.run import Execution, run_campaign

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # test modules share `fake_mode` and `mutations`
MODE = "fake_mode:FakeMode"


@pytest.fixture(autouse=True)
def fake_mode_is_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))
    yield
    sys.modules.pop("fake_mode", None)


@pytest.fixture(scope="session")
def lrs_exposure(tmp_path_factory):
    """A simulated LRS exposure: two segments of five integrations of ten groups, and `crds/`."""
    from detectorist.simulate.lrs.scene import LrsScene

    folder = tmp_path_factory.mktemp("lrs")
    LrsScene().write(folder, ints=10, groups=10, segments=2, seed=5)
    return folder


@pytest.fixture
def raw(tmp_path):
    """Return a function that writes exposures, given as name=words."""

    def write(**exposures):
        folder = tmp_path / "raw"
        folder.mkdir(exist_ok=True)
        for name, words in exposures.items():
            (folder / f"{name}_uncal.txt").write_text(words)
        return sorted(folder.glob("*_uncal.txt"))

    return write


class Campaign:
    """A campaign over all files of a folder, run as often as wanted."""

    def __init__(self, out, raw_folder):
        self.out = out
        self.raw = raw_folder
        self.events = []

    def jobs(self, *settings, **kwargs):
        return make_jobs(
            PlanRequest(MODE, sorted(self.raw.glob("*_uncal.txt")), self.out, overrides=settings, **kwargs)
        )

    def plan(self, *settings, again=False, **kwargs):
        return make_plan(self.jobs(*settings, **kwargs), self.out, again=again)

    def run(self, *settings, again=False, workers=1, **execution):
        self.events.clear()
        plan = self.plan(*settings, again=again)
        return run_campaign(plan, Execution(workers=workers, **execution), report=self.events.append)

    def started(self):
        return [event.name for event in self.events if event.kind == "started"]


@pytest.fixture
def campaign(tmp_path):
    return Campaign(tmp_path / "out", tmp_path / "raw")


def products(folder):
    """Return {relative path: content} of everything below a folder that is a product."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix == ".txt"
    }
