"""From rates of a target and its reference stars to images without the star, contrast and companions."""

import re

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from typer.testing import CliRunner

from detectorist import SubtractionSettings, subtract_star
from detectorist.cli.app import app
from detectorist.errors import InputError, NoSuchFile, OutputError, ParameterError
from detectorist.simulate.coron.references import build_cache
from detectorist.simulate.coron.scene import CoronScene, MiriCoronScene

NOISE_DN_S = 0.12
LIMIT_DN_S = 2.0
SCENES = {"nircam": CoronScene().without("jitter"), "miri": MiriCoronScene().without("jitter")}


def write_rates(folder, scene, seed, rng):
    """Write the true light of a programme as rates, with noise of photons and detector; return the observation."""
    from stdatamodels.jwst.datamodels import ImageModel

    from detectorist.simulate.coron.header import fill_header

    observed = scene.observe(seed=seed, ints=1, groups=10)
    folder.mkdir(parents=True)
    for visit in observed.visits:
        light = observed.light(visit, 0).steady
        variance = NOISE_DN_S**2 + light / (observed.gain * observed.group_time_s * 100)
        data = (light + np.sqrt(variance) * rng.normal(size=light.shape)).astype(np.float32)
        model = ImageModel(data=data, err=np.sqrt(variance).astype(np.float32), dq=np.zeros(light.shape, np.uint32))
        model.var_poisson, model.var_rnoise = (0.5 * variance.astype(np.float32) for _ in range(2))
        bad = rng.random(light.shape) < 2e-3
        model.dq[bad], model.data[bad] = 1, np.nan
        fill_header(model, observed, visit)
        model.meta.bunit_data = "DN/s"
        model.save(str(folder / f"{observed.stem(visit)}_rate.fits"))
    return observed


def write_psf(path, fwhm):
    from tests.unit.algorithms.stars.coronagraph_scene import point

    fits.PrimaryHDU(point(20.0, 20.0, shape=(41, 41), fwhm=fwhm)).writeto(path)
    return str(path)


