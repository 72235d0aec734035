"""What is wrong with an input file is said before anything is reduced, with the file's name, for every instrument."""

import gzip

import numpy as np
import pytest
from astropy.io import fits
from stdatamodels.jwst import datamodels
from stdatamodels.jwst.datamodels import RampModel

from detectorist import models
from detectorist.errors import InputError
from detectorist.reduction.inputs import headers
from detectorist.reduction.inputs.checksums import data_sum
from detectorist.reduction.inputs.exposure_types import is_target_acquisition
from detectorist.reduction.inputs.extensions import require_extensions
from detectorist.reduction.inputs.headers import (
    flag_missing_rates,
    read_header,
    require_consistent_input,
    require_rate_unit,
    require_sound,
)
from detectorist.reduction.inputs.integration_numbers import are_missing, fill_in, range_of
from detectorist.times import TABLE_DTYPE

pytestmark = pytest.mark.filterwarnings("default")

N_INTS, N_GROUPS, NY, NX = 3, 4, 416, 72
NAME = "jw09999001001_04103_00001_det_uncal.fits"


@pytest.fixture(params=["MIRI", "NIRCAM"])
def ramp(request, make_lrs_ramp):
    """Raw ramps of either instrument, with a header in which all is right."""
    model = make_lrs_ramp(n_ints=N_INTS, n_groups=N_GROUPS, ny=NY, nx=NX)
    model.meta.exposure.segment_total = 1
    if request.param == "NIRCAM":
        meta = model.meta
        meta.instrument.name, meta.instrument.detector, meta.instrument.filter = "NIRCAM", "NRCB4", "F200W"
        meta.exposure.type, meta.exposure.readpatt = "NRC_IMAGE", "RAPID"
        meta.subarray.name, meta.subarray.xstart, meta.subarray.ystart = "GENERIC", 101, 201
    return model


@pytest.fixture
def write(ramp, tmp_path):
    """Return a function that writes the ramps, some metadata changed, and returns the path."""

    def make(name=NAME, **changes):
        for key, value in changes.items():
            group, attribute = key.split("__")
            setattr(getattr(ramp.meta, group), attribute, value)
        path = tmp_path / name
        ramp.save(path, checksum=True)
        return path

    return make


def test_a_good_file_passes(write):
    require_sound(write())


@pytest.mark.parametrize("ending", [".FITS", ".FITS.GZ"])
def test_endings_in_capitals_are_read_though_jwst_does_not_open_them(write, ending):
    path = write()
    capital = path.with_name(path.name.removesuffix(".fits") + ending)
    capital.write_bytes(gzip.compress(path.read_bytes()) if ending == ".FITS.GZ" else path.read_bytes())
    require_sound(capital)
    assert read_header(capital) == read_header(path)
    with models.open_as(capital, RampModel) as ramp, models.open_as(path, RampModel) as usual:
        np.testing.assert_array_equal(ramp.data, usual.data)
    assert [one.name for one in path.parent.iterdir() if one.is_symlink()] == []


def test_metadata_are_read_once_until_the_file_changes(write, monkeypatch):
    path, reads, read = write(), [], headers.read_metadata

    def counted(*args, **kwargs):
        reads.append(args)
        return read(*args, **kwargs)

    monkeypatch.setattr(headers, "read_metadata", counted)
    read_header(path)["exposure.ngroups"] = -1
    assert read_header(path)["exposure.ngroups"] == N_GROUPS
    assert len(reads) == 1
    write(exposure__ngroups=N_GROUPS + 1)
    assert read_header(path)["exposure.ngroups"] == N_GROUPS + 1
    assert len(reads) == 2


