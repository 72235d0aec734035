"""Small raw exposures of every mode, for tests that all modes have to pass."""

import pytest


def write_lrs(folder):
    from detectorist.simulate.lrs.scene import LrsScene

    LrsScene().write(folder, ints=2, groups=6, segments=1, seed=11)


def write_imaging(folder):
    from detectorist.simulate.imaging.scene import ImagingScene

    ImagingScene().with_detector(size=128, outputs=1, pattern="RAPID").write(folder, groups=4, seed=11)


def write_coron(folder):
    from detectorist.simulate.coron.scene import MiriCoronScene

    MiriCoronScene().write(folder, ints=2, groups=4, rolls=1, dithers=0, backgrounds=False, seed=11)


WRITERS = {"lrs": write_lrs, "imaging": write_imaging, "coron": write_coron}


@pytest.fixture(scope="session")
def raw_of(tmp_path_factory):
    """Return a function that returns the folder of a mode's exposure: raw files and `crds/`, made once."""
    made = {}

    def folder_of(mode):
        if mode not in made:
            made[mode] = tmp_path_factory.mktemp(f"{mode}_raw")
            WRITERS[mode](made[mode])
        return made[mode]

    return folder_of
