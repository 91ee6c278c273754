# SPDX-License-Identifier: Apache-2.0
"""The domain model: states, roles, pairs and replicas as types."""

import dataclasses
import enum
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from oslo_utils import strutils

from nova_colo.pair.reason import Reason

#: The range of ``ft:checkpoint_interval_ms``. Below it the guest is paused more than it runs; above it
#: clients time out before buffered output is released.
CHECKPOINT_INTERVAL_MS = (10, 60_000)
#: Namespace of the synthetic ids of secondaries, which users of ORBIT's API see as second servers.
SECONDARY_NAMESPACE = uuid.UUID("9d0f3c5e-3a0b-5c1e-8a55-0c0ffee00c01")


class State(enum.StrEnum):
    """The state of a pair."""

    UNPROTECTED = "unprotected"
    STARTING = "starting"
    PROTECTED = "protected"
    DEGRADED = "degraded"
    SUSPENDED = "suspended"
    FAILING_OVER = "failing_over"
    ERROR = "error"


class Health(enum.StrEnum):
    """The health of a pair or a link."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class FtStatus(enum.StrEnum):
    """The value of ORBIT's attribute ``ft_status``."""

    PRIMARY = "primary"
    MISSING_SECONDARY = "missing_secondary"
    SECONDARY = "secondary"
    MISSING_PRIMARY = "missing_primary"
    NOT_FT = "not_ft"


class Wanted(enum.StrEnum):
    """The protection that the users of an FT server have requested."""

    PROTECTED = "protected"
    UNPROTECTED = "unprotected"
    SUSPENDED = "suspended"


class Mode(enum.StrEnum):
    """How a pair synchronises. ``hybrid`` is a policy only: the pair itself switches between the others."""

    COLO = "colo"
    CHECKPOINT = "checkpoint"
    HYBRID = "hybrid"


class Cause(enum.StrEnum):
    """Why a checkpoint was taken."""

    MISMATCH = "mismatch"
    PERIODIC = "periodic"
    FORCED = "forced"


class Role(enum.StrEnum):
    """The role of a host for a server, as recorded by its agent.

    ``promoted`` is a secondary that has become the primary while Nova's records still name the old host;
    ``demoted`` is the old primary of a failover in the same interval. ``leaving`` is a primary whose guest
    Nova is about to end: Nova waits until the engine has removed the secondary, and the server is not
    protected again before Nova is done.
    """

    PRIMARY = "primary"
    SECONDARY = "secondary"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    LEAVING = "leaving"


@dataclasses.dataclass(frozen=True)
class Pair:
    """The engine's record of an FT server.

    :param server_status: Nova's status of the server, e.g. ``ACTIVE``
    :param nova_host: the host that Nova's records name
    :param primary_host: the host that holds the grant for ``epoch``
    :param wanted: the protection that its users have requested
    :param auto_reprotect: create a new secondary automatically when one was lost
    :param reserved_host: the host where capacity is reserved for a secondary that does not exist
    :param return_to: the host that a test failover started from and returns to
    """

    server_id: str
    state: State
    epoch: int
    primary_host: str
    secondary_host: str | None
    nova_host: str
    server_status: str
    wanted: Wanted = Wanted.PROTECTED
    auto_reprotect: bool = True
    reserved_host: str | None = None
    return_to: str | None = None


@dataclasses.dataclass(frozen=True)
class Replica:
    """An agent's report of one server on its host.

    :param running: the QEMU process exists; False also when it does not answer
    :param link_up: the replication link to the peer works; None while there is no peer
    :param reasons: the problems of that link
    :param disks_equal: False since the secondary has missed a write: it must not be promoted any more
    :param shut_down: its guest has powered itself off
    :param silent: QEMU, or libvirt, does not answer the agent
    """

    role: Role
    epoch: int
    running: bool
    link_up: bool | None
    reasons: tuple[Reason, ...] = ()
    disks_equal: bool = True
    shut_down: bool = False
    silent: bool = False

    @property
    def ended(self) -> bool:
        """Whether the QEMU process certainly does not exist."""
        return not self.running and not self.silent


def is_fault_tolerant(flavor: Mapping[str, Any]) -> bool:
    """Return whether a flavor, as Nova's API embeds it in a server, is fault tolerant.

    A flavor whose extra specs the caller may not see counts as not fault tolerant.
    """
    return strutils.bool_from_string(flavor.get("extra_specs", {}).get("ft:enabled", ""))


@dataclasses.dataclass(frozen=True)
class Policy:
    """A flavor's policy for the protection of its servers.

    :param interval_ms: milliseconds between two periodic checkpoints; None for the backend's own default
    :param ignored: extra specs with invalid values, which Nova accepts before microversion 2.86
    """

    mode: Mode = Mode.COLO
    interval_ms: int | None = None
    auto_reprotect: bool = True
    ignored: tuple[str, ...] = ()


def policy_of(flavor: Mapping[str, Any]) -> Policy:
    """Return the policy of a flavor as Nova's API embeds it in a server. Invalid values count as absent."""
    specs = flavor.get("extra_specs", {})
    readers: dict[str, Callable[[str], Any]] = {
        "mode": Mode,
        "checkpoint_interval_ms": checkpoint_interval_ms,
        "auto_reprotect": lambda value: strutils.bool_from_string(value, strict=True),
    }
    values: dict[str, Any] = {}
    ignored = []
    for name, read in readers.items():
        text = specs.get(f"ft:{name}")
        try:
            values[name] = None if text is None else read(text)
        except ValueError:
            values[name] = None
            ignored.append(f"ft:{name}={text}")
    return Policy(
        mode=values["mode"] or Mode.COLO,
        interval_ms=values["checkpoint_interval_ms"],
        auto_reprotect=values["auto_reprotect"] is not False,
        ignored=tuple(ignored),
    )


def checkpoint_interval_ms(text: str) -> int:
    """Return the value of the extra spec ``ft:checkpoint_interval_ms``.

    :raises ValueError: when it is none
    """
    low, high = CHECKPOINT_INTERVAL_MS
    if not low <= (value := int(text)) <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return value


def actual_mode(policy: str) -> Mode:
    """Return the mode in which a pair starts under a policy."""
    return Mode.CHECKPOINT if policy == Mode.CHECKPOINT else Mode.COLO


def secondary_id(server_id: str) -> str:
    """Return the synthetic id of a server's secondary: stable, and also its consumer id in Placement."""
    return str(uuid.uuid5(SECONDARY_NAMESPACE, server_id))


def ft_status(state: str, has_secondary: bool) -> FtStatus:
    """Return ORBIT's ``ft_status`` of a pair's server."""
    with_secondary = (State.PROTECTED, State.FAILING_OVER)
    return FtStatus.PRIMARY if has_secondary and state in with_secondary else FtStatus.MISSING_SECONDARY
