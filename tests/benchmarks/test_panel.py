# SPDX-License-Identifier: Apache-2.0
"""The admin's panel compared with Horizon's own list of as many servers, and what a browser loads for it."""

import itertools
import os
import statistics
import time
from pathlib import Path

import pytest
import requests

import colo_dashboard
from tests.benchmarks.bench_cloud import active, each_a_pair, with_servers
from tests.ui.conftest import log_in_to, start_browser
from tests.ui.panel import address

COUNT = int(os.environ.get("BENCH_SERVERS", "1000"))
ROUNDS = 15
PATHS = {
    "panel": "admin/fault_tolerance/",
    "live": "admin/fault_tolerance/live/",
    "instances": "admin/instances/",
}
pytestmark = pytest.mark.timeout(3600)


def test_the_panel_against_horizons_own_list_of_instances(lab, tmp_path, capsys):
    """Pages of Horizon's default size; ratios of medians. No value is asserted."""
    cloud = with_servers(lab, COUNT)
    cookies = _logged_in(lab, tmp_path)
    seconds: dict[str, list[float]] = {name: [] for name in PATHS}
    with each_a_pair(lab, set(active(cloud))):
        orders = itertools.cycle((list(PATHS), list(reversed(PATHS))))
        for number in range(ROUNDS + 2):
            for name in next(orders):
                began = time.perf_counter()
                # uWSGI keeps no connection open; a request without login is redirected
                answer = requests.get(
                    address(lab, PATHS[name]), cookies=cookies, timeout=120, allow_redirects=False
                )
                if number >= 2:  # the first ones of a process fill its caches
                    seconds[name].append(time.perf_counter() - began)
                assert answer.status_code == 200 and "Error:" not in answer.text
    median = {name: statistics.median(values) for name, values in seconds.items()}
    with capsys.disabled():
        print(
            f"\nadmin's pages, {COUNT} servers, {ROUNDS} rounds, "
            f"against Horizon's instances ({median['instances']:.2f} s):"
        )
        for name in ("panel", "live"):
            print(
                f"  {PATHS[name]}: median {median[name]:.2f} s, "
                f"ratio {median[name] / median['instances']:.2f}"
            )


def test_what_a_browser_loads_for_it(capsys):
    """Sizes in bytes of the plugin's own scripts and style sheet, as in the source."""
    folder = Path(colo_dashboard.__file__).parent / "static"
    total = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    with capsys.disabled():
        print(f"\nthe panels' own scripts and style sheet: {total} bytes")


def _logged_in(lab, profile: Path) -> dict[str, str]:
    """Log an administrator in with a browser, and return the cookies for requests of pages."""
    with start_browser(profile) as browser:
        log_in_to(browser, lab, "admin")
        return {cookie["name"]: cookie["value"] for cookie in browser.get_cookies()}
