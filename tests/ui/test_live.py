# SPDX-License-Identifier: Apache-2.0
"""The list updates itself while it is open, and shows when it cannot."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.fixtures.cloud import Cloud, lab_command, wait_for
from tests.ui.panel import CHECKPOINTS, PRIMARY, SECONDARY, STATE, address, cell

SERVER = "web-1"
SEEN_S = 120


@pytest.mark.timeout(900)
def test_the_death_of_a_host_is_seen_without_a_reload(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    cloud = Cloud(lab)
    pair = cloud.protected(SERVER)
    dead, alive = pair["primary"]["host"], pair["secondary"]["host"]
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    browser.execute_script("window.notReloaded = true")
    assert (cell(browser, SERVER, STATE), cell(browser, SERVER, PRIMARY)) == ("Protected", dead)
    figures = cell(browser, SERVER, CHECKPOINTS)
    wait_for("figures move on", SEEN_S, lambda: cell(browser, SERVER, CHECKPOINTS) not in ("", figures))
    try:
        assert lab_command(lab, "host", "kill", dead).returncode == 0
        wait_for("its new host is shown", SEEN_S, lambda: cell(browser, SERVER, PRIMARY) == alive)
        wait_for(
            "it is shown to be protected again",
            SEEN_S,
            lambda: (
                cell(browser, SERVER, STATE) == "Protected" and dead not in cell(browser, SERVER, SECONDARY)
            ),
        )
        assert browser.execute_script("return window.notReloaded")
    finally:
        lab_command(lab, "host", "start", dead)
        wait_for("the host is back", SEEN_S, lambda: dead in cloud.hosts_up())


@pytest.mark.timeout(600)
def test_the_page_of_a_server_follows_what_happens_to_it(
    lab: Any, log_in: Callable[[str], WebDriver]
) -> None:
    cloud = Cloud(lab)
    before = cloud.protected(SERVER)
    browser = log_in("admin")
    browser.get(address(lab, f"admin/fault_tolerance/{before['server_id']}/"))
    browser.execute_script("window.notReloaded = true")
    assert cloud.act(before["server_id"], {"failover": None}).status_code == 202
    cloud.failed_over(SERVER, before)

    def replicas() -> list[str]:
        try:
            return [
                replica.text for replica in browser.find_elements(By.CSS_SELECTOR, ".colo-pair .colo-replica")
            ]
        except StaleElementReferenceException:
            return []

    def can_fail_over() -> bool:
        try:
            links = browser.find_elements(By.CSS_SELECTOR, '.detail-actions a[href$="/failover/"]')
            return bool(links) and links[0].is_displayed()
        except StaleElementReferenceException:
            return False

    new, after = before["secondary"]["host"], cloud.protected(SERVER)
    wait_for(
        "its new host is drawn",
        SEEN_S,
        lambda: (drawn := replicas()) and new in drawn[0] and after["secondary"]["host"] in drawn[1],
    )
    wait_for("it can be failed over again", SEEN_S, can_fail_over)
    assert browser.execute_script("return window.notReloaded")


@pytest.mark.timeout(900)
def test_while_the_cloud_does_not_answer_figures_are_called_stale(
    lab: Any, log_in: Callable[[str], WebDriver]
) -> None:
    Cloud(lab).protected(SERVER)
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    note = browser.find_element(By.CSS_SELECTOR, ".colo-stale-note")
    assert not note.is_displayed()
    nova = lab.service("nova-api")
    nova.stop()
    try:
        wait_for("the note is shown", SEEN_S, note.is_displayed)
        assert "stale since" in note.text
        assert SERVER in browser.find_element(By.ID, "fault_tolerance").text
    finally:
        nova.start()
    wait_for("it is fresh again", SEEN_S, lambda: not note.is_displayed())
