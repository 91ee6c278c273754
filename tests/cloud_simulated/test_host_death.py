# SPDX-License-Identifier: Apache-2.0
"""A host loses its power, and recovery needs no request."""

import time

import pytest

from nova_colo.pair.model import secondary_id
from tests.fixtures import many_servers
from tests.fixtures.cloud import identity, lab_command, wait_for

WITHIN_S = 30
RECORDS_S = 120


def gather_on(cloud, host):
    """Move both FT servers' primaries to one host, and return their pairs."""
    for name in ("web-1", "web-2"):
        pair = cloud.protected(name)
        if pair["primary"]["host"] == host:
            continue
        if pair["secondary"]["host"] != host:
            cloud.act(pair["server_id"], {"ft-migrate-secondary": {"host": host}})
            wait_for(
                f"{name}'s secondary is on {host}", 60, lambda name=name: _secondary(cloud, name) == host
            )
        cloud.act(pair["server_id"], {"failover": None})
        cloud.failed_over(name, pair)
        cloud.protected(name)
    return cloud.pairs()


def _secondary(cloud, name):
    pair = cloud.pairs()[name]
    return pair["secondary"]["host"] if pair["state"] == "protected" else None


def switch(lab, what, host):
    done = lab_command(lab, "host", what, host)
    assert done.returncode == 0, done.stderr


def test_a_power_cut(cloud, pair, lab):
    host = pair["primary"]["host"]
    before = gather_on(cloud, host)
    servers = {name: cloud.server(name) for name in ("web-1", "web-2", "plain-1")}
    cloud.bind(before["web-1"]["server_id"], before["web-1"]["secondary"]["host"])  # by an ended migration
    switch(lab, "kill", host)
    try:

        def all_run():
            on = {name: many_servers.guests(cloud, pair["server_id"]) for name, pair in before.items()}
            return all(on[name].get(pair["secondary"]["host"]) == "running" for name, pair in before.items())

        wait_for("the FT servers run on their secondaries' hosts", WITHIN_S, all_run)

        def all_moved():
            now = {name: cloud.server(name) for name in ("web-1", "web-2")}
            moved = all(
                server["status"] == "ACTIVE"
                and server["OS-EXT-STS:task_state"] is None
                and server["OS-EXT-SRV-ATTR:host"] == before[name]["secondary"]["host"]
                for name, server in now.items()
            )
            return now if moved else None

        moved = wait_for("Nova has them on their secondaries' hosts", RECORDS_S, all_moved)
        for name, server in moved.items():
            assert identity(server) == identity(servers[name])
            assert cloud.bindings(server["id"]) == [{before[name]["secondary"]["host"]: "ACTIVE"}]
        assert cloud.server("plain-1")["OS-EXT-SRV-ATTR:host"] == servers["plain-1"]["OS-EXT-SRV-ATTR:host"]
        for name in moved:
            pair_now = cloud.protected(name)
            assert pair_now["secondary"]["host"] not in (host, pair_now["primary"]["host"])
            assert "is lost" in pair_now["failovers"]["last_reason"]
        _fail_over_while_it_is_down(cloud)
    finally:
        switch(lab, "start", host)
    _use_it_again(cloud, host)


def _fail_over_while_it_is_down(cloud):
    """Nova refuses the forced move while the dead host has an allocation; the engine works around that."""
    before = cloud.protected("web-1")
    cloud.act(before["server_id"], {"failover": None})
    cloud.failed_over("web-1", before)
    assert cloud.server("web-1")["OS-EXT-SRV-ATTR:host"] == before["secondary"]["host"]


def _usable_again(cloud, host):
    def usable():
        service = cloud.compute_services()[host]
        return service["state"] == "up" and not service["forced_down"]

    wait_for(f"{host} is up again for Nova", 120, usable)


