# SPDX-License-Identifier: Apache-2.0
"""An admin fails a server over in the browser; a member cannot open the admin panel."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from tests.fixtures.cloud import Cloud, identity, wait_for
from tests.ui.panel import DIALOG_S, address, click, content, dialog, on_page, row_contains

SERVER = "web-1"
FAILOVER_S = 120


def row(driver: WebDriver) -> dict[str, Any]:
    """Return the cells of the server's row by column."""
    element = driver.find_element(By.CSS_SELECTOR, f'#fault_tolerance tr[data-display="{SERVER}"]')
    columns = [
        th.text
        for th in driver.find_elements(By.CSS_SELECTOR, "#fault_tolerance thead tr.table_column_header th")
    ]
    return dict(zip(columns, element.find_elements(By.TAG_NAME, "td"), strict=True))


def hosts(driver: WebDriver) -> tuple[str, str] | None:
    """Return the hosts of primary and secondary on the page; None while the page replaces the row."""
    try:
        cells = row(driver)
        return cells["Primary host"].text, cells["Secondary host"].text
    except StaleElementReferenceException:
        return None


@pytest.mark.timeout(600)
def test_an_admin_fails_a_server_over(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    cloud = Cloud(lab)
    before = cloud.protected(SERVER)
    old, new = before["primary"]["host"], before["secondary"]["host"]
    server = cloud.server(SERVER)
    assert server["OS-EXT-SRV-ATTR:host"] == old

    browser = log_in("admin")
    browser.get(address(lab, "admin/"))
    panel = browser.find_element(By.CSS_SELECTOR, '#sidebar a[href$="/admin/fault_tolerance/"]')
    assert panel.get_attribute("textContent").strip() == "Fault Tolerance"
    browser.get(panel.get_attribute("href"))
    wait_for("its hosts are shown", DIALOG_S, lambda: hosts(browser) == (old, new))
    wait_for("it is shown to be protected", DIALOG_S, lambda: row_contains(browser, SERVER, "Protected"))

    click(browser, SERVER, "Fail over")
    confirm = dialog(browser)
    dialog_text = browser.find_element(By.ID, "failover_modal").text
    for text in (SERVER, old, new, "Last checkpoint", "runs unprotected"):
        assert text in dialog_text
    assert "btn-danger" in confirm.get_attribute("class")
    confirm.click()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(browser, f"Failover of {SERVER} was requested"))

    browser.execute_script("window.notReloaded = true")
    wait_for("new primary on the page", FAILOVER_S, lambda: (hosts(browser) or ("",))[0] == new)
    assert browser.execute_script("return window.notReloaded")

    after = cloud.failed_over(SERVER, before)
    assert after["epoch"] == before["epoch"] + 1
    assert after["primary"]["host"] == new
    assert after["failovers"]["total"] == before["failovers"]["total"] + 1
    cloud.protected(SERVER)
    now = cloud.server(SERVER)
    assert (now["OS-EXT-SRV-ATTR:host"], now["status"]) == (new, "ACTIVE")
    assert identity(now) == identity(server)


def test_a_member_does_not_see_the_admin_panel(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    browser = log_in("demo")
    assert not browser.find_elements(By.CSS_SELECTOR, 'a[href*="/admin/fault_tolerance"]')
    browser.get(address(lab, "admin/fault_tolerance/"))
    assert not browser.find_elements(By.ID, "fault_tolerance")
    assert "You are not authorized" in content(browser)