@pytest.fixture(scope="module")
def rates(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nircam")
    rng = np.random.default_rng(11)
    observed = write_rates(folder / "out" / "stage1", SCENES["nircam"], 3, rng)
    psf = write_psf(folder / "psf.fits", SCENES["nircam"].companion.fwhm_pix)
    return folder, observed, psf


def row(files, name):
    (path,) = [path for path in files if path.name.endswith(f"_{name}.ecsv")]
    return Table.read(path, format="ascii.ecsv")


@pytest.fixture(scope="module")
def subtracted(rates, tmp_path_factory):
    folder, _, psf = rates
    calls = []
    (found,) = subtract_star(
        folder / "out",
        tmp_path_factory.mktemp("subtracted"),
        SubtractionSettings(psf=psf, star_flux=2e6),
        stage_2=False,
        progress=lambda done, total, what: calls.append((done, total, what)),
    )
    return found, calls


def test_the_companion_is_found_with_its_flux_and_place(subtracted):
    found, _ = subtracted
    table = row(found.files, "companions")
    assert set(table["companion"]) == {1}
    assert list(table["exposure"][-1:]) == ["together"]
    truth = SCENES["nircam"].companion
    for one in table:
        assert abs(one["flux"] - truth.rate_dn_s) < 2 * one["flux_error"]
        assert abs(one["separation"] - truth.separation_arcsec) < 3 * one["separation_error"]
        assert abs(one["position_angle"] - truth.position_angle_deg) < 3 * one["position_angle_error"]
        assert one["snr"] > 20
        assert one["contrast"] == pytest.approx(one["flux"] / 2e6)
    # Two exposures tell more than one.
    assert table["flux_error"][-1] < 0.85 * table["flux_error"][:-1].min()


def test_images_and_their_provenance(subtracted, rates):
    found, calls = subtracted
    _, observed, _ = rates
    exposure = found.target.exposures[0]
    names = [path.name for path in found.files]
    assert f"{exposure.image.name}_psfsub.fits" in names
    with fits.open(found.files[0]) as hdus:
        left, error = hdus["SCI"].data, hdus["ERR"].data
        history = " ".join(map(str, hdus[0].header["HISTORY"]))
        assert hdus[0].header["S_STARSB"] == "COMPLETE"
    assert "KL modes" in history
    assert all(one.path.name in history.replace(" ", "") for one in found.target.references)
    light = observed.light(observed.visits[0], 0)
    truth = light.steady - light.companion
    assert np.nanstd(left[60:280, 40:260]) < 0.1 * truth[60:280, 40:260].std()
    far = np.hypot(*(np.indices(left.shape) - np.array(observed.mode.centre[::-1])[:, None, None])) > 100
    assert 1.4826 * np.nanmedian(np.abs(left / error)[far]) == pytest.approx(1.0, abs=0.05)
    with fits.open(next(path for path in found.files if "psfalign" in path.name)) as hdus:
        assert hdus["SCI"].data.shape == (3, *left.shape)
    with fits.open(next(path for path in found.files if path.name.endswith("psfsub_north.fits"))) as hdus:
        assert hdus["SCI"].header["CDELT1"] == pytest.approx(-0.063 / 3600)
        assert hdus["SCI"].header["CRVAL1"] == pytest.approx(80.0)
        image, middle = hdus["SCI"].data, hdus["SCI"].data.shape[0] // 2
    # North is up and east left: a companion at 40 degrees is up and to the left.
    y, x = np.unravel_index(
        np.nanargmax(np.where(np.hypot(*(np.indices(image.shape) - middle)) > 15, image, 0)), image.shape
    )
    truth = SCENES["nircam"].companion
    distance, angle = truth.separation_arcsec / 0.063, np.radians(truth.position_angle_deg)
    assert (x - middle, y - middle) == pytest.approx((-distance * np.sin(angle), distance * np.cos(angle)), abs=1.2)
    assert calls[-1][0] == calls[-1][1]


def test_the_contrast_curve_is_a_table_with_its_settings(subtracted):
    found, _ = subtracted
    table = row(found.files, "contrast")
    together = table[table["exposure"] == "together"]
    assert np.all(np.diff(together["separation"]) > 0)
    assert together["contrast"] == pytest.approx(together["limit"] / 2e6)
    assert np.all(together["limit"] > 5 * together["noise"])
    assert table.meta["settings"]["star_flux"] == 2e6
    assert len(table.meta["references"]) == 3
    single = table[table["exposure"] != "together"]["limit"]
    assert np.median(together["limit"]) < 0.9 * np.median(single)


def test_limits_mean_what_they_say(rates, tmp_path):
    """A companion at twice the limit is found, and nothing else is."""
    _, _, psf = rates
    scene = SCENES["nircam"].with_("companion", rate_dn_s=2 * LIMIT_DN_S, separation_arcsec=5.0)
    write_rates(tmp_path / "rates", scene, 4, np.random.default_rng(12))
    (found,) = subtract_star(tmp_path / "rates", tmp_path / "out", SubtractionSettings(psf=psf), stage_2=False)
    assert float(found.target.curve.limit_at(5.0 / 0.063)) == pytest.approx(LIMIT_DN_S, rel=0.3)
    (together,) = [one for one in row(found.files, "companions") if one["exposure"] == "together"]
    assert together["separation"] == pytest.approx(5.0, abs=0.05)
    assert abs(together["flux"] - 2 * LIMIT_DN_S) < 3 * together["flux_error"]


@pytest.mark.parametrize("mode", ["nircam", pytest.param("miri", marks=pytest.mark.long)])
def test_stage_2_comes_first(mode, tmp_path):
    """Rates go through calwebb_image2: fluxes in Jy, backgrounds subtracted, integrations calibrated beside."""
    rng = np.random.default_rng(13)
    scene = SCENES[mode]
    observed = write_rates(tmp_path / "rates", scene, 5, rng)
    cache = build_cache(tmp_path / "crds", scene)
    known = ((scene.companion.separation_arcsec, scene.companion.position_angle_deg),)
    psf = write_psf(tmp_path / "psf.fits", scene.companion.fwhm_pix)
    settings = SubtractionSettings(psf=psf, companions=known)
    (found,) = subtract_star(tmp_path / "rates", tmp_path / "sub", settings, references=cache)
    per_dn_s = observed.mode.mjy_sr_per_dn_s
    (together,) = [one for one in row(found.files, "companions") if one["exposure"] == "together"]
    assert together["flux"] == pytest.approx(scene.companion.rate_dn_s * per_dn_s, abs=3 * together["flux_error"])
    steradians = (observed.mode.pixel_scale_arcsec * np.pi / 648_000) ** 2
    assert together["flux_jy"] == pytest.approx(together["flux"] * 1e6 * steradians)
    stem = observed.stem(observed.visits[0])
    with fits.open(tmp_path / "sub" / "stage2" / f"{stem}_cal.fits") as hdus:
        header = hdus[0].header
        assert (header["S_WCS"], header["S_FLAT"], header["S_PHOTOM"]) == ("COMPLETE",) * 3
        assert header.get("S_BKDSUB") == ("COMPLETE" if mode == "miri" else None)
        assert hdus["SCI"].header["BUNIT"] == "MJy/sr"


def test_the_command_says_what_it_found(rates, tmp_path):
    folder, _, psf = rates
    arguments = ["subtract", str(folder / "out"), "-o", str(tmp_path / "out"), "--no-stage2", "--psf", psf]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "2 exposures of the target, 3 of a reference star" in result.output
    assert re.search(r"companion 1: 1\.(6|59)\d+\" at (39|40)\.", result.output)
    assert "--star-flux" in result.output
    again = CliRunner().invoke(app, arguments)
    assert isinstance(again.exception, OutputError)


def test_what_cannot_be_subtracted_is_refused_in_words(rates, tmp_path):
    folder, _, psf = rates
    stage_1 = folder / "out" / "stage1"
    science = sorted(stage_1.glob("*_rate.fits"))[:2]
    reference = sorted(stage_1.glob("*_rate.fits"))[2]
    options = {"stage_2": False}
    with pytest.raises(InputError, match="no exposure of a reference star"):
        subtract_star(science, tmp_path, **options)
    with pytest.raises(InputError, match="no exposure of a science target"):
        subtract_star([reference], tmp_path, **options)
    with pytest.raises(NoSuchFile, match="no such file"):
        subtract_star(tmp_path / "nowhere", tmp_path, **options)
    with pytest.raises(InputError, match=r"no \*_rate.fits"):
        subtract_star(tmp_path, tmp_path, **options)
    with pytest.raises(ParameterError, match="most_modes"):
        SubtractionSettings(most_modes=0)
    small = tmp_path / "small" / reference.name
    small.parent.mkdir()
    with fits.open(reference) as hdus:
        for name in ("SCI", "ERR", "DQ"):
            hdus[name].data = hdus[name].data[:300]
        hdus.writeto(small)
    with pytest.raises(InputError, match="shape is"):
        subtract_star([*science, small], tmp_path / "x", SubtractionSettings(psf=psf), **options)
    fits.PrimaryHDU(np.ones((4, 5))).writeto(tmp_path / "flat.fits")
    with pytest.raises(InputError, match="square image"):
        subtract_star(stage_1, tmp_path / "y", SubtractionSettings(psf=str(tmp_path / "flat.fits")), **options)


def test_a_product_is_not_subtracted_again(subtracted, tmp_path):
    found, _ = subtracted
    with pytest.raises(InputError, match="subtracted already"):
        subtract_star(found.files[0], tmp_path, stage_2=False)


def test_an_interrupted_writer_leaves_the_earlier_products(subtracted, tmp_path, monkeypatch):
    from detectorist.modes.coron.subtraction import products

    found, _ = subtracted
    old = tmp_path / found.files[0].name
    old.write_text("earlier")

    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(products, "show_or_write", interrupted)  # the last that is written
    with pytest.raises(KeyboardInterrupt):
        products.write_subtraction(found.target, found.name, tmp_path)
    assert list(tmp_path.iterdir()) == [old]
    assert old.read_text() == "earlier"
