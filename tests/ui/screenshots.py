# SPDX-License-Identifier: Apache-2.0
"""Take the documentation's screenshots: every page, in Horizon's two themes, wide and narrow."""

import argparse
import tempfile
from pathlib import Path

from selenium.webdriver.remote.webdriver import WebDriver

from lab import Lab
from lab.core.state import THEMES
from tests.fixtures.cloud import Cloud, wait_for
from tests.ui.conftest import log_in_to, log_out_of, start_browser
from tests.ui.panel import address, click, dialog, shown

WIDTHS = (1280, 480)
#: Height of the window, and maximum height of a screenshot.
WINDOW, HIGHEST = 900, 2400
#: Number of polls, ten seconds apart.
HISTORY = 12
SERVER, OTHER = "web-1", "web-2"


def pages(server_id: str) -> dict[str, dict[str, str]]:
    """Return the path of each page by name, for each user."""
    tab = f"admin/fault_tolerance/{server_id}/?tab=fault_tolerance_details__"
    tenant = {"project": "project/fault_tolerance/", "nothing": "project/fault_tolerance/?name=nothing"}
    operator = {
        "admin": "admin/fault_tolerance/",
        "hosts": "admin/fault_tolerance/hosts/",
        "flavors": "admin/fault_tolerance/flavors/",
        "flavor-create": "admin/fault_tolerance/flavors/create/",
        "overview": f"{tab}overview",
        "checkpoints": f"{tab}checkpoints&period=5m",
        "events": f"{tab}events",
        "policy": f"{tab}policy",
        "instance": f"admin/instances/{server_id}/detail?tab=instance_details__fault_tolerance",
    }
    return {"demo": tenant, "admin": operator}


def _open_dialog(browser: WebDriver) -> None:
    click(browser, SERVER, "Fail over")
    dialog(browser)


def _take(browser: WebDriver, width: int, file: Path) -> None:
    """Take a screenshot of the whole page, at its full height."""
    height = browser.execute_script("return document.documentElement.scrollHeight")
    browser.set_window_size(width, min(max(height + 150, 600), HIGHEST))
    browser.save_screenshot(str(file))
    browser.set_window_size(width, WINDOW)


def take_all(lab: Lab, theme: str, folder: Path) -> None:
    """Take all screenshots in the theme that the lab has."""
    server_id = Cloud(lab).protected(SERVER)["server_id"]
    for width in WIDTHS:
        into = folder / f"{theme}-{width}"
        into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as profile, start_browser(Path(profile)) as browser:
            browser.set_window_size(width, WINDOW)
            for user, paths in pages(server_id).items():
                log_out_of(browser, lab)
                log_in_to(browser, lab, user)
                for name, path in paths.items():
                    browser.get(address(lab, path))
                    if name == "instance":
                        shown(browser, ".colo-pair")  # the tab is loaded later
                    _take(browser, width, into / f"{name}.png")
            browser.get(address(lab, "admin/fault_tolerance/"))
            _open_dialog(browser)
            browser.save_screenshot(str(into / "failover-dialog.png"))
        print(into, flush=True)


def prepare(lab: Lab) -> None:
    """Suspend a server and fail another one over, for more to show than two healthy servers."""
    cloud = Cloud(lab)
    before = cloud.protected(SERVER)
    history = f"/servers/{before['server_id']}/os-fault-tolerance/checkpoints"
    if before["failovers"]["total"] == 0:
        assert cloud.act(before["server_id"], {"failover": None}).status_code == 202
        cloud.failed_over(SERVER, before)
        cloud.protected(SERVER)
        wait_for(
            "a history",
            300,
            lambda: len(cloud.request("GET", history).json()["checkpoints"]["buckets"]) >= HISTORY,
        )
    if cloud.pairs()[OTHER]["state"] != "suspended":
        answer = cloud.act(cloud.protected(OTHER)["server_id"], {"ft-suspend": None})
        assert answer.status_code == 202, answer.text
        cloud.in_state(OTHER, "suspended")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the pictures go")
    parser.add_argument(
        "--prefix", type=Path, required=True, help="folder of the lab that is brought up for them"
    )
    parser.add_argument("--theme", choices=THEMES, action="append", help="all themes when not given")
    options = parser.parse_args()
    lab = Lab(options.prefix.resolve())
    for theme in options.theme or THEMES:
        lab.up(hosts=3, theme=theme)
        prepare(lab)
        take_all(lab, theme, options.folder)


if __name__ == "__main__":
    main()