@pytest.mark.parametrize("ending", [".fits", ".fits.gz"])
def test_compressed_or_not_whatever_the_name_says(write, ending):
    path = write()
    content = path.read_bytes()
    other = path.with_name(f"other_uncal{ending}")
    other.write_bytes(gzip.compress(content) if ending == ".fits" else content)
    require_sound(other)
    with models.open_as(other, RampModel) as ramp, models.open_as(path, RampModel) as usual:
        np.testing.assert_array_equal(ramp.data, usual.data)


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("exposure__ngroups", N_GROUPS + 2, r"says 6 groups \(NGROUPS\), the array holds 4"),
        ("exposure__integration_end", N_INTS + 3, r"says 6 integrations \(INTSTART, INTEND\), the array holds 3"),
        ("exposure__integration_start", 0, "INTSTART"),
        ("exposure__nints", N_INTS - 1, "INTEND is 3, but NINTS says 2"),
        ("exposure__nints", 10**12, r"says 1000000000000 integrations \(NINTS\), the array holds 3"),
        ("subarray__xsize", 80, r"says 80 columns \(SUBSIZE1\), the array holds 72"),
        ("subarray__ysize", 400, r"says 400 rows \(SUBSIZE2\), the array holds 416"),
        ("subarray__xstart", 2000, r"SUBSTRT1 is 2000: 72 pixels"),
        ("subarray__ystart", 0, r"SUBSTRT2 is 0: 416 pixels"),
        ("subarray__ystart", None, "SUBSTRT2 is missing"),
        ("subarray__name", "FULL", "416 x 72 pixels called FULL"),
        ("instrument__detector", "NIS", "detector is NIS; one of the two is wrong"),
        ("instrument__detector", None, "DETECTOR is missing or unknown"),
        ("exposure__group_time", None, "TGROUP is missing"),
        ("exposure__frame_time", None, "TFRAME is missing"),
        ("exposure__group_time", 5.0, "make 0.15904 s"),
        ("exposure__nframes", None, "NFRAMES is missing"),
        ("subarray__fastaxis", None, "FASTAXIS, SLOWAXIS are None, 2"),
        ("subarray__slowaxis", 1, "FASTAXIS, SLOWAXIS are 1, 1"),
    ],
)
def test_a_header_that_contradicts_the_array_or_itself(write, key, value, words):
    path = write(**{key: value})
    with pytest.raises(InputError, match=words) as caught:
        require_sound(path)
    assert str(caught.value).startswith(str(path))


def test_directions_of_readout_may_be_missing_where_there_is_one_only(write, ramp):
    """Raw files of MIRI's test bench do not say them, and no step asks for them; refpix does for NIRCam."""
    path = write(subarray__fastaxis=None, subarray__slowaxis=None)
    if ramp.meta.instrument.name == "MIRI":
        require_sound(path)
        return
    with pytest.raises(InputError, match="FASTAXIS, SLOWAXIS are None, None"):
        require_sound(path)


def test_an_extension_without_an_array(write):
    path = write()
    with fits.open(path) as hdus:
        emptied = [fits.ImageHDU(name="SCI") if hdu.name == "SCI" else hdu for hdu in hdus]
        fits.HDUList(emptied).writeto(path.with_name("empty_uncal.fits"))
    with pytest.raises(InputError, match="empty_uncal.fits: SCI holds no array"):
        require_sound(path.with_name("empty_uncal.fits"))


def test_a_model_that_the_array_does_not_fit_is_named(write):
    path = write()
    with fits.open(path) as hdus:
        hdus[0].header["DATAMODL"] = "CubeModel"
        fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"]).writeto(path.with_name("cube_uncal.fits"))
    with pytest.raises(InputError, match=r"cube_uncal.fits: not readable as a JWST product of DATAMODL CubeModel \("):
        require_sound(path.with_name("cube_uncal.fits"))


def test_a_file_without_data(write):
    path = write()
    with fits.open(path) as hdus:
        fits.HDUList([hdu for hdu in hdus if hdu.name not in ("SCI", "ASDF")]).writeto(path.with_name("no_uncal.fits"))
    with pytest.raises(InputError, match=r"no_uncal.fits: extensions are .*GROUPDQ.*; SCI is needed"):
        require_sound(path.with_name("no_uncal.fits"))


