"""The page in a browser: headless Chromium, where there is one."""

import itertools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

pytest.importorskip("selenium.webdriver")
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

WIDTHS = (1300, 768, 390)
#: Where pictures of the pages go, if anywhere: artefacts of `make test-long`.
SCREENSHOTS = os.environ.get("DETECTORIST_SCREENSHOTS")

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def browser(start_browser):
    driver = start_browser(logs=("browser", "performance"))
    yield driver
    driver.quit()


@pytest.fixture
def opened(browser, campaign_page):
    """The page, at the width of a desk, with the log of the browser empty before."""
    show(browser, campaign_page, WIDTHS[0])
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def show(browser, page, width, scheme="light"):
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    for kind in ("browser", "performance"):
        browser.get_log(kind)
    browser.get("about:blank")
    browser.get(page.as_uri())
    # The interactive figure that the page opens with takes the place of the still one, and moves what is below.
    waiting = "return [...document.querySelectorAll('.opening .interactive[hidden]')].length"
    WebDriverWait(browser, 60).until(lambda shown: shown.execute_script(waiting) == 0)


def keep_picture(browser, name):
    """Keep what the browser shows, where pictures are wanted."""
    if SCREENSHOTS:
        Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}.png"))


def unfold_and_scroll(browser):
    browser.execute_script("document.querySelector('[data-unfold=true]').click()")
    browser.execute_async_script("""
        const done = arguments[0];
        let y = 0;
        const step = () => {
          scrollTo(0, y);
          y += 700;
          if (y < document.documentElement.scrollHeight) setTimeout(step, 40); else setTimeout(done, 1500);
        };
        step();
    """)


def names(browser):
    rows = browser.find_elements(By.CSS_SELECTOR, "table.index tbody tr")
    return [row.find_element(By.CSS_SELECTOR, "th a").text for row in rows if row.is_displayed()]


def values(browser, column):
    script = """
        return [...document.querySelectorAll('table.index tbody tr')]
            .map(row => row.cells[arguments[0]].dataset.value)
    """
    return [float(value) if value is not None else None for value in browser.execute_script(script, column)]


def column_of(browser, title):
    headings = browser.find_elements(By.CSS_SELECTOR, "table.index thead th")
    return next(i for i, heading in enumerate(headings) if heading.text.startswith(title))


def test_it_renders_without_errors_and_without_requests(opened):
    unfold_and_scroll(opened)
    errors = [entry for entry in opened.get_log("browser") if entry["level"] in ("SEVERE", "WARNING")]
    assert errors == []
    messages = [json.loads(entry["message"])["message"] for entry in opened.get_log("performance")]
    asked = [
        message["params"]["request"]["url"] for message in messages if message["method"] == "Network.requestWillBeSent"
    ]
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:", "about:"))] == []
    # The interactive light curves took the place of the still ones.
    plots = opened.find_elements(By.CSS_SELECTOR, ".interactive:not([hidden])")
    assert len(plots) == 2 + 3 * 3  # what the report opens with; white light, bins and spectrum of each exposure
    assert all(plot.size["height"] > 200 for plot in plots)
    assert opened.find_elements(By.CSS_SELECTOR, "[data-still]:not([hidden])") == []


def test_a_target_with_a_script_harms_nothing(opened, evil):
    assert evil in opened.find_element(By.CSS_SELECTOR, "table.index").text
    assert opened.execute_script("return [...document.scripts].some(s => s.textContent.startsWith('alert'))") is False


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_it_fits_every_width(opened, campaign_page, width, scheme):
    show(opened, campaign_page, width, scheme)
    unfold_and_scroll(opened)
    assert opened.execute_script("return document.documentElement.scrollWidth") <= width
    ink, paper = (
        opened.execute_script(f"return getComputedStyle(document.body).{name}") for name in ("color", "backgroundColor")
    )
    bright = [sum(int(part) for part in re.findall(r"\d+", value)[:3]) for value in (ink, paper)]
    assert (bright[0] > bright[1]) == (scheme == "dark")
    opened.execute_script("scrollTo(0, 0)")
    keep_picture(opened, f"time_series_{width}_{scheme}")


