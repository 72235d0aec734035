"""Tables of choices per exposure: CEERS's own, globs, and what is refused."""

from dataclasses import replace
from pathlib import Path

import pytest

from detectorist.campaign.exposures import read_choices, require_safe_name
from detectorist.campaign.plan import PlanRequest, make_jobs, plan_run
from detectorist.errors import ParameterError
from detectorist.modes import exposure_name, group_exposures, load_mode


@pytest.fixture
def table(tmp_path):
    def write(text, name="choices.csv"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return write


def test_the_table_of_ceers_epoch_1(thirdparty):
    """All 690 rows are taken, with the columns mapped to parameters; empty cells say nothing."""
    path = thirdparty / "ceers_epoch1_overrides.csv"
    columns = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}
    choices = read_choices(path, columns=columns)
    assert len(choices.rows) == 690
    names = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    choices.require_all_matched(names)
    settings = [choices.settings_for(name) for name in names]
    assert all(sum(text.startswith("stripes.thresh=") for text in one) == 1 for one in settings)
    assert sum(text.startswith("wisps.scale=") for one in settings for text in one) == 132
    assert choices.settings_for("jw01345001001_02201_00001_nrca1") == ("stripes.thresh=0.8",)
    assert choices.settings_for("jw09999001001_02201_00001_nrca1") == ()
    with pytest.raises(ParameterError, match="680 of 690 rows match no exposure") as caught:
        choices.require_all_matched(names[:10])
    assert len(caught.value.numbers["unmatched"]) == 680


@pytest.mark.filterwarnings("default")
def test_a_campaign_of_ceers_epoch_1(thirdparty, tmp_path):
    """All 690 exposures become jobs with their choices, which the steps accept."""
    path = thirdparty / "ceers_epoch1_overrides.csv"
    columns = {"wisp_scale": "wisps.scale", "mask_threshold": "stripes.thresh"}
    names = [line.split(",")[0] for line in path.read_text().splitlines()[1:]]
    files = [tmp_path / f"{name}_uncal.fits" for name in names]
    for file in files:
        file.touch()
    choices = read_choices(path, columns=columns)
    jobs = make_jobs(PlanRequest("imaging", files, tmp_path / "out", choices=choices, references="none"))
    assert [job.name for job in jobs] == sorted(names)
    assert {job.name: job.settings for job in jobs} == {name: choices.settings_for(name) for name in names}
    assert len({job.key for job in jobs}) == len({job.settings for job in jobs})
    bad = read_choices(path, columns={**columns, "wisp_scale": "wisps.scael"})
    with pytest.raises(ParameterError, match=r'no parameter "scael" \(did you mean "scale"\?\)'):
        make_jobs(PlanRequest("imaging", files, tmp_path / "out", choices=bad, references="none"))


def test_later_rows_win_and_globs_match(table):
    path = table("exposure,jump.rejection_threshold\n*,5\njw*_nrcb4,7\n")
    choices = read_choices(path)
    assert choices.settings_for("jw1_nrca1") == ("jump.rejection_threshold=5",)
    assert choices.settings_for("jw1_nrcb4")[-1] == "jump.rejection_threshold=7"


def test_names_may_carry_product_and_ending(table):
    choices = read_choices(table("exposure,a.b\njw1_nrca1_uncal.fits,5\n"))
    assert choices.settings_for("jw1_nrca1") == ("a.b=5",)


def test_ecsv(table):
    from astropy.table import Table

    path = table("", "choices.ecsv")
    Table({"exposure": ["x", "y"], "a.b": [1.5, 2.5]}).write(path, format="ascii.ecsv", overwrite=True)
    assert read_choices(path).settings_for("y") == ("a.b=2.5",)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "an empty table"),
        ("name,a.b\nx,1\n", 'no column "exposure"'),
        ("exposure,scale\nx,1\n", 'column "scale" is not step.parameter'),
        ("exposure,a.b\nx\n", "line 2 has 1 cells; the header has 2"),
        ("exposure,a.b\n../../etc/x,1\n", "not the name of an exposure"),
        ("exposure,a.b\n/etc/x,1\n", "not the name of an exposure"),
        ("exposure,a.b\n,1\n", "not the name of an exposure"),
        ("# %ECSV 1.0\nnonsense\n", "not valid ECSV"),
    ],
)
def test_what_is_wrong_is_said(table, text, words):
    with pytest.raises(ParameterError, match=words):
        read_choices(table(text))


