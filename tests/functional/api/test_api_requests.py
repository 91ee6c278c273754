# SPDX-License-Identifier: Apache-2.0
"""Actions, with their records and refusals; responses about events, checkpoints and hosts."""

import datetime
import time

import pytest
import sqlalchemy as sa
from kombu.exceptions import OperationalError
from oslo_db.exception import DBDeadlock
from oslo_messaging import MessageDeliveryFailure
from oslo_utils import timeutils, uuidutils

from nova_colo import rpc
from nova_colo.db import events, history, operations
from nova_colo.db.models import Bucket, Operation
from nova_colo.pair import reasons
from nova_colo.pair.actions import ACTIONS
from nova_colo.pair.catalogue import CATALOGUE
from tests.benchmarks.made_up import figures
from tests.fixtures.made_database import database_at

BODIES = {
    "ft-migrate-secondary": {"host": None},
    "ft-set-mode": {"mode": "checkpoint"},
}


def body(action, arguments=None):
    return {action: arguments if arguments is not None else BODIES.get(action)}


def running(api):
    with api.database.reader() as session:
        return [(row.server_id, row.kind, row.requested_by) for row in operations.running(session)]


def recorded(api, server):
    with api.database.reader() as session:
        return [(event.kind, event.user_id) for event in events.newest(session, server, 10)]


@pytest.mark.parametrize("action", ["failover", "ft-unprotect", "ft-suspend", "ft-test-failover", *BODIES])
def test_what_is_asked_of_a_protected_server_is_recorded_once(api, action):
    server = api.pair()
    done = api.act(server, body(action))
    assert (done.status_int, done.text) == (202, "")
    assert [(row[0], row[2]) for row in running(api)] == [(server, "admin")]
    assert recorded(api, server) == [(action, "admin")]
    before = api.row(server)
    again = api.act(server, body(action))
    assert again.status_int == 409 and again.json_body["conflictingRequest"]["message"]
    assert again.json_body["conflictingRequest"]["details"]["code"] in CATALOGUE
    assert api.row(server) == before and len(running(api)) == 1


@pytest.mark.parametrize("action,state", [("ft-protect", "unprotected"), ("ft-resume", "suspended")])
def test_what_needs_no_work_is_recorded_as_a_wish(api, action, state):
    server = api.pair(state=state, wanted=state, secondary_host=None)
    assert api.act(server, body(action), "member").status_int == 202
    assert api.row(server)["wanted"] == "protected" and not running(api)
    assert recorded(api, server) == [(action, "member")]


@pytest.mark.parametrize("action", ACTIONS)
def test_a_locked_servers_pair_is_left_alone(api, action):
    server = api.pair(locked=True)
    before = api.row(server)
    refused = api.act(server, body(action), "manager")
    assert refused.status_int == 409 and "locked" in refused.json_body["conflictingRequest"]["message"]
    assert api.row(server) == before and not recorded(api, server)
    assert "locked" not in api.act(server, body(action)).text


@pytest.mark.parametrize("action", ACTIONS)
def test_actions_and_the_list_of_them_agree(api, action):
    for state, secondary in (
        ("protected", "b"),
        ("unprotected", None),
        ("failing_over", "b"),
        ("suspended", None),
    ):
        wanted = state if state in ("suspended", "unprotected") else "protected"
        server = api.pair(state=state, secondary_host=secondary, wanted=wanted)
        shown = api.get(f"/servers/{server}/os-fault-tolerance")["fault_tolerance"]
        entry = next(known for known in shown["actions"] if known["name"] == action)
        answer = api.act(server, body(action))
        assert (answer.status_int == 202) == entry["allowed"], (state, entry, answer.text)
        if not entry["allowed"]:
            assert answer.json_body["conflictingRequest"]["message"] == entry["reason"]