def test_columns_sort_both_ways_and_empty_cells_stay_last(opened):
    column = column_of(opened, "time")
    before = values(opened, column)
    button = opened.find_element(By.CSS_SELECTOR, f"table.index thead th:nth-child({column + 1}) button")
    button.click()
    assert values(opened, column) == sorted(before)
    button.click()
    assert values(opened, column) == sorted(before, reverse=True)
    heading = button.find_element(By.XPATH, "..")
    assert heading.get_attribute("aria-sort") == "descending"
    eyes = opened.find_element(By.CSS_SELECTOR, "table.index thead th button")
    for _ in range(2):
        eyes.click()
        ranks = values(opened, 0)
        known = [rank for rank in ranks if rank is not None]
        assert ranks[: len(known)] == known
        assert known in (sorted(known), sorted(known, reverse=True))


def test_search_and_filters_leave_what_fits(opened):
    search = opened.find_element(By.ID, "search")
    search.send_keys("00002 STAR")
    assert names(opened) == ["jw00002_04103_00001_mirimage"]
    assert "1 of 6" in opened.find_element(By.ID, "shown").text
    search.clear()
    search.send_keys("unforeseen")  # a word of the reason
    assert names(opened) == ["jw90002_crash_mirimage"]
    search.clear()
    search.send_keys(" ")
    state = Select(opened.find_element(By.ID, "state"))
    state.select_by_visible_text("done")
    done = [
        "jw00001_04103_00001_mirimage",
        "jw00002_04103_00001_mirimage",
        "jw00003_04103_00001_mirimage",
    ]
    WebDriverWait(opened, 10).until(lambda page: names(page) == done)
    state.select_by_index(0)
    opened.find_element(By.ID, "only-attention").click()
    assert len(names(opened)) == 3


def test_it_works_with_the_keyboard_alone(opened):
    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.TAB)
    assert opened.switch_to.active_element.text == "Skip to the content"
    seen = []
    for _ in range(60):
        opened.switch_to.active_element.send_keys(Keys.TAB)
        active = opened.switch_to.active_element
        seen.append(active.tag_name)
        if active.tag_name == "button" and active.text.startswith("exposure"):
            break
    opened.switch_to.active_element.send_keys(Keys.ENTER, Keys.ENTER)
    assert names(opened)[0] == "jw90003_waits_mirimage"
    assert "a" in seen and "input" in seen and "select" in seen  # noqa: PT018 - all of these are reached
    summary = opened.find_element(By.CSS_SELECTOR, "details.exposure summary")
    summary.send_keys(Keys.ENTER)
    assert opened.find_element(By.CSS_SELECTOR, "details.exposure").get_attribute("open")


def test_a_link_unfolds_what_it_leads_to(opened):
    link = opened.find_element(By.CSS_SELECTOR, "table.index tbody th a")
    target = link.get_attribute("hash")
    link.click()
    details = opened.find_element(By.CSS_SELECTOR, target)
    assert details.get_attribute("open")
    assert abs(details.rect["y"] - opened.execute_script("return scrollY")) < 300


def test_the_theme_can_be_chosen(opened):
    button = opened.find_element(By.ID, "theme")
    assert button.text == "Dark"
    paper = "return getComputedStyle(document.body).backgroundColor"
    before = opened.execute_script(paper)
    button.click()
    assert button.text == "Light"
    assert opened.execute_script(paper) != before
    opened.execute_script("localStorage.clear()")


def test_it_means_something_without_scripts(opened, campaign_page):
    opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        opened.get(campaign_page.as_uri())
        assert len(names(opened)) == 6
        assert not opened.find_element(By.ID, "filters").is_displayed()
        opened.find_element(By.CSS_SELECTOR, "details.exposure summary").click()
        assert opened.find_element(By.CSS_SELECTOR, "details.exposure .drawing svg").is_displayed()
    finally:
        opened.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


