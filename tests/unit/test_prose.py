# SPDX-License-Identifier: Apache-2.0
"""Code and documents use the words of the field, and lines of prose are no longer than those of code."""

import pathlib
import re
from collections.abc import Iterator

REPO = pathlib.Path(__file__).resolve().parents[2]
FOLDERS = (
    "colo_dashboard",
    "docs",
    "enabled",
    "lab",
    "nova_colo",
    "novaclient_colo",
    "releasenotes",
    "tests",
    "tools",
)
SUFFIXES = {".html", ".js", ".md", ".py", ".rst", ".scss", ".yaml"}
#: These quote sentences of earlier releases.
QUOTES = (
    "nova_colo/db/migrations/versions",
    "tests/functional/db/test_database.py",
    "tests/unit/test_prose.py",
)

#: Regular expressions of words not to use, in small letters, and what to write instead.
BANNED = {
    r"twins?": "secondary, peer",
    r"st(and|ands|ood|anding) still": "is paused",
    r"in step": "in sync",
    r"(run|go)(s|es|ning|ing)?( on)? alone": "run unprotected",
    r"witness|sight": "observation",
    r"(hold|holds|held|holding) back": "block egress, hold packets",
    r"network cards?": "NIC, VIF",
    r"vetting": "eligibility",
    r"woken": "notified",
    r"look(s|ed|ing)? after": "process, monitor",
    r"call(s|ed|ing)? off": "cancel",
    r"anew": "again, a new one",
    r"let us|let's": "the imperative",
    r"keeper|lonepair|bed|rack": "supervisor, StandalonePair, testbed",
    r'"""(let|what)': "a docstring that begins with a verb in the imperative, or with a noun",
}


def texts() -> Iterator[pathlib.Path]:
    """Yield the files that people read."""
    for path in (*REPO.glob("*.md"), *(path for folder in FOLDERS for path in (REPO / folder).rglob("*"))):
        name = str(path.relative_to(REPO))
        if path.suffix in SUFFIXES and "_build" not in path.parts and not name.startswith(QUOTES):
            yield path


def test_no_text_has_a_word_that_the_field_has_another_for():
    pattern = re.compile(rf"(?<![\w-])(?:{'|'.join(BANNED)})\b")
    assert [
        f"{path.relative_to(REPO)}:{number}: {found[0]}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if (found := pattern.search(line.lower()))
    ] == []


def prose(path: pathlib.Path) -> Iterator[tuple[int, str]]:
    """Yield the numbered lines of a document without tables, code and the targets of links."""
    is_code = False
    for number, line in enumerate(path.read_text().splitlines(), 1):
        is_code ^= line.lstrip().startswith("```")
        if not is_code and not line.startswith("|"):
            yield number, re.sub(r"\]\(\S+\)", "]", line)


def test_no_line_of_prose_is_longer_than_one_of_code():
    assert [
        f"{path.relative_to(REPO)}:{number}"
        for path in texts()
        if path.suffix in (".md", ".rst")
        for number, line in prose(path)
        if len(line) > 110
    ] == []
