"""The campaign file: what it takes, what it refuses, and in which words."""

import pytest

from detectorist.campaign.campaign_file import expand, read_campaign, setting
from detectorist.campaign.memory import format_bytes, parse_bytes
from detectorist.errors import NoSuchFile, ParameterError

WHOLE = """
mode = "lrs"
inputs = ["raw/*_uncal.fits", "/data/more_uncal.fits"]
output_dir = "out"
exclude = ["*seg003*"]
recipe = "mine.toml"
references = "crds"

[parameters]
extraction = "optimal"

[steps.jump]
rejection_threshold = 12.5
flag_4_neighbors = false

[steps.clean_outliers]
window_heights = [150, 100]

[exposures]
table = "choices.csv"
columns = { thresh = "jump.rejection_threshold" }

[execution]
workers = 2
memory_limit = "8 GB"
chunk_ints = 100
"""


@pytest.fixture
def write(tmp_path):
    def run(text):
        path = tmp_path / "campaign.toml"
        path.write_text(text)
        return path

    return run


def test_everything_it_takes(write, tmp_path):
    campaign = read_campaign(write(WHOLE))
    assert campaign.inputs == [str(tmp_path / "raw/*_uncal.fits"), "/data/more_uncal.fits"]
    assert campaign.output_dir == tmp_path / "out"
    assert campaign.recipe == str(tmp_path / "mine.toml")
    assert campaign.references == "crds"
    assert campaign.exposures.table == tmp_path / "choices.csv"
    assert campaign.execution.memory_limit == 8_000_000_000
    assert campaign.settings() == [
        'extraction="optimal"',
        "jump.rejection_threshold=12.5",
        "jump.flag_4_neighbors=false",
        "clean_outliers.window_heights=[ 150, 100, ]",
    ]


SHORT = 'mode = "lrs"\ninputs = ["a"]\noutput_dir = "o"\n'


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (SHORT + 'recipee = "x"', r'no key "recipee" \(did you mean "recipe"\?\)'),
        (SHORT + "[execution]\nworker = 2", r'no key "execution.worker" \(did you mean "workers"\?\)'),
        (SHORT + "[exposures]\ntable = 'x'\ncolumn = {}", r'no key "exposures.column" \(did you mean "columns"\?\)'),
        (SHORT + '[execution]\nworkers = "two"', "execution.workers is 'two'"),
        (SHORT + "[execution]\nworkers = 0", "execution.workers is 0"),
        (SHORT + '[execution]\nmemory_limit = "lots"', '"lots": a size such as 1.5GB or 800MiB is needed'),
        ('mode = "lrs"\ninputs = ["a"]', '"output_dir" is missing'),
        ('mode = "lrs"\ninput = ["a"]\noutput_dir = "b"', r'no key "input" \(did you mean "inputs"\?\)'),
        (SHORT + "persistence_time = -1", "persistence_time is -1"),
        (SHORT + 'inputs = "a"', "not valid TOML"),
        (SHORT.replace('["a"]', '"a"'), "inputs is 'a'"),
        (SHORT + "[steps]\njump = 3", "steps.jump is 3"),
        ("mode = ", "not valid TOML"),
        (SHORT.replace('["a"]', "[]"), "inputs is "),
    ],
)
def test_what_is_wrong_is_said(write, text, words):
    with pytest.raises(ParameterError, match=words):
        read_campaign(write(text))


def test_a_mark_of_byte_order_is_no_part_of_it(write, tmp_path):
    path = write(WHOLE)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_campaign(path).mode == "lrs"


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(NoSuchFile, match=r"no\.toml: no such file; check the path$"):
        read_campaign(tmp_path / "no.toml")


@pytest.mark.parametrize("value", [1, 2.5, True, "row_wise", [0, 1, -1], [1.5], "a b"])
def test_settings_are_read_back_as_they_were(value):
    from detectorist.reduction.recipes.recipe import Recipe

    recipe = Recipe("x").with_settings([setting("step.name", value)])
    assert recipe.steps == {"step": {"name": value}}


def test_a_value_that_is_no_parameter():
    with pytest.raises(ParameterError, match=r"step\.name is None"):
        setting("step.name", None)


def test_globs_folders_names_and_exclusions(tmp_path):
    for name in ("a_uncal.fits", "b_uncal.fits", "b_rate.fits"):
        (tmp_path / name).touch()
    found = expand([str(tmp_path)], ("_uncal.fits",))
    assert [path.name for path in found] == ["a_uncal.fits", "b_uncal.fits"]
    found = expand([f"{tmp_path}/*.fits"], ("_uncal.fits",), exclude=["*_rate.fits", "a_*"])
    assert [path.name for path in found] == ["b_uncal.fits"]
    with pytest.raises(ParameterError, match="no such file"):
        expand([f"{tmp_path}/c*"], ("_uncal.fits",))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="no such file ending in _uncal"):
        expand([f"{tmp_path}/empty"], ("_uncal.fits",))


@pytest.mark.parametrize(
    ("text", "size"), [("8GB", 8e9), ("1.5 GB", 1.5e9), ("800MiB", 800 * 2**20), ("1000", 1000), (5e8, 5e8)]
)
def test_sizes(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-3GB", "8 apples", "0"])
def test_no_sizes(text):
    with pytest.raises(ParameterError):
        parse_bytes(text)


def test_sizes_for_people():
    assert [format_bytes(size) for size in (5, 1500, 2.5e6, 1.234e9)] == ["5 B", "1.5 kB", "2.5 MB", "1.23 GB"]
