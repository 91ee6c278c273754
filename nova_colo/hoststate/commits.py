# SPDX-License-Identifier: Apache-2.0
"""Disks of promoted secondaries whose overlays are not committed yet, as files.

Until then a disk's file lacks data that its guest has written. The agent writes these records, and commits;
the compute driver reads them, and starts no guest from such a disk.
"""

import dataclasses
import pathlib

import tenacity

from nova_colo.hoststate import json_file

#: Seconds between two polls of a record that is being waited for.
INTERVAL_S = 0.2


@dataclasses.dataclass(frozen=True)
class DiskFile:
    """The file of a disk.

    :param format: raw or qcow2. It is never probed: a guest decides what is at the beginning of its raw disk
    """

    path: str
    format: str


class CommitStore:
    """The records below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "commits"

    def put(self, server_id: str, disks: list[DiskFile]) -> None:
        """Record that overlays of a server's disks are to be committed."""
        json_file.write(self._path(server_id), {"disks": [dataclasses.asdict(disk) for disk in disks]})
        json_file.sync_folder(self._folder)

    def get(self, server_id: str) -> list[DiskFile]:
        """Return the disks of a server whose overlays are not committed."""
        record = json_file.read(self._path(server_id)) or {"disks": []}
        return [DiskFile(**disk) for disk in record["disks"]]

    def delete(self, server_id: str) -> None:
        """Record that all overlays of a server are committed."""
        self._path(server_id).unlink(missing_ok=True)

    def all(self) -> list[str]:
        """Return the servers with a record."""
        return [path.stem for path in sorted(self._folder.glob("*.json"))]

    def wait(self, server_id: str, timeout: float) -> bool:
        """Wait until all overlays of a server are committed, and return whether they are.

        :param timeout: seconds
        """
        waiting = tenacity.Retrying(
            retry=tenacity.retry_if_result(bool),
            wait=tenacity.wait_fixed(INTERVAL_S),
            stop=tenacity.stop_after_delay(timeout),
            retry_error_callback=lambda state: True,
        )
        return not waiting(self.get, server_id)

    def _path(self, server_id: str) -> pathlib.Path:
        return self._folder / f"{server_id}.json"
