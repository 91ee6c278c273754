# SPDX-License-Identifier: Apache-2.0
"""Reasons as data: stored ones can be read again, and private parameters are shown to operators only."""

import json
import re
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from oslo_messaging._drivers import common as oslo_drivers

from nova_colo.agent.replication import MonitorError, ReplicationError
from nova_colo.pair import reasons
from nova_colo.pair.catalogue import CATALOGUE
from nova_colo.pair.reason import NOT_SHOWN, SOME_HOST, Kind, Reason
from nova_colo.pair.reasons import Group, read, read_all

KINDS = list(CATALOGUE.values())
#: The others are no concern of an operator, or say in their text what to do.
WITH_REMEDY = set(Group) - {Group.REFUSAL, Group.INELIGIBLE, Group.PART, Group.STAGE, Group.EVENT}
#: Texts of hosts, files and other programs; each is found again in the text that contains it. A name of
#: letters alone could be a command's, too, which everybody may see: the code puts no host there.
TEXTS = st.sampled_from(
    [
        "Failed to connect to '192.0.2.13:10503': Connection refused",
        "compute-17.rack3.example.org",
        "/var/lib/nova/instances/_base/disk.info",
        "fe80::5054:ff:fe12:3456",
        "compute-3",
        "%(host)s [[compute-a]] {server}",
    ]
) | st.text(min_size=12).map(lambda text: f"<{text}>")
FIGURES = st.integers(0, 10**6) | st.floats(0, 1e6)


@st.composite
def any_reason(draw, depth=2):
    """Draw a reason with arbitrary parameters: a secret text, a figure, other reasons, or a list of these."""
    kind = draw(st.sampled_from([kind for kind in KINDS if not kind.own]))
    values = TEXTS | FIGURES | st.lists(TEXTS, max_size=3)
    if depth:
        values |= any_reason(depth=depth - 1) | st.lists(any_reason(depth=depth - 1), max_size=2)
    return Reason(kind.code, {name: draw(values) for name in kind.names})


def texts_in(value):
    """Return all texts in a reason's parameters, nested ones included."""
    if isinstance(value, Reason):
        value = list(value.params.values())
    if isinstance(value, list):
        return {text for part in value for text in texts_in(part)}
    return {value} if isinstance(value, str) else set()


@given(any_reason())
def test_whatever_a_text_says_it_reaches_nobody_who_may_not_see_hosts(reason):
    shown = reason.text(hosts=False) + json.dumps(reason.wire(hosts=False), ensure_ascii=False)
    for text in texts_in(reason):
        assert text not in shown and json.dumps(text, ensure_ascii=False)[1:-1] not in shown


@given(
    any_reason(),
    st.sampled_from(["migrated", "made_by_a_newer_release", "/etc/passwd", "compute-c.example.org"]),
)
def test_a_reason_of_a_newer_release_shows_no_more(reason, code):
    newer = Reason(code, reason.params)
    shown = newer.text(hosts=False) + json.dumps(newer.wire(hosts=False))
    assert not [text for text in texts_in(newer) if text in shown]
    assert ("/" in code or "." in code) <= (code not in shown)


@given(any_reason())
def test_a_reason_is_read_as_it_was_stored(reason):
    assert read(json.loads(json.dumps(reason.data()))) == reason


@given(any_reason())
def test_who_may_see_hosts_reads_all_of_it(reason):
    assert reason.wire(hosts=True) == json.loads(json.dumps(reason.data()))
    str(reason)


@pytest.mark.parametrize("sentence", ["The server is gone.", "compute-b: QEMU refused"])
def test_a_sentence_of_before_is_for_operators(sentence):
    reason = read(sentence)
    assert str(reason) == sentence
    assert sentence not in reason.text(hosts=False)
    assert read_all([sentence, None, reason.data()]) == [reason, reason]


def test_hosts_are_named_to_those_who_may_see_them():
    lost = reasons.FAILED_OVER(
        source="compute-10", target="compute-1", reason=reasons.HOST_LOST(host="compute-10")
    )
    assert str(lost) == "Failed over from compute-10 to compute-1: host compute-10 is lost."
    assert lost.text(hosts=False) == "Failed over to the secondary: the primary's host is lost."
    assert lost.wire(hosts=False) == {
        "code": "failed_over",
        "params": {"reason": {"code": "host_lost", "params": {}}},
    }


def test_who_may_not_see_hosts_reads_sentences():
    refused = reasons.GUEST_REFUSED(host="compute-a", text="No such bridge.")
    assert refused.text(hosts=False) == "Its host cannot run the guest."
    for kind in KINDS:
        hosts = dict.fromkeys(kind.names, "compute-a")
        assert Reason(kind.code, hosts).text(hosts=False).count(SOME_HOST) <= 1, kind.code
        assert f"host {SOME_HOST}" not in Reason(kind.code, hosts).text(hosts=False), kind.code


def test_what_is_no_word_of_ours_is_not_shown():
    assert (
        reasons.NOT_ACTIVE(status="SHELVED_OFFLOADED")
        .text(hosts=False)
        .startswith("The server is SHELVED_OFFLOADED.")
    )
    assert NOT_SHOWN in reasons.NOT_ACTIVE(status="on compute-c").text(hosts=False)


def test_a_reason_takes_its_parameters_and_no_others():
    with pytest.raises(TypeError, match="host_lost takes"):
        reasons.HOST_LOST()
    with pytest.raises(TypeError, match="host_lost takes"):
        reasons.HOST_LOST(host="a", port=1)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_a_kind_says_what_it_is_about_and_what_to_do(kind: Kind):
    assert kind.hosts | kind.private | kind.own <= kind.names
    assert not kind.private or kind.public
    assert kind.public is None or "A secret." not in Reason(
        kind.code, dict.fromkeys(kind.names, "A secret.")
    ).text(False)
    assert kind.remedy or kind.group not in WITH_REMEDY
    sentence = kind.group not in (Group.CAUSE, Group.STAGE, Group.PART)
    assert not sentence or kind.template[-1] in ".s", kind.template


def test_no_text_names_an_action_of_the_api_or_a_command():
    """The same text is shown by the API, by commands and in Horizon, where the action is a button."""
    texts = {kind.code: f"{kind.template} {kind.public or ''}" for kind in KINDS}
    foreign = re.compile(r"\bft-[a-z]|\b(openstack|nova) [a-z]+ [a-z]|/os-|\bUse failover\b")
    assert {code: text for code, text in texts.items() if foreign.search(text)} == {}


def raised(error):
    """Return an error as it is deserialized in another process."""
    try:
        raise error
    except Exception:
        sent = oslo_drivers.serialize_remote_exception(sys.exc_info())
    return oslo_drivers.deserialize_remote_exception(sent, ["nova_colo.agent.replication"])


@pytest.mark.parametrize("kind", [ReplicationError, MonitorError])
def test_what_an_agent_refuses_is_sent_with_its_reason(kind):
    reason = reasons.AGENT_REFUSED(host="compute-a", error=reasons.NO_QEMU())
    received = raised(kind(reason))
    assert isinstance(received, kind)
    assert received.reason == reason


def test_what_an_agent_of_before_refuses_is_understood():
    received = raised(ReplicationError("[[compute-a]] has no replica of it."))
    assert received.reason.code == "other"
