# SPDX-License-Identifier: Apache-2.0
"""What the API says in English, in the user's language: reasons, stages, and what has happened.

A sentence that is none of these, because it is a host's own or a newer cloud's, is shown as it was said.
"""

import functools
import re
from typing import Any

from django.utils.translation import get_language, gettext, gettext_noop

#: As nova_colo words them, with names for what differs. What a name stands for is looked up here as well.
SENTENCES = (
    # why an action is not possible
    gettext_noop("A failover of this server is in progress. Wait until it has finished."),
    gettext_noop("The secondary is still being made. Wait until the server is protected."),
    gettext_noop(
        "The server has no healthy secondary to fail over to. Wait until it is protected again, or free capacity on another host."
    ),
    gettext_noop("The pair is %(state)s, not protected. Wait until it is protected, or force the failover."),
    gettext_noop("The pair is %(state)s, not protected. Wait until it is protected."),
    gettext_noop("The server's protection is suspended. Resume it with ft-resume first."),
    gettext_noop("The server's protection is suspended. Resume it with ft-resume."),
    gettext_noop("The server's protection is suspended already. Resume it with ft-resume."),
    gettext_noop("The server's protection is not suspended."),
    gettext_noop("The server is protected already."),
    gettext_noop("The server is unprotected already. Protect it with ft-protect."),
    gettext_noop("The server is unprotected. Protect it with ft-protect first."),
    gettext_noop("Something else is being done to this server's pair. Wait until it has finished."),
    gettext_noop("The primary runs on %(host)s. Name another host, or none."),
    gettext_noop("The secondary is on %(host)s already. Name another host, or none."),
    gettext_noop("Your role does not allow you to fail this server over."),
    gettext_noop("Your role does not allow you to protect this server."),
    gettext_noop("Your role does not allow you to remove this server's protection."),
    gettext_noop("Your role does not allow you to suspend this server's protection."),
    gettext_noop("Your role does not allow you to resume this server's protection."),
    gettext_noop("Your role does not allow you to test this server's failover."),
    gettext_noop("Your role does not allow you to move this server's secondary."),
    gettext_noop("Your role does not allow you to set this server's mode."),
    # states and healths
    gettext_noop("The server waits for its secondary."),
    gettext_noop("The server runs without a secondary."),
    gettext_noop("The server runs without a secondary until it is protected again."),
    gettext_noop("A secondary is being made."),
    gettext_noop("The secondary is being moved."),
    gettext_noop("The secondary is being removed."),
    gettext_noop("The pair is %(state)s."),
    gettext_noop("Protection is suspended."),
    gettext_noop("Protection is suspended on request. Resume it with ft-resume."),
    gettext_noop("Protection was removed on request. Protect the server with ft-protect."),
    gettext_noop("The server is %(status)s. It is protected again when it is ACTIVE."),
    gettext_noop("The secondary was lost and the flavor says ft:auto_reprotect=0. Protect the server with ft-protect."),
    gettext_noop(
        "Needs a secondary: no other host with free capacity has a healthy nova-colo-agent and a nova-compute that is not "
        "forced down. Start them there."
    ),
    gettext_noop("Needs a secondary: no other host has %(need)s free. Free capacity, enable a host or move a server."),
    gettext_noop("%(number)s MB of RAM"),
    gettext_noop("The agent on %(host)s does not answer."),
    gettext_noop("The agent on %(host)s is not healthy, or nova-compute is forced down. Start it, or name another host."),
    gettext_noop("%(host)s is not enabled or has no %(need)s free. Free capacity there, or name another host."),
    gettext_noop("No agent was ever heard of there."),
    gettext_noop(
        "Its nova-compute is forced down since the host was lost. It is up again when it is restarted there and has cleaned up."
    ),
    gettext_noop("Nothing is known of the replication link yet."),
    gettext_noop("The twin's host has not answered on the replication network for %(seconds)s s."),
    gettext_noop("Replication is disconnected: %(channels)s."),
    gettext_noop("Replication is stuck: a checkpoint is %(seconds)s s late."),
    gettext_noop("A checkpoint is %(seconds)s s late."),
    gettext_noop("Checkpoint pauses are long: p99 %(ms)s ms."),
    gettext_noop("The secondary cannot use %(devices)s before the next checkpoint."),
    gettext_noop("The primary cannot be ended from its twin's host: UDP port %(port)s: %(error)s."),
    gettext_noop("A mismatch storm: replies differ %(number)s times a minute."),
    # stages
    gettext_noop("finding a host"),
    gettext_noop("making the secondary"),
    gettext_noop("removing the secondary"),
    gettext_noop("waiting for the primary"),
    gettext_noop("copying disk and memory"),
    gettext_noop("copying disks"),
    gettext_noop("sending memory"),
    # what has happened
    gettext_noop("Failover: %(reason)s."),
    gettext_noop("Failing over: %(reason)s."),
    gettext_noop("Failed over: %(reason)s. Nova's records are following."),
    gettext_noop("Failed over: %(reason)s. The server runs without a secondary until it is protected again."),
    gettext_noop("Failed over from %(source)s to %(target)s: %(reason)s."),
    gettext_noop("The failover failed, the server runs on %(host)s again: %(error)s"),
    gettext_noop("The failover failed, nothing has changed: %(error)s"),
    gettext_noop("The failover failed: %(error)s"),
    gettext_noop("Nova's records have followed to %(host)s."),
    gettext_noop("Going on alone: %(reason)s."),
    gettext_noop("Secondary lost: %(reason)s."),
    gettext_noop("Secondary lost: %(reason)s. The primary on %(host)s goes on alone."),
    gettext_noop("Secondary lost: %(reason)s. The server runs without a secondary until it is protected again."),
    gettext_noop("The failover failed: %(error)s The server runs without a secondary until it is protected again."),
    gettext_noop("The failover is not finished: %(error)s"),
    gettext_noop("The server was restarted: %(reason)s."),
    gettext_noop("Protection could not be taken off: %(error)s"),
    gettext_noop("The mode could not be set to %(mode)s: %(error)s"),
    gettext_noop("The guest on %(host)s was restarted or replaced. A new secondary is made."),
    gettext_noop("The server runs, but Nova's records do not follow: %(error)s"),
    gettext_noop("Not running: %(reason)s."),
    gettext_noop("Not running: %(reason)s. It is being restarted."),
    gettext_noop("Not running: %(reason)s. It is restarted there when they have followed."),
    gettext_noop("Not running: %(reason)s, and they do not follow: %(error)s"),
    gettext_noop("Protected: the secondary runs on %(host)s."),
    gettext_noop("The server could not be protected: %(error)s"),
    gettext_noop("The secondary has moved from %(old)s to %(new)s."),
    gettext_noop("The secondary was not moved: %(error)s"),
    gettext_noop("What was asked for was not begun, since a side of the pair was lost first."),
    gettext_noop("Protection was requested."),
    gettext_noop("Protection was resumed on request."),
    gettext_noop("The removal of protection (%(action)s) was requested."),
    gettext_noop("A move of the secondary was requested."),
    gettext_noop("Mode %(mode)s was requested."),
    gettext_noop("The mode is %(mode)s."),
    gettext_noop("requested"),
    gettext_noop("requested by force"),
    gettext_noop("a test failover was requested"),
    gettext_noop("host %(host)s is lost"),
    gettext_noop("host %(host)s is lost and the secondary QEMU ended"),
    gettext_noop("the primary QEMU on %(host)s ended"),
    gettext_noop("both QEMUs of the pair ended"),
    gettext_noop("the guest on %(host)s ended before Nova's records had followed to it"),
    gettext_noop("Nova's records still name %(host)s"),
    gettext_noop("The guest on %(host)s is being restarted, replaced or stopped by Nova."),
    gettext_noop("the primary on %(host)s still waits for a twin that it has lost"),
    gettext_noop("the secondary's host %(host)s is lost"),
    gettext_noop("the replication link to %(host)s is lost"),
    gettext_noop("the secondary QEMU on %(host)s ended"),
    gettext_noop("the guest on %(host)s ended and has no twin"),
    gettext_noop("the return to %(host)s from a test failover"),
    # where it runs, for those who may not see hosts, and states in sentences
    gettext_noop("its host"),
    gettext_noop("protected"),
    gettext_noop("starting"),
    gettext_noop("failing over"),
    gettext_noop("failing_over"),
    gettext_noop("degraded"),
    gettext_noop("unprotected"),
    gettext_noop("suspended"),
)


@functools.cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Return what each sentence looks like; those with the most fixed text first, for they tell the most."""
    by_length = sorted(SENTENCES, key=lambda sentence: -len(re.sub(r"%\(\w+\)s", "", sentence)))
    return tuple(
        (re.compile(re.sub(r"%\\\((\w+)\\\)s", r"(?P<\1>.+?)", re.escape(known)) + r"\Z", re.S), known) for known in by_length
    )


def said(text: Any) -> Any:
    """Return a sentence of the API in the user's language, or as it is where it is not known."""
    return _translated(str(text), get_language() or "en") if text else text


@functools.lru_cache(maxsize=1024)
def _translated(text: str, language: str) -> str:
    if language.split("-")[0] == "en":
        return text
    for pattern, known in _patterns():
        found = pattern.match(text)
        if found:
            return gettext(known) % {name: _translated(value, language) for name, value in found.groupdict().items()}
    return text
