# SPDX-License-Identifier: Apache-2.0
"""All actions on a pair in the browser: by each role that may request them, and disabled for others."""

import datetime
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webdriver import WebDriver
from selenium.webdriver.support.ui import Select

from tests.fixtures.cloud import Cloud, wait_for
from tests.ui.panel import DIALOG_S, address, click, dialog, on_page, row_contains, shown, wait_for_next_page

SERVER = "web-2"
ENGINE_S = 120

#: Action, and what the server's row shows before and after it; the last one ends in the first one's state.
ROUND = (
    ("Suspend protection", "Protected", "Suspended"),
    ("Resume protection", "Suspended", "Protected"),
    ("Unprotect", "Protected", "Unprotected"),
    ("Protect", "Unprotected", "Protected"),
)


@pytest.fixture
def panel(lab: Any, log_in: Callable[[str], WebDriver]) -> Iterator[Callable[..., WebDriver]]:
    """Yield a function that opens the panel as a user, and returns the browser."""
    cloud = Cloud(lab)
    server_id = cloud.protected(SERVER)["server_id"]

    def open_as(user: str, dashboard: str = "project") -> WebDriver:
        browser = log_in(user)
        browser.get(address(lab, f"{dashboard}/fault_tolerance/"))
        return browser

    yield open_as
    cloud.protect_again(server_id)


def choose(browser: WebDriver, label: str, fill: Callable[[WebDriver], None] = lambda browser: None) -> None:
    """Choose an action from the row's menu, confirm its dialog, and wait for the page's confirmation.

    :param fill: fills in the dialog before
    """
    click(browser, SERVER, label)
    confirm = dialog(browser, label)
    fill(browser)
    wait_for_next_page(browser, confirm.click)
    assert on_page(browser, "was requested") or on_page(browser, "was set"), browser.find_element(
        By.ID, "main_content"
    ).text
    browser.execute_script("window.notReloaded = true")


def follows(browser: WebDriver, what: str, look: Callable[[], Any]) -> None:
    """Wait until the page shows something without a reload."""
    wait_for(f"{what} on the page", ENGINE_S, look)
    assert browser.execute_script("return window.notReloaded")


def take(browser: WebDriver, steps: Sequence[tuple[str, str, str]]) -> None:
    """Run steps of ROUND."""
    for label, before, after in steps:
        wait_for(f"it is {before}", DIALOG_S, lambda before=before: row_contains(browser, SERVER, before))
        choose(browser, label)
        follows(browser, after, lambda after=after: row_contains(browser, SERVER, after))


#: Reads all links at once, since the page may replace the row.
LINKS = """
const row = document.querySelector('#fault_tolerance tr[data-display="' + arguments[0] + '"]');
const links = Array.from(row.querySelectorAll('a.data-table-action'));
return links.map(
  (link) => [link.textContent.trim(), link.ariaDisabled, link.title || link.dataset.originalTitle]
);
"""


def refused(browser: WebDriver) -> dict[str, str]:
    """Return the row's disabled actions, and the reasons shown for them."""
    return {
        label: reason
        for label, disabled, reason in browser.execute_script(LINKS, SERVER)
        if disabled == "true"
    }


