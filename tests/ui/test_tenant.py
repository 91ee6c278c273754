# SPDX-License-Identifier: Apache-2.0
"""A tenant and a reader in the browser: Project > Compute > Fault Tolerance on a whole cloud."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.expected_conditions import staleness_of
from selenium.webdriver.support.ui import WebDriverWait

from tests.cloud import Cloud, wait_for
from tests.ui.panel import CONFIRM, DIALOG_S, address, row, says, shown

SERVER = "web-2"
ENGINE_S = 120


@pytest.fixture
def panel(lab: Any, log_in: Callable[[str], WebDriver]) -> Callable[[str], WebDriver]:
    """Open the panel as a user; gives the browser."""
    Cloud(lab).protected(SERVER)

    def open_as(user: str) -> WebDriver:
        browser = log_in(user)
        browser.get(address(lab, "project/fault_tolerance/"))
        return browser

    return open_as


def choose(browser: WebDriver, label: str) -> None:
    """Choose an action of the row's menu and confirm its dialog; the page that follows says that it was asked for."""
    before = browser.find_element(By.TAG_NAME, "html")
    row(browser, SERVER).find_element(By.CSS_SELECTOR, ".dropdown-toggle").click()
    row(browser, SERVER).find_element(By.LINK_TEXT, label).click()
    shown(browser, f'{CONFIRM}[value="{label}"]').click()
    WebDriverWait(browser, DIALOG_S).until(staleness_of(before))
    assert "was requested" in browser.find_element(By.ID, "main_content").text


@pytest.mark.timeout(600)
def test_a_member_suspends_and_resumes_protection_and_sees_no_host(lab: Any, panel: Callable[[str], WebDriver]) -> None:
    browser = panel("demo")
    assert "compute-" not in browser.find_element(By.ID, "content_body").text
    for label, before, after in (
        ("Suspend protection", "Protected", "Suspended"),
        ("Resume protection", "Suspended", "Protected"),
    ):
        assert says(browser, SERVER, before)
        choose(browser, label)
        browser.execute_script("window.notReloaded = true")
        wait_for(f"{after} on the page", ENGINE_S, lambda after=after: says(browser, SERVER, after))
        assert browser.execute_script("return window.notReloaded")


@pytest.mark.timeout(600)
def test_a_reader_can_look_and_is_told_why_nothing_else(panel: Callable[[str], WebDriver]) -> None:
    browser = panel("viewer")
    actions = row(browser, SERVER).find_elements(By.CSS_SELECTOR, "a.data-table-action")
    assert len(actions) >= 6
    for action in actions:
        assert action.get_attribute("aria-disabled") == "true"
        assert action.get_attribute("title") or action.get_attribute("data-original-title")
    row(browser, SERVER).find_element(By.LINK_TEXT, SERVER).click()
    assert "Secondary" in browser.find_element(By.CSS_SELECTOR, ".colo-pair").text
    browser.find_element(By.LINK_TEXT, "Checkpoints").click()
    shown(browser, "svg.colo-chart")
    browser.find_element(By.LINK_TEXT, "Events").click()
    WebDriverWait(browser, DIALOG_S).until(
        lambda driver: "Protected: the secondary runs" in driver.find_element(By.TAG_NAME, "body").text
    )
