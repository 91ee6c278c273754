# SPDX-License-Identifier: Apache-2.0
"""The list keeps itself up to date while somebody looks at it, and says when it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.cloud import Cloud, lab_command, wait_for
from tests.ui.panel import address

SERVER = "web-1"
SEEN_S = 120


def cell(browser: WebDriver, number: int) -> str:
    """Text of a cell of the server's row; empty while the page replaces it."""
    try:
        row = browser.find_element(By.CSS_SELECTOR, f'#fault_tolerance tr[data-display="{SERVER}"]')
        return row.find_elements(By.TAG_NAME, "td")[number].text
    except (IndexError, NoSuchElementException, StaleElementReferenceException):
        return ""


@pytest.mark.timeout(900)
def test_the_death_of_a_host_is_seen_without_a_reload(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    cloud = Cloud(lab)
    pair = cloud.protected(SERVER)
    dead, alive = pair["primary"]["host"], pair["secondary"]["host"]
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    browser.execute_script("window.notReloaded = true")
    assert (cell(browser, 2), cell(browser, 4)) == ("Protected", dead)
    figures = cell(browser, 7)
    wait_for("figures move on", SEEN_S, lambda: cell(browser, 7) not in ("", figures))
    try:
        assert lab_command(lab, "host", "kill", dead).returncode == 0
        wait_for("its new host is shown", SEEN_S, lambda: cell(browser, 4) == alive)
        wait_for(
            "it is shown to be protected again", SEEN_S, lambda: cell(browser, 2) == "Protected" and dead not in cell(browser, 5)
        )
        assert browser.execute_script("return window.notReloaded")
    finally:
        lab_command(lab, "host", "start", dead)
        wait_for("the host is back", SEEN_S, lambda: dead in cloud.hosts_up())


@pytest.mark.timeout(900)
def test_while_the_cloud_does_not_answer_figures_are_called_stale(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    Cloud(lab).protected(SERVER)
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    note = browser.find_element(By.CSS_SELECTOR, ".colo-stale-note")
    assert not note.is_displayed()
    nova = lab.service("nova-api")
    nova.stop()
    try:
        wait_for("it is said", SEEN_S, note.is_displayed)
        assert "stale since" in note.text
        assert SERVER in browser.find_element(By.ID, "fault_tolerance").text
    finally:
        nova.start()
    wait_for("it is fresh again", SEEN_S, lambda: not note.is_displayed())
