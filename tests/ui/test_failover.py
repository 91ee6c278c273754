# SPDX-License-Identifier: Apache-2.0
"""An admin fails a server over in the browser; a member cannot even see where."""

import json
import os
from collections.abc import Callable
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.fixtures import programs
from tests.fixtures.cloud import wait_for
from tests.ui.panel import DIALOG_S, address, click, dialog, on_page, says

SERVER = "web-1"
PROTECTED_S = 180
FAILOVER_S = 120


def openstack(lab: Any, *arguments: str) -> dict[str, Any]:
    """Run ``openstack`` as the lab's admin."""
    done = programs.run("openstack", *arguments, "-f", "json", env={**os.environ, **lab.env("admin")})
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def protected(lab: Any) -> dict[str, Any] | None:
    pair = openstack(lab, "server", "ft", "show", SERVER)
    return pair if pair["state"] == "protected" and "failover" in pair["actions"] else None


def identity(server: dict[str, Any]) -> dict[str, Any]:
    """What a failover must not change."""
    return {name: server[name] for name in ("id", "name", "addresses", "project_id", "created")}


def row(driver: WebDriver) -> dict[str, Any]:
    """The cells of the server's row, by column."""
    found = driver.find_element(By.CSS_SELECTOR, f'#fault_tolerance tr[data-display="{SERVER}"]')
    columns = [
        th.text
        for th in driver.find_elements(By.CSS_SELECTOR, "#fault_tolerance thead tr.table_column_header th")
    ]
    return dict(zip(columns, found.find_elements(By.TAG_NAME, "td"), strict=True))


def hosts(driver: WebDriver) -> tuple[str, str] | None:
    """Hosts of primary and secondary on the page; None while the page replaces the row."""
    try:
        cells = row(driver)
        return cells["Primary host"].text, cells["Secondary host"].text
    except StaleElementReferenceException:
        return None


@pytest.mark.timeout(600)
def test_an_admin_fails_a_server_over(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    before = wait_for(f"protected {SERVER}", PROTECTED_S, lambda: protected(lab))
    old, new = before["primary_host"], before["secondary_host"]
    server_id = before["server_id"]
    server = openstack(lab, "server", "show", server_id)
    assert server["OS-EXT-SRV-ATTR:host"] == old

    browser = log_in("admin")
    browser.get(address(lab, "admin/"))
    panel = browser.find_element(By.CSS_SELECTOR, '#sidebar a[href$="/admin/fault_tolerance/"]')
    assert panel.get_attribute("textContent").strip() == "Fault Tolerance"
    browser.get(panel.get_attribute("href"))
    wait_for("its hosts are shown", DIALOG_S, lambda: hosts(browser) == (old, new))
    wait_for("it is shown to be protected", DIALOG_S, lambda: says(browser, SERVER, "Protected"))

    click(browser, SERVER, "Fail over")
    confirm = dialog(browser)
    said = browser.find_element(By.ID, "failover_modal").text
    for told in (SERVER, old, new, "Last checkpoint", "runs alone"):
        assert told in said
    assert "btn-danger" in confirm.get_attribute("class")
    confirm.click()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(browser, f"Failover of {SERVER} was requested"))

    browser.execute_script("window.notReloaded = true")
    wait_for("new primary on the page", FAILOVER_S, lambda: (hosts(browser) or ("",))[0] == new)
    assert browser.execute_script("return window.notReloaded")

    after = wait_for("re-protected server", PROTECTED_S, lambda: protected(lab))
    assert after["epoch"] == before["epoch"] + 1
    assert after["primary_host"] == new
    assert after["failovers"]["total"] == before["failovers"]["total"] + 1
    shown = wait_for(
        "Nova record of the new host",
        FAILOVER_S,
        lambda: (s := openstack(lab, "server", "show", server_id))["OS-EXT-SRV-ATTR:host"] == new and s,
    )
    assert identity(shown) == identity(server)
    assert shown["status"] == "ACTIVE"


def test_a_member_does_not_see_the_admin_panel(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    browser = log_in("demo")
    assert not browser.find_elements(By.CSS_SELECTOR, 'a[href*="/admin/fault_tolerance"]')
    browser.get(address(lab, "admin/fault_tolerance/"))
    assert not browser.find_elements(By.ID, "fault_tolerance")
    assert "not authorized" in browser.find_element(By.TAG_NAME, "body").text.lower()
