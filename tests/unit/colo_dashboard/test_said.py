# SPDX-License-Identifier: Apache-2.0
"""Sentences of the API in the user's language."""

import ast
import re
from pathlib import Path

import pytest

import nova_colo

#: What arbitration.py, health.py and failover.py put together.
MADE_OF_PARTS = {
    "the secondary's host %(host)s is lost",
    "the replication link to %(host)s is lost",
    "failing over",
    "Secondary lost: %(reason)s. The server runs without a secondary until it is protected again.",
    "The failover failed: %(error)s The server runs without a secondary until it is protected again.",
}


def wordings():
    """Everything that the server side's code says: patterns, and how much of each is fixed."""
    for path in Path(nova_colo.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else None for part in node.values]
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                parts = [node.value]
            else:
                continue
            pattern = "".join(".+" if part is None else re.escape(part) for part in parts)
            yield re.compile(pattern + r"\Z"), sum(map(len, filter(None, parts)))


def test_each_sentence_is_one_that_the_server_side_says(horizon):
    from colo_dashboard.said import SENTENCES

    said = list(wordings())
    filled = {known: re.sub(r"%\(\w+\)s", "X", known) for known in SENTENCES}
    unknown = [
        known
        for known, sentence in filled.items()
        if not any(fixed > len(sentence) / 2 and pattern.match(sentence) for pattern, fixed in said)
    ]
    assert set(unknown) == MADE_OF_PARTS


@pytest.mark.parametrize(
    ("english", "german"),
    [
        ("The server is protected already.", "Der Server ist bereits geschützt."),
        ("The agent on its host does not answer.", "Der Agent auf (verborgen) antwortet nicht."),
        ("The agent on compute-a does not answer.", "Der Agent auf compute-a antwortet nicht."),
        (
            "Needs a secondary: no other host has 1024 MB of RAM free. Free capacity, enable a host or move a server.",
            "Braucht eine sekundäre VM: Kein anderer Host hat 1024 MB RAM frei. Schaffen Sie Platz, aktivieren Sie einen Host "
            "oder verschieben Sie einen Server.",
        ),
        (
            "Failed over: host compute-a is lost. The server runs without a secondary until it is protected again.",
            "Umgeschaltet: Host compute-a ist ausgefallen. Der Server läuft ohne sekundäre VM, bis er wieder geschützt ist.",
        ),
        ("The pair is failing over.", "Stand des Paars: schaltet um."),
        ("QEMU 7.2 has no filter-rewriter.", "QEMU 7.2 has no filter-rewriter."),
        ("100 %(odd)s", "100 %(odd)s"),
        ("", ""),
        (None, None),
    ],
)
def test_in_german(horizon, english, german):
    from django.utils import translation

    from colo_dashboard.said import said

    with translation.override("de"):
        assert said(english) == german
    with translation.override("en-gb"):
        assert said(english) == english


#: What engines make of a reason, whatever it is.
OUTCOMES = (
    "Failing over: {}.",
    "Failed over: {}. Nova's records are following.",
    "Failed over: {}. The server runs without a secondary until it is protected again.",
    "Going on alone: {}.",
    "Not running: {}.",
    "Not running: {}. It is being restarted.",
    "Not running: {}. It is restarted there when they have followed.",
    "Secondary lost: {}. The server runs without a secondary until it is protected again.",
    "Secondary lost: {}. The primary on compute-a goes on alone.",
    "The server was restarted: {}.",
)
ENGLISH = re.compile(r"\b(the|is|of|runs|ended|its|and|was)\b")


def reasons():
    """Every reason for which something is decided about a pair."""
    from nova_colo.pair import arbitration

    for node in ast.walk(ast.parse(Path(arbitration.__file__).read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Decision" and len(node.args) > 1:
            said = node.args[1]
            if isinstance(said, ast.Constant):
                yield said.value
            elif isinstance(said, ast.JoinedStr):
                lost = "lost" in ast.unparse(said.values[0])
                parts = [part.value if isinstance(part, ast.Constant) else "compute-a" for part in said.values]
                yield "".join(["the secondary's host", *parts[1:]] if lost else parts)


def test_whatever_is_decided_about_a_pair_is_told_in_german(horizon):
    from django.utils import translation

    from colo_dashboard.said import said

    decided = [reason for reason in reasons() if not reason.endswith(".")]
    assert len(decided) >= 9
    with translation.override("de"):
        told = [said(outcome.format(reason)) for outcome in OUTCOMES for reason in decided]
    assert not [text for text in told if ENGLISH.search(text)]
