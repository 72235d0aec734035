"""Stage 1 over a database: what runs with which parameters, what is written, and what goes wrong one by one."""

import gzip
import logging
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels
from typer.testing import CliRunner

import detectorist
from detectorist import __version__
from detectorist.cli.run import app
from detectorist.errors import InputError, OutputError, ParameterError, ReferenceMissing
from detectorist.modes.coron.api import run_obs, summarise
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.pipeline import Coron1Pipeline
from detectorist.reduction import content_keys

pytestmark = pytest.mark.usefixtures("coron_references")


@pytest.fixture
def write_uncal(make_exposure, tmp_path):
    """Return a function that writes a small uncal file and returns its path."""

    def write(number=1, instrument="NIRCAM", *, reference=False, change=None, n_ints=2, n_groups=4, **header):
        model = make_exposure(instrument, n_ints=n_ints, n_groups=n_groups).model
        meta = model.meta
        meta.exposure.psf_reference = reference
        meta.target.proposer_name = "REFERENCE" if reference else "HOST"
        meta.wcsinfo.roll_ref = 100.0
        for name, value in header.items():
            setattr(meta.subarray, name, value)
        if change is not None:
            change(model)
        path = tmp_path / "raw" / f"jw09999001001_02101_{number:05d}_{meta.instrument.detector.lower()}_uncal.fits"
        path.parent.mkdir(exist_ok=True)
        model.save(path)
        return path

    return write


@pytest.fixture
def database(write_uncal, tmp_path):
    """A target and its reference star."""
    return Database(tmp_path / "out", [write_uncal(1), write_uncal(2, reference=True)])


@pytest.fixture
def parameters(monkeypatch):
    """The parameters of every pipeline that is about to run; none does."""
    seen = []

    def stop(self, *args):
        seen.append(self.get_pars())
        raise InputError("stopped by the test")

    monkeypatch.setattr(Coron1Pipeline, "run", stop)
    return seen


@pytest.fixture
def quick(monkeypatch):
    """Stands for the pipeline where only files matter: it writes rates of one number, the kTC step's `sat_frac`."""

    def write(self, path):
        stem = Path(path).name.removesuffix("_uncal.fits")
        for kind, model in (("rate", datamodels.ImageModel), ("rateints", datamodels.CubeModel)):
            shape = (2, 2) if kind == "rate" else (1, 2, 2)
            rate = model(data=np.full(shape, self.subtract_ktc.sat_frac, np.float32))
            rate.save(Path(self.output_dir) / f"{stem}_{kind}.fits")
        return rate

    monkeypatch.setattr(Coron1Pipeline, "run", write)


def content(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix == ".fits"}


