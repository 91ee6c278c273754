# SPDX-License-Identifier: Apache-2.0
"""Completion by tab in a shell with openstack's own completion script."""

import pathlib
import subprocess
import sys

import pytest

BIN = pathlib.Path(sys.executable).parent
#: The function of Debian's package bash-completion, for words without colons.
WORDS = (
    "_get_comp_words_by_ref() { "
    "words=(${COMP_WORDS[@]}); cur=${COMP_WORDS[COMP_CWORD]}; prev=${COMP_WORDS[COMP_CWORD-1]}; }"
)


@pytest.fixture(scope="module")
def script() -> str:
    return subprocess.run([BIN / "openstack", "complete"], capture_output=True, text=True, check=True).stdout


def offered(script: str, *words: str) -> set[str]:
    """Return the completions of the last word."""
    line = " ".join(f"'{word}'" for word in words)
    ask = f"{WORDS}\nCOMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _openstack; echo ${{COMPREPLY[@]}}"
    done = subprocess.run(["bash"], input=f"{script}\n{ask}", capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(done.stdout.split())


def test_commands_are_offered_as_far_as_they_are_typed(script):
    assert {"failover", "ft", "list"} <= offered(script, "openstack", "server", "")
    assert offered(script, "openstack", "server", "ft", "") == {
        "checkpoint",
        "event",
        "list",
        "migrate",
        "protect",
        "resume",
        "set",
        "show",
        "suspend",
        "test",
        "unprotect",
    }
    assert offered(script, "openstack", "server", "ft", "s") == {"set", "show", "suspend"}
    assert offered(script, "openstack", "flavor", "ft", "") == {"create", "list", "set", "unset"}
    assert offered(script, "openstack", "compute", "ft", "host", "") == {"list"}


def test_options_are_offered(script):
    assert {"--all-projects", "--state", "--watch", "--sort-column"} <= offered(
        script, "openstack", "server", "ft", "list", "-"
    )
    assert {"--force", "--wait", "--timeout"} <= offered(script, "openstack", "server", "failover", "-")


def test_novas_own_completion_knows_them_too():
    done = subprocess.run([BIN / "nova", "bash-completion"], capture_output=True, text=True, check=True)
    assert {"failover", "ft-list", "ft-show", "ft-flavor-create", "--force"} <= set(done.stdout.split())
