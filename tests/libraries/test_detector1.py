"""The standard pipeline imported alone is the one that others import with all the rest."""

import subprocess
import sys


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_alone_first_and_whole_later_are_one_class():
    code = """
import sys
from detectorist.libraries.detector1 import Detector1Pipeline
print("jwst.pipeline" in sys.modules, "jwst.pipeline.calwebb_spec2" in sys.modules)
import jwst.pipeline
print(jwst.pipeline.Detector1Pipeline is Detector1Pipeline, hasattr(jwst.pipeline, "Spec2Pipeline"))
from jwst.pipeline.calwebb_detector1 import Detector1Pipeline as again
print(again is Detector1Pipeline)
"""
    assert run(code).split() == ["False", "False", "True", "True", "True"]


def test_whole_first_and_alone_later_too():
    code = """
import jwst.pipeline
from detectorist.libraries.detector1 import Detector1Pipeline
print(jwst.pipeline.Detector1Pipeline is Detector1Pipeline, hasattr(jwst.pipeline, "Spec2Pipeline"))
"""
    assert run(code).split() == ["True", "True"]