class TestProducts:
    def test_rates_records_and_database(self, database, tmp_path):
        calls = []
        records = run_obs(database, progress=lambda *call: calls.append(call))
        folder = tmp_path / "out/stage1"
        stems = [f"jw09999001001_02101_{k:05d}_nrcalong" for k in (1, 2)]
        assert [(record.name, record.type, record.state) for record in records] == [
            (stems[0], "SCI", "done"),
            (stems[1], "REF", "done"),
        ]
        names = {f"{stem}_{kind}.fits" for stem in stems for kind in ("rate", "rateints")}
        beside = {f"{stem}_{name}" for stem in stems for name in ("detectorist.log", "record.json", "resolved.toml")}
        assert {path.name for path in folder.iterdir()} == names | beside
        assert {path.name for record in records for path in record.products} == names
        assert calls == [(0, 2, stems[0]), (1, 2, stems[1]), (2, 2, "done")]
        table = next(iter(database.obs.values()))
        assert list(table["FITSFILE"]) == [str(folder / f"{stem}_rateints.fits") for stem in stems]
        assert set(table["DATAMODL"]) == {"STAGE1"}
        assert fits.getheader(table["FITSFILE"][0])["DT_VERS"] == __version__
        with datamodels.open(table["FITSFILE"][0]) as model:
            assert model.meta.cal_step.subtract_1overf == "COMPLETE"
            assert model.meta.cal_step.dark_sub != "COMPLETE"
            assert model.meta.filename == f"{stems[0]}_rateints.fits"
        assert "subtract_1overf" in (folder / f"{stems[0]}_detectorist.log").read_text()
        assert "done" in summarise(records)[0]

    def test_products_have_checksums_and_are_not_read_again_for_their_hashes(self, write_uncal, tmp_path, monkeypatch):
        read = []
        usual = content_keys._hash_of_content
        monkeypatch.setattr(content_keys, "_hash_of_content", lambda path: read.append(path) or usual(path))
        (record,) = run_obs(Database(tmp_path, [write_uncal(1)]))
        assert read == []
        for product in record.products:
            assert content_keys.is_whole(product)
            with fits.open(product, checksum=True) as hdus:  # warns where one is wrong
                assert all("DATASUM" in hdu.header for hdu in hdus[1:])

    @pytest.mark.long
    def test_inputs_are_left_as_they_are_and_intermediates_kept_on_request(self, write_uncal, tmp_path):
        uncal = write_uncal(1)
        before = uncal.read_bytes()
        run_obs(Database(tmp_path, [uncal]), save_intermediates=True, save_calibrated_ramp=True, return_rateints=True)
        assert uncal.read_bytes() == before
        kinds = {name.rsplit("_", 1)[1] for name in content(tmp_path / "stage1")}
        assert kinds >= {"rate.fits", "rateints.fits", "ramp.fits", "jump.fits"}

    @pytest.mark.parametrize("keyword", ["save_intermediates", "save_calibrated_ramp", "rate_int_outliers"])
    def test_options_of_the_pipeline(self, database, parameters, keyword):
        for value in (True, False):
            run_obs(database, **{keyword: value})
        assert [one[keyword] for one in parameters[::2]] == [True, False]

    @pytest.mark.parametrize("steps", [3, None, [("jump", {})], {"jump": 3}])
    def test_steps_that_are_no_tables(self, database, steps):
        with pytest.raises(ParameterError, match="a table is needed"):
            run_obs(database, steps)

    def test_words_that_skip_nothing(self, database):
        with pytest.raises(ParameterError, match="skip_jump is 'maybe': True or False is needed"):
            run_obs(database, skip_jump="maybe")

    @pytest.mark.parametrize("stage", ["ints", "groups"])
    def test_where_the_noise_is_removed(self, database, parameters, stage):
        run_obs(database, stage_1overf=stage)
        assert {one["stage_1overf"] for one in parameters} == {stage}

    def test_again_without_overwriting_keeps_what_is_up_to_date(self, database, quick):
        run_obs(database)
        before = content(database.output_dir / "stage1")
        assert [record.state for record in run_obs(database, overwrite=False)] == ["kept", "kept"]
        assert content(database.output_dir / "stage1") == before
        other_steps = {"subtract_ktc": {"sat_frac": 0.25}}
        other = run_obs(database, overwrite=False, steps=other_steps)
        assert all("made by detectorist with other parameters" in record.error for record in other)
        assert content(database.output_dir / "stage1") == before
        assert [record.state for record in run_obs(database, other_steps)] == ["done", "done"]
        assert content(database.output_dir / "stage1") != before

    def test_products_of_another_version_are_told(self, database, quick):
        run_obs(database)
        for path in (database.output_dir / "stage1").glob("*_rate.fits"):
            fits.setval(path, "DT_VERS", value="0.0.1")
            fits.setval(path, "DT_KEY", value="old")
        before = content(database.output_dir / "stage1")
        records = run_obs(database, overwrite=False)
        assert all(f"0.0.1 (this is {__version__}), and is not overwritten" in record.error for record in records)
        assert content(database.output_dir / "stage1") == before
        assert {record.state for record in run_obs(database)} == {"done"}
        assert content(database.output_dir / "stage1") != before

    def test_a_foreign_rate_is_never_overwritten(self, write_uncal, tmp_path, quick):
        uncal = write_uncal(1)
        foreign = uncal.with_name(uncal.name.replace("uncal", "rateints"))
        datamodels.CubeModel(data=np.zeros((1, 4, 4), np.float32)).save(foreign)
        before = foreign.read_bytes()
        record = run_obs(Database(tmp_path, [uncal]), subdir="raw")[0]
        assert record.state == "failed"
        assert "was not written by detectorist and is not overwritten" in record.error
        assert foreign.read_bytes() == before
        assert list(uncal.parent.glob(".partial*")) == []


