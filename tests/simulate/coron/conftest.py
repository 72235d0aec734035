"""The exposures of a small programme with each instrument."""

import pytest

from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene

SCENES = {"nircam": CoronScene, "miri": MiriCoronScene}


@pytest.fixture(scope="module", params=sorted(SCENES))
def written(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    scene = SCENES[request.param]()
    return scene, folder, scene.write(folder, ints=2, groups=4, rolls=2, dithers=2, seed=4)
