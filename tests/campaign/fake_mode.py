"""A mode that costs nothing: an "exposure" is a text file whose words say what happens to it."""

import ctypes
import hashlib
import os
import resource
import shutil
import sys
import time
from pathlib import Path
from typing import ClassVar

from detectorist.atomic_files import whole_file
from detectorist.errors import InputError, ParameterError
from detectorist.modes import ExposureInterval, Mode, Outcome, Prediction, Stage


def write_in_two_halves(text, target, pause):
    with whole_file(target) as partial, open(partial, "w") as handle:
        handle.write(text[: len(text) // 2])
        handle.flush()
        time.sleep(pause)
        handle.write(text[len(text) // 2 :])
    return target


class FakeMode(Mode):
    name = "fake"
    suffixes = ("_uncal.txt",)
    stages: ClassVar = {"stage2": "fake_mode:Shout", "stage3": "fake_mode:Join"}

    def exposure_of(self, path):
        return path.name.removesuffix("_uncal.txt")

    def packages(self):
        return ("detectorist",)

    def check(self, job):
        for setting in job.settings:
            if not setting.startswith("fake."):
                raise ParameterError(f'no step "{setting.partition(".")[0]}"')

    def predict(self, job):
        text = Path(job.files[0]).read_text(errors="replace")
        return Prediction(int(100e6) if "eat" not in text else int(600e6), 1000)

    def reduce(self, job, progress):
        text = "".join(Path(file).read_text() for file in job.files)
        for number, word in enumerate(text.split()):
            progress(number, len(text.split()), f"doing {word}")
            getattr(self, f"do_{word.partition('=')[0]}", lambda job, value: None)(job, word.partition("=")[2])
        if limit := int(os.environ.get("FAKE_FILE_LIMIT", "0")):
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        folder = Path(job.output_dir)
        content = hashlib.sha256((text + repr(job.settings)).encode()).hexdigest()
        pause = 0.03 if "slowly" in text else 0.0
        first = write_in_two_halves(content * 50, folder / "first.txt", pause)
        second = write_in_two_halves(content * 100, folder / "second.txt", pause)
        if "nothing" in text:
            return Outcome(skipped="nothing to do")
        return Outcome([first, second, *getattr(self, "made", [])], {"fake": {"words": len(text.split())}})

    def interval(self, job):
        words = dict(word.partition("=")[::2] for word in Path(job.files[0]).read_text().split())
        if "det" not in words:
            return None
        start = 61000 + float(words["at"]) / 86400
        return ExposureInterval(words["det"], start, start + 100 / 86400)

    def persistence_settings(self, time_s):
        return (f"fake.persistence={time_s}",)

    def do_leaves(self, job, value):
        """Leave a value to later exposures, and write down what earlier ones have left."""
        left = " ".join(sorted(Path(path).read_text() for path in job.left))
        self.made = [
            write_in_two_halves(value, Path(job.output_dir) / f"{job.name}_saturated.fits", 0),
            write_in_two_halves(left, Path(job.output_dir) / "received.txt", 0),
        ]

    def do_sleep(self, job, value):
        time.sleep(float(value))

    def do_rewrite(self, job, value):
        """Let somebody else write to the raw file, once."""
        path = Path(job.files[0])
        path.write_text(path.read_text().replace("rewrite", "rewritten"))

    def do_remove(self, job, value):
        """Let somebody else remove the output folder, or a file of it."""
        folder = Path(job.output_dir).parent
        target = folder / value
        shutil.rmtree(target) if target.is_dir() else target.unlink()

    def do_replace(self, job, value):
        """Let somebody else write a file where the output folder was."""
        folder = Path(job.output_dir).parent
        shutil.rmtree(folder)
        folder.write_text("x")

    def do_set_clock_back(self, job, value):
        """Let the clock of this machine be set back by days."""
        now = time.time
        time.time = lambda: now() - float(value)

    def do_touch(self, job, value):
        Path(job.files[0]).touch()

    def do_bad(self, job, value):
        raise InputError("the data are bad", n_bad=3)

    def do_crash(self, job, value):
        raise RuntimeError("unforeseen")

    def do_exit(self, job, value):
        print("goodbye")
        sys.exit(-1)

    def do_die(self, job, value):
        os.kill(os.getpid(), 9)

    def do_segfault(self, job, value):
        ctypes.string_at(0)

    def do_die_once(self, job, value):
        marker = Path(job.output_dir) / "tried"
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), 9)

    def do_grow(self, job, value):
        """Take memory that nothing predicts."""
        self.do_eat(job, value)

    def do_eat(self, job, value):
        self.food = bytearray(int(float(value)))
        self.food[::4096] = b"x" * len(self.food[::4096])
        time.sleep(1.0)


class Later(Stage):
    """What the stages after the first have in common: settings must begin with their own word."""

    word = ""

    def packages(self):
        return ("detectorist",)

    def check(self, job):
        for setting in job.settings:
            if not setting.startswith(f"{self.word}."):
                raise ParameterError(f'no step "{setting.partition(".")[0]}"')

    def reduce(self, job, progress):
        if not job.left:
            return Outcome(skipped="nothing was left")
        text = "".join(Path(path).read_text()[:4] for path in job.left) + "".join(job.settings)
        target = Path(job.output_dir) / f"{job.name}_{self.word}.txt"
        target.write_text(text.upper() if self.word == "shout" else text)
        return Outcome([target], {self.word: {"left": len(job.left)}})


class Shout(Later):
    name, word, takes = "fake/stage2", "shout", ("first.txt",)

    def jobs_after(self, earlier):
        return [self.job_after(f"{job.name}_stage2", [job], Path(job.output_dir).parent / "later") for job in earlier]


class Join(Later):
    name, word, takes = "fake/stage3", "join", ("_shout.txt",)

    def jobs_after(self, earlier):
        return [self.job_after("joined", earlier, Path(earlier[0].output_dir))]
