"""Exposures in the order of time: who waits for whom, and what is found of those that are done."""

from pathlib import Path

from detectorist.campaign.ledger import Entry
from detectorist.campaign.order import in_order_of_time, what_was_left
from detectorist.modes import ExposureInterval, Mode
from detectorist.modes.job import CRASHED, DONE, Job, JobRecord, Product

DAY_S = 86400.0


class Timed(Mode):
    """A mode whose exposures tell detector, start and end (s) by their option."""

    name = "timed"

    def check(self, job):
        """Nothing can be wrong."""

    def reduce(self, job, progress):
        raise NotImplementedError

    def interval(self, job):
        told = job.options.get("seen")
        return told and ExposureInterval(told[0], 60000 + told[1] / DAY_S, 60000 + told[2] / DAY_S)


def job(name, *seen, mode="timed"):
    return Job(name, mode, (f"/raw/{name}.fits",), f"/out/{name}", options={"seen": seen or None})


def entry(one, state=DONE, products=()):
    made = [Product(path, 1, 1, 1, "") for path in products]
    return Entry(one, state, 1, "", JobRecord(one.name, state, products=made))


def after(jobs, known=(), time_s=1000.0):
    ordered = in_order_of_time(Timed(), jobs, {one.job.name: one for one in known}, time_s)
    return {one.name: one.after for one in ordered}


def test_earlier_exposures_on_the_same_detector_within_the_time():
    jobs = [
        job("late", "A", 2000, 2100),
        job("first", "A", 0, 100),
        job("other", "B", 0, 100),
        job("mid", "A", 900, 950),
    ]
    found = after(jobs)
    assert list(found) == ["first", "other", "mid", "late"]
    # From the end of the first to the start of the middle 800 s; to the late one 1900 s, from the middle one 1050 s.
    assert found == {"first": (), "other": (), "mid": ("first",), "late": ()}
    assert after(jobs, time_s=1100)["late"] == ("mid",)
    assert after(jobs, time_s=1900.5)["late"] == ("first", "mid")


def test_exposures_that_tell_no_time_come_first_and_wait_for_nobody():
    found = after([job("timed", "A", 10, 20), job("untold")])
    assert list(found) == ["untold", "timed"]
    assert found["timed"] == ()


def test_no_exposure_waits_for_itself_or_for_one_that_began_with_it():
    assert after([job("a", "A", 0, 100), job("b", "A", 0, 100)]) == {"a": (), "b": ()}


def test_exposures_that_an_earlier_run_has_reduced_count_too():
    known = [entry(job("before", "A", 0, 100)), entry(job("elsewhere", "A", 0, 100, mode="imaging"))]
    assert after([job("now", "A", 200, 300)], known) == {"now": ("before",)}


def test_what_is_left_by_those_that_are_done():
    later = Job("c", f"{__name__}:Timed", (), "/out/c", after=("a", "b", "gone"))
    names = ("a_rate.fits", "a_saturated.fits", "a_earlier_saturated.fits")
    entries = {
        "a": entry(job("a"), products=names),
        "b": entry(job("b"), CRASHED, products=("b_saturated.fits",)),
    }
    assert what_was_left(later, entries) == (str(Path("/out/a/a_saturated.fits")),)
