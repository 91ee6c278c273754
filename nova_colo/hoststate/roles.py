# SPDX-License-Identifier: Apache-2.0
"""This host's role for each FT server, as files.

The agent writes them. The compute driver reads them, and changes them when it adopts a promoted secondary,
detaches a pair or destroys a guest. It has no database and must not wait for the network, so it knows nothing
else about pairs.
"""

import dataclasses
import pathlib

from nova_colo.hoststate import json_file
from nova_colo.pair.model import Role


@dataclasses.dataclass(frozen=True)
class RoleRecord:
    """The role of this host for one server.

    :param peer: the host of the peer; None without a peer
    """

    server_id: str
    role: Role
    epoch: int
    peer: str | None = None


class RoleStore:
    """The roles below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "roles"

    def get(self, server_id: str) -> RoleRecord | None:
        """Return this host's role for a server, or None."""
        record = json_file.read(self._folder / f"{server_id}.json")
        if record is None:
            return None
        return RoleRecord(record["server_id"], Role(record["role"]), record["epoch"], record["peer"])

    def put(self, record: RoleRecord) -> None:
        """Set this host's role for a server."""
        json_file.write(self._folder / f"{record.server_id}.json", dataclasses.asdict(record))

    def delete(self, server_id: str) -> None:
        """Delete this host's role for a server; no error when there is none."""
        (self._folder / f"{server_id}.json").unlink(missing_ok=True)

    def all(self) -> list[RoleRecord]:
        """Return all roles."""
        records = (self.get(path.stem) for path in sorted(self._folder.glob("*.json")))
        return [record for record in records if record is not None]