class TestParameters:
    def test_defaults(self, database, parameters):
        run_obs(database)
        steps = parameters[0]["steps"]
        assert steps["dark_current"]["skip"]
        assert steps["persistence"]["skip"]
        for name in ("rejection_threshold", "three_group_rejection_threshold", "four_group_rejection_threshold"):
            assert steps["jump"][name] == 4.0
        assert not any(steps[name]["skip"] for name in ("subtract_ktc", "subtract_1overf", "jump", "ipc"))
        assert not parameters[0]["rate_int_outliers"]

    def test_a_full_frame_keeps_its_dark(self, write_uncal, tmp_path, parameters, monkeypatch):
        # A small frame by that name would be refused.
        monkeypatch.setattr("detectorist.reduction.inputs.headers.require_sound", lambda path: None)
        run_obs(Database(tmp_path, [write_uncal(1, name="FULL")]))
        assert not parameters[0]["steps"]["dark_current"]["skip"]

    @pytest.mark.parametrize(
        ("keyword", "step", "parameter"),
        [
            ("skip_ktc", "subtract_ktc", "skip"),
            ("skip_fnoise", "subtract_1overf", "skip"),
            ("skip_charge", "charge_migration", "skip"),
            ("skip_jump", "jump", "skip"),
            ("skip_dark", "dark_current", "skip"),
            ("skip_ipc", "ipc", "skip"),
            ("skip_persistence", "persistence", "skip"),
        ],
    )
    def test_keywords_that_skip(self, database, parameters, keyword, step, parameter):
        run_obs(database, **{keyword: True})
        run_obs(database, **{keyword: False})
        assert [pars["steps"][step][parameter] for pars in parameters[::2]] == [True, False]

    @pytest.mark.parametrize(
        ("keyword", "value", "targets"),
        [
            ("flag_rcsat", True, ["saturation.flag_rcsat"]),
            ("grow_diagonal", True, ["saturation.grow_diagonal"]),
            ("n_pix_grow_sat", 3, ["saturation.n_pix_grow_sat"]),
            ("nlower", 5, ["refpix.nlower"]),
            ("nupper", 6, ["refpix.nupper"]),
            ("nleft", 7, ["refpix.nleft"]),
            ("nright", 8, ["refpix.nright"]),
            ("nrow_off", 1, ["refpix.nrow_off"]),
            ("ncol_off", 2, ["refpix.ncol_off"]),
            ("rejection_threshold", 6.5, ["jump.rejection_threshold"]),
            ("three_group_rejection_threshold", 7.5, ["jump.three_group_rejection_threshold"]),
            ("four_group_rejection_threshold", 8.5, ["jump.four_group_rejection_threshold"]),
            ("suppress_one_group", True, ["ramp_fit.suppress_one_group"]),
            ("maximum_cores", "half", ["jump.maximum_cores", "ramp_fit.maximum_cores"]),
            ("mask_groups.types", ["REF"], ["mask_groups.types"]),
        ],
    )
    def test_keywords_of_steps_at_top_level(self, database, parameters, keyword, value, targets):
        run_obs(database, save_results=True, **{keyword: value})
        for target in targets:
            step, name = target.split(".")
            assert parameters[0]["steps"][step][name] == value

    def test_ramps_are_saved_by_either_spelling(self, database, parameters):
        run_obs(database, **{"ramp_fit.save_calibrated_ramp": True})
        run_obs(database, {"ramp_fit": {"save_calibrated_ramp": True}})
        run_obs(database)
        assert [one["save_calibrated_ramp"] for one in parameters[::2]] == [True, True, False]

    def test_ramps_of_one_good_group_are_fitted_for_nircam_only(self, write_uncal, tmp_path, parameters):
        run_obs(Database(tmp_path / "nircam", [write_uncal(1)]))
        run_obs(Database(tmp_path / "miri", [write_uncal(1, "MIRI", name=None)]))
        assert [one["steps"]["ramp_fit"]["suppress_one_group"] for one in parameters] == [False, True]

    def test_types_choose_who_loses_groups(self, database, parameters):
        steps = {"mask_groups": {"skip": False, "mask_method": "custom", "custom_group": 1, "types": ["REF_BG"]}}
        run_obs(database, steps)
        assert [one["steps"]["mask_groups"]["skip"] for one in parameters] == [True, True]
        parameters.clear()
        run_obs(database, {"mask_groups": {**steps["mask_groups"], "types": ["REF"]}})
        assert [one["steps"]["mask_groups"]["skip"] for one in parameters] == [True, False]

    @pytest.mark.parametrize("groups", [[2, 3], (2, 3), range(2, 4), np.array([2, 3]), [-2, -1]])
    def test_an_array_of_groups_to_leave_out(self, database, parameters, groups):
        run_obs(database, mask_array=groups)
        masks = [one["steps"]["mask_groups"] for one in parameters]
        assert [mask["skip"] for mask in masks] == [True, False]
        assert list(masks[1]["mask_array"]) == [int(group) for group in groups]
        assert masks[1]["mask_method"] == "custom"

    def test_results_are_files(self, database, tmp_path):
        with pytest.raises(ParameterError, match="save_results is False"):
            run_obs(database, save_results=False)
        assert not (tmp_path / "out").exists()

    def test_columns_of_the_noise(self, database, parameters):
        for value in (True, False, None):
            run_obs(database, skip_fnoise_vert=value)
        vertical = [pars["steps"]["subtract_1overf"]["vertical_corr"] for pars in parameters[::2]]
        assert vertical == [False, True, True]

    def test_steps_are_stronger_than_keywords(self, database, parameters):
        steps = {"subtract_ktc": {"skip": False, "sat_frac": 0.4}, "jump": {"rejection_threshold": 7.0}}
        run_obs(database, steps, skip_ktc=True, stage_1overf="groups")
        table = parameters[0]["steps"]
        assert (table["subtract_ktc"]["skip"], table["subtract_ktc"]["sat_frac"]) == (False, 0.4)
        assert table["jump"]["rejection_threshold"] == 7.0
        assert table["jump"]["four_group_rejection_threshold"] == 4.0
        assert parameters[0]["stage_1overf"] == "groups"
        assert steps == {"subtract_ktc": {"skip": False, "sat_frac": 0.4}, "jump": {"rejection_threshold": 7.0}}

    def test_reference_stars_are_matched_to_the_target(self, database, parameters):
        run_obs(database, {"mask_groups": {"skip": False}})
        target, reference = (pars["steps"]["mask_groups"] for pars in parameters)
        raw = next(iter(database.obs.values()))["UNCALFILE"]
        assert target["skip"]
        assert not reference["skip"]
        assert reference["science_files"] == [raw[0]]

    def test_fields_of_a_reference_star_are_matched_to_fields_of_the_target(self, database, parameters):
        table = next(iter(database.obs.values()))
        table["TYPE"] = ["SCI_BG", "REF_BG"]
        run_obs(database, {"mask_groups": {"skip": False, "mask_method": "custom", "custom_group": 2}})
        assert parameters[1]["steps"]["mask_groups"]["science_files"] == [table["UNCALFILE"][0]]

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"skip_kct": True}, 'no keyword "skip_kct" .did you mean "skip_ktc"'),
            ({"steps": {"subtract_kct": {}}}, "did you mean .subtract_ktc"),
            ({"steps": {"subtract_ktc": {"satfrac": 1}}}, "did you mean .sat_frac"),
            ({"steps": {"subtract_1overf": {"model_type": "magic"}}}, "model_type"),
            ({"stage_1overf": "nowhere"}, "stage_1overf"),
        ],
    )
    def test_wrong_names_and_values_are_found_before_anything_is_done(self, database, tmp_path, wrong, message):
        with pytest.raises(ParameterError, match=message):
            run_obs(database, **wrong)
        assert not (tmp_path / "out").exists()


