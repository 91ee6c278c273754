# SPDX-License-Identifier: Apache-2.0
"""All that can happen to an FT server, as rules, and how it must end."""

import logging
import pathlib
import shutil
import tempfile

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nova_colo.pair import actions
from nova_colo.pair.model import State, Wanted
from tests.simulation.cloud import HOSTS
from tests.simulation.world import World

hosts = st.sampled_from(HOSTS)
engines = st.integers(0, 1)

REQUESTS = [
    (name, {}) for name in actions.ACTIONS if name not in (actions.SET_MODE, actions.MIGRATE_SECONDARY)
]
REQUESTS += [(actions.FAILOVER, {"force": True}), (actions.TEST_FAILOVER, {"return": True})]
REQUESTS += [(actions.SET_MODE, {"mode": "checkpoint"}), (actions.MIGRATE_SECONDARY, {"host": None})]


class PairMachine(RuleBasedStateMachine):
    """All events that can happen to an FT server on three hosts with two engines, both of which act."""

    def __init__(self) -> None:
        super().__init__()
        logging.disable(logging.CRITICAL)
        memory = pathlib.Path("/dev/shm")
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.world = World(self.folder)

    # --- frequent beginnings of trouble

    @rule(request=st.sampled_from(REQUESTS), turns=st.integers(1, 25))
    def a_request_gets_so_far(self, request, turns):
        self.world.ask(*request)
        for engine in self.world.engines:
            if engine.active:
                engine.poll()
                for _ in range(turns):
                    if engine.threads():
                        engine.run(-1, 1)

    @rule(stalled=engines)
    def the_other_engine_takes_over(self, stalled):
        for _ in range(7):
            self.world.second(stalled=stalled)
            self.world.engines[1 - stalled].run_all(60)

    @initialize()
    def the_server_is_protected(self):
        for _ in range(5):
            self.some_seconds_pass_in_peace(1)
        assert self.world.row().state == State.PROTECTED

    # --- normal operation

    @rule(number=st.integers(1, 3))
    def some_seconds_pass_in_peace(self, number):
        for _ in range(number):
            self.world.second()
            for engine in self.world.engines:
                engine.refresh()
                engine.run_all(60)
            self.world.nova.work(True)
            self.world.observe()

    @rule(seconds=st.sampled_from([1, 2, 4]), stalled=st.none() | engines)
    def time_passes(self, seconds, stalled):
        for _ in range(seconds):
            self.world.second(stalled=stalled)

    @rule(seconds=st.sampled_from([11, 65, 400]))
    def all_sleep(self, seconds):
        self.world.clock.advance(seconds)

    @rule(engine=engines)
    def an_engine_reconciles(self, engine):
        self.world.engines[engine].poll()

    @rule(engine=engines)
    def an_engine_synchronizes_servers(self, engine):
        self.world.engines[engine].refresh()

    @rule(engine=engines)
    def an_engine_repairs_what_has_drifted(self, engine):
        self.world.engines[engine].repair()

    @rule(engine=engines, number=st.integers(0, 5), turns=st.integers(1, 12))
    def an_engine_continues(self, engine, number, turns):
        if self.world.engines[engine].threads():
            self.world.engines[engine].run(number, turns)

    @rule(engine=engines)
    def an_engine_does_all_it_can(self, engine):
        self.world.engines[engine].run_all(60)

    @rule(host=hosts)
    def a_host_sends_a_heartbeat(self, host):
        self.world.heartbeat(host)

    @rule(well=st.sampled_from([True, True, False]), late=st.sampled_from([False, False, False, True]))
    def nova_does_what_was_asked(self, well, late):
        self.world.nova.work(well, late)

    # --- failures

    @rule(engine=engines)
    def an_engine_is_killed(self, engine):
        self.world.kill_engine(engine)

    @rule(engine=engines, deaf=st.booleans())
    def an_engine_hears_nobody_or_all(self, engine, deaf):
        self.world.engines[engine].deaf = deaf

    @rule(host=hosts)
    def a_host_loses_power(self, host):
        self.world.power_cut(host)

    @rule(host=hosts)
    def a_host_has_power_again(self, host):
        self.world.power_on(host)

    @rule(host=hosts)
    def a_guest_ends(self, host):
        self.world.hosts[host].end_guest()

    @rule(host=hosts)
    def a_guest_powers_itself_off(self, host):
        self.world.hosts[host].power_off_guest()

    @rule(host=hosts, what=st.sampled_from(["", "QEMU", "libvirt"]))
    def a_host_answers_its_agent_or_not(self, host, what):
        self.world.hosts[host].backend.silent = what

    @rule(host=hosts)
    def a_secondarys_disk_fails(self, host):
        self.world.hosts[host].fail_disk()

    @rule(host=hosts, seconds=st.sampled_from([0.0, 5.0, 60.0]))
    def a_disk_is_slow(self, host, seconds):
        self.world.hosts[host].backend.commit_s = seconds

    @rule(host=hosts, up=st.booleans())
    def an_agent_stops_or_starts(self, host, up):
        self.world.hosts[host].agent_up = up

    @rule(host=hosts, cut=st.booleans())
    def a_link_is_cut_or_mended(self, host, cut):
        if self.world.hosts[host].powered:
            self.world.cut_link(host, cut)

    @rule(what=st.sampled_from(["request", "answer", "late", "before", "after"]))
    def the_next_call_of_an_agent_fails(self, what):
        self.world.lose_next(what)

    @precondition(lambda self: self.world.late)
    @rule()
    def an_agent_executes_a_late_request(self):
        self.world.deliver_late()

    @rule(host=hosts, full=st.booleans())
    def a_host_fills_up_or_has_capacity(self, host, full):
        (self.world.placement.full.add if full else self.world.placement.full.discard)(host)

    # --- requests of users

    @rule(request=st.sampled_from(REQUESTS))
    def a_user_asks_for(self, request):
        self.world.ask(*request)

    @rule(what=st.sampled_from(["ask_for_stop", "start", "ask_for_reboot"]))
    def a_user_asks_nova_to(self, what):
        if self.world.users_may_act():
            getattr(self.world.nova, what)()

    # --- invariants

    @invariant()
    def at_most_one_answers_clients(self):
        self.world.observe()

    def teardown(self):
        try:
            self.world.end_failures(lambda: _holds(ends_well, self.world))
            ends_well(self.world)
        finally:
            self.world.close()
            shutil.rmtree(self.folder)
            logging.disable(logging.NOTSET)


