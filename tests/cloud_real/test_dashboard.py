# SPDX-License-Identifier: Apache-2.0
"""The dashboard during failovers of real guests: actions have their effect, and the page updates itself."""

from collections.abc import Callable

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver

from lab import Lab
from tests.cloud_real.server import PATIENCE, FtServer
from tests.fixtures.cloud import Cloud, wait_for
from tests.ui.panel import (
    DIALOG_S,
    PRIMARY,
    SECONDARY,
    STATE,
    address,
    cell,
    click,
    dialog,
    on_page,
    row_contains,
)


@pytest.fixture
def panel(server: FtServer, lab: Lab, log_in: Callable[[str], WebDriver]) -> WebDriver:
    """Return a browser at admin's list of all FT servers."""
    server.pair()
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    return browser


def test_a_failover_is_asked_for(server: FtServer, panel: WebDriver) -> None:
    before = server.pair()
    wait_for("it is shown to be protected", DIALOG_S, lambda: row_contains(panel, server.name, "Protected"))
    assert not panel.find_elements(By.CSS_SELECTOR, ".colo-simulated")
    click(panel, server.name, "Fail over")
    dialog(panel).click()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(panel, f"Failover of {server.name} was requested"))
    panel.execute_script("window.notReloaded = true")
    after = server.failed_over(before)
    assert after["primary"]["host"] == before["secondary"]["host"]
    hosts = (after["primary"]["host"], after["secondary"]["host"], "Protected")
    wait_for(
        "its hosts are shown", PATIENCE, lambda: all(row_contains(panel, server.name, word) for word in hosts)
    )
    assert panel.execute_script("return window.notReloaded")
    server.is_whole()


def test_the_death_of_its_host_is_seen(server: FtServer, panel: WebDriver, lab: Lab, cloud: Cloud) -> None:
    before = server.pair()
    dead, new = before["primary"]["host"], before["secondary"]["host"]
    (spare,) = set(lab.hosts()) - {dead, new}
    panel.execute_script("window.notReloaded = true")
    shown = {}

    def shows(primary: str, secondary: str, is_protected: bool) -> bool:
        now = [cell(panel, server.name, number) for number in (STATE, PRIMARY, SECONDARY)]
        shown.update(zip(("state", "primary", "secondary"), now, strict=True))
        return (
            is_protected == now[0].startswith("Protected")
            and all(now[:2])
            and now[1].startswith(primary)
            and now[2].startswith(secondary)
        )

    with cloud.closed(spare):
        lab.host(dead).kill()
        wait_for("its new host is shown", PATIENCE, lambda: shows(new, "none", False), lambda: shown)
    wait_for("its new secondary is shown", PATIENCE, lambda: shows(new, spare, True), lambda: shown)
    assert panel.execute_script("return window.notReloaded")
    server.is_whole(off=(dead,))
    lab.host(dead).start()
    server.is_up(dead)
    server.is_whole()
