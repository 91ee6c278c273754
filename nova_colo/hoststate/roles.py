# SPDX-License-Identifier: Apache-2.0
"""What this host is to each FT server. Kept on disk by the agent; read, and settled at adoption, by the compute driver.

The compute driver has no database and must not wait for the network, so these files are all it knows of fault tolerance.
"""

import dataclasses
import pathlib

from nova_colo.hoststate import json_file
from nova_colo.pair.model import Role


@dataclasses.dataclass(frozen=True)
class RoleRecord:
    """One server's entry.

    :param peer: the host of the twin; None while there is none
    """

    server_id: str
    role: Role
    epoch: int
    peer: str | None = None


class RoleStore:
    """The entries below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "roles"

    def get(self, server_id: str) -> RoleRecord | None:
        """Return a server's entry, or None when this host has nothing to do with its protection."""
        record = json_file.read(self._folder / f"{server_id}.json")
        if record is None:
            return None
        return RoleRecord(record["server_id"], Role(record["role"]), record["epoch"], record["peer"])

    def put(self, record: RoleRecord) -> None:
        """Set a server's entry."""
        json_file.write(self._folder / f"{record.server_id}.json", dataclasses.asdict(record))

    def forget(self, server_id: str) -> None:
        """Remove a server's entry; no error when there is none."""
        (self._folder / f"{server_id}.json").unlink(missing_ok=True)

    def all(self) -> list[RoleRecord]:
        """Return all entries."""
        found = (self.get(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [record for record in found if record is not None]
