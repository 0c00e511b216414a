"""sweep.html in Chromium: every odd sweep draws without an error, and what can be clicked works."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from discerna.sweeps.page import page
from told_sweeps import HOSTILE, odd, plausible

NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for path in map(shutil.which, NAMES) if path), None)
DRIVER = shutil.which("chromedriver")
SWEEPS = {"plausible": plausible(), "many": plausible(500), **odd()}
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-device-scale-factor=1",
]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium with its driver here"),
]


class Browser:
    """A browser, and the page that it shows."""

    def __init__(self, driver: webdriver.Chrome, room: Path) -> None:
        self.driver = driver
        self.room = room

    def show(self, told: dict[str, Any], width: int = 1280, theme: str = "light") -> None:
        path = self.room / "sweep.html"
        path.write_text(page(told), "utf-8")
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [{"name": "prefers-color-scheme", "value": theme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(path.as_uri())

    def all(self, selector: str) -> list[Any]:
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def say(self, script: str) -> Any:
        return self.driver.execute_script(f"return {script}")

    def errors(self) -> list[str]:
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def column(self, head: str) -> list[str]:
        heads = [element.text for element in self.all("th")]
        return [row.text for row in self.all(f"tbody td:nth-child({heads.index(head) + 1})")]

    def click(self, element: Any) -> None:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def at(self, selector: str, x: float, y: float) -> ActionChains:
        """A pointer at a place of a chart, in the chart's own units."""
        node = self.one(selector)
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", node)
        box = node.rect
        return ActionChains(self.driver, duration=20).move_to_element_with_offset(
            node, round(x - box["width"] / 2), round(y - box["height"] / 2)
        )


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    room = tmp_path_factory.mktemp("browser")
    for flag in [*FLAGS, f"--user-data-dir={room / 'profile'}"]:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield Browser(driver, room)
    driver.quit()


@pytest.mark.parametrize("width", [400, 900, 2000])
@pytest.mark.parametrize("name", SWEEPS)
def test_every_sweep_draws(browser, name, width):
    browser.show(SWEEPS[name], width, "dark" if width == 900 else "light")
    assert browser.errors() == []
    assert browser.say("document.documentElement.scrollWidth") <= width
    told = SWEEPS[name]
    if told["best"] is not None:
        assert browser.one("code").text.startswith("discerna score ")
    shown = browser.all("section:not([hidden])")
    assert bool(shown) == bool(told["jobs"])
    text = browser.one("main").text
    assert not [word for word in ("NaN", "undefined", "null", "Infinity") if word in text]
    drawn = "[...document.querySelectorAll('svg *')].flatMap(node => [...node.attributes]).map(a => a.value)"
    assert not browser.say(f"{drawn}.filter(value => /NaN|undefined|Infinity/.test(value))")


def test_hostile_text_is_text(browser):
    browser.show(SWEEPS["hostile"])
    assert browser.driver.title != "taken"
    assert not browser.all("img, section script")
    assert HOSTILE in browser.one("dl.settings").text
    assert r"\udcff\u202egnp.\x0a\x09" in browser.one("dl.settings").text
    assert browser.one("code").text.startswith("discerna score $'model=/m/")


@pytest.mark.parametrize(
    ("output", "typed"),
    [
        ("/m/a", "model=/m/a"),
        ("/m/it's žluté", r"'model=/m/it'\''s žluté'"),
        ("/m/\udcff\n", r"$'model=/m/\xff\x0a'"),
    ],
)
def test_command_can_be_typed(browser, output, typed):
    told = plausible(4)
    told["jobs"][told["best"]]["output"] = output
    browser.show(told)
    assert browser.one("code").text == f"discerna score {typed} data=PICTURES output=scores.csv"
    browser.one(".command button").click()
    assert browser.one(".command button").text == "Copied"
    browser.driver.execute_script("document.body.append(document.createElement('textarea'))")
    browser.one("textarea").send_keys(Keys.CONTROL, "v")
    assert browser.one("textarea").get_property("value") == browser.one("code").text


def test_best_is_first_and_heads_sort(browser):
    told = plausible(30)
    browser.show(told)
    assert browser.column("job")[0] == str(told["best"])
    head = next(element for element in browser.all("th button") if element.text == "valid_loss")
    values = [f"{job['value']:.4f}" for job in told["jobs"] if job["value"] is not None]
    browser.click(head)
    missing = ["–"] * (30 - len(values))
    assert browser.column("valid_loss") == sorted(values) + missing
    assert head.find_element(By.XPATH, "..").get_attribute("aria-sort") == "ascending"
    browser.click(head)
    assert browser.column("valid_loss") == sorted(values, reverse=True) + missing
    rate = next(element for element in browser.all("th button") if element.text == "learning_rate")
    browser.click(rate)
    rates = [float(text) for text in browser.column("learning_rate")]
    assert rates == sorted(rates)


