# SPDX-License-Identifier: Apache-2.0
"""What one service of the lab is: how it is started and how one sees that it answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Service:
    """One long-running process (with its children) of the lab.

    :ivar name: what the command line and the log file call it
    :ivar argv: the command; holds no secret, everybody can read it
    :ivar environment: added to the lab's own small environment
    :ivar port: the TCP port it listens on, if any
    :ivar url: what answers with a status below 500 once it is ready, if it speaks HTTP
    :ivar host: the compute host it belongs to, None for the control plane
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    url: str | None = None
    host: str | None = None