def test_an_extension_that_the_metadata_refer_to(write):
    path = write()
    with fits.open(path) as hdus:
        assert "GROUPDQ" in hdus
        kept = [hdu for hdu in hdus if hdu.name != "GROUPDQ"]
        fits.HDUList(kept).writeto(path.with_name("less_uncal.fits"))
        fits.HDUList([hdu for hdu in kept if hdu.name != "ASDF"]).writeto(path.with_name("plain_uncal.fits"))
    with pytest.raises(InputError, match="refer to an extension GROUPDQ, which is not there"):
        require_sound(path.with_name("less_uncal.fits"))
    require_sound(path.with_name("plain_uncal.fits"))


def test_an_array_beside_the_ramps_with_other_axes(write):
    path = write()
    with fits.open(path, mode="append") as hdus:
        hdus.append(fits.ImageHDU(np.zeros((2, 2), np.uint16), name="REFOUT"))
    with pytest.raises(InputError, match="REFOUT has 2 axes; 4 are needed"):
        require_sound(path)


@pytest.mark.parametrize(("name", "axes"), [("ZEROFRAME", (0, 2, 3)), ("GROUPDQ", (0, 1, 2, 3)), ("PIXELDQ", (2, 3))])
def test_arrays_beside_the_ramps_have_their_pixels(write, name, axes):
    """Steps failed on them, without the name of the file."""
    path = write()
    shape = [(N_INTS, N_GROUPS, NY, NX)[axis] for axis in axes]
    for columns, right in ((NX - 1, False), (NX, True)):
        with fits.open(path, mode="update") as hdus:
            if name in hdus:
                del hdus[name]
            hdus.append(fits.ImageHDU(np.zeros([*shape[:-1], columns], np.uint8), name=name))
        if right:
            require_extensions(path)
        else:
            with pytest.raises(InputError, match=rf"_uncal\.fits: {name} has shape \(.*beside SCI"):
                require_extensions(path)


@pytest.mark.parametrize(("behind", "told"), [(b"junk" * 9, True), (b"\0" * 28_800, False), (b" \0" * 9, False)])
def test_bytes_that_belong_to_no_extension_are_told(write, caplog, behind, told):
    path = write()
    path.write_bytes(path.read_bytes() + behind)
    with caplog.at_level("WARNING", "detectorist"):
        require_sound(path)
    assert ("the last 36 bytes belong to no extension" in caplog.text) == told


def test_swapped_axes_and_a_full_frame_under_the_name_of_a_subarray(write, ramp):
    ramp.data = ramp.data.swapaxes(2, 3).copy()
    ramp.groupdq, ramp.pixeldq = np.zeros(ramp.data.shape, np.uint8), np.zeros(ramp.data.shape[2:], np.uint32)
    with pytest.raises(InputError, match="416 rows .* holds 72"):
        require_sound(write())


def test_words_where_a_number_belongs(write):
    path = write()
    with fits.open(path) as hdus:
        hdus[0].header["NINTS"] = "abc"
        kept = fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"])
        kept.writeto(path.with_name("words_uncal.fits"), output_verify="ignore")
    with pytest.raises(InputError, match="words_uncal.fits"):
        require_sound(path.with_name("words_uncal.fits"))


@pytest.mark.parametrize("number", [0.0, 65535.0, np.nan])
def test_data_that_are_one_number(write, ramp, number):
    ramp.data = np.full(ramp.data.shape, number, np.float32)
    with pytest.raises(InputError, match=rf"{NAME}: SCI contains nothing but"):
        require_sound(write())


def test_one_good_integration_is_enough(write, ramp):
    data = np.zeros(ramp.data.shape, np.float32)
    data[-1] = ramp.data[-1]
    ramp.data = data
    require_sound(write())


def test_rates_whose_every_pixel_is_flagged(make_lrs_rateints, tmp_path):
    rates = make_lrs_rateints()
    rates.dq = np.ones(rates.data.shape, np.uint32)
    rates.save(tmp_path / "x_rateints.fits")
    with pytest.raises(InputError, match="every pixel is flagged DO_NOT_USE"):
        require_sound(tmp_path / "x_rateints.fits")