@pytest.mark.timeout(900)
def test_an_admin_can_do_everything(lab: Any, panel: Callable[..., WebDriver]) -> None:
    cloud = Cloud(lab)
    browser = panel("admin", "admin")
    assert not refused(browser)
    take(browser, ROUND[:2])

    before = cloud.protected(SERVER)
    replicas = {before["primary"]["host"], before["secondary"]["host"]}
    third = next(host for host in sorted(cloud.hosts_up()) if host not in replicas)
    choose(
        browser,
        "Move secondary",
        lambda browser: Select(shown(browser, ".modal.in select[name=host]")).select_by_visible_text(third),
    )
    follows(
        browser,
        "the new host",
        lambda: row_contains(browser, SERVER, third) and row_contains(browser, SERVER, "Protected"),
    )
    assert cloud.protected(SERVER)["secondary"]["host"] == third

    choose(
        browser, "Test failover", lambda browser: shown(browser, ".modal.in label[for=id_and_return]").click()
    )
    wait_for("there and back", ENGINE_S, lambda: cloud.pairs()[SERVER]["epoch"] == before["epoch"] + 2)
    after = cloud.protected(SERVER)
    assert (after["primary"]["host"], after["secondary"]["host"]) == (before["primary"]["host"], third)
    follows(browser, "the end", lambda: row_contains(browser, SERVER, "Protected"))

    for label, mode in (("Checkpoint", "checkpoint"), ("COLO", "colo")):
        browser.refresh()
        choose(
            browser,
            "Set mode",
            lambda browser, label=label: shown(browser, ".modal.in .themable-radio label", label).click(),
        )
        wait_for(f"mode {mode}", ENGINE_S, lambda mode=mode: cloud.pairs()[SERVER]["mode"] == mode)


@pytest.mark.timeout(600)
def test_a_manager_fails_over_and_sees_no_host(lab: Any, panel: Callable[..., WebDriver]) -> None:
    cloud = Cloud(lab)
    before = cloud.protected(SERVER)
    browser = panel("manager")
    assert not refused(browser)
    choose(browser, "Fail over")
    after = cloud.failed_over(SERVER, before)
    follows(browser, "the end", lambda: row_contains(browser, SERVER, "Protected"))
    assert after["primary"]["host"] == before["secondary"]["host"]
    assert "compute-" not in browser.find_element(By.ID, "content_body").text


@pytest.mark.timeout(600)
def test_a_member_protects_and_is_told_why_nothing_more(panel: Callable[..., WebDriver]) -> None:
    browser = panel("demo")
    assert "compute-" not in browser.find_element(By.ID, "content_body").text
    assert set(refused(browser)) == {"Fail over", "Test failover", "Move secondary"}
    assert all(refused(browser).values())
    take(browser, ROUND)


def counted_lately(cloud: Cloud) -> list[Any]:
    """Return the server's stored checkpoints, up to a time that the page has certainly shown."""
    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=4)
    path = f"/servers/{cloud.protected(SERVER)['server_id']}/os-fault-tolerance/checkpoints"
    answer = cloud.request("GET", f"{path}?since={since:%Y-%m-%dT%H:%M:%SZ}")
    assert answer.status_code == 200, answer.text
    return answer.json()["checkpoints"]["buckets"]


@pytest.mark.timeout(600)
def test_a_reader_can_look_and_is_told_why_nothing_else(lab: Any, panel: Callable[..., WebDriver]) -> None:
    wait_for("there is something to draw", ENGINE_S, lambda: counted_lately(Cloud(lab)))
    browser = panel("viewer")
    assert len(refused(browser)) == len(browser.execute_script(LINKS, SERVER)) >= 6
    assert all(refused(browser).values())
    click(browser, SERVER, SERVER)
    shown(browser, ".colo-pair", "Secondary")
    browser.find_element(By.LINK_TEXT, "Checkpoints").click()
    shown(browser, "svg.colo-chart")
    browser.find_element(By.LINK_TEXT, "Events").click()
    wait_for("its events", DIALOG_S, lambda: on_page(browser, "Protected: primary and secondary are in sync"))


@pytest.mark.timeout(300)
def test_another_projects_manager_sees_nothing_of_it(lab: Any, panel: Callable[..., WebDriver]) -> None:
    server_id = Cloud(lab).protected(SERVER)["server_id"]
    browser = panel("outsider")
    assert "No FT servers exist yet." in browser.find_element(By.ID, "fault_tolerance").text
    for page in ("", "failover/"):
        browser.get(address(lab, f"project/fault_tolerance/{server_id}/{page}"))
        assert SERVER not in browser.find_element(By.TAG_NAME, "body").text
        assert "could not be found" in browser.find_element(By.TAG_NAME, "body").text
