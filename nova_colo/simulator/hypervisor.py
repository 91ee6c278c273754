# SPDX-License-Identifier: Apache-2.0
"""The simulated hypervisor: what libvirt and QEMU are to a real host, as files in one folder that all simulated hosts share.

``DIRECTORY/HOST/UUID.json`` is a QEMU process on HOST: it outlives nova-compute and the agent, as a real one does, and is gone
when the host loses power, that is when DIRECTORY/HOST is removed. ``DIRECTORY/HOST/link-down`` cuts HOST's replication links.
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
        """Return the hypervisor of another host, as seen over the wire."""
        return Hypervisor(str(self._directory), host)

    def get(self, uuid: str) -> Domain | None:
        """Return a guest, or None."""
        record = json_file.read(self._folder / f"{uuid}.json")
        return Domain(**record) if record else None

    def put(self, domain: Domain) -> None:
        """Make a guest or change it."""
        json_file.write(self._folder / f"{domain.uuid}.json", dataclasses.asdict(domain))

    def remove(self, uuid: str) -> None:
        """End a guest and its replication; no error when there is none."""
        (self._folder / f"{uuid}.json").unlink(missing_ok=True)
        shutil.rmtree(self._folder / "colo" / uuid, ignore_errors=True)

    def uuids(self) -> list[str]:
        """Return the ids of all guests."""
        return [path.stem for path in sorted(self._folder.glob("*.json"))]

    def linked(self, uuid: str, peer_host: str) -> bool:
        """Return whether this host's guest reaches its twin on another host."""
        peer = self.peer(peer_host)
        cut = (self._folder / "link-down").exists() or (peer._folder / "link-down").exists()
        return not cut and peer.get(uuid) is not None

    def replication(self, uuid: str) -> pathlib.Path:
        """Return the file that holds the replication state of a guest's QEMU."""
        return self._folder / "colo" / uuid / "replication.json"
