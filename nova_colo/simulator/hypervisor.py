# SPDX-License-Identifier: Apache-2.0
"""A simulated hypervisor in place of libvirt and QEMU, as files in a folder shared by all simulated hosts.

``DIRECTORY/HOST/UUID.json`` is a QEMU process on HOST. Like a real one it outlives nova-compute and the
agent. When DIRECTORY/HOST is removed, the host has lost power and all its QEMUs are gone.
``DIRECTORY/HOST/link-down`` cuts the replication links of HOST.
"""

import dataclasses
import pathlib
import shutil

from nova_colo.hoststate import json_file

RUNNING = "running"
PAUSED = "paused"
SHUT_OFF = "shut off"


@dataclasses.dataclass(frozen=True)
class Domain:
    """A guest. ``state`` is one of RUNNING, PAUSED and SHUT_OFF."""

    uuid: str
    name: str
    state: str


class Hypervisor:
    """The simulated hypervisor of one host."""

    def __init__(self, directory: str, host: str):
        self._directory = pathlib.Path(directory)
        self._folder = self._directory / host

    def peer(self, host: str) -> "Hypervisor":
        """Return the hypervisor of another host."""
        return Hypervisor(str(self._directory), host)

    def get(self, uuid: str) -> Domain | None:
        """Return a guest, or None."""
        record = json_file.read(self._folder / f"{uuid}.json")
        return Domain(**record) if record else None

    def put(self, domain: Domain) -> None:
        """Create a guest or change it."""
        json_file.write(self._folder / f"{domain.uuid}.json", dataclasses.asdict(domain))

    def remove(self, uuid: str) -> None:
        """Destroy a guest and its replication; no error when there is none."""
        (self._folder / f"{uuid}.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / "colo" / uuid, ignore_errors=True)

    def uuids(self) -> list[str]:
        """Return the ids of all guests."""
        return [path.stem for path in sorted(self._folder.glob("*.json"))]

    def linked(self, uuid: str, peer_host: str) -> bool:
        """Return whether the replication link between a guest here and its peer on another host works."""
        peer = self.peer(peer_host)
        cut = (self._folder / "link-down").exists() or (peer._folder / "link-down").exists()
        return not cut and peer.get(uuid) is not None

    def replication(self, uuid: str) -> pathlib.Path:
        """Return the file that holds the replication state of a guest's QEMU."""
        return self._folder / "colo" / uuid / "replication.json"
