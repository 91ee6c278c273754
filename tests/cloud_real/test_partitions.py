# SPDX-License-Identifier: Apache-2.0
"""Hosts that are alive and disconnected: one guest alone sends packets, and the reason is shown."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab import Lab
from tests.cloud_real.capture import Capture
from tests.cloud_real.server import PATIENCE, FtServer
from tests.fixtures.cloud import Cloud, wait_for


@pytest.fixture
def capture(server: FtServer, lab: Lab, tmp_path: Path) -> Iterator[Capture]:
    """Capture what the hosts send for the guest during a test; repair all links at its end."""
    server.pair()
    with Capture(lab.testbed().machines, server.mac, tmp_path) as capture:
        yield capture
        for host in lab.hosts():
            lab.host(host).heal()


def test_a_secondary_is_silent_until_it_is_promoted_and_says_at_once_where_it_is(
    server: FtServer, capture: Capture
) -> None:
    before = server.pair()
    server.client_sends_arp_request()
    server.goes_on()
    assert capture.senders() == {before["primary"]["host"]}
    server.act("failover")
    after = server.failed_over(before)
    server.goes_on()
    old, new = before["primary"]["host"], after["primary"]["host"]
    assert capture.senders() == {old, new}
    assert capture.first_and_last(old)[1] < capture.first_and_last(new)[0]
    assert any("Reverse ARP" in frame for frame in capture.frames(new))


def test_hosts_that_are_cut_from_each_other(
    server: FtServer, capture: Capture, lab: Lab, cloud: Cloud
) -> None:
    before = server.pair()
    primary = before["primary"]["host"]
    lab.host(primary).cut_link("replication")
    # the primary runs unprotected, since the engine still reaches it; no other host can take a secondary
    # meanwhile
    alone = wait_for(
        "it is degraded", PATIENCE, lambda: (pair := server.pair_now())["state"] == "degraded" and pair
    )
    assert (alone["primary"]["host"], alone["secondary"]) == (primary, None)
    assert alone["health"] == "critical"
    assert alone["state_reason"]
    server.goes_on()
    assert capture.senders() == {primary}
    lab.host(primary).heal()
    assert server.pair()["primary"]["host"] == primary
    server.is_whole()
    assert capture.senders() == {primary}


def test_hosts_that_are_cut_from_the_engine_only(server: FtServer, capture: Capture, lab: Lab) -> None:
    before = server.pair()
    hosts = [before[replica]["host"] for replica in ("primary", "secondary")]
    for host in hosts:
        lab.host(host).cut_link("management")
    silent = wait_for(
        "its figures are stale", PATIENCE, lambda: (pair := server.pair_now())["stale_since"] and pair
    )
    assert silent["health"] != "ok"
    assert silent["health_reasons"]
    assert silent["epoch"] == before["epoch"]
    server.goes_on()
    assert capture.senders() == {hosts[0]}
    for host in hosts:
        lab.host(host).heal()
    wait_for("figures are fresh", PATIENCE, lambda: server.pair_now()["stale_since"] is None)
    assert server.pair()["epoch"] == before["epoch"]
    server.is_whole()
    assert capture.senders() == {hosts[0]}


def cut_off(lab: Lab, host: str) -> None:
    """Disconnect a host from its peer and from the engine."""
    for network in ("management", "replication"):
        lab.host(host).cut_link(network)


def test_a_primary_that_is_cut_from_its_peer_and_the_engine(
    server: FtServer, capture: Capture, lab: Lab
) -> None:
    before = server.pair()
    old, new = before["primary"]["host"], before["secondary"]["host"]
    cut_off(lab, old)
    after = server.failed_over(before)
    assert after["primary"]["host"] == new
    server.client_sends_arp_request()
    server.goes_on()
    assert capture.senders() == {old, new}
    assert capture.first_and_last(old)[1] < capture.first_and_last(new)[0]
    lab.host(old).heal()
    lab.service(f"{old}-nova-compute").restart()  # Nova cleans up at its start what was moved off a host
    server.is_up(old)
    server.is_whole()
    assert capture.first_and_last(old)[1] < capture.first_and_last(new)[0]


def test_a_primary_whose_host_was_frozen_says_nothing_when_it_goes_on(
    server: FtServer, capture: Capture, lab: Lab
) -> None:
    before = server.pair()
    old, new = before["primary"]["host"], before["secondary"]["host"]
    lab.host(old).freeze()
    server.has_failed_over(before)
    server.client_sends_arp_request()
    lab.host(old).heal()
    after = server.failed_over(before)
    assert after["primary"]["host"] == new
    lab.service(f"{old}-nova-compute").restart()
    server.is_up(old)
    server.is_whole()
    assert capture.first_and_last(old)[1] < capture.first_and_last(new)[0]


def test_a_secondary_that_is_cut_from_its_peer_and_the_engine(
    server: FtServer, capture: Capture, lab: Lab
) -> None:
    before = server.pair()
    primary, cut = before["primary"]["host"], before["secondary"]["host"]
    cut_off(lab, cut)
    after = server.moved(before)
    assert after["primary"]["host"] == primary
    server.client_sends_arp_request()
    server.goes_on()
    lab.host(cut).heal()
    server.is_up(cut)
    server.is_whole()
    assert capture.senders() == {primary}