def test_what_is_no_table_is_not_shown_at_length(table):
    with pytest.raises(ParameterError, match='no column "exposure"') as caught:
        read_choices(table("x" * 100_000))
    assert len(str(caught.value)) < 1_000


def test_a_column_that_is_there_twice(table):
    with pytest.raises(ParameterError, match="column jump.skip is there twice"):
        read_choices(table("exposure,jump.skip,jump.skip\na,true,false\n"))


def test_a_typo_in_a_name_gets_the_nearest(table):
    choices = read_choices(table("exposure,a.b\njw1_nrca11,5\n"))
    with pytest.raises(ParameterError, match=r'jw1_nrca11 \(did you mean "jw1_nrca1"\?\)'):
        choices.require_all_matched(["jw1_nrca1", "jw1_nrcb1"])


def test_a_column_to_map_that_is_not_there(table):
    with pytest.raises(ParameterError, match=r'no column "wisp_scal" \(did you mean "wisp_scale"\?\)'):
        read_choices(table("exposure,wisp_scale\nx,1\n"), columns={"wisp_scal": "wisps.scale"})


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden", "a\nb", "a\x1b[31m", "\ud800"])
def test_unsafe_names(name):
    with pytest.raises(ParameterError):
        require_safe_name(name, "input")


@pytest.mark.parametrize("name", ["-rf", "~root", "a\\b", "a b", "?#%41"])
def test_names_that_harm_nobody(name):
    assert require_safe_name(name, "input") == name


def test_segments_of_an_exposure_belong_together():
    files = [
        Path("/d/jw01_00001-seg002_mirimage_uncal.fits"),
        Path("/d/jw01_00001-seg001_mirimage_uncal.fits"),
        Path("/d/jw01_00002-seg001_mirimage_uncal.fits"),
    ]
    groups = group_exposures(load_mode("lrs"), files)
    assert {name: len(found) for name, found in groups.items()} == {"jw01_00001_mirimage": 2, "jw01_00002_mirimage": 1}
    assert groups["jw01_00001_mirimage"] == sorted(files[:2])


def test_the_same_name_in_two_folders_is_refused():
    with pytest.raises(ParameterError, match="have the same name"):
        group_exposures(load_mode("lrs"), [Path("/a/x_uncal.fits"), Path("/b/x_uncal.fits")])


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("jw01345001001_02201_00001_nrca1_uncal.fits", "jw01345001001_02201_00001_nrca1"),
        ("jw01345001001_02201_00001_nrca1_rate.fits.gz", "jw01345001001_02201_00001_nrca1"),
        ("jw01-seg003_mirimage_rateints.fits", "jw01_mirimage"),
        ("own_name.fits", "own_name"),
    ],
)
def test_exposure_names(name, expected):
    assert exposure_name(Path(name)) == expected


def test_unknown_modes():
    with pytest.raises(ParameterError, match=r'no mode "lsr" \(did you mean "lrs"\?\)'):
        load_mode("lsr")
    with pytest.raises(ParameterError, match="cannot be loaded"):
        load_mode("no_such_module:Mode")
    with pytest.raises(ParameterError, match="not a subclass"):
        load_mode("pathlib:Path")


def test_rows_for_none_of_the_exposures_are_noted_where_they_are_allowed(table, tmp_path):
    """A misspelt row would change nothing, and nobody would know."""
    (tmp_path / "jw1_nrcb4_uncal.fits").touch()
    choices = read_choices(table("exposure,jump.rejection_threshold\njw1_nrcb4,5\njw1_nrcb5,7\n"))
    request = PlanRequest(
        "imaging",
        [tmp_path / "jw1_nrcb4_uncal.fits"],
        tmp_path / "out",
        choices=choices,
        allow_unmatched=True,
        references="none",
    )
    (note,) = [one for one in plan_run(request).notes if "choices.csv" in one]
    assert note.endswith('1 of 2 rows match no exposure: jw1_nrcb5 (did you mean "jw1_nrcb4"?)')
    both = replace(request, choices=read_choices(table("exposure,jump.rejection_threshold\n*,5\n")))
    assert not [one for one in plan_run(both).notes if "choices.csv" in one]