def node_modules(package):
    """Return the folder of a node package, where the environment or the machine has it."""
    folders = [os.environ.get("DETECTORIST_NODE_MODULES", "")]
    if shutil.which("npm"):
        folders.append(
            subprocess.run(["npm", "root", "-g"], capture_output=True, text=True, check=False).stdout.strip()
        )
    for folder in folders:
        if folder and (Path(folder) / package).is_dir():
            return Path(folder) / package
    pytest.skip(f"no node package {package} here: npm install {package}, and DETECTORIST_NODE_MODULES names its folder")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_accessibility_has_no_serious_finding(opened, campaign_page, scheme):
    axe = (node_modules("axe-core") / "axe.min.js").read_text()
    show(opened, campaign_page, WIDTHS[0], scheme)
    opened.execute_script("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    unfold_and_scroll(opened)
    opened.execute_script(axe)
    found = opened.execute_async_script("""
        const done = arguments[0];
        axe.run(document).then(result => done([result.passes.length, result.violations.map(one => ({
          id: one.id, impact: one.impact, nodes: one.nodes.slice(0, 3).map(node => node.html.slice(0, 200)),
        }))]), error => done([0, [{ id: String(error), impact: 'critical' }]]));
    """)
    passed, found = found
    assert passed > 20
    assert [one for one in found if one["impact"] in ("serious", "critical")] == []


def test_the_html_is_valid(campaign_page, tmp_path):
    validator = node_modules("html-validate") / "bin" / "html-validate.mjs"
    rules = {
        "extends": ["html-validate:standard"],
        "rules": {"no-inline-style": "off", "long-title": "off", "svg-focusable": "off", "require-sri": "off"},
    }
    (tmp_path / ".htmlvalidate.json").write_text(json.dumps({"root": True, **rules}))
    shutil.copy(campaign_page, tmp_path / "report.html")
    command = ["node", str(validator), "--formatter", "json", "report.html"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    messages = [message for file in json.loads(done.stdout or "[]") for message in file["messages"]]
    assert [(one["ruleId"], one["message"], one["line"]) for one in messages if one["severity"] == 2] == []
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image_page(tmp_path_factory):
    """The report of images: one before and after, with a bright source at a known place."""
    from detectorist.campaign.ledger import Ledger
    from detectorist.modes.job import DONE, Job, JobRecord, Product
    from detectorist.report.page import write_report

    folder, rng = tmp_path_factory.mktemp("images"), np.random.default_rng(1)
    job = Job("jw1_00001_nrcb4", "imaging", ("raw/jw1_00001_nrcb4_uncal.fits",), str(folder), together=True)
    rate = 0.3 + 0.01 * rng.normal(size=(120, 160))
    rate[86:98, 36:48] = 7.0
    striped = rate + 0.05 * rng.normal(size=(120, 1))
    for kind, image in (("rate", rate), ("rate_pre1f", striped)):
        hdus = [fits.PrimaryHDU(header=fits.Header({"NINTS": 1})), fits.ImageHDU(image, name="SCI")]
        fits.HDUList(hdus).writeto(folder / f"{job.name}_{kind}.fits")
    steps = {"exposure": {"row_ratio": 2.1, "sky": 0.3}, "stripes": {"state": "COMPLETE"}}
    with Ledger(folder) as ledger:
        ledger.begin_run("", {})
        ledger.enter([job])
        product = Product(f"{job.name}_rate.fits", 1, 1, 1, "")
        ledger.finish(JobRecord(job.name, DONE, products=[product], steps=steps, output_dir=str(folder)))
    return write_report(folder)


def test_the_first_screen_shows_the_science(opened):
    shown = opened.execute_script("""
        return [...document.querySelectorAll('.opening .opening-figure, .opening .merits')]
            .slice(0, 2).map(one => one.getBoundingClientRect()).map(box => [box.top, box.bottom, box.height])
    """)
    assert all(top < 300 and bottom <= 900 and height > 200 for top, bottom, height in shown)
    order = opened.execute_script("return [...document.querySelectorAll('main > section')].map(one => one.id)")
    assert order[:3] == ["science", "attention", "index"]
    merits = opened.find_element(By.CSS_SELECTOR, ".opening .merits").text
    assert "scatter / expected" in merits
    assert "1.02 ± 0.15" in merits
    assert "good up to 1.15" in merits
    assert "1.210 ± 0.020 %" in merits


@pytest.mark.parametrize("width", [1300, 390])
def test_tables_need_no_scrolling(opened, campaign_page, width):
    show(opened, campaign_page, width)
    script = "return [...document.querySelectorAll('.scroll')].map(one => one.scrollWidth - one.clientWidth)"
    index = opened.execute_script(script)[0]
    assert index <= 0
    opened.execute_script("document.getElementById('index').scrollIntoView()")
    keep_picture(opened, f"table_{width}")


def test_values_stand_under_the_cursor(opened, image_page):
    show(opened, image_page, 1300)
    view = opened.find_element(By.CSS_SELECTOR, ".opening svg.view")
    box = opened.execute_script("return JSON.parse(arguments[0].dataset.view).box", view)
    width, height = view.size["width"], view.size["height"]
    scale = width / float(view.get_dom_attribute("viewBox").split()[2])
    # The middle of the source, row 92 and column 42, first row at the bottom.
    x, y = box[0] + box[2] * 42.5 / 160, box[1] + box[3] * (1 - 92.5 / 120)
    actions = ActionChains(opened)
    move = (round(x * scale - width / 2), round(y * scale - height / 2))
    actions.move_to_element_with_offset(view, *move).pause(0.5).move_by_offset(0, 1).perform()
    told = opened.find_element(By.CSS_SELECTOR, ".opening .readout").text
    keep_picture(opened, "image_values")
    column, row, value = re.match(r"column (\d+), row (\d+): \D*([\d.]+) DN/s", told).groups()
    assert abs(int(column) - 42) <= 1
    assert abs(int(row) - 92) <= 1
    assert float(value) == pytest.approx(7.0, rel=0.1)


def test_before_and_after_are_compared_with_a_slider_and_by_blinking(opened, image_page):
    show(opened, image_page, 1300)
    stack = opened.find_element(By.CSS_SELECTOR, ".opening [data-blink]")
    frames = stack.find_elements(By.CSS_SELECTOR, ".frame")
    buttons = {button.text: button for button in stack.find_elements(By.TAG_NAME, "button")}
    assert list(buttons) == ["before", "after", "difference", "Slider", "Blink"]
    # The report opens with both, the slider in the middle.
    assert [frame.is_displayed() for frame in frames] == [True, True, False]
    assert stack.find_element(By.CLASS_NAME, "sides").text.split() == ["before", "after"]
    buttons["before"].click()
    assert [frame.is_displayed() for frame in frames] == [True, False, False]
    buttons["difference"].click()
    assert [frame.is_displayed() for frame in frames] == [False, False, True]
    buttons["Slider"].click()
    assert [frame.is_displayed() for frame in frames] == [True, True, False]
    tops = [frame.find_element(By.TAG_NAME, "svg").location for frame in frames[:2]]
    assert tops[0] == tops[1]  # the two images cover each other
    slider = stack.find_element(By.CSS_SELECTOR, "input[type=range]")
    slider.send_keys(*[Keys.ARROW_LEFT] * 20)
    assert opened.execute_script("return arguments[0].style.getPropertyValue('--cut')", stack) == "30%"
    keep_picture(opened, "image_slider")
    buttons["Blink"].click()
    WebDriverWait(opened, 5).until(lambda page: frames[1].is_displayed() and not frames[0].is_displayed())
    WebDriverWait(opened, 5).until(lambda page: frames[0].is_displayed() and not frames[1].is_displayed())
    buttons["before"].click()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_of_images_has_the_colour_of_the_page(opened, image_page, scheme):
    show(opened, image_page, 1300, scheme)
    fill, ink = opened.execute_script("""
        const text = document.querySelector('svg.view text');
        return [getComputedStyle(text).fill, getComputedStyle(document.body).color];
    """)
    assert fill == ink
    words = [one.text for one in opened.find_elements(By.CSS_SELECTOR, ".opening svg.view text") if one.text]
    assert "column (pixel)" in words
    assert "DN/s" in words
    keep_picture(opened, f"image_{scheme}")


def test_it_prints_on_white_with_all_images(opened, image_page):
    show(opened, image_page, 1300, "dark")
    opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        paper = opened.execute_script("return getComputedStyle(document.body).backgroundColor")
        assert paper == "rgb(255, 255, 255)"
        frames = opened.find_elements(By.CSS_SELECTOR, ".opening .frame")
        assert len(frames) == 3
        assert all(frame.is_displayed() for frame in frames)
        # The slider lays two over each other on the screen: on paper one follows the other, whole.
        edges = [(frame.rect["y"], frame.rect["y"] + frame.rect["height"]) for frame in frames]
        assert all(above[1] <= below[0] for above, below in itertools.pairwise(edges))
        clips = "return [...document.querySelectorAll('.opening svg.view')].map(one => getComputedStyle(one).clipPath)"
        assert set(opened.execute_script(clips)) == {"none"}
        assert not opened.find_element(By.CSS_SELECTOR, ".blink .buttons").is_displayed()
        assert not opened.find_element(By.CSS_SELECTOR, ".top").is_displayed()
        keep_picture(opened, "print")
    finally:
        opened.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_is_wrong_is_marked_where_the_report_opens(opened, image_page):
    show(opened, image_page, 1300)
    (marked,) = opened.find_elements(By.CSS_SELECTOR, ".opening .merit-look")
    assert "rows / white" in marked.text
    assert "good up to 1" in marked.text
    assert "rows scatter 2.10 times" in opened.find_element(By.ID, "attention").text
