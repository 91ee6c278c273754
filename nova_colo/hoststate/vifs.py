# SPDX-License-Identifier: Apache-2.0
"""Records of how the VIFs of FT servers are plugged, as os-vif objects.

nova-compute records it when it plugs a server's VIFs. The agent of the secondary's host plugs the secondary's
VIFs in the same way, by the same os-vif plugins, since Nova does not know that the secondary exists. If Nova
fails before it plugs a promoted secondary's VIFs, that host's agent records them.
"""

import pathlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import os_vif
from os_vif import objects
from oslo_log import log as logging

from nova_colo.hoststate import json_file

LOG = logging.getLogger(__name__)


class VifPlugError(Exception):
    """VIFs could not be plugged."""


def prepare() -> None:
    """Load os-vif's plugins. Must be called once, before threads are started: os-vif is not thread-safe."""
    os_vif.initialize()


class VifStore:
    """The VIFs of the FT servers that Nova runs on this host, below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "wiring"

    def get(self, server_id: str) -> dict[str, Any] | None:
        """Return how a server's VIFs are plugged, or None when that is not recorded."""
        return json_file.read(self._file(server_id))

    def put(self, server: Any, vifs: Sequence[Any]) -> None:
        """Record how a server's VIFs are plugged.

        :param server: os_vif's InstanceInfo
        :param vifs: os_vif's VIFBase of each
        """
        record = {"server": server.obj_to_primitive(), "vifs": [vif.obj_to_primitive() for vif in vifs]}
        json_file.write(self._file(server.uuid), record)

    def take_over(self, server_id: str, record: Mapping[str, Any] | None) -> None:
        """Record the VIFs of a promoted secondary, unless nova-compute has done so.

        :param record: as plug() was given it; None for no VIFs
        """
        if record and self.get(server_id) is None:
            json_file.write(self._file(server_id), dict(record))

    def add(self, server: Any, vif: Any) -> None:
        """Record a VIF that was attached.

        :param server: os_vif's InstanceInfo
        :param vif: os_vif's VIFBase
        """
        self.put(server, [*self._others(server.uuid, vif.id), vif])

    def remove(self, server_id: str, port_id: str) -> None:
        """Delete the record of a VIF that was detached; no error when there is none."""
        if record := self.get(server_id):
            self.put(_read(record["server"]), self._others(server_id, port_id))

    def unplug_others(self, server_id: str, port_ids: Collection[str]) -> None:
        """Unplug the recorded VIFs of a server, except those of the given ports."""
        record = self.get(server_id) or {"vifs": []}
        if others := [vif for vif in record["vifs"] if vif["versioned_object.data"]["id"] not in port_ids]:
            unplug(record | {"vifs": others})

    def _file(self, server_id: str) -> pathlib.Path:
        return self._folder / f"{server_id}.json"

    def _others(self, server_id: str, port_id: str) -> list[Any]:
        return [vif for _, vif in _each(self.get(server_id)) if vif.id != port_id]

    def delete(self, server_id: str) -> None:
        """Delete the record of a server; no error when there is none."""
        self._file(server_id).unlink(missing_ok=True)


def plug(record: Mapping[str, Any] | None) -> None:
    """Plug the VIFs of a secondary on this host. May be repeated.

    :param record: as VifStore.get() returned it on the primary's host; None for no VIFs
    :raises VifPlugError: when a VIF cannot be plugged on this host
    """
    try:
        for server, vif in _each(record):
            os_vif.plug(vif, server)
    except Exception as error:  # of os-vif, of its plugins, or of objects of another release
        raise VifPlugError(str(error)) from error


def unplug(record: Mapping[str, Any] | None) -> None:
    """Unplug the VIFs that plug() has plugged. Errors are logged only: the secondary has ended anyway."""
    try:
        for server, vif in _each(record):
            os_vif.unplug(vif, server)
    except Exception:
        LOG.exception("Failed to unplug VIFs.")


def _each(record: Mapping[str, Any] | None) -> Iterator[tuple[Any, Any]]:
    if not record:
        return
    server = _read(record["server"])
    for vif in record["vifs"]:
        yield server, _read(vif)


def _read(primitive: Mapping[str, Any]) -> Any:
    return objects.base.VersionedObject.obj_from_primitive(primitive)
