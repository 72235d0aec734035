"""Steps of a pipeline copy no lines of its log, unless somebody looks at their results; what is written has them."""

import logging
from typing import ClassVar

import numpy as np
import pytest
from jwst.stpipe import Pipeline, Step
from stdatamodels.jwst.datamodels import ImageModel

from detectorist.libraries.step_logs import LogWrittenOnce

log = logging.getLogger("jwst.test_step_logs")


class Says(Step):
    class_alias = "says"
    spec = "word = string(default='first')"

    def process(self, model):
        log.info("the %s step", self.word)
        return model


class Talks(LogWrittenOnce, Pipeline):
    class_alias = "talks"
    spec = ""
    step_defs: ClassVar = {"one": Says, "two": Says}
    prefetch_references = False

    def process(self, model):
        model = self.two.run(self.one.run(model))
        self.between = list(model.cal_logs.talks)
        self.put_log(model)
        return [model.cal_logs.instance["talks"]]

    def finalize_result(self, result, used):
        """Do without the CRDS context."""


@pytest.fixture
def pipeline(caplog):
    caplog.set_level(logging.INFO, logger="jwst")
    talks = Talks()
    talks.two.word = "second"
    return talks


def lines_with(words, lines):
    return [line for line in lines if words in line]


def test_lines_are_stored_once_all_steps_have_run(pipeline):
    (written,) = pipeline.run(ImageModel(np.zeros((4, 4))))
    assert pipeline.between == []
    assert lines_with("the first step", written)
    assert lines_with("the second step", written)
    assert pipeline.log_records[: len(written)] == written


def test_a_step_whose_result_is_looked_at_has_them(pipeline, tmp_path):
    pipeline.two.save_results = True
    pipeline.output_dir = str(tmp_path)
    pipeline.run(ImageModel(np.zeros((4, 4))))
    assert lines_with("the second step", pipeline.between)
