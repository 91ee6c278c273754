# SPDX-License-Identifier: Apache-2.0
"""The API's reasons in the user's language."""

import re

import pytest

from nova_colo.pair import reasons
from nova_colo.pair.catalogue import CATALOGUE
from tools import dashboard_sentences

#: Values of parameters that these tests depend on.
PARAMS = {"status": "SHUTOFF", "state": "failing_over", "seconds": 5, "ms": 240, "number": 90}
ENGLISH = re.compile(r"\b(the|is|of|runs|ended|its|and)\b")


def made_up(kind):
    """Return a reason of a kind, with nested reasons in its parameters."""
    nested = {
        "reason": reasons.HOST_LOST(host="compute-a"),
        "error": reasons.AGENT_TIMEOUT(host="compute-b"),
        "more": [],
    }
    return kind(**{name: nested.get(name, PARAMS.get(name, "x")) for name in kind.names})


def test_the_copy_of_the_catalogue_is_up_to_date(horizon):
    from colo_dashboard import sentences

    with open(sentences.__file__) as file:
        assert file.read() == dashboard_sentences.source(), "run make messages"


@pytest.fixture
def in_german(horizon):
    from django.utils import translation

    with translation.override("de"):
        yield


def told(reason, hosts=True):
    from colo_dashboard.reasons import translated

    return translated(reason.text(hosts), **reason.wire(hosts))


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize(
    ("reason", "german"),
    [
        (reasons.PROTECTED_ALREADY(), "Der Server ist bereits geschützt."),
        (reasons.AGENT_SILENT(host="compute-a"), "Der Agent auf compute-a antwortet nicht."),
        (
            reasons.NO_CAPACITY(memory_mb=1024),
            "Braucht eine sekundäre VM: Kein anderer Host hat 1024 MB RAM frei. "
            "Schaffen Sie Platz, aktivieren Sie einen Host "
            "oder verschieben Sie einen Server.",
        ),
        (
            reasons.FAILED_OVER_UNPROTECTED(reason=reasons.HOST_LOST(host="compute-a")),
            "Umgeschaltet: Host compute-a ist ausgefallen. "
            "Der Server läuft ohne sekundäre VM, bis er wieder geschützt ist.",
        ),
        (reasons.PAIR_IS(state="failing_over"), "Stand des Paars: schaltet um."),
        (
            reasons.PROTECTED(host="compute-a", more=[reasons.PAUSED_FOR(ms=12)]),
            "Geschützt: Die sekundäre VM läuft auf compute-a. Der Gast war 12 ms angehalten.",
        ),
        (reasons.OTHER(text="QEMU says 100 %(odd)s"), "QEMU says 100 %(odd)s"),
    ],
)
def test_in_german(reason, german):
    assert told(reason) == german


@pytest.mark.usefixtures("in_german")
def test_what_a_reader_may_not_see_is_not_told_in_german_either():
    failed = reasons.AGENT_FAILED(host="compute-a", text="/var/lib/nova: no space")
    assert (
        told(reasons.AGENT_SILENT(host="compute-a"), hosts=False)
        == "Der Agent auf (verborgen) antwortet nicht."
    )
    assert told(failed, hosts=False) == "Der Agent auf (verborgen) ist gescheitert. Den Grund nennt sein Log."
    assert told(reasons.NOT_PROTECTED(error=failed), hosts=False).endswith("Den Grund nennt sein Log.")


@pytest.mark.usefixtures("in_german")
def test_what_is_not_known_is_shown_as_the_api_says_it():
    from colo_dashboard.reasons import translated

    assert translated("It rains.", "rain", {}) == translated("It rains.") == "It rains."
    assert translated("", None) == translated(None) == ""


def test_english_is_what_the_api_says(horizon):
    from django.utils import translation

    with translation.override("en-gb"):
        assert told(reasons.PROTECTED_ALREADY()) == "The server is already protected."


@pytest.mark.usefixtures("in_german")
@pytest.mark.parametrize("hosts", [True, False])
def test_every_reason_is_told_in_german(hosts):
    reasons_told = {code: told(made_up(kind), hosts) for code, kind in CATALOGUE.items() if code != "other"}
    assert {code: text for code, text in reasons_told.items() if ENGLISH.search(text)} == {}
