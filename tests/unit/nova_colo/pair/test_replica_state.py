# SPDX-License-Identifier: Apache-2.0
"""The state of a replica after any sequence of events, changes and polls."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from nova_colo.pair.hybrid import Rule
from nova_colo.pair.link_health import Link
from nova_colo.pair.model import Health, Mode
from nova_colo.pair.replica_state import Progress, ReplicaState, Setting, Stage

RULE = Rule()
UP, DOWN, UNKNOWN = (
    Link(True, Health.OK, ()),
    Link(False, Health.CRITICAL, ()),
    Link(None, Health.UNKNOWN, ()),
)
POLICIES = st.sampled_from([("colo", "colo"), ("checkpoint", "checkpoint"), ("hybrid", "colo")])


class ReplicaMachine(RuleBasedStateMachine):
    """Changes in the order in which an agent makes them; events and polls at any time."""

    @initialize(primary=st.booleans(), policy=POLICIES)
    def begin(self, primary, policy):
        self.now, self.state = 1000.0, ReplicaState()
        self.setting = Setting(primary, Stage.STARTING, *policy, interval_ms=100, delay_ms=1000)
        self.has_left_colo, self.link, self.passes = False, None, 0

    def _stage(self, stage):
        self.setting = dataclasses.replace(self.setting, stage=stage)

    @rule(seconds=st.floats(0, 100))
    def time_passes(self, seconds):
        self.now += seconds

    @rule()
    def colo_starts(self):
        if self.setting.stage == Stage.STARTING and self.setting.primary:
            self.state = self.state.colo_started(self.now, self.setting)
            self.has_left_colo, self.passes = False, 0

    @rule()
    def is_in_sync(self):
        if self.setting.stage == Stage.STARTING:
            self._stage(Stage.IN_SYNC)
            self.state = self.state.in_sync(self.now, self.setting, RULE)
            self.has_left_colo &= self.setting.primary

    @rule()
    def loses_its_peer(self):
        self._stage(Stage.DISCONNECTED)
        self.state = self.state.disconnected()
        self.has_left_colo, self.link = False, None

    @rule()
    def is_protected_again(self):
        if self.setting.stage == Stage.DISCONNECTED:
            self.setting = dataclasses.replace(self.setting, primary=True, stage=Stage.STARTING)

    @rule(policy=POLICIES)
    def parameters_change(self, policy):
        self.setting = dataclasses.replace(self.setting, policy=policy[0], mode=policy[1])
        self.state = self.state.parameters_set(self.now, self.setting, RULE)

    @rule(percent=st.integers(0, 100))
    def progresses(self, percent):
        if self.setting.stage == Stage.STARTING:
            self.state = self.state.progressed(Progress("copying_disks", 3, percent))

    @rule(late=st.floats(-5, 5))
    def a_checkpoint_is_taken(self, late):
        """QEMU's clock and order of events are not the agent's."""
        at = self.now + late
        for name, data in (("STOP", {}), ("MIGRATION_PASS", {"pass": self.passes}), ("RESUME", {})):
            self.state, taken, _ = self.state.event(name, at, data)
        self.passes += 1
        if taken is not None:
            self.state = self.state.counted(RULE, taken)
        assert (taken is not None) == (self.state.stream is not None)

    @rule(name=st.sampled_from(["STOP", "RESUME", "SHUTDOWN", "BLOCK_JOB_READY"]))
    def an_event_without_its_others(self, name):
        self.state, taken, unseen = self.state.event(name, self.now, {})
        assert taken is None and unseen.total == 0

    @rule()
    def leaves_colo(self):
        self.state, _, _ = self.state.event("COLO_EXIT", self.now, {})
        self.has_left_colo = True

    @rule(link=st.sampled_from([UP, DOWN, UNKNOWN]), silent=st.booleans())
    def is_polled(self, link, silent):
        link = link if self.setting.stage == Stage.IN_SYNC else None
        self.state = self.state.polled(self.now, RULE, running=True, silent=silent, link=link)
        self.link = link or self.link
        assert self.state.silent == silent

    @rule()
    def events_are_missed(self):
        self.state = self.state.reconnected(self.now)

    @invariant()
    def the_link_works_as_polled_unless_the_peer_was_lost(self):
        match self.setting.stage:
            case Stage.STARTING:
                expected = None
            case Stage.IN_SYNC if not self.has_left_colo:
                expected = self.link and self.link.up
            case _:
                expected = False
        assert self.state.link_up(self.setting.stage) == expected

    @invariant()
    def the_hybrid_rule_applies_to_a_primary_in_sync_alone(self):
        setting = self.setting
        applies = (setting.primary, setting.policy, setting.stage) == (True, Mode.HYBRID, Stage.IN_SYNC)
        assert (self.state.hybrid is not None) == applies

    @invariant()
    def nothing_is_counted_without_colo(self):
        assert (self.state.last_counted is not None) <= (self.state.stream is not None)


TestReplicaMachine = ReplicaMachine.TestCase


@pytest.mark.parametrize("stage", [Stage.OFFERED, Stage.STARTING, Stage.DISCONNECTED])
def test_a_new_agent_counts_nothing_of_a_replica_that_is_not_in_sync(stage):
    setting = Setting(True, stage, "hybrid", "colo", 100, 1000)
    assert ReplicaState().attached(1.0, setting, RULE, None, None) == ReplicaState()


@given(passes=st.integers(5, 1000), missed=st.integers(0, 50))
def test_a_new_agent_continues_the_count(passes, missed):
    setting = Setting(True, Stage.IN_SYNC, "colo", "colo", 100, 1000)
    state = ReplicaState().attached(1000.0, setting, RULE, passes, 990.0)
    for name, data in (("STOP", {}), ("MIGRATION_PASS", {"pass": passes + missed + 1}), ("RESUME", {})):
        state, taken, unseen = state.event(name, 1001.0, data)
    assert taken is not None and unseen.total == missed
