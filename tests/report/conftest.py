"""Output folders as runs leave them, made without running anything."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from astropy.io import fits
from PIL import Image

from detectorist.campaign.ledger import Ledger
from detectorist.modes.job import CRASHED, DONE, UNPROCESSABLE, Job, JobRecord, Product

EVIL = '<script>alert("target")</script>'


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
#: Nothing but the page: no updates, no first run, nothing kept between sessions.
CHROMIUM_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
)
#: Seconds that a page may take on a busy machine.
PAGE_LOAD_S, SCRIPT_S = 90, 120


def start_browser(logs=()):
    """Return headless Chromium, driven; `logs`: kinds of log that are kept. It is started again where that failed."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.common.exceptions import WebDriverException
    from selenium.webdriver.chrome.service import Service
    from urllib3.exceptions import HTTPError

    if not (CHROMIUM and DRIVER):
        pytest.skip("no Chromium with its driver here: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in CHROMIUM_ARGUMENTS:
        options.add_argument(argument)
    if logs:
        options.set_capability("goog:loggingPrefs", dict.fromkeys(logs, "ALL"))
    try:
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    except (WebDriverException, HTTPError):  # no answer within selenium's 120 s, where many start at once
        driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    driver.set_page_load_timeout(PAGE_LOAD_S)
    driver.set_script_timeout(SCRIPT_S)
    return driver


@pytest.fixture(name="start_browser", scope="session")
def _start_browser():
    """The function that starts a browser."""
    return start_browser


class LrsFolder:
    """Writes what an LRS reduction leaves: small, seeded by the name, with the numbers that are asked for."""

    def __init__(self, n_ints=12, n_rows=60, n_cols=50):
        self.shape = n_ints, n_rows, n_cols

    def write(self, folder, name, *, target="HD 1", numbers=None, parameters=None, header=None):
        n_ints, n_rows, n_cols = self.shape
        rng = np.random.default_rng(abs(hash(name)) % 2**32)
        stem = f"{name}-seg001"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stage_1").mkdir()
        (folder / "stage_2").mkdir()
        cards = {
            "TARGPROP": target,
            "INSTRUME": "MIRI",
            "R_FLAT": "crds://flat_0001.fits",
            "R_READNO": "crds://noise_0001.fits",
            **(header or {}),
        }
        fits.PrimaryHDU(header=fits.Header(cards)).writeto(folder / "stage_1" / f"{stem}_rateints.fits")
        self._spectra(rng, n_ints, n_rows).to_netcdf(folder / "stage_2" / "stage_2_output.nc", engine="h5netcdf")
        self._frames(rng, n_ints, n_rows, n_cols).to_netcdf(folder / "stage_2" / "frames.nc", engine="h5netcdf")
        (folder / "figures").mkdir()
        for figure in ("white_light", "light_curves_2d", "trace"):
            Image.fromarray(rng.integers(0, 255, (60, 90, 3), np.uint8)).save(folder / "figures" / f"{figure}.png")
        resolved = {
            "pipeline": "LrsPipeline",
            "recipe": "best",
            "title": "the best",
            "settings": [],
            "inputs": [f"raw/{stem}_uncal.fits"],
            "extraction": "optimal",
            "references": {"source": "crds", "context": "jwst_1.pmap"},
            "versions": {"detectorist": "0.1.0", "jwst": "3.0.0"},
            "steps": {"clean_outliers": {"outlier_threshold": 4.0, "poly_order": 4, **(parameters or {})}},
        }
        log = "2026-07-01 00:00:00,000 detectorist WARNING a <b>warning</b>\n" * 3
        (folder / "detectorist.log").write_text(log + "2026-07-01 00:00:00,000 stpipe INFO nothing\n")
        return self.record(stem, numbers), resolved

    @staticmethod
    def record(stem, numbers=None):
        exposure = {
            "n_integrations": 12,
            "n_wavelengths": 60,
            "replaced_pct": 3.0,
            "saturated_pct": 0.0,
            "no_flux_pct": 0.0,
            "times_from_header": False,
            "x_rms_pix": 0.003,
            "y_rms_pix": 0.004,
            "motion_pix": 0.005,
            "width_pix": 1.8,
            "background_level": 30.0,
            "white_expected_ppm": 500.0,
            "white_photon_ppm": 400.0,
            "white_scatter_ppm": 510.0,
            "white_ratio": 1.02,
            "white_ratio_error": 0.15,
            "white_ratio_at_least": 0.7,
            "depth_pct": 1.21,
            "depth_error_pct": 0.02,
            "pull_width": 1.01,
            **(numbers or {}),
        }
        steps = {
            "drop_groups": {"state": "COMPLETE", "groups": [0, 9], "n_groups": 10, "deviation_pct": [5.0] + 8 * [0.1]},
            "clean_outliers": {"state": "COMPLETE", "n_cleaned": 12},
        }
        return {"exposure": exposure, f"{stem}, integrations 1 to 12": steps}

    @staticmethod
    def _spectra(rng, n_ints, n_rows):
        wavelength = np.linspace(13, 4.5, n_rows)
        error = np.full((n_ints, n_rows), 2.0)
        flux = 1000 + error * rng.normal(size=error.shape)
        both, each = ("integration_number", "wavelength"), ("integration_number",)
        return xr.Dataset(
            {
                "flux": (both, flux),
                "flux_error": (both, error),
                "background": (both, 30 + rng.normal(size=flux.shape)),
                "x_shift": (each, 0.003 * rng.normal(size=n_ints)),
                "y_shift": (each, 0.003 * rng.normal(size=n_ints)),
                "psf_sigma": (each, 1.8 + 0.001 * rng.normal(size=n_ints)),
                "time_mjd_utc": (each, 60000 + np.arange(n_ints) / 1000),
                "quality": (both, np.zeros(flux.shape, np.uint8)),
            },
            {"wavelength": wavelength, "integration_number": np.arange(1, n_ints + 1)},
        )

    @staticmethod
    def _frames(rng, n_ints, n_rows, n_cols):
        image = ("row", "column")
        trace = np.exp(-0.5 * ((np.arange(n_cols) - 36) / 1.7) ** 2) * np.ones((n_rows, 1))
        names = ("raw", "clean", "background", "example_raw", "example_clean")
        variables = {name: (image, 100 * trace + rng.normal(size=trace.shape)) for name in names}
        variables["replaced"] = (image, rng.random(trace.shape) * 0.1)
        variables["profile"] = (image, trace / trace.sum(axis=1, keepdims=True))
        variables["photon_error"] = (("integration_number", "row"), np.full((n_ints, n_rows), 1.5))
        return xr.Dataset(variables, attrs={"example_integration": 3})


@pytest.fixture
def single(tmp_path):
    """The folder of one exposure: products and ledger in one place."""
    folder, name = tmp_path / "single", "jw01_04103_00001_mirimage"
    steps, resolved = LrsFolder().write(folder, name, target=EVIL, header={"FILTER": "P750L"})
    write_ledger(folder, [(Job(name, "lrs", (f"raw/{name}-seg001_uncal.fits",), str(folder)), steps, resolved)])
    return folder


def write_ledger(folder, done, *, command="detectorist run"):
    """Write the ledger of a run whose jobs, (job, steps, resolved) each, are done; products are all FITS files."""
    with Ledger(folder) as ledger:
        ledger.begin_run(command, {"detectorist": "0.1.0"})
        ledger.enter([job for job, _, _ in done])
        for job, steps, resolved in done:
            ledger.finish(done_record(job, steps, resolved))
        ledger.end_run()


def done_record(job, steps, resolved, *, seconds=10.0):
    """Return the record of a job that is done."""
    folder = Path(job.output_dir)
    found = [path for path in sorted(folder.rglob("*.fits")) if job.name in path.name or not job.together]
    products = [Product(str(path.relative_to(folder)), path.stat().st_size, 1, 1, "") for path in found]
    return JobRecord(
        job.name,
        DONE,
        started=1.0,
        finished=1.0 + seconds,
        products=products,
        steps=steps,
        resolved=resolved,
        peak_bytes=int(1e9),
        output_dir=job.output_dir,
    )


@pytest.fixture(name="write_ledger")
def _write_ledger():
    """The function that writes a ledger."""
    return write_ledger


def write_campaign(folder, n_done=3, *, failures=True, lrs=None, target=EVIL, numbers=None):
    """Write a campaign with a ledger: exposures done, one that cannot be processed, one that crashed, one waiting."""
    lrs = lrs or LrsFolder()
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"jw{number:05d}_04103_00001_mirimage" for number in range(1, n_done + 1)]
    bad = ["jw90001_bad_mirimage", "jw90002_crash_mirimage", "jw90003_waits_mirimage"] if failures else []
    jobs = [
        Job(name, "lrs", (f"raw/{name}-seg001_uncal.fits",), str(folder / name), settings=_settings(index))
        for index, name in enumerate([*names, *bad])
    ]
    with Ledger(folder) as ledger:
        ledger.begin_run("detectorist run campaign.toml --set x=<b>", {"detectorist": "0.1.0"})
        ledger.enter(jobs)
        for index, job in enumerate(jobs[:n_done]):
            steps, resolved = lrs.write(
                folder / job.name,
                job.name,
                target=target if index == 0 else f"star {index}",
                numbers=(numbers or {}).get(index),
                parameters={"outlier_threshold": 6.5} if index == 1 else None,
            )
            ledger.finish(done_record(job, steps, resolved, seconds=10.0 + index))
        if failures:
            sentence = f"raw/{bad[0]}_uncal.fits: SCI is empty; <b>data</b> are needed"
            ledger.finish(JobRecord(bad[0], UNPROCESSABLE, "InputError", sentence, {"n_found": 0}))
            ledger.finish(JobRecord(bad[1], CRASHED, "RuntimeError", "unforeseen\nTraceback: long"))
        ledger.end_run()
    return folder


def _settings(index):
    return ("clean_outliers.outlier_threshold=6.5",) if index == 1 else ()


@pytest.fixture(name="write_campaign")
def _write_campaign():
    """The function that writes a campaign."""
    return write_campaign


@pytest.fixture
def small_lrs():
    """A writer of exposures that are quick to draw."""
    return LrsFolder(n_ints=8, n_rows=30, n_cols=45)


@pytest.fixture
def evil():
    """The name that one target has."""
    return EVIL


@pytest.fixture
def campaign(tmp_path):
    """The folder of a campaign of three exposures done and three not."""
    return write_campaign(tmp_path / "campaign")


@pytest.fixture(scope="session")
def campaign_page(tmp_path_factory):
    """The report of such a campaign, made once."""
    from detectorist.report.page import write_report

    return write_report(write_campaign(tmp_path_factory.mktemp("report") / "campaign"))