def test_a_secondary_is_moved_only_to_a_host_that_can_take_it(api):
    server = api.pair(primary_host="a", secondary_host="b")
    now = timeutils.utcnow()
    for name in ("a", "b", "c"):
        api.host(name, seen_at=now, capable=True)
    api.host("silent", seen_at=now - datetime.timedelta(minutes=1), capable=True)
    api.host(
        "old", seen_at=now, capable=False, reasons=[reasons.QEMU_LACKS(version="2.0", name="colo-compare")]
    )
    before = api.row(server)
    for host, status, text in (
        ("nowhere", 400, "nova-colo-agent"),
        ("a", 409, "The primary runs on a."),
        ("b", 409, "The secondary is already on b."),
        ("silent", 409, "does not answer"),
        ("old", 409, "QEMU 2.0 has no colo-compare."),
    ):
        refused = api.act(server, body("ft-migrate-secondary", {"host": host}))
        assert refused.status_int == status and text in refused.text
    assert api.row(server) == before
    assert api.act(server, body("ft-migrate-secondary", {"host": "c"})).status_int == 202


def test_a_secondary_is_not_moved_again_and_again(api):
    """Each move copies the server's disks and memory; what failed before that has cost nothing."""
    server = api.pair()
    api.host("c", seen_at=timeutils.utcnow(), capable=True)
    long_ago = timeutils.utcnow() - datetime.timedelta(minutes=61)
    with api.database.writer() as session:
        for number in range(60):
            session.add(operation(server, "protect" if number % 2 else "move_secondary", step=4))
        session.add(operation(server, "move_secondary", step=4, created_at=long_ago))
        session.add(operation(server, "move_secondary", step=1))
        session.add(operation(server, "failover", step=4))
        session.add(operation(api.pair(), "protect", step=4))
    before = api.row(server)
    refused = api.act(server, body("ft-migrate-secondary"))
    assert refused.status_int == 409 and "created 60 times within an hour" in refused.text
    assert api.row(server) == before
    with api.database.writer() as session:
        rows = sa.select(Operation).filter_by(server_id=server, kind="protect")
        session.delete(session.scalars(rows).first())
    assert api.act(server, body("ft-migrate-secondary")).status_int == 202


def operation(server_id, kind, **values):
    id_ = uuidutils.generate_uuid()
    return Operation(id=id_, server_id=server_id, kind=kind, status="done", params={}, **values)


def test_a_server_that_is_none_of_the_callers_is_not_there(api):
    server = api.pair()
    for action in ACTIONS:
        assert api.act(server, body(action), "manager", "theirs").status_int == 404
    for path in ("", "/checkpoints", "/events"):
        assert (
            api.request("GET", f"/servers/{server}/os-fault-tolerance{path}", "manager", "theirs").status_int
            == 404
        )


@pytest.mark.parametrize(
    "error", [MessageDeliveryFailure("no broker"), OperationalError("[Errno 111] Connection refused")]
)
def test_what_was_recorded_is_accepted_though_no_engine_can_be_told(api, monkeypatch, error):
    def fail(self):
        raise error

    monkeypatch.setattr(rpc.EngineClient, "wake", fail)
    server = api.pair()
    assert api.act(server, {"failover": None}).status_int == 202
    assert len(running(api)) == 1


def test_what_the_database_undoes_because_of_a_deadlock_is_done_again(api, monkeypatch):
    add, undone = events.add, [DBDeadlock(), DBDeadlock()]

    def undo(*args, **kwargs):
        add(*args, **kwargs)
        if undone:
            raise undone.pop()

    monkeypatch.setattr(events, "add", undo)
    server = api.pair()
    assert api.act(server, {"failover": None}).status_int == 202
    assert (len(running(api)), len(recorded(api, server)), undone) == (1, 1, [])


def test_without_the_database_the_answer_says_so(api):
    server = api.pair()
    api.service.database = database_at("sqlite:////nowhere/at/all.db", max_retries=0)
    for refused in (api.request("GET", "/os-fault-tolerance/servers"), api.act(server, {"failover": None})):
        assert refused.status_int == 503
        assert "database" in refused.json_body["serviceUnavailable"]["message"]


def store(api, server, *buckets):
    columns = ("start", "seconds", "mismatch", "periodic", "forced", "pause_sum_ms", "pause_max_ms")
    with api.database.writer() as session:
        for bucket in buckets:
            session.add(Bucket(server_id=server, **dict(zip(columns, bucket, strict=True))))


