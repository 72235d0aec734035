"""The fast parser reads asdf's manifests as asdf's own does."""

import subprocess
import sys

import yaml
from stdatamodels.jwst.datamodels import RampModel

SCRIPT = """
import yaml
from asdf.extension import _manifest
import asdf
fast = {fast}
if fast:
    from detectorist.libraries.asdf_extensions import load_extensions
    slow = []
    original, yaml.safe_load = yaml.safe_load, lambda text: slow.append(text) or original(text)
    load_extensions()
    assert not slow and _manifest.yaml is yaml
for extension in asdf.get_config().extensions:
    print(extension.extension_uri, [t.tag_uri for t in extension.tags], len(extension.converters))
"""


def told(fast):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", SCRIPT.format(fast=fast)], capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def test_the_extensions_are_those_that_asdf_loads_itself():
    assert yaml.__with_libyaml__
    fast = told(True)
    assert len(fast) > 30
    assert fast == told(False)


FIRST_LOOK = """
import sys
import yaml
slow = []
original = yaml.safe_load
yaml.safe_load = lambda text: slow.append(text) or original(text)
from pathlib import Path
from detectorist.errors import InputError
from detectorist.reduction.inputs.headers import require_sound_header
try:
    require_sound_header(Path(sys.argv[1]))
except InputError as error:
    assert "DETECTOR" in str(error)  # found in the metadata: the file has been read
print(len(slow))
"""


def test_the_first_look_at_a_file_does_not_load_them_slowly(tmp_path):
    file = tmp_path / "jw00001001001_02101_00001_nrcb4_uncal.fits"
    with RampModel((1, 3, 32, 32)) as ramp:
        ramp.meta.exposure.nints, ramp.meta.exposure.ngroups = 1, 3
        ramp.meta.instrument.name, ramp.meta.instrument.filter = "NIRCAM", "F200W"
        ramp.save(file)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FIRST_LOOK, file], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["0"]
