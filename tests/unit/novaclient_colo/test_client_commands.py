# SPDX-License-Identifier: Apache-2.0
"""The commands of ``openstack`` and ``nova``: their output and exit codes."""

import json

import pytest

from novaclient_colo import fault_tolerance
from novaclient_colo.osc import common
from tests.unit.novaclient_colo.fake_cloud import PROJECTS, make_pair


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(fault_tolerance, "POLL_INTERVAL_S", 0.01)


def add(cloud, *args, **kwargs):
    pair = make_pair(*args, **kwargs)
    cloud.pairs[pair["server_id"]] = pair
    return pair


def test_list_shows_the_columns_worst_first(cloud, run):
    add(cloud, "db-1", state="degraded", state_reason="No host has capacity.", secondary=None)
    result = run("openstack server ft list --all-projects -f json")
    assert result.code == 0
    rows = json.loads(result.out)
    assert [row["Name"] for row in rows] == ["db-1", "web-1"]
    assert rows[1] == {
        "Name": "web-1",
        "Protection": "protected",
        "Health": "ok",
        "Primary Host": "compute-a",
        "Secondary Host": "compute-b",
        "Checkpoints": 1210,
        "Failovers": 1,
    }
    assert rows[0]["Secondary Host"] is None


def test_long_list_adds_ids_reasons_and_backend(cloud, run):
    add(cloud, "db-1", state="degraded", state_reason="No host has capacity.", health_reasons=["Alone."])
    row = json.loads(run("openstack server ft list --all-projects --long -f json").out)[0]
    assert row["State Reason"] == "No host has capacity."
    assert row["Health Reasons"] == ["Alone."]
    assert (row["Mode"], row["Epoch"], row["Backend"], row["Project ID"]) == (
        "colo",
        3,
        "qemu",
        PROJECTS["demo"],
    )


def test_simulated_figures_are_marked_beside_the_output_not_in_it(cloud, run):
    add(cloud, "sim-1", backend="simulated")
    result = run("openstack server ft list --all-projects -f json")
    json.loads(result.out)
    assert "simulated" in result.err
    assert "simulated" in run("nova ft-list --all-tenants").err


def test_real_figures_are_not_marked(run):
    assert "simulated" not in run("openstack server ft list --all-projects").err


def test_a_member_may_not_list_all_projects(run):
    result = run("openstack server ft list --all-projects", user="demo")
    assert (result.code, result.out) == (1, "")
    assert result.err.strip() == "Policy doesn't allow it to be performed. (HTTP 403)"


def test_show_gives_everything(cloud, run):
    shown = json.loads(run("openstack server ft show web-1 -f json").out)
    assert (shown["state"], shown["primary_host"], shown["secondary_host"]) == (
        "protected",
        "compute-a",
        "compute-b",
    )
    assert shown["checkpoints"]["mismatch"] == 907
    assert shown["actions"] == [
        "failover",
        "ft-unprotect",
        "ft-suspend",
        "ft-test-failover",
        "ft-migrate-secondary",
        "ft-set-mode",
    ]


def test_programs_get_members_that_people_are_not_shown(cloud, run):
    shown = json.loads(run("openstack server ft show web-1 -f json").out)["failovers"]
    assert (shown["total"], shown["last_gap_ms"], shown["last_reason_params"]) == (1, None, {})
    assert "last_reason_params" not in run("openstack server ft show web-1").out


def test_pauses_are_rounded_for_people_only(cloud, run):
    pauses = {"mean": 9.123, "max": None}
    cloud.buckets = [
        {
            "start": "2026-01-31T00:00:00Z",
            "seconds": 10,
            "mismatch": 1,
            "periodic": 0,
            "forced": 0,
            "pause_ms": pauses,
        }
    ]
    listed = "openstack server ft checkpoint list --since 2026-01-31T00:00:00Z web-1"
    (row,) = json.loads(run(f"{listed} -f json").out)
    assert (row["Pause Mean Ms"], row["Pause Max Ms"]) == (9.123, None)
    assert " 9.1 " in run(listed).out


