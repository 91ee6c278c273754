# SPDX-License-Identifier: Apache-2.0
"""The panel works without scripts, by the links and forms of its pages.

Horizon hides its pages from browsers without scripts, against framing, unless DISALLOW_IFRAME_EMBED is off.
"""

import lxml.html

from tests.unit.colo_dashboard.pages import PROJECT_INDEX, add
from tests.unit.novaclient_colo.fake_cloud import seconds_ago


class Browser:
    """Client that follows links and submits forms."""

    def __init__(self, client):
        self._client = client

    def open(self, url):
        self._show(self._client.get(url, follow=True))

    def _show(self, answer):
        assert answer.status_code == 200
        self.path = answer.request["PATH_INFO"]
        self.page = lxml.html.fromstring(answer.content.decode())
        self.text = " ".join(self.page.text_content().split())

    def follow(self, label):
        found = [a for a in self.page.iter("a") if " ".join(a.text_content().split()) == label]
        assert found, f"no link {label!r}"
        href = found[0].get("href")
        self.open(self.path + href if href.startswith("?") else href)

    def send(self, button):
        (form,) = [
            form for form in self.page.forms if form.xpath(f'.//input[@type="submit"][@value="{button}"]')
        ]
        self._show(self._client.post(form.action, dict(form.form_values()), follow=True))


def test_a_tenant_finds_reads_and_acts(cloud, login):
    add(cloud, "shop")
    cloud.buckets = [
        {
            "start": seconds_ago(30),
            "seconds": 10,
            "mismatch": 2,
            "periodic": 0,
            "forced": 0,
            "pause_ms": {"mean": 9, "max": 12},
        }
    ]
    browser = Browser(login("demo"))
    browser.open(PROJECT_INDEX)
    browser.follow("shop")
    assert "Protected since" in browser.text
    browser.follow("Checkpoints")
    assert "Checkpoints by cause" in browser.text
    browser.follow("5 minutes")
    assert browser.page.xpath("//*[local-name()='rect']")
    browser.follow("Events")
    assert "Events, newest first" in browser.text
    browser.follow("Flavor and policy")
    assert "After a loss" in browser.text
    browser.follow("Suspend protection")
    browser.send("Suspend protection")
    assert {"ft-suspend": None} in cloud.bodies
    assert "Suspension of the protection of shop was requested." in browser.text
