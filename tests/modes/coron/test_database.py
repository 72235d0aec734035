"""The table of coronagraphic exposures: told from headers, edited, saved and read back."""

import logging

import numpy as np
import pytest
from astropy.io import fits

import detectorist
from detectorist.errors import InputError, OutputError, ParameterError
from detectorist.modes import load_mode
from detectorist.modes.coron.database import Database
from detectorist.modes.coron.exposure_table import stem_of
from detectorist.modes.job import Job

NIRCAM = {
    "INSTRUME": "NIRCAM", "DETECTOR": "NRCALONG", "FILTER": "F335M", "PUPIL": "MASKRND", "CORONMSK": "MASKA335R",
    "SUBARRAY": "SUB320A335R", "APERNAME": "NRCA5_MASK335R", "EXP_TYPE": "NRC_CORON", "READPATT": "RAPID",
    "NINTS": 10, "NGROUPS": 4, "NFRAMES": 1, "EFFINTTM": 4.3, "TARG_RA": 80.0, "TARG_DEC": -69.5, "NUMDTHPT": 1,
    "PATT_NUM": 1, "XOFFSET": 0.0, "YOFFSET": 0.0, "IS_PSF": False, "BKGDTARG": False, "TARGPROP": "HOST",
}  # fmt: skip
MIRI = NIRCAM | {
    "INSTRUME": "MIRI", "DETECTOR": "MIRIMAGE", "FILTER": "F1140C", "PUPIL": None, "CORONMSK": "4QPM_1140",
    "SUBARRAY": "MASK1140", "EXP_TYPE": "MIR_4QPM", "READPATT": "FASTR1",
}  # fmt: skip
NIRCAM_KEY = "JWST_NIRCAM_NRCALONG_F335M_MASKRND_MASKA335R_SUB320A335R"
MIRI_KEY = "JWST_MIRI_MIRIMAGE_F1140C_NONE_4QPM_1140_MASK1140"


@pytest.fixture
def expose(tmp_path):
    """Return a function that writes a file with nothing but headers."""

    def write(number, header, roll=100.0, kind="uncal", folder="raw", **changes):
        primary = fits.PrimaryHDU()
        primary.header.update({name: value for name, value in {**header, **changes}.items() if value is not None})
        science = fits.ImageHDU(name="SCI")
        if roll is not None:
            science.header["ROLL_REF"] = roll
        detector = header["DETECTOR"].lower()
        path = tmp_path / folder / f"jw09999001001_03102_{number:05d}_{detector}_{kind}.fits"
        path.parent.mkdir(exist_ok=True)
        fits.HDUList([primary, science]).writeto(path)
        return path

    return write


def types(database, key=NIRCAM_KEY):
    return list(database.obs[key]["TYPE"])


class TestTelling:
    def test_targets_reference_stars_and_rolls(self, expose, tmp_path):
        files = [expose(1, NIRCAM, 110.0), expose(2, NIRCAM, 100.0), expose(3, NIRCAM, 100.2)]
        files += [expose(4, NIRCAM, 110.0, IS_PSF=True, TARGPROP="OTHER", NUMDTHPT=5)]
        database = Database(tmp_path, files)
        assert database.concatenations == [NIRCAM_KEY]
        assert types(database) == ["SCI", "SCI", "SCI", "REF"]
        assert list(database.obs[NIRCAM_KEY]["ROLL"]) == [2, 1, 1, 0]
        assert "3 SCI, 1 REF" in repr(database)
        assert len(database) == 4

    def test_backgrounds_by_header_or_by_how_they_were_exposed(self, expose, tmp_path):
        files = [
            expose(1, MIRI),
            expose(2, MIRI, IS_PSF=True, NINTS=5),
            expose(3, MIRI, BKGDTARG=True),
            expose(4, MIRI, BKGDTARG=True, IS_PSF=True),
            expose(5, MIRI, BKGDTARG=True, NINTS=5),
            expose(6, MIRI, BKGDTARG=True, NINTS=7),
        ]
        assert types(Database(tmp_path, files), MIRI_KEY) == ["SCI", "REF", "SCI_BG", "REF_BG", "REF_BG", "SCI_BG"]

    def test_without_is_psf_the_dithered_star_is_the_reference(self, expose, tmp_path, caplog):
        files = [expose(1, NIRCAM, IS_PSF=None), expose(2, NIRCAM, IS_PSF=None, NUMDTHPT=5)]
        with caplog.at_level(logging.WARNING):
            assert types(Database(tmp_path, files)) == ["SCI", "REF"]
        assert "guessed" in caplog.text

    def test_mixed_apertures_and_instruments_stand_apart(self, expose, tmp_path):
        files = [
            expose(1, NIRCAM),
            expose(2, MIRI),
            expose(3, NIRCAM, SUBARRAY="FULL"),
            expose(4, NIRCAM, FILTER="F444W"),
        ]
        database = Database(tmp_path, files)
        assert [len(table) for table in database.obs.values()] == [1, 1, 1, 1]
        assert {NIRCAM_KEY, MIRI_KEY, NIRCAM_KEY.replace("SUB320A335R", "FULL")} < set(database.concatenations)

    def test_simulated_exposures_are_told_as_what_they_are(self, tmp_path):
        from detectorist.simulate.coron.scene import MiriCoronScene

        scene = MiriCoronScene().only("background")
        files = scene.write(tmp_path / "sim", ints=1, groups=2, rolls=2, dithers=2)
        database = Database(tmp_path, files)
        kinds = [visit.kind for visit in scene.observe(ints=1, groups=2, rolls=2, dithers=2).visits]
        assert types(database, MIRI_KEY) == kinds
        assert list(database.obs[MIRI_KEY]["ROLL"]) == [1, 2, 0, 0, 0, 0]

    def test_rates_find_their_raw_file(self, expose, tmp_path):
        beside, above = expose(1, NIRCAM), expose(2, NIRCAM)
        rates = [expose(1, NIRCAM, kind="rate"), expose(2, NIRCAM, kind="rateints", folder="raw/stage1")]
        rates.append(expose(3, NIRCAM, kind="rate"))
        table = Database(tmp_path, rates).obs[NIRCAM_KEY]
        assert list(table["UNCALFILE"]) == [str(beside), str(above), ""]
        assert set(table["DATAMODL"]) == {"STAGE1"}


