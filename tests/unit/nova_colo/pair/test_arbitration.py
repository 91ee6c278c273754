# SPDX-License-Identifier: Apache-2.0
"""Which replica may run unprotected."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import arbitration
from nova_colo.pair.arbitration import Action, Observation, decide
from nova_colo.pair.model import Replica, Role, State, Wanted
from tests.fixtures.made_pairs import pair


def replica(role=Role.PRIMARY, epoch=3, running=True, link_up=True, **more):
    return Replica(role, epoch, running, link_up, **more)


def primary(**changes):
    return Observation(True, replica(Role.PRIMARY, **changes))


def secondary(**changes):
    return Observation(True, replica(Role.SECONDARY, **changes))


DEAD = Observation(False)

CASES = {
    "both run in sync": (pair(), primary(), secondary(), Action.NONE),
    "the primary's host is lost": (pair(), DEAD, secondary(link_up=False), Action.FAILOVER),
    "only the primary's agent is silent": (pair(), DEAD, secondary(), Action.NONE),
    "the primary QEMU ended": (pair(), primary(running=False), secondary(link_up=False), Action.FAILOVER),
    "the primary QEMU does not answer": (
        pair(),
        primary(running=False, silent=True),
        secondary(),
        Action.FAILOVER,
    ),
    "libvirt does not answer on the primary's host": (pair(), primary(silent=True), secondary(), Action.NONE),
    "libvirt does not answer on the primary's host, and the link is lost": (
        pair(),
        primary(silent=True),
        secondary(link_up=False),
        Action.FAILOVER,
    ),
    "the secondary QEMU does not answer": (
        pair(),
        primary(),
        secondary(running=False, silent=True),
        Action.RUN_UNPROTECTED,
    ),
    "libvirt does not answer on the secondary's host": (
        pair(),
        primary(),
        secondary(silent=True),
        Action.NONE,
    ),
    "libvirt does not answer on the secondary's host, and the link is lost": (
        pair(),
        primary(link_up=False),
        secondary(silent=True),
        Action.RUN_UNPROTECTED,
    ),
    "neither QEMU answers": (
        pair(),
        primary(running=False, silent=True),
        secondary(running=False, silent=True),
        Action.NONE,
    ),
    "the primary QEMU ended, and the secondary does not answer": (
        pair(),
        primary(running=False),
        secondary(running=False, silent=True),
        Action.NONE,
    ),
    "the primary QEMU does not answer, and the secondary ended": (
        pair(),
        primary(running=False, silent=True),
        secondary(running=False),
        Action.NONE,
    ),
    "the primary's host is lost, and the secondary does not answer": (
        pair(),
        DEAD,
        secondary(running=False, silent=True, link_up=False),
        Action.NONE,
    ),
    "no secondary and it does not answer": (
        pair(secondary_host=None),
        primary(running=False, silent=True),
        DEAD,
        Action.NONE,
    ),
    "the guest has powered itself off": (
        pair(),
        primary(running=False, shut_down=True),
        secondary(link_up=False),
        Action.POWER_OFF,
    ),
    "the guest of an unprotected server has powered itself off": (
        pair(secondary_host=None, state=State.DEGRADED),
        primary(running=False, shut_down=True),
        DEAD,
        Action.POWER_OFF,
    ),
    "only the secondary's guest has powered itself off": (
        pair(),
        primary(link_up=False),
        secondary(running=False, shut_down=True),
        Action.RUN_UNPROTECTED,
    ),
    "the secondary's host is lost": (pair(), primary(link_up=False), DEAD, Action.RUN_UNPROTECTED),
    "only the secondary's agent is silent": (pair(), primary(), DEAD, Action.NONE),
    "the secondary QEMU ended": (pair(), primary(), secondary(running=False), Action.RUN_UNPROTECTED),
    "the secondary has missed a write": (
        pair(),
        primary(),
        secondary(disks_equal=False),
        Action.RUN_UNPROTECTED,
    ),
    "only the primary knows that the secondary has missed a write": (
        pair(),
        primary(link_up=False, disks_equal=False),
        secondary(link_up=False),
        Action.RUN_UNPROTECTED,
    ),
    "the primary's host is lost and the secondary has missed a write": (
        pair(),
        DEAD,
        secondary(link_up=False, disks_equal=False),
        Action.LOST,
    ),
    "only the primary's agent is silent, and the secondary has missed a write": (
        pair(),
        DEAD,
        secondary(disks_equal=False),
        Action.NONE,
    ),
    "the primary QEMU ended and the secondary has missed a write": (
        pair(),
        primary(running=False),
        secondary(disks_equal=False),
        Action.LOST,
    ),
    "the primary QEMU ended and has said that the secondary has missed a write": (
        pair(),
        primary(running=False, disks_equal=False),
        secondary(link_up=False),
        Action.LOST,
    ),
    "the link is cut and both hosts live": (
        pair(),
        primary(link_up=False),
        secondary(link_up=False),
        Action.RUN_UNPROTECTED,
    ),
    "both hosts are silent": (pair(), DEAD, DEAD, Action.NONE),
    "both QEMUs ended": (pair(), primary(running=False), secondary(running=False), Action.LOST),
    "the primary QEMU ended and nobody knows of the secondary": (
        pair(),
        primary(running=False),
        DEAD,
        Action.NONE,
    ),
    "Nova has restarted the guest": (pair(), Observation(True), secondary(link_up=False), Action.UNPROTECT),
    "Nova has stopped the server": (
        pair(server_status="SHUTOFF"),
        Observation(True),
        secondary(),
        Action.UNPROTECT,
    ),
    "Nova tries to move half of the pair": (
        pair(server_status="MIGRATING"),
        primary(),
        secondary(),
        Action.NONE,
    ),
    "no secondary": (
        pair(secondary_host=None, state=State.DEGRADED),
        primary(link_up=None),
        DEAD,
        Action.PROTECT,
    ),
    "no secondary, not protected before": (
        pair(secondary_host=None),
        Observation(True),
        DEAD,
        Action.PROTECT,
    ),
    "no secondary and its host is silent": (pair(secondary_host=None), DEAD, DEAD, Action.NONE),
    "it waits for a secondary that is lost": (
        pair(secondary_host=None),
        primary(epoch=2, link_up=False),
        DEAD,
        Action.RUN_UNPROTECTED,
    ),
    "no secondary and it ended": (pair(secondary_host=None), primary(running=False), DEAD, Action.RESTART),
    "no secondary and it is stopped": (
        pair(secondary_host=None, server_status="SHUTOFF"),
        primary(),
        DEAD,
        Action.NONE,
    ),
    "protection is to be removed": (
        pair(wanted=Wanted.UNPROTECTED),
        primary(),
        secondary(),
        Action.UNPROTECT,
    ),
    "protection is to be suspended": (pair(wanted=Wanted.SUSPENDED), primary(), secondary(), Action.SUSPEND),
    "protection was removed": (
        pair(secondary_host=None, wanted=Wanted.UNPROTECTED),
        primary(link_up=None),
        DEAD,
        Action.NONE,
    ),
    "protection is suspended": (
        pair(secondary_host=None, wanted=Wanted.SUSPENDED),
        primary(link_up=None),
        DEAD,
        Action.NONE,
    ),
    "the flavor wants no new secondary by itself": (
        pair(secondary_host=None, state=State.DEGRADED, auto_reprotect=False),
        primary(link_up=None),
        DEAD,
        Action.NONE,
    ),
    "a shelved server keeps no reservation": (
        pair(secondary_host=None, reserved_host="b", server_status="SHELVED_OFFLOADED"),
        DEAD,
        DEAD,
        Action.UNPROTECT,
    ),
    "a test failover returns": (pair(return_to="b"), primary(), secondary(), Action.FAILOVER),
    "a test failover has another secondary": (
        pair(return_to="c"),
        primary(),
        secondary(),
        Action.NONE,
    ),
    "a test failover returns only in sync": (
        pair(return_to="b", state=State.STARTING),
        primary(),
        secondary(),
        Action.NONE,
    ),
    "records lag": (pair(nova_host="z"), Observation(True, replica(Role.PROMOTED)), DEAD, Action.FOLLOW),
    "records lag and the guest's host is silent": (pair(nova_host="z"), DEAD, DEAD, Action.NONE),
    "records lag and the guest ended": (
        pair(nova_host="z"),
        Observation(True, replica(Role.PROMOTED, running=False)),
        DEAD,
        Action.FOLLOW,
    ),
    "Nova is about to end the guest": (
        pair(),
        Observation(True, replica(Role.LEAVING)),
        secondary(),
        Action.UNPROTECT,
    ),
    "Nova is about to end the guest, whose secondary is lost": (
        pair(),
        Observation(True, replica(Role.LEAVING, link_up=False)),
        DEAD,
        Action.UNPROTECT,
    ),
    "Nova has not ended the guest yet": (
        pair(secondary_host=None),
        Observation(True, replica(Role.LEAVING)),
        DEAD,
        Action.NONE,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_done_when(case):
    given_pair, one, other, expected = CASES[case]
    decision = decide(given_pair, one, other)
    assert decision.action == expected
    assert decision.reason or decision.action in (Action.NONE, Action.PROTECT)


observations = st.builds(
    Observation,
    alive=st.booleans(),
    replica=st.none()
    | st.builds(
        Replica, st.sampled_from(Role), st.integers(0, 5), st.booleans(), st.sampled_from([True, False, None])
    ),
)


@given(one=observations, other=observations)
def test_a_failover_only_when_the_secondary_surely_runs_and_the_primary_surely_does_not_answer(one, other):
    if decide(pair(), one, other).action == Action.FAILOVER:
        assert other.alive and other.replica == Replica(Role.SECONDARY, 3, True, other.replica.link_up)
        assert (
            not one.alive
            or not one.replica.running
            or one.replica.role != Role.PRIMARY
            or one.replica.epoch != 3
        )
        assert one.alive or other.replica.link_up is False


@given(one=observations, other=observations)
def test_the_primary_runs_alone_only_when_it_surely_runs(one, other):
    if decide(pair(), one, other).action == Action.RUN_UNPROTECTED:
        assert one.alive and one.replica.running and one.replica.role == Role.PRIMARY


def test_a_host_that_was_failed_over_from_must_not_run_the_server_any_more():
    after = pair(epoch=4, primary_host="b", secondary_host="c", nova_host="b")
    assert arbitration.is_orphaned(after, "a", replica(epoch=3))
    assert arbitration.is_orphaned(after, "c", replica(Role.SECONDARY, epoch=3))
    assert not arbitration.is_orphaned(after, "b", replica(Role.PROMOTED, epoch=4))
    assert not arbitration.is_orphaned(after, "c", replica(Role.SECONDARY, epoch=4))
    assert arbitration.is_orphaned(None, "b", replica())


def test_a_host_that_is_ahead_of_what_is_known_of_the_pair_is_left_alone():
    assert not arbitration.is_orphaned(pair(epoch=5), "b", replica(Role.PROMOTED, epoch=6))


def observed(role, epoch, running=True, link_up=None):
    return Replica(role, epoch, running, link_up)


P, S, PROMOTED, DEMOTED = Role.PRIMARY, Role.SECONDARY, Role.PROMOTED, Role.DEMOTED
#: What the hosts have recorded while the pair's row says a, b and epoch 3; who has the newest grant, and the
#: secondary.
NEWER = {
    "the secondary was promoted": (
        {"a": observed(P, 3, link_up=False), "b": observed(PROMOTED, 4)},
        "b",
        None,
    ),
    "it was, and its host was off": (
        {"a": observed(DEMOTED, 4), "b": observed(PROMOTED, 4, False)},
        "b",
        None,
    ),
    "the primary runs unprotected": ({"a": observed(P, 4), "b": observed(S, 3, link_up=False)}, "a", None),
    "the primary has another secondary": (
        {"a": observed(P, 4, link_up=True), "b": observed(S, 3), "c": observed(S, 4, link_up=True)},
        "a",
        "c",
    ),
    "the secondary was promoted and has a secondary": (
        {"b": observed(P, 4, link_up=True), "c": observed(S, 4, link_up=True)},
        "b",
        "c",
    ),
    "two failovers": ({"a": observed(P, 3, False), "c": observed(P, 5)}, "c", None),
    "only a demoted primary is left": ({"a": observed(DEMOTED, 4)}, None, None),
    "only a secondary is left": ({"c": observed(S, 4, link_up=False)}, None, None),
    "the secondary of before is back": (
        {"b": observed(S, 3, link_up=False), "c": observed(P, 5)},
        None,
        None,
    ),
    "a primary of an earlier life is back while the primary is lost": (
        {"b": observed(S, 3, link_up=False), "c": observed(P, 9, False)},
        None,
        None,
    ),
    "the secondary's agent is silent at this moment": ({"b": observed(P, 4, link_up=True)}, None, None),
    "two primaries": ({"b": observed(P, 4), "c": observed(P, 4)}, None, None),
    "one of two primaries has ended": ({"b": observed(P, 4, False), "c": observed(P, 4)}, "c", None),
}


@pytest.mark.parametrize(("replicas", "holder", "other"), NEWER.values(), ids=NEWER)
def test_a_grant_that_the_database_has_lost_is_known_from_the_hosts(replicas, holder, other):
    newer = arbitration.newer_grant(pair(), replicas)
    assert newer is not None
    assert (newer.primary, newer.secondary) == (holder, other)
    assert newer.epoch == max(replica.epoch for replica in replicas.values())


def test_who_has_the_grant_of_a_server_without_a_secondary_is_certain_if_nova_names_it():
    back = {"c": observed(P, 9, False)}
    alone = pair(secondary_host=None, state=State.UNPROTECTED)
    assert arbitration.newer_grant(alone, back).primary is None
    assert arbitration.newer_grant(alone, {"a": observed(P, 4)} | back).primary is None
    assert arbitration.newer_grant(alone, {"a": observed(P, 4)}).primary == "a"
    moved = pair(secondary_host=None, state=State.UNPROTECTED, nova_host="c")
    assert arbitration.newer_grant(moved, back).primary == "c"


def test_a_database_that_knows_all_grants_is_believed():
    in_step = {"a": observed(P, 3, link_up=True), "b": observed(S, 3, link_up=True)}
    assert arbitration.newer_grant(pair(), in_step | {"c": observed(P, 9, False)}) is None
    older = {"a": observed(P, 3), "b": observed(S, 3), "c": observed(PROMOTED, 2)}
    assert arbitration.newer_grant(pair(), older) is None
    assert arbitration.newer_grant(pair(), {}) is None
