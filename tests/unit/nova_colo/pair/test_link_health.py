# SPDX-License-Identifier: Apache-2.0
"""The rule for the health of the replication link."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_colo.pair import link_health, reasons
from nova_colo.pair.link_health import Measurements, Thresholds
from nova_colo.pair.model import Health

WELL = {"chardevs": {"compare1": True, "mirror0": True}, "heartbeat_age_s": 0.4}


def test_a_link_without_trouble_needs_no_reason():
    assert link_health.assess(Measurements(**WELL), Thresholds()) == link_health.Link(True, Health.OK, ())


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ({"heartbeat_age_s": 5.0}, reasons.PEER_SILENT(seconds=5)),
        ({"chardevs": {"compare1": False, "mirror0": True}}, reasons.LINK_DISCONNECTED(sockets=["compare1"])),
        ({"checkpoint_age_s": 50.0, "checkpoint_delay_s": 20.0}, reasons.LINK_STUCK(seconds=30)),
    ],
)
def test_a_link_that_does_not_work_is_down_and_says_why(measured, reason):
    assert link_health.assess(Measurements(**WELL | measured), Thresholds()) == link_health.Link(
        False, Health.CRITICAL, (reason,)
    )


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        ({"pause_p99_ms": 240.0}, reasons.PAUSES_LONG(ms=240)),
        ({"mismatches_per_min": 132.0}, reasons.MISMATCH_STORM(number=132)),
        ({"checkpoint_age_s": 24.0, "checkpoint_delay_s": 20.0}, reasons.CHECKPOINT_LATE(seconds=4)),
    ],
)
def test_a_link_that_does_badly_is_up_and_says_why(measured, reason):
    assert link_health.assess(Measurements(**WELL | measured), Thresholds()) == link_health.Link(
        True, Health.WARNING, (reason,)
    )


def test_a_link_that_nothing_is_known_of_is_not_called_down():
    verdict = link_health.assess(Measurements(pause_p99_ms=9.0), Thresholds())
    assert (verdict.up, verdict.health) == (None, Health.UNKNOWN)


def test_silence_alone_is_enough_to_be_down():
    assert link_health.assess(Measurements(heartbeat_age_s=3.1), Thresholds()).up is False


def test_thresholds_may_be_others():
    assert (
        link_health.assess(Measurements(**WELL | {"heartbeat_age_s": 3.1}), Thresholds(silent_s=4.0)).up
        is True
    )
    assert (
        link_health.assess(Measurements(**WELL, pause_p99_ms=9.0), Thresholds(pause_ms=5.0)).health
        == Health.WARNING
    )


def test_the_time_between_two_periodic_checkpoints_is_not_late():
    assert (
        link_health.assess(
            Measurements(**WELL, checkpoint_age_s=19.0, checkpoint_delay_s=20.0), Thresholds()
        ).health
        == Health.OK
    )


def maybe(high):
    return st.none() | st.floats(0, high)


measurements = st.builds(
    Measurements,
    st.dictionaries(st.sampled_from("abc"), st.booleans()),
    maybe(10),
    maybe(500),
    maybe(200),
    maybe(60),
    maybe(20),
)


@given(measurements)
def test_health_comes_with_reasons_unless_it_is_ok_and_down_is_always_critical(measured):
    verdict = link_health.assess(measured, Thresholds())
    assert bool(verdict.reasons) == (verdict.health != Health.OK)
    assert (verdict.up is False) == (verdict.health == Health.CRITICAL)
    assert all(str(reason).endswith(".") for reason in verdict.reasons)


@given(measurements, st.floats(0, 10))
def test_silence_never_makes_a_link_better(measured, more):
    if measured.heartbeat_age_s is None:
        return
    longer = Measurements(**vars(measured) | {"heartbeat_age_s": measured.heartbeat_age_s + more})
    assert not (
        link_health.assess(measured, Thresholds()).up is False and link_health.assess(longer, Thresholds()).up
    )
