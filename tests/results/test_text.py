"""Results as text: lines of chosen results, counts, products that are named."""

from pathlib import Path
from types import SimpleNamespace

from detectorist.results.text import INDENT, MOST, WIDTH, describe, describe_all, facts_of, products_of, summary

FOLDER = Path("/out")


def shown(name="a", state="done", *, error="", concerns=(), merits=(), header=None, products=(), target="HD 1"):
    return SimpleNamespace(
        name=name,
        state=state,
        ok=state == "done",
        error=error,
        target=target,
        merits=[{"title": title, "value": value} for title, value in merits],
        concerns=list(concerns),
        folder=FOLDER / name,
        products=[FOLDER / name / one for one in products],
        exposure=SimpleNamespace(header=header or {}),
    )


def results(*those):
    return {one.name: one for one in those}


def test_states_are_counted():
    assert summary({}) == "0 results: none"
    assert summary(results(shown())) == "1 result: 1 done"
    three = results(shown("a"), shown("b", "crashed"), shown("c"))
    assert summary(three) == "3 results: 2 done, 1 crashed"


def test_a_result_with_all_its_lines():
    one = shown(
        merits=[("depth", "1.2 %"), ("scatter", "510 ppm")],
        concerns=["the star saturates"],
        header={"integrations": 1, "groups": 20},
        products=["stage_2/x.nc", "a.png", "a.fits"],
    )
    assert describe(one) == [
        "a: done",
        f"{INDENT}HD 1, 1 integration, 20 groups",
        f"{INDENT}depth 1.2 %; scatter 510 ppm",
        f"{INDENT}look: the star saturates",
        f"{INDENT}wrote stage_2/x.nc, a.fits",
    ]


def test_a_failure_says_why_and_raises_no_other_concern():
    one = shown(state="unprocessable", error="a.fits: SCI is empty", concerns=["old"], target="")
    assert describe(one) == ["a: unprocessable: a.fits: SCI is empty"]


def test_facts_that_the_header_lacks_are_left_out():
    assert facts_of(shown(target="", header={"groups": 1})) == ["1 group"]
    assert facts_of(shown(header={"integrations": 0, "groups": None})) == ["HD 1"]


def test_four_products_are_named_and_the_rest_is_counted():
    names = [f"{k}.fits" for k in range(6)] + ["figure.png", "detectorist.log"]
    assert products_of(shown(products=names)) == ["0.fits", "1.fits", "2.fits", "3.fits", "and 2 more"]
    assert products_of(shown(products=names[:4])) == names[:4]


def test_long_lines_are_wrapped_between_words_only():
    word = "x" * (WIDTH + 20)
    lines = describe(shown(concerns=[" ".join(["concern"] * 40), word]))
    assert all(len(line) <= WIDTH for line in lines if word not in line)
    assert all(line.startswith(INDENT) for line in lines[1:])
    assert any(word in line for line in lines)


def test_of_many_results_those_that_need_a_look_are_described():
    few = results(*(shown(f"n{k}") for k in range(MOST)))
    assert len(describe_all(few, FOLDER)) == 1 + 2 * MOST
    many = few | results(shown("bad", "crashed", error="no memory"), shown("odd", concerns=["look at me"]))
    first, second, *rest = describe_all(many, FOLDER)
    assert first == f"{MOST + 2} results: {MOST + 1} done, 1 crashed; products in {FOLDER}"
    assert second == "2 of those that failed or raise concerns:"
    assert [line for line in rest if not line.startswith(" ")] == ["bad: crashed: no memory", "odd: done"]


def test_of_many_failures_only_the_first_are_described():
    lines = describe_all(results(*(shown(f"n{k}", "crashed", error="no") for k in range(40))), FOLDER)
    assert lines[1].startswith(f"{MOST} of those")
    assert sum(": crashed: no" in line for line in lines) == MOST