def test_kinds_of_events_are_words_for_people_only(cloud, run):
    kinds = ["follow", "run_alone", "ft-suspend", "move_secondary", "set_mode"]
    event = {"at": "2026-01-31T00:00:00Z", "level": "info", "message": "-"}
    cloud.events = [event | {"kind": kind} for kind in kinds]
    listed = "openstack server ft event list -c Kind web-1"
    assert [row["Kind"] for row in json.loads(run(f"{listed} -f json").out)] == kinds
    assert run(f"{listed} -f value").out.splitlines() == kinds
    rows = run(listed).out.splitlines()[3:-1]
    shown = ["update records", "run unprotected", "suspend", "migrate secondary", "set mode"]
    assert [row.strip("| ") for row in rows] == shown


def test_failover_confirms_on_success(cloud, run):
    result = run("openstack server failover web-1")
    assert result == (0, "Failover of server web-1 from compute-a to compute-b requested.\n", "")
    assert cloud.bodies[-1] == {"failover": None}


def test_failover_says_no_hosts_to_those_who_may_not_see_them(cloud, run):
    cloud.can_see_hosts = False
    assert run("openstack server failover web-1").out == "Failover of server web-1 requested.\n"


def test_failover_waits_for_the_new_primary(cloud, run):
    cloud.polls_until_done = 3
    result = run("openstack server failover web-1 --wait")
    assert result == (0, "Server web-1 failed over from compute-a to compute-b; it is protected now.\n", "")


def test_failover_shows_progress_only_on_a_terminal(cloud, run, monkeypatch, capsys):
    class Terminal:
        text = ""

        def isatty(self):
            return True

        def write(self, text):
            self.text += text

        def flush(self):
            pass

    progress = common.Progress(Terminal(), "web-1")
    progress.show("failing_over")
    progress.clear()
    assert "web-1: failing_over, 0 s" in progress.stream.text
    assert progress.stream.text.endswith("\r")


def test_failover_that_ends_in_error_fails_with_the_reason(cloud, run):
    cloud.after_failover = {"state": "error", "state_reason": "compute-b died too. Start compute-a."}
    result = run("openstack server failover web-1 --wait")
    assert (result.code, result.out) == (1, "")
    assert result.err == "Failover of server web-1 failed: compute-b died too. Start compute-a.\n"


def test_failover_that_was_given_up_fails(cloud, run):
    cloud.after_failover = {
        "state": "protected",
        "state_reason": "compute-b was refused the grant.",
        "epoch": 3,
    }
    result = run("openstack server failover web-1 --wait")
    assert result.code == 1
    assert result.err == "Server web-1 was not failed over: compute-b was refused the grant.\n"


def test_failover_out_of_time_says_that_it_goes_on(cloud, run):
    cloud.polls_until_done = None
    result = run("openstack server failover web-1 --wait --timeout 0")
    assert result.code == 1
    assert "the failover continues" in result.err
    assert result.err.count("\n") == 1


def test_failover_of_several_tries_all_and_reports_the_failing_one(cloud, run):
    reason = "There is no secondary. Free capacity on another host."
    add(cloud, "db-1", actions=[{"name": "failover", "allowed": False, "reason": reason}])
    result = run("openstack server failover db-1 web-1")
    assert result.code == 1
    assert result.out == "Failover of server web-1 from compute-a to compute-b requested.\n"
    assert result.err == f"db-1: {reason} (HTTP 409)\n"


def test_force_is_passed_on(cloud, run):
    add(cloud, "db-1", actions=[{"name": "failover", "allowed": False, "reason": "Not healthy."}])
    assert run("openstack server failover db-1 --force").code == 0
    assert cloud.bodies[-1] == {"failover": {"force": True}}
    assert run("nova failover --force db-1").code == 0
    assert cloud.bodies[-1] == {"failover": {"force": True}}