def checkpoints(api, server, query=""):
    return api.get(f"/servers/{server}/os-fault-tolerance/checkpoints{query}", "reader")["checkpoints"]


def test_checkpoints_of_the_last_hour(api):
    server = api.pair()
    now = int(time.time()) // history.FINE * history.FINE
    store(
        api,
        server,
        (now - 7200, 10, 9, 9, 9, 9.0, 9.0),
        (now - 600, 10, 2, 1, 0, 30.0, 15.0),
        (now - 20, 10, 0, 0, 1, 7.0, 7.0),
    )
    shown = checkpoints(api, server)
    assert shown["bucket_s"] == 10
    causes = [(bucket["mismatch"], bucket["periodic"], bucket["forced"]) for bucket in shown["buckets"]]
    assert causes == [(2, 1, 0), (0, 0, 1)]
    assert [bucket["pause_ms"] for bucket in shown["buckets"]] == [
        {"mean": 10.0, "max": 15.0},
        {"mean": 7.0, "max": 7.0},
    ]


def test_a_long_time_comes_in_few_buckets_and_nothing_is_lost(api):
    server = api.pair()
    start = 1_700_000_400  # a multiple of 300
    fine = [(start + 10 * number, 10, 1, 0, 0, 5.0, float(number % 7)) for number in range(8640)]
    store(api, server, *fine)
    shown = checkpoints(api, server, "?since=2023-11-14T22:20:00Z&until=2023-11-15T22:20:00Z")
    assert shown["bucket_s"] == 300 and len(shown["buckets"]) == 288
    assert sum(bucket["mismatch"] for bucket in shown["buckets"]) == 8640
    assert {bucket["pause_ms"]["mean"] for bucket in shown["buckets"]} == {5.0}
    years = checkpoints(api, server, "?since=2000-01-01T00:00:00Z&until=2030-01-01T00:00:00Z")
    assert len(years["buckets"]) <= 361 and sum(bucket["mismatch"] for bucket in years["buckets"]) == 8640


def test_old_buckets_that_are_wider_stay_as_wide(api):
    server = api.pair()
    start = 1_700_000_400
    store(api, server, (start, 300, 4, 0, 0, 8.0, 3.0), (start + 300, 10, 1, 0, 0, 2.0, 2.0))
    shown = checkpoints(api, server, "?since=2023-11-14T22:00:00&until=2023-11-14T22:40:00%2B00:00")
    assert [(bucket["start"], bucket["seconds"], bucket["mismatch"]) for bucket in shown["buckets"]] == [
        ("2023-11-14T22:20:00Z", 300, 4),
        ("2023-11-14T22:25:00Z", 10, 1),
    ]


def test_events_come_newest_first_page_by_page_without_host_names_for_tenants(api):
    server, other = api.pair(), api.pair()
    with api.database.writer() as session:
        for number in range(5):
            events.add(session, server, "failover", reasons.GRANT_GIVEN(epoch=number, host="b"))
        events.add(session, other, "failover", reasons.BOTH_ENDED())
    path = f"/servers/{server}/os-fault-tolerance/events?limit=2"
    shown = []
    while path:
        page = api.get(path, "reader")
        shown += page["events"]
        path = (
            page["events_links"][0]["href"].removeprefix("http://cloud/v2.1")
            if "events_links" in page
            else None
        )
    messages = [(event["message"], event["code"], event["params"]) for event in shown]
    sentence = "The grant for epoch {} was already given to {}."
    assert messages == [
        (sentence.format(epoch, "its host"), "grant_given", {"epoch": epoch}) for epoch in (4, 3, 2, 1, 0)
    ]
    newest = api.get(f"/servers/{server}/os-fault-tolerance/events")["events"][0]
    assert (newest["message"], newest["params"]) == (sentence.format(4, "b"), {"epoch": 4, "host": "b"})


