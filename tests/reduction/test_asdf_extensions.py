"""The fast parser reads asdf's manifests as asdf's own does."""

import subprocess
import sys

import yaml

SCRIPT = """
import yaml
from asdf.extension import _manifest
import asdf
fast = {fast}
if fast:
    from detectorist.reduction.asdf_extensions import load_extensions
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
