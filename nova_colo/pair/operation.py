# SPDX-License-Identifier: Apache-2.0
"""Parameters of the operations on a pair, as stored: what starts a workflow and what its steps add."""

import dataclasses
from collections.abc import Mapping
from typing import Any, Self

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

#: Kinds of operations that copy disks and memory, and the step from which on they do.
COPIES, COPYING = ("protect", "move_secondary"), 2
#: Parameters by the names under which the release before has stored them.
FORMER_NAMES = {"keep_room": "keep_reservation"}


@dataclasses.dataclass
class Params:
    """Parameters of all operations.

    :param source: host of the primary when the operation was started
    :param epoch: epoch of the pair when the operation was started
    :param previous_state: state of the pair before the operation; None when it did not change the state
    :param reason: why the operation was started, as data
    """

    source: str = ""
    epoch: int = 0
    previous_state: str | None = None
    reason: dict[str, Any] | None = None

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> Self:
        """Return parameters from their stored form. Names that only another release knows are left out."""
        names = {field.name for field in dataclasses.fields(cls)}
        values = {FORMER_NAMES.get(name, name): value for name, value in stored.items() if value is not None}
        return cls(**{name: value for name, value in values.items() if name in names})

    def data(self) -> dict[str, Any]:
        """Return the stored form: values of JSON."""
        return dataclasses.asdict(self)

    @property
    def why(self) -> Reason | None:
        """Why the operation was started."""
        return reasons.read(self.reason)


@dataclasses.dataclass
class FailoverParams(Params):
    """Parameters of ``failover`` and of ``follow``, which may come after it.

    :param target: host of the secondary
    :param planned: it was requested: the primary was not lost
    :param gap_ms: downtime in milliseconds; None when it is not known
    :param ended: the promoted guest has ended before Nova's records were updated
    """

    target: str = ""
    planned: bool = False
    gap_ms: float | None = None
    ended: bool = False


@dataclasses.dataclass
class ProtectParams(Params):
    """Parameters of ``protect``.

    :param target: host that was found for the secondary; empty before that
    :param spec: fields of the PairSpec that the agents were given
    :param secondary: the secondary's answer for the primary's agent
    :param stood_still_ms: for how long the guest was paused when the pair was created; None when it is not
        known
    """

    target: str = ""
    spec: dict[str, Any] = dataclasses.field(default_factory=dict)
    secondary: dict[str, Any] = dataclasses.field(default_factory=dict)
    stood_still_ms: float | None = None


@dataclasses.dataclass
class MoveParams(ProtectParams):
    """Parameters of ``move_secondary``.

    :param old: host of the secondary that is moved
    :param wanted_host: host that was asked for; None for any
    """

    old: str | None = None
    wanted_host: str | None = None


@dataclasses.dataclass
class UnprotectParams(Params):
    """Parameters of ``unprotect``, ``suspend``, ``power_off``, ``run_alone`` and ``remove_secondary``.

    :param target: host of the secondary, or of its reservation
    :param keep_reservation: the secondary's reservation is kept for the next one
    """

    target: str | None = None
    keep_reservation: bool = False


@dataclasses.dataclass
class ModeParams(Params):
    """Parameters of ``set_mode``.

    :param mode: the mode policy: colo, checkpoint or hybrid
    :param actual: the mode of a pair under the policy hybrid; by default the one that it begins with
    """

    mode: str = ""
    actual: str | None = None


#: By the kind of the operation.
PARAMS: dict[str, type[Params]] = {
    "protect": ProtectParams,
    "move_secondary": MoveParams,
    "unprotect": UnprotectParams,
    "suspend": UnprotectParams,
    "power_off": UnprotectParams,
    "set_mode": ModeParams,
    "failover": FailoverParams,
    "run_alone": UnprotectParams,
    "remove_secondary": UnprotectParams,
    "restart": Params,
    "follow": FailoverParams,
}
