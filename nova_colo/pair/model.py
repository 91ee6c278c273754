# SPDX-License-Identifier: Apache-2.0
"""The words of the product as types."""

import dataclasses
import enum
import uuid
from collections.abc import Mapping
from typing import Any

from oslo_utils import strutils

from nova_colo.pair.reason import Reason

#: Namespace of the synthetic ids of twins; ORBIT's users see them as a second server.
TWIN_NAMESPACE = uuid.UUID("9d0f3c5e-3a0b-5c1e-8a55-0c0ffee00c01")


class State(enum.StrEnum):
    """What a pair is."""

    UNPROTECTED = "unprotected"
    STARTING = "starting"
    PROTECTED = "protected"
    DEGRADED = "degraded"
    SUSPENDED = "suspended"
    FAILING_OVER = "failing_over"
    ERROR = "error"


class Health(enum.StrEnum):
    """How well a pair does."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


class FtStatus(enum.StrEnum):
    """ORBIT's wire value."""

    PRIMARY = "primary"
    MISSING_SECONDARY = "missing_secondary"
    SECONDARY = "secondary"
    MISSING_PRIMARY = "missing_primary"
    NOT_FT = "not_ft"


class Wanted(enum.StrEnum):
    """What the users of an FT server have asked for."""

    PROTECTED = "protected"
    UNPROTECTED = "unprotected"
    SUSPENDED = "suspended"


class Mode(enum.StrEnum):
    """How a pair synchronises. ``hybrid`` is a policy only: the pair moves between the two others by itself."""

    COLO = "colo"
    CHECKPOINT = "checkpoint"
    HYBRID = "hybrid"


class Cause(enum.StrEnum):
    """Why a checkpoint was taken."""

    MISMATCH = "mismatch"
    PERIODIC = "periodic"
    FORCED = "forced"


class Role(enum.StrEnum):
    """What a host is to a server, as its agent remembers it.

    ``promoted`` is a secondary that has become the primary while Nova's records still name the old host; ``demoted`` is the old
    primary of a failover in the same interval. ``leaving`` is a primary whose guest Nova is about to end: it waits until the
    engine has given the twin up, and is not protected anew before Nova is done.
    """

    PRIMARY = "primary"
    SECONDARY = "secondary"
    PROMOTED = "promoted"
    DEMOTED = "demoted"
    LEAVING = "leaving"


@dataclasses.dataclass(frozen=True)
class Pair:
    """What the engine knows of an FT server.

    :param server_status: Nova's status of the server, e.g. ``ACTIVE``
    :param nova_host: the host that Nova's records name
    :param primary_host: the host that holds the grant for ``epoch``
    :param wanted: what its users have asked for
    :param auto_reprotect: make a new secondary by itself when one was lost
    :param reserved_host: where room is kept for a secondary that is not there
    :param return_to: where a test failover has come from and goes back to
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
    """What an agent reports of one server on its host.

    :param running: the QEMU process is there
    :param link_up: the replication link to the twin works; None while there is no twin
    :param reasons: what is wrong with that link
    """

    role: Role
    epoch: int
    running: bool
    link_up: bool | None
    reasons: tuple[Reason, ...] = ()


def is_fault_tolerant(flavor: Mapping[str, Any]) -> bool:
    """Return whether a flavor as Nova's API embeds it in a server says so; False also where its extra specs are not shown."""
    return strutils.bool_from_string(flavor.get("extra_specs", {}).get("ft:enabled", ""))


@dataclasses.dataclass(frozen=True)
class Policy:
    """What a flavor says of how its servers are to be protected.

    :param interval_ms: milliseconds between two periodic checkpoints; None for the backend's own default
    """

    mode: Mode = Mode.COLO
    interval_ms: int | None = None
    auto_reprotect: bool = True


def policy_of(flavor: Mapping[str, Any]) -> Policy:
    """Return the policy in a flavor as Nova's API embeds it in a server. What is wrong there counts as not given."""
    specs = flavor.get("extra_specs", {})
    mode, interval = specs.get("ft:mode", ""), specs.get("ft:checkpoint_interval_ms", "")
    return Policy(
        mode=Mode(mode) if mode in list(Mode) else Mode.COLO,
        interval_ms=int(interval) if interval.isdecimal() else None,
        auto_reprotect=strutils.bool_from_string(specs.get("ft:auto_reprotect", ""), default=True),
    )


def actual_mode(policy: str) -> Mode:
    """Return the mode that a pair begins with under a policy."""
    return Mode.CHECKPOINT if policy == Mode.CHECKPOINT else Mode.COLO


def secondary_id(server_id: str) -> str:
    """Return the synthetic id of a server's secondary: stable, and also its consumer id in placement."""
    return str(uuid.uuid5(TWIN_NAMESPACE, server_id))


def ft_status(state: str, has_secondary: bool) -> FtStatus:
    """Return ORBIT's word for a pair as its server shows it."""
    with_twin = (State.PROTECTED, State.FAILING_OVER)
    return FtStatus.PRIMARY if has_secondary and state in with_twin else FtStatus.MISSING_SECONDARY