def _holds(assertion, *arguments):
    try:
        assertion(*arguments)
    except AssertionError:
        return False
    return True


def ends_well(world):
    """Assert that the pair is in the state that its users want, and that nothing is left over."""
    row, nova = world.row(), world.nova
    seen = (
        f"{row.state} ({row.state_reason}) on {row.primary_host} with {row.secondary_host}, "
        f"Nova: {nova.status} on {nova.host}"
    )
    assert (row.operation_id, nova.task) == (None, None), seen
    roles = {name: str(host.role().role) for name, host in world.hosts.items() if host.role()}
    guests = {name for name, host in world.hosts.items() if host.guest()}
    if nova.status == "SHUTOFF":
        assert row.state in (State.UNPROTECTED, State.SUSPENDED) and row.state_reason, seen
        assert (roles, guests) == ({}, set()), seen
    else:
        assert world.answering() == [row.primary_host], seen
        _is_as_wanted(row, seen)
        replicas = {row.primary_host, row.secondary_host} - {None}
        assert guests == replicas and set(roles) <= replicas, (roles, guests, seen)
    assert nova.host == row.nova_host == row.primary_host, seen
    held = {host for amounts in world.placement.held.values() for host in amounts}
    assert held == {row.secondary_host or row.reserved_host} - {None}, (held, seen)
    assert not any(host.disabled_reason or host.forced_down for host in world.hosts.values()), seen


def _is_as_wanted(row, seen):
    state = {
        Wanted.PROTECTED: State.PROTECTED,
        Wanted.SUSPENDED: State.SUSPENDED,
        Wanted.UNPROTECTED: State.UNPROTECTED,
    }
    assert row.state == state[row.wanted], seen
    assert (row.secondary_host is not None) == (row.wanted == Wanted.PROTECTED), seen