def test_row_selects_everywhere_and_escape_ends_it(browser):
    browser.show(plausible(30))
    browser.click(browser.all("tbody tr")[4])
    number = browser.column("job")[4]
    assert browser.one("#sheet").text.startswith(f"job {number}")
    assert len(browser.all("svg .mark.selected:not(:empty)")) == 2 + 4
    assert browser.one("tr.selected .job").get_attribute("aria-pressed") == "true"
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert not browser.one("#sheet").is_displayed()
    assert not browser.all("tr.selected")


def test_error_is_read_in_full(browser):
    browser.show(SWEEPS["all failed"])
    browser.click(browser.all("tbody tr")[0])
    assert browser.one("#sheet pre").text == SWEEPS["all failed"]["jobs"][0]["error"]


def test_hover_and_click_in_the_charts(browser):
    browser.show(SWEEPS["many"])
    for chart in ("#settings .plot", "#curves .plot", "#strips .plot"):
        place = {
            "#settings .plot": "[parallel.x(1) - parallel.step / 2, 150]",
            "#curves .plot": "[curves.lines.at(-1).spots[1][0], curves.lines.at(-1).spots[1][1]]",
            "#strips .plot": "[charts[2].spots[9].x, charts[2].spots[9].y]",
        }[chart]
        x, y = browser.say(place)
        browser.at(chart, x, y).perform()
        assert browser.one("#tip").text.startswith("job "), chart
        assert browser.all("svg .mark.hover:not(:empty)")
        browser.at(chart, x, y).click().perform()
        assert browser.one("#sheet").text.split("\n")[0].startswith("job "), chart
        ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert browser.errors() == []


def test_brush_filters_by_pointer_and_by_keys(browser):
    told = plausible(48)
    browser.show(told)
    x, top, height = browser.say("[parallel.x(0), parallel.top, parallel.height]")
    drag = browser.at("#settings .plot", x, top - 4).click_and_hold()
    drag.move_by_offset(0, round(height * 0.3)).release().perform()
    high = [job for job in told["jobs"] if float(job["varying"]["learning_rate"]) >= 0.01]
    assert browser.one("#shown").text == f"{len(high)} of 48 jobs pass"
    assert len(browser.all("tbody tr")) == len(high)
    assert not browser.one("#sheet").is_displayed()
    browser.click(browser.one("#clear"))
    assert len(browser.all("tbody tr")) == 48
    axis = browser.all("[role=slider]")[1]
    browser.driver.execute_script("arguments[0].focus()", axis)
    ActionChains(browser.driver).send_keys(Keys.ARROW_DOWN).perform()
    chosen = browser.all("[role=slider]")[1].get_attribute("aria-valuetext")
    assert len(browser.all("tbody tr")) == sum(job["varying"]["model"] == chosen for job in told["jobs"])
    ActionChains(browser.driver).send_keys(Keys.ESCAPE).perform()
    assert len(browser.all("tbody tr")) == 48


def test_arrow_keys_go_through_the_ranks(browser):
    told = plausible(30)
    browser.show(told)
    browser.driver.execute_script("document.querySelector('#curves .plot').focus()")
    ActionChains(browser.driver).send_keys(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT).perform()
    second = sorted((job for job in told["jobs"] if job["value"] is not None), key=lambda job: job["value"])[
        1
    ]
    assert browser.one("#sheet h2").text == f"job {second['number']}"


def test_repeated_points_are_rows(browser):
    told = SWEEPS["repeated"]
    browser.show(told)
    assert len(browser.all("tbody tr")) == 12
    assert browser.column("valid_loss")[0].count("±") == 1
    browser.click(browser.all("tbody tr")[0])
    assert len(browser.all("#sheet .job-line")) == 3


def test_sweep_that_goes_on_says_so(browser):
    browser.show(SWEEPS["going on"])
    assert "still going on" in browser.one(".facts").text
    assert "10 of 20 jobs ended" in browser.one(".facts").text


def test_500_jobs_are_fast_and_listed_in_parts(browser):
    browser.show(SWEEPS["many"])
    assert len(browser.all("tbody tr")) == 50
    browser.click(browser.one("#more"))
    assert len(browser.all("tbody tr")) == 500
    began = time.monotonic()
    browser.say("drawAll()")
    browser.say("all.slice(0, 20).forEach(unit => hover(unit))")
    assert time.monotonic() - began < 5  # a fifth of a second where nothing else runs