class TestBadInput:
    def test_an_empty_database(self, tmp_path):
        with pytest.raises(ParameterError, match="the database is empty"):
            run_obs(Database(tmp_path))

    def test_a_wrong_type(self, database):
        next(iter(database.obs.values()))["TYPE"][0] = "SCIENCE"
        with pytest.raises(ParameterError, match='TYPE is "SCIENCE"'):
            run_obs(database)

    def test_no_references(self, database, monkeypatch):
        for name in ("CRDS_PATH", "CRDS_SERVER_URL"):
            monkeypatch.delenv(name)
        with pytest.raises(ReferenceMissing, match="no source of reference files is set"):
            run_obs(database)

    def test_a_folder_that_cannot_be_written(self, database, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            run_obs(database)

    def test_no_target_or_no_reference_star_is_told_and_reduced(self, write_uncal, tmp_path, caplog, parameters):
        with caplog.at_level(logging.WARNING):
            run_obs(Database(tmp_path / "a", [write_uncal(1)]))
            run_obs(Database(tmp_path / "b", [write_uncal(2, reference=True)]))
        assert "no reference star" in caplog.text
        assert "no science target" in caplog.text
        assert len(parameters) == 2

    def test_matching_groups_needs_a_target(self, write_uncal, tmp_path):
        database = Database(tmp_path / "out", [write_uncal(1, reference=True)])
        with pytest.raises(ParameterError, match="no raw file of TYPE SCI"):
            run_obs(database, {"mask_groups": {"skip": False}})

    @pytest.mark.filterwarnings("ignore:File may have been truncated")
    def test_one_that_fails_does_not_stop_the_rest(self, database, tmp_path, quick):
        table = next(iter(database.obs.values()))
        path = Path(table["UNCALFILE"][0])
        path.write_bytes(path.read_bytes()[:60_000])
        first, second = run_obs(database)
        assert (first.state, second.state) == ("failed", "done")
        assert first.products == ()
        assert table["DATAMODL"][0] == "STAGE0"
        assert table["DATAMODL"][1] == "STAGE1"
        assert list((tmp_path / "out/stage1").glob("*00001*")) == []
        assert list((tmp_path / "out/stage1").glob(".partial*")) == []

    @pytest.mark.parametrize("error", [RuntimeError("boom"), SystemExit(1)])
    def test_not_even_what_nobody_foresaw(self, database, monkeypatch, error):
        def explode(self, *args):
            raise error

        monkeypatch.setattr(Coron1Pipeline, "run", explode)
        records = run_obs(database)
        assert [record.state for record in records] == ["failed", "failed"]
        assert all(("boom" in record.error) or ("ended the process" in record.error) for record in records)

    def test_raw_files_that_are_missing(self, write_uncal, tmp_path):
        files = [write_uncal(1), write_uncal(2)]
        rate = tmp_path / files[0].name.replace("uncal", "rate")
        files[0].rename(rate)
        database = Database(tmp_path / "out", [rate, files[1]])
        files[1].unlink()
        first, second = run_obs(database)
        assert "only a rate is there" in first.error
        assert second.error == f"{files[1]}: cannot be read (No such file or directory)"

    @pytest.mark.long
    def test_mixed_apertures_are_reduced_apart(self, write_uncal, tmp_path):
        files = [write_uncal(1), write_uncal(2, name="SUB320ALWB")]
        records = run_obs(Database(tmp_path / "out", files))
        assert {(record.concatenation.split("_")[-1], record.state) for record in records} == {
            ("SUB320A335R", "done"),
            ("SUB320ALWB", "done"),
        }

    @pytest.mark.parametrize("n_ints", [1, pytest.param(4, marks=pytest.mark.long)])
    def test_few_integrations_are_not_judged_against_each_other(self, write_uncal, tmp_path, n_ints):
        database = Database(tmp_path / "out", [write_uncal(1, n_ints=n_ints)])
        record = run_obs(database, rate_int_outliers=True)[0]
        assert record.state == "done"
        with datamodels.open(record.products[1]) as rates:
            assert rates.meta.cal_step.apply_rateints_outliers == "SKIPPED"
            assert np.isfinite(rates.data[:, 5:15, 5:15]).all()

    @pytest.mark.long
    def test_ramps_that_are_all_saturated(self, write_uncal, tmp_path):
        def saturate(model):
            model.data[:] = 60_000
            model.data += np.arange(model.data.shape[1])[:, None, None]  # equal groups would be taken for no data

        files = [write_uncal(1, change=saturate), write_uncal(2)]
        first, second = run_obs(Database(tmp_path / "out", files))
        assert second.state == "done"
        assert first.state in ("failed", "done")
        if first.state == "done":
            with datamodels.open(first.products[0]) as rate:
                assert np.all(rate.dq & 1)
        else:
            assert "no rate could be fitted" in first.error

    def test_integrations_of_nan(self, write_uncal, tmp_path):
        def spoil(model):
            model.data[1] = np.nan

        record = run_obs(Database(tmp_path / "out", [write_uncal(1, n_ints=4, change=spoil)]))[0]
        assert record.state == "done", record.error
        with datamodels.open(record.products[0]) as rate:
            assert np.isfinite(rate.data[5:15, 5:15]).all()

    def test_more_reference_rows_than_the_array_has(self, database):
        records = run_obs(database, {"refpix": {"nlower": 60, "nupper": 60}})
        assert all("row" in record.error for record in records)


class TestFrontEnds:
    def test_of_the_package_has_a_progress_bar(self, database, parameters, capsys):
        detectorist.run_obs(database)
        assert "reducing 2/2 done" in capsys.readouterr().err
        detectorist.run_obs(database, quiet=True, steps={})
        assert "reducing" not in capsys.readouterr().err

    def test_its_own_progress_takes_the_bars_place(self, database, parameters, capsys):
        calls = []
        detectorist.run_obs(database, progress=lambda *call: calls.append(call))
        assert len(calls) == 3
        assert "reducing" not in capsys.readouterr().err

    def test_command(self, database, tmp_path, quick):
        files = [str(path) for path in next(iter(database.obs.values()))["UNCALFILE"]]
        out = tmp_path / "cli"
        options = ["-o", str(out), "--skip", "ktc", "--set", "stage_1overf=ints"]
        result = CliRunner().invoke(app, ["coron", *files, *options])
        assert result.exit_code == 0, result.output
        assert result.output.count(" done in ") == 2
        loaded = Database.load(out / "database.ecsv")
        assert set(next(iter(loaded.obs.values()))["DATAMODL"]) == {"STAGE1"}
        again = CliRunner().invoke(app, ["coron", str(out / "database.ecsv"), *options])
        assert again.exit_code == 0, again.output
        assert "nothing to do: 2 done before" in again.output
        other = CliRunner().invoke(app, ["coron", *files, "-o", str(out)])
        assert other.exit_code == 0
        assert other.output.count(" done in ") == 2

    def test_command_replaces_what_is_not_ours_only_when_asked(self, database, tmp_path, quick):
        files = [str(path) for path in next(iter(database.obs.values()))["UNCALFILE"]]
        out = tmp_path / "cli"
        foreign = out / "stage1" / Path(files[0]).name.replace("uncal", "rate")
        foreign.parent.mkdir(parents=True)
        datamodels.ImageModel(data=np.zeros((4, 4), np.float32)).save(foreign)
        before = foreign.read_bytes()
        refused = CliRunner().invoke(app, ["coron", *files, "-o", str(out)])
        assert refused.exit_code == 3
        assert "was not written by detectorist and is not overwritten" in refused.output
        assert foreign.read_bytes() == before
        replaced = CliRunner().invoke(app, ["coron", *files, "-o", str(out), "--overwrite"])
        assert replaced.exit_code == 0, replaced.output
        assert foreign.read_bytes() != before

    def test_quiet_says_nothing(self, write_uncal, tmp_path, quick):
        """Not even of a reference star that is missing."""
        file = str(write_uncal(1))
        result = CliRunner().invoke(app, ["coron", file, file, "-o", str(tmp_path / "cli"), "-q"])
        assert result.exit_code == 0, result.output
        assert result.output == ""
        told = CliRunner().invoke(app, ["coron", file, file, "-o", str(tmp_path / "cli")])
        assert "no reference star" in told.output

    def test_command_refuses_what_it_does_not_know(self, database, tmp_path):
        files = [str(path) for path in next(iter(database.obs.values()))["UNCALFILE"]]
        result = CliRunner().invoke(app, ["coron", *files, "-o", str(tmp_path / "x"), "--skip", "kct"])
        assert isinstance(result.exception, ParameterError)


@pytest.mark.filterwarnings("default")  # astropy warns of damaged files, and leaves them open
class TestDamage:
    def test_files_that_cannot_be_read_fail_alone(self, write_uncal, tmp_path, quick):
        good, empty, cut, lying = (write_uncal(number) for number in (1, 2, 3, 4))
        empty.write_bytes(b"")
        cut.write_bytes(cut.read_bytes()[:3000])
        with fits.open(lying, mode="update") as hdus:
            hdus[0].header["NGROUPS"] = 9
        records = run_obs(Database(tmp_path / "out", [good, empty, cut, lying]))
        state = {record.name: (record.state, record.error) for record in records}
        stems = [path.name.removesuffix("_uncal.fits") for path in (good, empty, cut, lying)]
        assert state[stems[0]] == ("done", "")
        for stem, path in zip(stems[1:], (empty, cut, lying), strict=True):
            assert state[stem][0] == "failed"
            assert str(path) in state[stem][1]
        assert "header says 9 groups (NGROUPS), the array holds 4" in state[stems[3]][1]

    def test_one_group_of_miri_is_refused(self, write_uncal, tmp_path):
        path = write_uncal(1, "MIRI", n_groups=1, name=None)
        (record,) = run_obs(Database(tmp_path / "out", [path]))
        assert record.state == "failed"
        assert "1 group per integration; 2 are needed" in record.error


def test_a_script_as_spaceklip_users_write_it(write_uncal, tmp_path):
    """Files of the target, of a library of reference stars and of an empty field; steps and keywords as there."""
    target, star, field = write_uncal(1), write_uncal(2), write_uncal(3)

    database = Database(output_dir=tmp_path / "reduced")
    database.read_jwst_s012_data(datapaths=[str(target)], psflibpaths=[str(star)], bgpaths=str(field))
    (table,) = database.obs.values()
    assert list(table["TYPE"]) == ["SCI", "REF", "SCI_BG"]
    records = run_obs(
        database=database,
        steps={
            "saturation": {"n_pix_grow_sat": 1, "grow_diagonal": False},
            "refpix": {"odd_even_columns": True, "nlower": 4, "nupper": 4, "nrow_off": 0},
            "dark_current": {"skip": True},
            "jump": {"rejection_threshold": 4.0},
            "ramp_fit": {"save_calibrated_ramp": False},
        },
        subdir="stage1",
        suppress_one_group=False,
        save_results=True,
    )
    assert [record.state for record in records] == ["done"] * 3
    made = {path.name for path in (tmp_path / "reduced" / "stage1").glob("*.fits")}
    stems = [path.name.removesuffix("_uncal.fits") for path in (target, star, field)]
    assert made == {f"{stem}_{kind}.fits" for stem in stems for kind in ("rate", "rateints")}
    (table,) = database.obs.values()
    assert [Path(path).name for path in table["FITSFILE"]] == [f"{stem}_rateints.fits" for stem in stems]


@pytest.mark.parametrize(
    "name",
    [
        "{upper}_UNCAL.FITS.GZ",
        pytest.param("{stem}_uncal.fits.gz", marks=pytest.mark.long),
        pytest.param("{upper}_UNCAL.FITS", marks=pytest.mark.long),
        pytest.param("linked_uncal.fits", marks=pytest.mark.long),
    ],
)
def test_names_as_files_have_them(write_uncal, tmp_path, name):
    """Compressed, in capitals, or a link whose own name counts: the rates are those of the plain file."""
    uncal = write_uncal(1)
    stem = uncal.name.removesuffix("_uncal.fits")
    other = tmp_path / "other" / name.format(stem=stem, upper=stem.upper())
    other.parent.mkdir()
    if other.name.lower().endswith(".gz"):
        other.write_bytes(gzip.compress(uncal.read_bytes(), 1))
    elif "linked" in name:
        (tmp_path / "other" / "3f2a9c").write_bytes(uncal.read_bytes())
        other.symlink_to("3f2a9c")
    else:
        other.write_bytes(uncal.read_bytes())
    plain, odd = run_obs(Database(tmp_path / "plain", [uncal])), run_obs(Database(tmp_path / "odd", [other]))
    assert [record.state for record in (*plain, *odd)] == ["done", "done"], odd[0].error
    for a, b in zip(plain[0].products, odd[0].products, strict=True):
        np.testing.assert_array_equal(fits.getdata(a, "SCI"), fits.getdata(b, "SCI"))
    assert odd[0].products[0].name.startswith(other.name.partition("_")[0])
