# SPDX-License-Identifier: Apache-2.0
"""From an FT flavor to a failover, all in the browser: the flavor, the server in Horizon's own dialog, the server's page."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.cloud import Cloud, wait_for
from tests.ui.conftest import log_in_to
from tests.ui.panel import DIALOG_S, address, on_page

FLAVOR, SERVER = "ft.browser", "from-the-browser"
IMAGE = "cirros"
BUILD_S = 180


@pytest.fixture
def cloud(lab: Any) -> Iterator[Cloud]:
    """The lab's cloud, which has neither the flavor nor the server afterwards."""
    cloud = Cloud(lab)
    try:
        yield cloud
    finally:
        if any(server["name"] == SERVER for server in cloud.request("GET", "/servers?all_tenants=1").json()["servers"]):
            cloud.request("DELETE", f"/servers/{cloud.server(SERVER)['id']}")
            wait_for("its pair is gone", BUILD_S, lambda: SERVER not in cloud.pairs())
        for flavor in cloud.request("GET", "/flavors?is_public=None").json()["flavors"]:
            if flavor["name"] == FLAVOR:
                cloud.request("DELETE", f"/flavors/{flavor['id']}")


def _shown(browser: WebDriver, selector: str, text: str = "") -> WebElement:
    """Wait for an element that is displayed and has a text."""
    return WebDriverWait(browser, DIALOG_S).until(
        lambda driver: next(
            (e for e in driver.find_elements(By.CSS_SELECTOR, selector) if e.is_displayed() and text in e.text), None
        ),
        f"{selector} with {text!r}",
    )


def _create_flavor(browser: WebDriver, lab: Any) -> None:
    browser.get(address(lab, "admin/fault_tolerance/flavors/"))
    browser.find_element(By.LINK_TEXT, "Create FT flavor").click()
    _shown(browser, ".modal.in input[type=submit]")
    for name, value in {"name": FLAVOR, "ram": "64", "disk": "1"}.items():
        field = browser.find_element(By.CSS_SELECTOR, f".modal.in [name={name}]")
        field.clear()
        field.send_keys(value)
    browser.find_element(By.CSS_SELECTOR, ".modal.in input[type=submit]").click()
    wait_for("it is there", DIALOG_S, lambda: on_page(browser, f"FT flavor {FLAVOR} was created."))


def _launch(browser: WebDriver, lab: Any) -> None:
    """Launch the server in Horizon's dialog: image and flavor are chosen, the only network is chosen already."""
    browser.get(address(lab, "project/instances/"))
    _shown(browser, "#instances__action_launch-ng").click()
    _shown(browser, ".modal.in input[name=name]").send_keys(SERVER)
    for step, chosen in (("Source", IMAGE), ("Flavor", f"{FLAVOR} (fault tolerant)")):
        _shown(browser, ".modal.in .wizard-nav a", step).click()
        # the last cell of an available item's row has the arrow that takes it
        _shown(browser, ".modal.in .transfer-available tr", chosen).find_element(By.CSS_SELECTOR, "button").click()
        _shown(browser, ".modal.in .transfer-allocated tr", chosen)
    _shown(browser, ".modal.in .finish").click()


@pytest.mark.timeout(900)
def test_a_server_of_a_flavor_made_here_is_protected_and_failed_over(lab: Any, cloud: Cloud, browser: WebDriver) -> None:
    log_in_to(browser, lab, "admin")
    _create_flavor(browser, lab)
    browser.delete_all_cookies()
    log_in_to(browser, lab, "demo")
    _launch(browser, lab)
    pair = cloud.protected(SERVER, BUILD_S)
    browser.delete_all_cookies()
    log_in_to(browser, lab, "admin")
    browser.get(address(lab, f"admin/fault_tolerance/{pair['server_id']}/"))
    assert pair["secondary"]["host"] in browser.find_element(By.CSS_SELECTOR, ".colo-pair").text
    _shown(browser, "#content_body a", "Fail over").click()
    _shown(browser, ".modal.in input[type=submit]").click()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(browser, f"Failover of {SERVER} was requested"))
    after = cloud.failed_over(SERVER, pair)
    assert after["primary"]["host"] == pair["secondary"]["host"]


@pytest.mark.timeout(600)
def test_horizons_own_page_of_a_server_has_the_pair(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    pair = Cloud(lab).protected("web-1")
    browser = log_in("admin")
    browser.get(address(lab, f"admin/instances/{pair['server_id']}/detail"))
    _shown(browser, "a", "Fault Tolerance")
    browser.find_element(By.CSS_SELECTOR, 'a[data-target="#instance_details__fault_tolerance"]').click()
    drawn = _shown(browser, "#instance_details__fault_tolerance .colo-pair")
    assert pair["primary"]["host"] in drawn.text and pair["secondary"]["host"] in drawn.text
    if "plain-1" in Cloud(lab).pairs():
        pytest.skip("plain-1 of this lab, which is not new, is fault tolerant")
    plain = Cloud(lab).server("plain-1")["id"]
    browser.get(address(lab, f"project/instances/{plain}/?tab=instance_details__fault_tolerance"))
    wait_for("it says why not", DIALOG_S, lambda: on_page(browser, "This server is not fault tolerant."))