def _use_it_again(cloud, host):
    """A returned host can run secondaries, here when the only other host dies."""
    _usable_again(cloud, host)
    pair = cloud.protected("web-1")
    other = pair["secondary"]["host"]
    switch(cloud.lab, "kill", other)
    try:

        def protected_by_it():
            now = cloud.pairs()["web-1"]
            return now["state"] == "protected" and now["secondary"]["host"] == host

        wait_for(f"the secondary is on {host}", 120, protected_by_it)
    finally:
        switch(cloud.lab, "start", other)
    for name in ("web-1", "web-2"):
        cloud.protected(name)


def test_without_a_second_host_there_is_no_failover_and_the_reason_is_said(cloud, pair, lab):
    others = [host for host in lab.hosts() if host != pair["primary"]["host"]]
    for host in others:
        switch(lab, "kill", host)
    try:

        def unprotected():
            now = cloud.pairs()["web-1"]
            return now if now["secondary"] is None and "Needs a secondary" in now["state_reason"] else None

        now = wait_for("the server is degraded and its needs are shown", 120, unprotected)
        assert now["health"] == "critical" and now["primary"]["host"] == pair["primary"]["host"]
        refused = cloud.act(pair["server_id"], {"failover": None})
        assert refused.status_code == 409
        assert "no healthy secondary" in refused.json()["conflictingRequest"]["message"]
        assert cloud.server("web-1")["status"] == "ACTIVE"
    finally:
        for host in others:
            switch(lab, "start", host)
    cloud.protected("web-1", 180)
    wait_for("all is well", 60, lambda: cloud.pairs()["web-1"]["health"] == "ok")


@pytest.mark.parametrize("many", [8, pytest.param(50, marks=pytest.mark.long)])
def test_a_power_cut_under_many_servers(cloud, pair, lab, capsys, many):
    host = "compute-a"
    with many_servers.ft_servers(cloud, "many", many, f"nova:{host}") as before:
        assert {pair["primary"]["host"] for pair in before.values()} == {host}
        targets = {name: pair["secondary"]["host"] for name, pair in before.items()}
        switch(lab, "kill", host)
        began = time.monotonic()
        try:

            def run_elsewhere():
                found = {name: many_servers.guests(cloud, pair["server_id"]) for name, pair in before.items()}
                return all(found[name].get(target) == "running" for name, target in targets.items())

            wait_for("all run on their secondaries' hosts", 60, run_elsewhere)
            _print_duration(capsys, many, "all run again", began)

            def followed():
                servers = many_servers.listed(cloud, "many")
                return len(servers) == many and all(
                    (server["status"], server["OS-EXT-STS:task_state"], server["OS-EXT-SRV-ATTR:host"])
                    == ("ACTIVE", None, targets[name])
                    for name, server in servers.items()
                )

            wait_for("Nova's records have followed", 400, followed)
            _print_duration(capsys, many, "Nova's records have followed", began)
            after = wait_for(
                "all are protected", 180, lambda: many_servers.in_states(cloud, "many", many, "protected")
            )
            _print_duration(capsys, many, "all protected again", began)
            _each_failed_over_once(cloud, before, after, host)
        finally:
            switch(lab, "start", host)
        _usable_again(cloud, host)
    for name in ("web-1", "web-2"):
        cloud.protected(name)


def _print_duration(capsys, many, what, began):
    """Print how long a phase took; no value is asserted."""
    with capsys.disabled():
        print(f"\n  {many} servers: {what} after {time.monotonic() - began:.1f} s")


def _each_failed_over_once(cloud, before, after, dead):
    """Assert that each server failed over once, and that Placement has one reservation for each."""
    held = many_servers.allocations(cloud)
    for name, pair in after.items():
        primary, secondary = pair["primary"]["host"], pair["secondary"]["host"]
        assert primary == before[name]["secondary"]["host"] and secondary not in (primary, dead), name
        assert pair["epoch"] == before[name]["epoch"] + 1, name
        assert many_servers.guests(cloud, pair["server_id"]) == {primary: "running", secondary: "paused"}, (
            name
        )
        assert held[secondary_id(pair["server_id"])] == {secondary}, name
        assert held[pair["server_id"]] - {dead} == {primary}, name
