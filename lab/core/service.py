# SPDX-License-Identifier: Apache-2.0
"""The description of a service: its command, and the URL or port to check."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Service:
    """One long-running process (with its children) of the lab.

    :ivar name: its name in the command line and the log's file name
    :ivar argv: the command; without secrets, since all users can read it
    :ivar environment: added to the lab's own small environment
    :ivar port: the TCP port it listens on, if any
    :ivar url: a URL that returns a status below 500 once the service is ready, if it speaks HTTP
    :ivar host: the compute host it belongs to, None for the control plane
    """

    name: str
    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    url: str | None = None
    host: str | None = None