@pytest.mark.parametrize("packed", [False, True])
def test_a_flipped_bit_in_the_pixels_is_told(write, packed):
    path = write()
    with fits.open(path) as hdus:
        place = hdus["SCI"].fileinfo()["datLoc"] + 1000
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 8
    path = path.with_suffix(".fits.gz") if packed else path
    path.write_bytes(gzip.compress(bytes(damaged), 1) if packed else bytes(damaged))
    with pytest.raises(InputError, match=r"the data of SCI are not as written \(DATASUM\)"):
        require_sound(path)


def test_sums_that_a_datamodel_hands_on_say_nothing(write):
    """jwst writes the DATASUM of the file that it read, also when it has changed the array."""
    path = write()
    with datamodels.open(path) as model:
        model.data = model.data + 1
        model.save(path, overwrite=True)
    with fits.open(path) as hdus:
        assert "DATASUM" in hdus["SCI"].header
        assert hdus["SCI"].verify_datasum() == 0
    require_sound(path)


def test_sums_are_those_of_astropy(write, tmp_path):
    with fits.open(write()) as hdus, open(hdus.filename(), "rb") as handle:
        for hdu in hdus:
            where = hdu.fileinfo()
            assert data_sum(handle, where["datLoc"], where["datSpan"]) == int(hdu.header["DATASUM"]), hdu.name


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.9])
def test_files_cut_short(write, kept):
    path = write()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError, match=NAME):
        require_sound(path)


@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_compressed_files_cut_short(write, kept):
    """A file whose first header alone can be unpacked looks whole to astropy."""
    path = write()
    whole = gzip.compress(path.read_bytes(), 1)
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(whole)
    require_sound(packed)
    packed.write_bytes(whole[: int(len(whole) * kept)])
    with pytest.raises(InputError) as caught:
        require_sound(packed)
    words = str(caught.value)
    assert words.startswith(f"{packed}: ")
    assert words.count(packed.name) == 1
    assert "a whole gzip file is needed" in words or kept == 0.0


@pytest.mark.parametrize(
    ("left_out", "words"), [(2000, r"\d+ bytes, its header promises \d+"), (5000, "ends within the header of an ext")]
)
def test_cut_files_that_were_compressed_then(write, left_out, words):
    path = write()
    packed = path.with_name(f"{path.name}.gz")
    packed.write_bytes(gzip.compress(path.read_bytes()[:-left_out], 1))
    with pytest.raises(InputError, match=words):
        require_sound(packed)


def test_the_last_segment_ends_with_the_last_integration(write):
    changes = {"exposure__integration_start": 4, "exposure__integration_end": 6, "exposure__segment_total": 2}
    require_sound(write(exposure__nints=6, exposure__segment_number=2, **changes))
    require_sound(write(exposure__nints=99, exposure__segment_number=1, **changes))
    with pytest.raises(InputError, match="INTEND of the last segment is 6, but NINTS says 99"):
        require_sound(write(exposure__nints=99, exposure__segment_number=2, **changes))


def test_subarrays_of_other_names_are_taken_by_their_size(make_lrs_ramp, tmp_path):
    ramp = make_lrs_ramp(n_ints=N_INTS, n_groups=N_GROUPS, ny=64, nx=NX)
    ramp.meta.exposure.segment_total = 1
    ramp.meta.subarray.name, ramp.meta.subarray.ystart = "SUB64", 779
    ramp.meta.subarray.ysize, ramp.meta.subarray.xsize = 64, NX
    ramp.save(tmp_path / "x_uncal.fits")
    require_sound(tmp_path / "x_uncal.fits")
    ramp.meta.subarray.name = "MASK1065"
    ramp.save(tmp_path / "x_uncal.fits")
    with pytest.raises(InputError, match="64 x 72 pixels called MASK1065, which has 224 x 288"):
        require_sound(tmp_path / "x_uncal.fits")


def test_a_file_without_asdf_is_read_from_its_keywords(write):
    path = write()
    with fits.open(path) as hdus:
        fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"]).writeto(path.with_name("plain_uncal.fits"))
    plain = path.with_name("plain_uncal.fits")
    require_sound(plain)
    with_tree, without = read_header(path), read_header(plain)
    for key in ("exposure.ngroups", "exposure.type", "instrument.detector", "subarray.xstart", "model_type"):
        assert without[key] == with_tree[key], key


