"""`--through`: stages after the first, whose jobs go on from what earlier ones leave."""

import pytest

from detectorist.campaign.ledger import Ledger
from detectorist.campaign.plan import PlanRequest, make_jobs, make_plan, plan_retry
from detectorist.campaign.run import Execution, run_campaign
from detectorist.errors import ParameterError
from detectorist.modes import load_mode

THREE = {"a": "one", "b": "two", "c": "three"}


def run(campaign, *settings, workers=1, **kwargs):
    campaign.events.clear()
    plan = make_plan(campaign.jobs(*settings, **kwargs), campaign.out)
    return run_campaign(plan, Execution(workers=workers), report=campaign.events.append)


def entries(campaign):
    with Ledger(campaign.out, read_only=True) as ledger:
        return ledger.entries()


def test_jobs_wait_for_those_they_go_on_from(campaign, raw):
    raw(**THREE)
    jobs = campaign.jobs(through="stage3")
    waits = {job.name: job.after for job in jobs}
    stage_2 = ("a_stage2", "b_stage2", "c_stage2")
    assert waits == {"a": (), "b": (), "c": (), **{f"{n}_stage2": (n,) for n in "abc"}, "joined": stage_2}
    assert {job.mode.partition("/")[2] for job in jobs} == {"", "stage2", "stage3"}
    assert all(job.key for job in jobs)
    assert [job.name for job in campaign.jobs(through="stage1")] == ["a", "b", "c"]


@pytest.mark.parametrize("workers", [1, 3])
def test_products_go_from_stage_to_stage(campaign, raw, workers):
    raw(**THREE)
    assert run(campaign, through="stage3", workers=workers)["done"] == 7
    found = entries(campaign)
    hashes = [(campaign.out / name / "first.txt").read_text()[:4].upper() for name in "abc"]
    assert (campaign.out / "later" / "joined_join.txt").read_text() == "".join(hashes)
    assert [len(found[name].record.inputs) for name in ("a", "a_stage2", "joined")] == [1, 1, 3]
    run(campaign, through="stage3", workers=workers)
    assert campaign.started() == []


def test_going_on_later_keeps_the_first_stage(campaign, raw):
    raw(**THREE)
    run(campaign)
    run(campaign, through="stage2")
    assert campaign.started() == ["a_stage2", "b_stage2", "c_stage2"]


def test_settings_belong_to_their_stage(campaign, raw):
    raw(**THREE)
    run(campaign, through="stage3")
    run(campaign, "stage3.join.with=comma", through="stage3")
    assert campaign.started() == ["joined"]
    assert (campaign.out / "later" / "joined_join.txt").read_text().endswith("join.with=comma")
    with pytest.raises(ParameterError, match='no step "joni"'):
        campaign.jobs("stage3.joni.with=comma", through="stage3")
    with pytest.raises(ParameterError, match="ends before stage3; add --through stage3"):
        campaign.jobs("stage3.join.with=comma", through="stage2")


def test_a_changed_exposure_changes_what_follows(campaign, raw):
    raw(**THREE)
    run(campaign, through="stage3")
    before = (campaign.out / "later" / "joined_join.txt").read_text()
    raw(b="another word")
    run(campaign, through="stage3")
    assert campaign.started() == ["b", "b_stage2", "joined"]
    assert (campaign.out / "later" / "joined_join.txt").read_text() != before


def test_a_failed_exposure_is_left_out_and_taken_in_once_it_is_there(campaign, raw):
    raw(a="one", b="bad", c="three")
    assert run(campaign, through="stage3") == {"done": 5, "unprocessable": 1, "crashed": 0, "skipped": 1}
    assert entries(campaign)["joined"].record.steps["join"]["left"] == 2
    raw(b="two")
    run(campaign, through="stage3")
    assert campaign.started() == ["b", "b_stage2", "joined"]
    assert entries(campaign)["joined"].record.steps["join"]["left"] == 3


def test_damaged_products_are_made_again(campaign, raw):
    raw(**THREE)
    run(campaign, through="stage3")
    (campaign.out / "later" / "c_stage2_shout.txt").unlink()
    run(campaign, through="stage3")
    assert campaign.started() == ["c_stage2"]  # it came out the same


def test_a_stage_that_crashed_is_tried_again(campaign, raw):
    raw(a="crash")
    assert run(campaign, through="stage3")["crashed"] == 1
    raw(a="one")
    plan = plan_retry(campaign.out)
    run_campaign(plan, Execution(workers=1), report=campaign.events.append)
    assert [event.name for event in campaign.events if event.kind == "started"][-3:] == ["a", "a_stage2", "joined"]


def test_one_exposure_needs_no_other_process(campaign, raw):
    raw(a="one")
    plan = make_plan(campaign.jobs(through="stage3"), campaign.out)
    run_campaign(plan, Execution(), report=campaign.events.append)
    assert [event.numbers["workers"] for event in campaign.events if event.kind == "planned"] == [1]


def test_unknown_stages(campaign, raw, tmp_path):
    (file,) = raw(a="one")
    with pytest.raises(ParameterError, match='--through stage33.*did you mean "stage3"'):
        make_jobs(PlanRequest("fake_mode:FakeMode", [file], tmp_path, through="stage33"))
    with pytest.raises(ParameterError, match='no stage "stage9"'):
        load_mode("fake_mode:FakeMode/stage9")
    with pytest.raises(ParameterError, match="known: stage1$"):
        make_jobs(PlanRequest("lrs", [file], tmp_path, through="stage2"))
