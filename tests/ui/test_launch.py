# SPDX-License-Identifier: Apache-2.0
"""From an FT flavor to a failover in the browser: the flavor, the server in Horizon's dialog, its page."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import WebDriverWait

from lab.core.patience import patient
from tests.fixtures import many_servers
from tests.fixtures.cloud import Cloud, wait_for
from tests.ui.conftest import log_in_to, log_out_of
from tests.ui.panel import DIALOG_S, address, dialog, on_page, shown, stands_still

FLAVOR, SERVER, PLAIN = "ft.browser", "from-the-browser", "plain-in-the-browser"
IMAGE = "cirros"
BUILD_S = 180


@pytest.fixture
def cloud(lab: Any) -> Iterator[Cloud]:
    """Yield the lab's cloud, and delete flavor and server afterwards."""
    cloud = Cloud(lab)
    try:
        yield cloud
    finally:
        many_servers.delete(cloud, SERVER)
        for flavor in cloud.request("GET", "/flavors?is_public=None").json()["flavors"]:
            if flavor["name"] == FLAVOR:
                cloud.request("DELETE", f"/flavors/{flavor['id']}")


@pytest.fixture
def block(browser: WebDriver) -> Iterator[Callable[[list[str]], None]]:
    """Yield a function that blocks the browser's requests to addresses."""

    def block(patterns: list[str]) -> None:
        browser.execute_cdp_cmd("Network.enable", {})
        browser.execute_cdp_cmd("Network.setBlockedURLs", {"urls": patterns})

    yield block
    block([])
    browser.execute_cdp_cmd("Network.disable", {})


def _create_flavor(browser: WebDriver, lab: Any) -> None:
    browser.get(address(lab, "admin/fault_tolerance/flavors/"))
    browser.find_element(By.LINK_TEXT, "Create FT flavor").click()
    dialog(browser)
    for name, value in {"name": FLAVOR, "ram": "64", "disk": "1"}.items():
        field = browser.find_element(By.CSS_SELECTOR, f".modal.in [name={name}]")
        field.clear()
        field.send_keys(value)
    dialog(browser).click()
    wait_for("it is there", DIALOG_S, lambda: on_page(browser, f"FT flavor {FLAVOR} was created."))


def _launch(browser: WebDriver, lab: Any) -> None:
    """Launch the server in Horizon's dialog; its only network is selected already."""
    browser.get(address(lab, "project/instances/"))
    shown(browser, "#instances__action_launch-ng").click()
    shown(browser, ".modal.in input[name=name]").send_keys(SERVER)
    stands_still(browser)
    for step, chosen in (("Source", IMAGE), ("Flavor", f"{FLAVOR} (fault tolerant)")):
        shown(browser, ".modal.in .wizard-nav a", step).click()
        _take(browser, chosen)
        shown(browser, ".modal.in .transfer-allocated tr", chosen)
    shown(browser, ".modal.in .finish").click()


def _take(browser: WebDriver, chosen: str) -> None:
    """Click the arrow in the last cell of an available item's row; try again while the page redraws it."""

    def taken(driver: WebDriver) -> bool:
        shown(driver, ".modal.in .transfer-available tr", chosen).find_element(
            By.CSS_SELECTOR, "button"
        ).click()
        return True

    passing = (StaleElementReferenceException, NoSuchElementException)
    WebDriverWait(browser, patient(DIALOG_S), ignored_exceptions=passing).until(taken, f"{chosen} is taken")


@pytest.mark.timeout(900)
def test_a_server_of_a_flavor_made_here_is_protected_and_failed_over(
    lab: Any, cloud: Cloud, browser: WebDriver
) -> None:
    log_in_to(browser, lab, "admin")
    _create_flavor(browser, lab)
    log_out_of(browser, lab)
    log_in_to(browser, lab, "demo")
    _launch(browser, lab)
    pair = cloud.protected(SERVER, BUILD_S)
    log_out_of(browser, lab)
    log_in_to(browser, lab, "admin")
    browser.get(address(lab, f"admin/fault_tolerance/{pair['server_id']}/"))
    assert pair["secondary"]["host"] in browser.find_element(By.CSS_SELECTOR, ".colo-pair").text
    shown(browser, "#content_body a", "Fail over").click()
    dialog(browser).click()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(browser, f"Failover of {SERVER} was requested"))
    after = cloud.failed_over(SERVER, pair)
    assert after["primary"]["host"] == pair["secondary"]["host"]


@pytest.mark.timeout(300)
def test_horizons_dialog_is_as_ever_where_the_panel_does_not_answer(
    lab: Any, log_in: Callable[[str], WebDriver], block: Callable[[list[str]], None]
) -> None:
    browser = log_in("demo")
    block(["*/project/fault_tolerance/*"])
    browser.get(address(lab, "project/instances/"))
    shown(browser, "#instances__action_launch-ng").click()
    link = shown(browser, ".modal.in .wizard-nav a", "Flavor")
    stands_still(browser)
    link.click()
    listed = shown(browser, ".modal.in .transfer-available", "ft.nano").text
    assert "m1.nano" in listed
    assert "fault tolerant" not in listed
    assert not [
        alert.text
        for alert in browser.find_elements(By.CSS_SELECTOR, ".alert-danger")
        if alert.is_displayed()
    ]


@pytest.mark.timeout(600)
def test_horizons_own_page_of_a_server_has_the_pair(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    pair = Cloud(lab).protected("web-1")
    browser = log_in("admin")
    browser.get(address(lab, f"admin/instances/{pair['server_id']}/detail"))
    shown(browser, 'a[data-target="#instance_details__fault_tolerance"]', "Fault Tolerance").click()
    drawn = shown(browser, "#instance_details__fault_tolerance .colo-pair")
    assert pair["primary"]["host"] in drawn.text and pair["secondary"]["host"] in drawn.text


@pytest.mark.timeout(600)
def test_and_that_of_a_plain_server_says_how_to_protect_it(
    lab: Any, log_in: Callable[[str], WebDriver]
) -> None:
    cloud = Cloud(lab)
    try:
        many_servers.create(cloud, PLAIN, "m1.nano", 1)
        server = many_servers.active(cloud, PLAIN, 1, BUILD_S)[PLAIN]
        browser = log_in("admin")
        browser.get(address(lab, f"project/instances/{server['id']}/?tab=instance_details__fault_tolerance"))
        wait_for(
            "the reason is shown",
            DIALOG_S,
            lambda: on_page(browser, "This server is not fault tolerant."),
        )
    finally:
        many_servers.delete(cloud, PLAIN)
