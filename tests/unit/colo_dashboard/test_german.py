# SPDX-License-Identifier: Apache-2.0
"""The dashboard in German: no text of it stays in English."""

import html
import io
import re
from pathlib import Path

import pytest
from babel.messages import extract, pofile

import colo_dashboard
from nova_colo.pair import reasons
from tests.unit.colo_dashboard.pages import INDEX, PROJECT_INDEX, REFUSED, add
from tests.unit.novaclient_colo.fake_cloud import make_pair, reason_as, seconds_ago

PACKAGE = Path(colo_dashboard.__file__).parent
CATALOG = PACKAGE / "locale" / "de" / "LC_MESSAGES" / "django.po"
KEYWORDS = extract.DEFAULT_KEYWORDS | {
    "gettext_lazy": None,
    "gettext_noop": None,
    "ngettext_lazy": (1, 2),
    "_": None,
}
STATES = ("protected", "starting", "failing_over", "degraded", "unprotected", "suspended", "error")


def catalog():
    with CATALOG.open("rb") as file:
        return [message for message in pofile.read_po(file, locale="de") if message.id]


def in_the_code():
    """Yield the ids of all messages in the code and the templates."""
    from django.utils.translation import template

    for path in sorted(PACKAGE.rglob("*")):
        if path.suffix == ".py":
            source = path.read_text()
        elif path.suffix == ".html":
            source = template.templatize(path.read_text())
        else:
            continue
        for message in extract.extract("python", io.BytesIO(source.encode()), keywords=KEYWORDS):
            yield message[1]


def test_it_has_every_message_of_the_code_and_no_other(horizon):
    assert {message.id for message in catalog()} == set(in_the_code()), "run make messages, and translate"


def test_every_message_is_translated_with_what_it_has_to_name():
    for message in catalog():
        said = message.string if isinstance(message.string, tuple) else (message.string,)
        asked = message.id if isinstance(message.id, tuple) else (message.id,)
        assert all(said) and not message.fuzzy, message.id
        for text in said:
            assert set(re.findall(r"%\(?\w*\)?[sd]", text)) == set(
                re.findall(r"%\(?\w*\)?[sd]", asked[-1])
            ), message.id


def english_on(page):
    """Return the texts on a page that have a translation and are not translated."""
    body = re.sub(r"<(script|style)\b.*?</\1>", "", page, flags=re.S)
    shown = re.split(r"<[^>]*>", body) + re.findall(r'(?:title|aria-label|placeholder|value)="([^"]*)"', body)
    texts = {" ".join(html.unescape(text).split()) for text in shown}
    differing = [message for message in catalog() if message.string != message.id]
    ids = {
        text
        for message in differing
        for text in (message.id if isinstance(message.id, tuple) else (message.id,))
    }
    german = {message.string for message in differing}
    patterns = [re.compile(re.sub(r"%\\?\(?\w*\\?\)?[sd]", ".+", re.escape(text)) + r"\Z") for text in ids]
    # A pattern that is mostly a placeholder, such as "%s ms", would match any text.
    patterns = [
        pattern
        for pattern in patterns
        if len(pattern.pattern.replace(".+", "")) > 6 or ".+" not in pattern.pattern
    ]
    return {text for text in texts - german if any(pattern.match(text) for pattern in patterns)}


def read(client, url):
    answer = client.get(url, headers={"accept-language": "de"})
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def full(cloud):
    """Return a cloud in which every state and every kind of record occurs."""
    copying = reason_as("stage", reasons.COPYING_DISKS()) | {"step": 2, "of": 4, "percent": 40}
    for number, state in enumerate(STATES):
        add(
            cloud,
            name=f"s-{number}",
            state=state,
            health=("ok", "warning", "critical", "unknown")[number % 4],
            **reason_as("state_reason", reasons.WAITING()),
            health_reasons=["The agent on its host does not answer."],
            health_reason_details=[{"code": "agent_silent", "params": {}}],
            progress=copying if state == "starting" else None,
            actions=REFUSED if number % 2 else make_pair()["actions"],
        )
    cloud.events = [
        {
            "id": 1,
            "at": seconds_ago(60),
            "kind": "failover",
            "level": "warning",
            "message": "Protection was requested.",
            "code": "protection_requested",
            "params": {},
            "request_id": None,
            "user_id": None,
        },
    ]
    pauses = {"mean": 9.0, "max": 12.0}
    cloud.buckets = [
        {
            "start": seconds_ago(60),
            "seconds": 10,
            "mismatch": 1,
            "periodic": 2,
            "forced": 1,
            "pause_ms": pauses,
        }
    ]
    cloud.hosts = [
        {
            "host": "compute-a",
            "agent": {"state": "up", "seen_at": seconds_ago(3)},
            "capable": False,
            "reasons": ["libvirtd does not answer."],
            "reason_details": [{"code": "libvirtd_silent", "params": {}}],
            "primaries": 1,
            "secondaries": 2,
            "reserved_memory_mb": 1024,
            "versions": {"agent": "0.1.0"},
        },
    ]
    return cloud


def test_no_page_has_a_word_of_ours_in_english(full, login):
    admin = login("admin")
    server_id = next(iter(full.pairs))
    pages = [
        INDEX,
        PROJECT_INDEX,
        f"{INDEX}?name=nothing",
        f"{INDEX}hosts/",
        f"{INDEX}flavors/",
        f"{INDEX}flavors/create/",
    ]
    tab = f"{INDEX}{server_id}/?tab=fault_tolerance_details__"
    pages += [tab + name for name in ("overview", "checkpoints", "events", "policy")]
    for slug in (
        "failover",
        "test_failover",
        "protect",
        "unprotect",
        "suspend",
        "resume",
        "migrate_secondary",
        "set_mode",
    ):
        pages += [f"{INDEX}{each}/{slug}/" for each in full.pairs]
    left = {page: english_on(read(admin, page)) for page in pages}
    assert not {page: texts for page, texts in left.items() if texts}


def test_this_test_would_find_english(full, login):
    assert {"Protection", "Fail over", "Last checkpoint", "Name contains"} <= english_on(
        login("admin").get(INDEX).content.decode()
    )
