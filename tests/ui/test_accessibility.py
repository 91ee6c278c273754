# SPDX-License-Identifier: Apache-2.0
"""Accessibility of the pages: for screen readers, and by keyboard alone."""

from collections.abc import Callable
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webdriver import WebDriver

from tests.fixtures.cloud import Cloud, wait_for
from tests.ui import axe
from tests.ui.panel import CONFIRM, DIALOG_S, address, click, dialog, on_page, shown

SERVER = "web-1"
#: More than the number of focusable elements on any page.
MOST_TABS = 120


@pytest.fixture(scope="module")
def code() -> str:
    return axe.source()


#: One page of each kind, and all others; "{pair}" is the page of a pair.
KINDS = (
    "admin/fault_tolerance/",
    "admin/fault_tolerance/?name=nothing",
    "admin/fault_tolerance/hosts/",
    "admin/fault_tolerance/flavors/create/",
    "{pair}?tab=fault_tolerance_details__overview",
    "{pair}?tab=fault_tolerance_details__checkpoints",
    "{pair}failover/",
)
OTHERS = (
    "project/fault_tolerance/",
    "admin/fault_tolerance/flavors/",
    *(f"{{pair}}?tab=fault_tolerance_details__{name}" for name in ("events", "policy")),
    *(f"{{pair}}{slug}/" for slug in ("test_failover", "migrate_secondary", "set_mode", "resume")),
)


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    "pages", [KINDS, pytest.param(OTHERS, marks=pytest.mark.long)], ids=("kinds", "others")
)
def test_axe_finds_no_serious_issue_on_any_page(
    lab: Any, log_in: Callable[[str], WebDriver], code: str, pages: tuple[str, ...]
) -> None:
    server_id = Cloud(lab).protected(SERVER)["server_id"]
    browser = log_in("admin")
    issues_by_page = {}
    for page in pages:
        browser.get(address(lab, page.format(pair=f"admin/fault_tolerance/{server_id}/")))
        issues_by_page[page] = axe.serious_issues(browser, code)
    browser.get(address(lab, f"admin/instances/{server_id}/detail?tab=instance_details__fault_tolerance"))
    shown(browser, ".colo-pair")
    issues_by_page["tab of the instance"] = axe.serious_issues(
        browser, code, "#instance_details__fault_tolerance"
    )
    browser.get(address(lab, "admin/fault_tolerance/"))
    click(browser, SERVER, "Fail over")
    dialog(browser)
    issues_by_page["dialog over the list"] = axe.serious_issues(browser, code, ".modal.in")
    assert not {page: issues for page, issues in issues_by_page.items() if issues}


def _tab_to(browser: WebDriver, what: str, selector: str) -> None:
    """Press the tab key until an element has the focus, and assert that this is visible."""
    for _ in range(MOST_TABS):
        webdriver.ActionChains(browser).send_keys(Keys.TAB).perform()
        if browser.execute_script("return document.activeElement.matches(arguments[0])", selector):
            outline = browser.execute_script(
                "const style = getComputedStyle(document.activeElement);"
                " return style.outlineStyle + style.boxShadow"
            )
            assert outline != "nonenone", f"the focus on {what} is not visible"
            return
    raise AssertionError(f"the tab key does not lead to {what}")


@pytest.mark.timeout(600)
def test_the_keyboard_alone_fails_a_server_over(lab: Any, log_in: Callable[[str], WebDriver]) -> None:
    before = Cloud(lab).protected(SERVER)
    browser = log_in("admin")
    browser.get(address(lab, "admin/fault_tolerance/"))
    keys = webdriver.ActionChains(browser)
    _tab_to(browser, "its button", f'tr[data-display="{SERVER}"] a[href$="/failover/"]')
    keys.send_keys(Keys.ENTER).perform()
    dialog(browser)
    _tab_to(browser, "the dialog's button", CONFIRM)
    keys.send_keys(Keys.ENTER).perform()
    wait_for("it was asked for", DIALOG_S, lambda: on_page(browser, f"Failover of {SERVER} was requested"))
    assert Cloud(lab).failed_over(SERVER, before)["primary"]["host"] == before["secondary"]["host"]
