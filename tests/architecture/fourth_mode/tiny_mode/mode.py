from pathlib import Path

from detectorist.errors import InputError
from detectorist.modes import Mode
from detectorist.modes.job import Outcome
from detectorist.reduction.products import write_text


class TinyMode(Mode):
    name = "tiny"
    title = "text files: how long they are"
    suffixes = ("_uncal.txt",)

    def exposure_of(self, path):
        return path.name.removesuffix("_uncal.txt")

    def check(self, job):
        pass

    def reduce(self, job, progress):
        text = Path(job.files[0]).read_text()
        if not text:
            raise InputError(f"{job.files[0]}: empty; text is needed")
        progress(1, 1, "counting")
        times = int(job.options.get("times", 1))
        target = write_text(str(times * len(text)), Path(job.output_dir) / "length.txt")
        return Outcome([target], {"exposure": {"length": times * len(text)}}, resolved={"pipeline": "Tiny"})

    def steps_of(self, job):
        return ["count"]

    def section(self):
        from tiny_mode.report import TinySection

        return TinySection()

    def summarise(self, record):
        return [f"{record.steps['exposure']['length']} bytes"]