@pytest.mark.parametrize(
    "table",
    [
        fits.ImageHDU(np.ones((2, 2)), name="INT_TIMES"),
        fits.BinTableHDU.from_columns([fits.Column("x", "E", array=[1.0])], name="INT_TIMES"),
    ],
)
def test_times_of_another_form(write, table):
    path = write()
    with fits.open(path) as hdus:
        kept = fits.HDUList([*(hdu for hdu in hdus if hdu.name != "INT_TIMES"), table.copy()])
        kept.writeto(path.with_name("odd_uncal.fits"))
    with pytest.raises(InputError, match="odd_uncal.fits: INT_TIMES has columns"):
        require_sound(path.with_name("odd_uncal.fits"))


def test_times_with_a_column_that_lost_its_name(write):
    path, odd = write(), "odd_uncal.fits"
    columns = [fits.Column(name, "E", array=[1.0]) for name in ("x", "y")]
    with fits.open(path) as hdus:
        kept = [hdu for hdu in hdus if hdu.name != "INT_TIMES"]
        fits.HDUList([*kept, fits.BinTableHDU.from_columns(columns, name="INT_TIMES")]).writeto(path.with_name(odd))
    content = path.with_name(odd).read_bytes()
    path.with_name(odd).write_bytes(content.replace(b"TTYPE2  =", b"TTYPX2  ="))
    with pytest.raises(InputError, match="INT_TIMES has columns x, "):
        require_sound(path.with_name(odd))


def test_a_count_with_a_point(write):
    path = write()
    with fits.open(path) as hdus:
        hdus[0].header["SUBSIZE1"] = float(NX)
        kept = fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"])
        kept.writeto(path.with_name("point_uncal.fits"))
    with pytest.raises(InputError, match=r"SUBSIZE1 is 72.0; a number without a point"):
        require_sound(path.with_name("point_uncal.fits"))


def number(ramp, first, *, extra=0):
    """Give the ramps a table INT_TIMES that numbers them from `first`, and take INTSTART and INTEND away."""
    table = np.zeros(N_INTS + extra, TABLE_DTYPE)
    table["integration_number"] = np.arange(first, first + len(table))
    ramp.int_times = table
    ramp.meta.exposure.integration_start = ramp.meta.exposure.integration_end = None
    ramp.meta.exposure.segment_total, ramp.meta.exposure.nints = 2, 2 * N_INTS


def test_integrations_are_numbered_by_their_times_where_the_header_does_not(write, ramp):
    number(ramp, 4)
    path = write()
    require_sound(path)
    meta = read_header(path)
    assert (meta["exposure.integration_start"], meta["exposure.integration_end"]) == (4, 6)
    with datamodels.open(path) as model:
        assert model.meta.exposure.integration_start is None
        fill_in(model, N_INTS)
        assert (model.meta.exposure.integration_start, model.meta.exposure.integration_end) == (4, 6)
    assert are_missing(path)


@pytest.mark.parametrize("extra", [3, -3])
def test_a_part_of_an_exposure_that_nothing_numbers_is_refused(write, ramp, extra):
    number(ramp, 1, extra=extra)
    with pytest.raises(InputError, match="INTSTART and INTEND are missing.*NINTS says 6, the array holds 3"):
        require_sound(write())


@pytest.mark.parametrize(
    ("first", "last", "listed", "expected"),
    [
        (4, None, [], (4, 6)),
        (None, 6, [], (4, 6)),
        (None, None, [4, 5, 6], (4, 6)),
        (None, None, [4, 6, 7], (None, None)),
        (None, None, [4, 5], (None, None)),
        (4, 9, [1, 2, 3], (4, 9)),
    ],
)
def test_what_tells_the_numbers(first, last, listed, expected):
    assert range_of(first, last, 3, listed) == expected


@pytest.mark.parametrize(("kind", "left_out"), [("NRC_TACQ", True), ("MIR_TACONFIRM", True), ("NRC_IMAGE", False)])
def test_target_acquisition_is_known_by_its_header(write, kind, left_out):
    assert is_target_acquisition(write(exposure__type=kind)) == left_out