def test_a_typing_error_fails_over_nothing(cloud, run):
    result = run("openstack server failover web-1 web-2")
    assert result == (1, "", "No server with a name or ID of 'web-2' exists.\n")
    assert not [path for method, path in cloud.requests if path.endswith("/action")]


@pytest.mark.parametrize("user", ["admin", "demo"])
@pytest.mark.parametrize(
    "line", ["openstack server ft show nope", "openstack server failover nope", "nova failover nope"]
)
def test_a_missing_server_is_one_line(run, line, user):
    result = run(line, user)
    assert result.code == 1
    assert result.err.splitlines()[-1].endswith("No server with a name or ID of 'nope' exists.")


@pytest.mark.parametrize("line", ["openstack server failover web", "nova failover web"])
def test_an_ambiguous_name_asks_for_the_id(cloud, run, line):
    add(cloud, "web", project_id=PROJECTS["admin"])
    other = make_pair("web", server_id="11111111-1111-1111-1111-111111111111", project_id=PROJECTS["admin"])
    cloud.pairs[other["server_id"]] = other
    result = run(line)
    assert result.code == 1
    assert "ID" in result.err.splitlines()[-1]


@pytest.mark.parametrize("line", ["openstack server failover {id}", "nova failover {id}"])
def test_a_server_is_found_by_id(cloud, run, line):
    server_id = next(iter(cloud.pairs))
    assert run(line.format(id=server_id)).code == 0


@pytest.mark.parametrize(
    "line",
    [
        "openstack server ft list",
        "openstack server ft show web-1",
        "openstack server failover web-1",
        "openstack server failover web-1 --wait",
        "nova ft-list",
        "nova failover web-1",
    ],
)
def test_a_cloud_without_the_filter_is_told_in_one_line(cloud, run, line):
    cloud.filter_installed = False
    result = run(line)
    assert (result.code, result.out) == (1, "")
    assert result.err.splitlines()[-1].endswith(
        "This cloud's compute API has no fault tolerance: "
        f"the nova-colo API filter is not installed at {cloud.compute_url}."
    )
    assert "Traceback" not in result.err


def test_nova_lists_and_fails_over(cloud, run):
    listed = run("nova ft-list --all-tenants")
    assert listed.code == 0
    assert "compute-b" in listed.out
    assert run("nova failover web-1").out == "Failover of server web-1 requested.\n"


def test_ctrl_c_while_waiting_says_that_the_failover_goes_on(cloud, run, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    cloud.polls_until_done = None
    monkeypatch.setattr(fault_tolerance.time, "sleep", interrupt)
    result = run("openstack server failover web-1 --wait")
    assert (result.code, result.out) == (1, "")
    assert result.err.startswith(
        "Stopped waiting; the failover of server web-1 continues. Follow it with 'openstack "
    )


def test_a_list_that_is_watched_needs_a_terminal(run):
    result = run("openstack server ft list --watch")
    assert (result.code, result.out) == (1, "")
    assert result.err == "--watch requires a terminal. Omit it to list the servers once.\n"


@pytest.mark.parametrize("option", ["--limit 0", "--limit many", "--state asleep", "--watch 0"])
def test_an_option_with_a_wrong_value_is_named(run, option):
    result = run(f"openstack server ft list {option}")
    assert (result.code, result.out) == (2, "")
    assert option.split()[0] in result.err.splitlines()[-1]


def test_filters_are_the_clouds_work(cloud, run):
    assert (
        run(
            "openstack server ft list --state degraded --state error --health critical --name web --limit 5"
        ).code
        == 0
    )
    (asked,) = [path for method, path in cloud.requests if "/os-fault-tolerance/servers" in path]
    wanted = "limit=5&name=web&state=degraded&state=error&health=critical&sort_key=health"
    assert asked.endswith(f"/os-fault-tolerance/servers?{wanted}")