class TestReading:
    def test_a_file_listed_twice_counts_once(self, expose, tmp_path, caplog):
        file = expose(1, NIRCAM)
        with caplog.at_level(logging.WARNING):
            database = Database(tmp_path, [file, file]).read([file])
        assert len(database) == 1
        assert "listed twice" in caplog.text

    def test_an_exposure_under_two_paths_is_refused(self, expose, tmp_path):
        files = [expose(1, NIRCAM), expose(1, NIRCAM, folder="copy")]
        with pytest.raises(ParameterError, match=r"listed twice, first as .*raw"):
            Database(tmp_path, files)

    def test_a_refused_file_changes_nothing(self, expose, tmp_path):
        database = Database(tmp_path, [expose(1, NIRCAM)])
        with pytest.raises(InputError):
            database.read([expose(2, NIRCAM), expose(3, NIRCAM, EXP_TYPE="NRC_IMAGE")])
        assert len(database) == 1

    def test_other_modes_are_refused_and_acquisitions_left_out(self, expose, tmp_path, caplog):
        with pytest.raises(InputError, match="EXP_TYPE is MIR_LRS-SLITLESS; a coronagraphic exposure"):
            Database(tmp_path, [expose(1, MIRI, EXP_TYPE="MIR_LRS-SLITLESS")])
        with caplog.at_level(logging.WARNING):
            assert len(Database(tmp_path, [expose(2, NIRCAM, EXP_TYPE="NRC_TACQ")])) == 0
        assert "left out" in caplog.text

    def test_unreadable_files_are_named(self, tmp_path):
        (tmp_path / "a_uncal.fits").write_text("no FITS")
        database = Database(tmp_path, [tmp_path / "a_uncal.fits"])
        assert len(database) == 0
        assert (
            "a_uncal.fits: not readable as a FITS file (No SIMPLE card found"
            in database.unreadable[tmp_path / "a_uncal.fits"]
        )
        with pytest.raises(InputError, match=r"b_uncal\.fits: no such file"):
            Database(tmp_path, [tmp_path / "b_uncal.fits"])
        with pytest.raises(InputError, match="a file named"):
            Database(tmp_path, [tmp_path / "a_i2d.fits"])

    def test_names_of_exposures(self):
        assert stem_of("x/jw1_2_nrcalong_rateints.fits.gz") == "jw1_2_nrcalong"
        assert stem_of("jw1-seg002_mirimage_uncal.fits") == "jw1-seg002_mirimage"