def test_rates_that_are_no_number_are_flagged(make_lrs_rateints):
    rates = make_lrs_rateints(n_ints=2)
    rates.data[0, 10, 20], rates.data[1, 5, 5], rates.err[0, 7, 7] = np.inf, np.nan, np.inf
    rates.dq[1, 5, 5] = 5
    before = np.array(rates.data)
    assert flag_missing_rates(rates) == 2
    assert [int(rates.dq[place]) for place in ((0, 10, 20), (1, 5, 5), (0, 7, 7))] == [1, 5, 1]
    assert np.isnan(rates.data[0, 10, 20])
    assert (rates.dq > 0).sum() == 3
    good = np.isfinite(before)
    np.testing.assert_array_equal(rates.data[good], before[good])


@pytest.mark.parametrize(("unit", "refused"), [("MJy/sr", True), ("DN", True), ("DN/s", False), (None, False)])
def test_rates_in_other_units(make_lrs_rateints, unit, refused):
    rates = make_lrs_rateints(n_ints=2)
    rates.meta.bunit_data = unit
    if refused:
        with pytest.raises(InputError, match=rf"BUNIT is {unit}; rates in DN/s are needed"):
            require_rate_unit(rates)
    else:
        require_rate_unit(rates)


@pytest.mark.parametrize(
    ("key", "value", "found"),
    [("exposure__ngroups", 5, "5 groups.*holds 4"), ("subarray__xsize", 70, r"70 columns.*holds 72")],
)
def test_files_and_open_models_that_contradict_their_array_alike(ramp, write, key, value, found):
    require_consistent_input(ramp)
    path = write(**{key: value})
    for data in (ramp, path, str(path)):
        with pytest.raises(InputError, match=found):
            require_consistent_input(data)


def test_a_model_cut_out_of_another_keeps_its_place(ramp):
    ramp.data = ramp.data[..., 10:30, :].copy()
    ramp.meta.subarray.ysize = 20
    require_consistent_input(ramp)


@pytest.mark.parametrize("keyword", ["DETECTOR", "SUBARRAY", "FILTER", "PUPIL", "READPATT"])
@pytest.mark.parametrize("tree", [True, False])
def test_names_that_jwst_does_not_know_are_refused(make_lrs_ramp, tmp_path, keyword, tree):
    """It would leave them out and choose references as if the header did not say it."""
    path = tmp_path / "jw09999001001_04103_00001-seg001_mirimage_uncal.fits"
    make_lrs_ramp(n_ints=2, n_groups=3).save(path)
    require_sound(path)
    with fits.open(path) as hdus:
        hdus[0].header[keyword] = "NOSUCH"
        fits.HDUList([hdu for hdu in hdus if tree or hdu.name != "ASDF"]).writeto(path, overwrite=True)
    with pytest.raises(InputError, match=f"{keyword} is NOSUCH.*, which jwst does not know"):
        require_sound(path)


def test_a_file_that_was_sent_as_text_is_refused(ramp, tmp_path, rng):
    ramp.data = rng.integers(0, 60000, ramp.data.shape).astype(np.float32)
    ramp.save(tmp_path / NAME)
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    with pytest.raises(InputError, match="has a carriage return before every line feed"):
        require_sound(path)


def test_ramps_without_an_instrument_are_refused(ramp, tmp_path):
    path = tmp_path / NAME
    ramp.save(path)
    with fits.open(path) as hdus:
        del hdus[0].header["INSTRUME"]
        fits.HDUList([hdu for hdu in hdus if hdu.name != "ASDF"]).writeto(path, overwrite=True)
    with pytest.raises(InputError, match="INSTRUME is missing or unknown"):
        require_sound(path)


def test_an_axis_of_negative_length_is_refused_and_not_read_for_ever(ramp, tmp_path):
    path = tmp_path / NAME
    ramp.save(path)
    content = path.read_bytes()
    place = content.index(b"NAXIS1  =")
    path.write_bytes(content[:place] + b"NAXIS1  =                   -5" + content[place + 30 :])
    for read in (require_sound, read_header):
        with pytest.raises(InputError, match="negative length|Invalid argument"):
            read(path)
