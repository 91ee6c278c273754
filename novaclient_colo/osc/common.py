# SPDX-License-Identifier: Apache-2.0
"""Common parts of the commands of ``openstack``: servers by name, progress, waiting."""

import argparse
import contextlib
import dataclasses
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from novaclient import exceptions as nova_exceptions
from openstack import exceptions as sdk_exceptions
from osc_lib import exceptions

from novaclient_colo.exceptions import WaitFailedError, WaitTimeoutError
from novaclient_colo.fault_tolerance import SIMULATED_NOTE, FaultTolerance, FaultToleranceManager

LOG = logging.getLogger(__name__)

MODES = ("colo", "checkpoint", "hybrid")
MODE_HELP = (
    "When primary and secondary synchronise: colo (when their replies differ), checkpoint (at a fixed "
    "interval; replies wait for it) or hybrid (switches between the two automatically)"
)

Columns = Mapping[str, Callable[[Any], Any]]


def find_server(compute: Any, name_or_id: str) -> Any:
    """Find a server: in the caller's project first, then in all projects if policy allows it.

    :param compute: openstacksdk's compute proxy
    :raises osc_lib.exceptions.CommandError: none or several
    """
    missing = exceptions.CommandError(f"No server with a name or ID of '{name_or_id}' exists.")
    for all_projects in (False, True):
        try:
            return compute.find_server(name_or_id, ignore_missing=False, all_projects=all_projects)
        except sdk_exceptions.DuplicateResource:
            raise exceptions.CommandError(
                f"More than one server is named '{name_or_id}': give its ID."
            ) from None
        except sdk_exceptions.NotFoundException:
            continue
        except sdk_exceptions.ForbiddenException:
            break
    raise missing


def find_pair(app: Any, name_or_id: str) -> FaultTolerance:
    """Return the pair of a server.

    :raises osc_lib.exceptions.CommandError: no such server, or it is not fault tolerant
    """
    server = find_server(app.client_manager.compute, name_or_id)
    with naming(server):
        pair: FaultTolerance = app.client_manager.fault_tolerance.get(server)
        return pair


@contextlib.contextmanager
def naming(server: Any) -> Iterator[None]:
    """Put the name of a server before the message of an error, which has its id at most.

    :raises osc_lib.exceptions.CommandError: instead of the client's error
    """
    try:
        yield
    except nova_exceptions.ClientException as error:
        raise exceptions.CommandError(f"{server.name}: {error}") from None


def note_simulated(pairs: Iterable[FaultTolerance]) -> None:
    """Log to stderr that figures are simulated; stdout stays machine-readable."""
    if any(pair.simulated for pair in pairs):
        LOG.warning(SIMULATED_NOTE)


class Progress:
    """A progress line that is rewritten, on a terminal only."""

    def __init__(self, stream: Any, name: str) -> None:
        self.stream, self.name = stream, name
        self.started = time.monotonic()
        self.shown = 0

    def show(self, state: str) -> None:
        """Rewrite the line."""
        if self.stream.isatty():
            line = f"{self.name}: {state}, {time.monotonic() - self.started:.0f} s"
            self.stream.write("\r" + line.ljust(self.shown))
            self.stream.flush()
            self.shown = len(line)

    def clear(self) -> None:
        """Remove the line."""
        if self.shown:
            self.stream.write("\r" + " " * self.shown + "\r")
            self.stream.flush()


@dataclasses.dataclass(frozen=True)
class Request:
    """A requested action on pairs.

    :ivar what: the action as a noun, e.g. ``failover``
    :ivar not_done: the predicate of its failure, e.g. ``was not failed over``
    :ivar doing: the state of a pair while the action is in progress; None when it has none
    :ivar done: returns whether the action is done, given the pair before and now
    :ivar tried_again: whether the cloud tries again after a failure
    """

    what: str
    not_done: str
    doing: str | None
    done: Callable[[FaultTolerance, FaultTolerance], bool]
    tried_again: bool = False


def wait(
    manager: FaultToleranceManager, before: FaultTolerance, request: Request, deadline: float, stream: Any
) -> FaultTolerance:
    """Wait until a requested action is done, and return the pair.

    :param before: the pair before the request
    :param deadline: in seconds of time.monotonic()
    :param stream: stream for progress, if it is a terminal
    :raises osc_lib.exceptions.CommandError: it has failed, is not done in time, or the user interrupts the
        wait
    """
    progress, started = Progress(stream, before.name), False
    follow = f"Follow it with 'openstack server ft show {before.server_id}'."

    def done(now: FaultTolerance) -> bool:
        nonlocal started
        if now.state == "error":
            return False
        if request.done(before, now):
            return True
        if started and now.state != request.doing and not request.tried_again:
            reason = now.state_reason or f"it is {now.state} again"
            raise exceptions.CommandError(f"Server {now.name} {request.not_done}: {reason}")
        started = now.state == request.doing
        return False

    def show(now: FaultTolerance) -> None:
        progress.show(_stage(now))

    try:
        return manager.wait_for(before, done, max(deadline - time.monotonic(), 0.0), show)
    except WaitFailedError as error:
        now = error.pair
        what = request.what.capitalize()
        raise exceptions.CommandError(f"{what} of server {now.name} failed: {now.state_reason}") from None
    except WaitTimeoutError as error:
        now = error.pair
        why = f" ({now.state_reason.rstrip('.')})" if now.state_reason else ""
        late = f"Server {now.name} is {now.state}{why}: not done in time, but the {request.what} continues."
        raise exceptions.CommandError(f"{late} {follow}") from None
    except KeyboardInterrupt:
        ended = f"Stopped waiting; the {request.what} of server {before.name} continues."
        raise exceptions.CommandError(f"{ended} {follow}") from None
    finally:
        progress.clear()


def _stage(pair: FaultTolerance) -> str:
    if not pair.progress:
        return pair.state
    percent = pair.progress["percent"]
    return f"{pair.state}, {pair.progress['stage']}" + ("" if percent is None else f" {percent:.0f} %")


def table(things: Iterable[Any], *columns: Columns) -> tuple[list[str], list[list[Any]]]:
    """Return the columns and rows of a Lister.

    :param columns: name -> function that returns the value of an item
    """
    shown = {name: show for some in columns for name, show in some.items()}
    return list(shown), [[show(thing) for show in shown.values()] for thing in things]


def add_servers(parser: argparse.ArgumentParser, purpose: str) -> None:
    """Add the argument for the servers."""
    parser.add_argument("server", metavar="<server>", nargs="+", help=f"FT server(s) {purpose} (name or ID)")


def add_waiting(parser: argparse.ArgumentParser, until: str) -> None:
    """Add ``--wait`` and ``--timeout``."""
    parser.add_argument("--wait", action="store_true", help=f"Wait until {until}")
    parser.add_argument(
        "--timeout",
        metavar="<seconds>",
        type=int,
        default=300,
        help="Time to wait for all servers together with --wait (default: 300)",
    )


def positive(text: str) -> int:
    """Parse a positive integer.

    :raises argparse.ArgumentTypeError: when the text is something else
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' must be an integer of 1 or greater")
    return int(text)