class TestEditing:
    def test_edits_are_not_cut_short_and_survive_later_reading(self, expose, tmp_path):
        database = Database(tmp_path, [expose(1, NIRCAM), expose(2, NIRCAM)])
        database.obs[NIRCAM_KEY]["TYPE"][0] = "REF_BG"
        database.read([expose(3, NIRCAM, IS_PSF=True)])
        assert types(database) == ["REF_BG", "SCI", "REF"]
        assert list(database.select(NIRCAM_KEY, "SCI", "REF")["TYPE"]) == ["SCI", "REF"]
        assert len(database.select(NIRCAM_KEY)) == 3

    def test_saved_and_read_back(self, expose, tmp_path):
        files = [expose(1, NIRCAM), expose(2, NIRCAM, roll=None, IS_PSF=True, XOFFSET=0.02), expose(3, MIRI)]
        files.append(expose(4, MIRI, kind="rate"))
        database = Database(tmp_path / "out", files)
        database.obs[NIRCAM_KEY]["TYPE"][0] = "SCI_BG"
        path = database.save()
        again = Database.load(path)
        assert path == tmp_path / "out/database.ecsv"
        assert again.output_dir == tmp_path / "out"
        assert again.concatenations == database.concatenations
        for key, table in database.obs.items():
            for name in table.colnames:
                first, second = np.asarray(table[name]), np.asarray(again.obs[key][name])
                same = (first == second) | ((first != first) & (second != second))
                assert same.all(), name
                assert first.dtype == second.dtype
        again.obs[NIRCAM_KEY]["TYPE"][1] = "REF_BG"
        assert types(again) == ["SCI_BG", "REF_BG"]

    def test_an_empty_database_comes_back_empty(self, tmp_path):
        assert len(Database.load(Database(tmp_path).save())) == 0

    def test_wrong_words_and_rows_in_the_wrong_table_are_named(self, expose, tmp_path):
        database = Database(tmp_path, [expose(1, NIRCAM), expose(2, NIRCAM, IS_PSF=True), expose(3, MIRI)])
        database.obs[NIRCAM_KEY]["TYPE"][1] = "ref"
        with pytest.raises(ParameterError, match=r'00002.*TYPE is "ref" \(did you mean "REF"'):
            database.check()
        database.obs[NIRCAM_KEY]["TYPE"][1] = "REF"
        database.obs["other"] = database.obs.pop(MIRI_KEY)
        with pytest.raises(ParameterError, match="belongs to JWST_MIRI"):
            database.check()

    def test_missing_targets_and_reference_stars_are_told(self, expose, tmp_path):
        assert "no science target" in Database(tmp_path, [expose(1, NIRCAM, IS_PSF=True)]).check()[0]
        assert "no reference star" in Database(tmp_path, [expose(2, NIRCAM)]).check()[0]
        assert Database(tmp_path, [expose(3, NIRCAM), expose(4, NIRCAM, IS_PSF=True)]).check() == []

    def test_unknown_concatenation(self, expose, tmp_path):
        with pytest.raises(ParameterError, match=f"did you mean .{NIRCAM_KEY}"):
            Database(tmp_path, [expose(1, NIRCAM)]).select(NIRCAM_KEY.lower().upper() + "X")

    def test_tables_that_are_none(self, tmp_path):
        (tmp_path / "a.ecsv").write_text("nonsense")
        with pytest.raises(InputError, match=r"a\.ecsv: not readable"):
            Database.load(tmp_path / "a.ecsv")
        (tmp_path / "folder").write_text("")
        with pytest.raises(OutputError, match="cannot be written"):
            Database(tmp_path / "folder").save()

    def test_missing_columns_are_named(self, expose, tmp_path):
        database = Database(tmp_path, [expose(1, NIRCAM)])
        database.obs[NIRCAM_KEY].remove_column("ROLL")
        with pytest.raises(InputError, match="columns ROLL are missing"):
            Database.load(database.save())


def test_the_package_hands_on_the_name():
    assert detectorist.Database is Database
    assert "Database" in dir(detectorist)
    with pytest.raises(AttributeError, match="no attribute 'Databank'"):
        detectorist.Databank  # noqa: B018


def test_types_of_an_edited_table_decide_what_stage_2_waits_for(expose, tmp_path):
    """What the user wrote into database.ecsv stands over the headers."""
    files = [expose(number, NIRCAM) for number in (1, 2, 3)]
    database = Database(tmp_path / "out", files)
    database.obs[NIRCAM_KEY]["TYPE"] = ["SCI", "SCI_BG", "REF"]
    gathered = load_mode("coron").gather([database.save(tmp_path / "edited.ecsv")], tmp_path / "out", {})
    first, second, third = (stem_of(path) for path in files)
    jobs = [Job(name, "coron", (), "/out", options=dict(gathered.options[name])) for name in (first, second, third)]
    waits = {one.name: one.after for one in load_mode("coron/stage2").jobs_after(jobs)}
    assert waits == {f"{first}_stage2": (first, second), f"{third}_stage2": (third,)}
