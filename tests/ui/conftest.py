# SPDX-License-Identifier: Apache-2.0
"""A browser, and users logged in with it."""

import contextlib
import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from lab.core.layout import LAB_DIR
from lab.core.patience import patient
from lab.core.process import MARK, STARTER
from tests.ui.panel import address, content

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
CHROMEDRIVER = os.environ.get("CHROMEDRIVER", "/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-prefers-reduced-motion",  # without a GPU, an animated progress bar takes half a core
    "--window-size=1280,1000",
)
PAGE_S = patient(60)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the page that the browser shows to the report of a failed test."""
    report = yield
    browser = item.funcargs.get("browser")
    if report.when == "call" and report.failed and browser:
        try:
            page = content(browser)
        except WebDriverException as error:
            page = f"the browser does not answer: {error}"
        report.sections.append(("page", page))
    return report


@contextlib.contextmanager
def start_browser(profile: Path) -> Iterator[WebDriver]:
    """Start a browser, yield it, and end it.

    :param profile: a folder for it alone
    """
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    # "lab sweep" finds what a killed run has left by these
    mark = {MARK: str(LAB_DIR / f"test-browser-{os.getpid()}"), STARTER: str(os.getpid())}
    service = webdriver.ChromeService(CHROMEDRIVER, env=os.environ | mark)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(PAGE_S)
    try:
        yield driver
    finally:
        driver.quit()


def log_in_to(browser: WebDriver, lab: Any, user: str) -> None:
    """Log a user of the lab in, at the page of the settings, which is the fastest."""
    browser.get(address(lab, f"auth/login/?next={urlsplit(address(lab, 'settings/')).path}"))
    browser.find_element(By.ID, "id_username").send_keys(user)
    browser.find_element(By.ID, "id_password").send_keys(lab.password(user))
    browser.find_element(By.ID, "loginBtn").click()
    WebDriverWait(browser, PAGE_S).until(lambda driver: driver.find_elements(By.ID, "sidebar"))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebDriver]:
    """Start a browser for the tests of a module."""
    with start_browser(tmp_path_factory.mktemp("chromium")) as driver:
        yield driver


def log_out_of(browser: WebDriver, lab: Any) -> None:
    """End the session at the server, and forget its cookies.

    The pages poll: the reply to a request that was sent before may set the session's cookie again.
    """
    browser.get(address(lab, "auth/logout/"))
    browser.get("about:blank")
    browser.execute_cdp_cmd("Network.clearBrowserCookies", {})


@pytest.fixture
def browser(chromium: WebDriver, lab: Any) -> Iterator[WebDriver]:
    """Return the browser without a login."""
    yield chromium
    log_out_of(chromium, lab)


@pytest.fixture
def log_in(browser: WebDriver, lab: Any) -> Callable[[str], WebDriver]:
    """Return a function that logs a user of the lab in, and returns the browser."""

    def log_in_as(user: str) -> WebDriver:
        log_in_to(browser, lab, user)
        return browser

    return log_in_as