def test_figures_are_old_when_none_were_taken_for_a_while_that_could_have_been(api):
    now = timeutils.utcnow()
    long_ago, lately = now - datetime.timedelta(minutes=5), now - datetime.timedelta(seconds=2)
    measured = {"checkpoints": figures(), "measured_at": long_ago}

    def shown(**columns):
        server = api.pair(**measured | columns)
        return api.get(f"/servers/{server}/os-fault-tolerance")["fault_tolerance"]

    assert shown(protected_since=long_ago)["stale_since"] == long_ago.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert shown(protected_since=long_ago, measured_at=lately)["stale_since"] is None
    assert shown(protected_since=lately)["stale_since"] is None
    alone = shown(secondary_host=None, protected_since=None, state="suspended")
    assert alone["stale_since"] is None
    assert (alone["checkpoints"]["per_min"], alone["checkpoints"]["pause_ms"]["p99"]) == (None, None)
    assert alone["checkpoints"]["total"] == figures()["total"]


def test_hosts_say_what_they_carry(api):
    now = timeutils.utcnow()
    api.host("a", seen_at=now, capable=True, backend="qemu", version="1", versions={"qemu": "11.0"})
    api.host(
        "b",
        seen_at=now - datetime.timedelta(minutes=1),
        fenced_at=now,
        capable=False,
        reasons=[reasons.HOST_NO_ADDRESS()],
    )
    api.pair(primary_host="a", secondary_host="b", memory_mb=100)
    api.pair(primary_host="a", secondary_host=None, reserved_host="b", memory_mb=10, state="suspended")
    api.pair(primary_host="unheard", secondary_host="a", memory_mb=1)
    a, b, unheard = api.get("/os-fault-tolerance/hosts")["hosts"]
    assert (a["agent"]["state"], a["primaries"], a["secondaries"], a["reserved_memory_mb"]) == ("up", 2, 1, 2)
    assert a["versions"] == {"qemu": "11.0"} and a["fenced_since"] is None and a["capable"]
    assert (b["agent"]["state"], b["primaries"], b["secondaries"], b["reserved_memory_mb"]) == (
        "down",
        0,
        1,
        220,
    )
    assert b["reasons"] == [str(reasons.HOST_NO_ADDRESS())] and b["fenced_since"].endswith("Z")
    assert b["reason_details"] == [{"code": "host_no_address", "params": {}}]
    assert (unheard["host"], unheard["agent"]["state"], unheard["agent"]["seen_at"]) == (
        "unheard",
        "down",
        None,
    )
    assert unheard["reasons"] and not unheard["capable"]


def test_a_host_that_is_back_says_why_it_is_still_forced_down(api):
    api.host("a", seen_at=timeutils.utcnow(), fenced_at=timeutils.utcnow(), capable=True)
    (host,) = api.get("/os-fault-tolerance/hosts")["hosts"]
    assert "Restart it there" in host["reasons"][0] and host["fenced_since"] and not host["capable"]
    server = api.pair(primary_host="b", secondary_host="c")
    refused = api.request("POST", f"/servers/{server}/action", body={"ft-migrate-secondary": {"host": "a"}})
    assert refused.status_code == 409
    assert "Host a cannot carry a secondary: Its nova-compute is forced down" in refused.text


def test_what_concerns_hosts_is_hidden_from_tenants(api):
    error = reasons.AGENT_FAILED(host="z", text="/var/lib/nova on b.example.org is full")
    server = api.pair(reserved_host="z", first_error=error, state_reason=reasons.AGENT_TIMEOUT(host="z"))
    shown = api.request("GET", f"/servers/{server}/os-fault-tolerance", "manager").json_body[
        "fault_tolerance"
    ]
    assert shown["first_error"] == "The agent on its host failed. See its log."
    assert (shown["first_error_code"], shown["first_error_params"]) == ("agent_failed", {})
    assert shown["reserved_on"] is None and shown["state_reason"] == "The agent on its host did not answer."
    shown = api.get(f"/servers/{server}/os-fault-tolerance")["fault_tolerance"]
    assert shown["first_error"] == "z: /var/lib/nova on b.example.org is full" and shown["reserved_on"] == "z"
    assert shown["first_error_params"] == {"host": "z", "text": "/var/lib/nova on b.example.org is full"}
