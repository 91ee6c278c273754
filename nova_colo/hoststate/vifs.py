# SPDX-License-Identifier: Apache-2.0
"""How the network cards of FT servers are plugged in, as os-vif describes it.

nova-compute writes it down when it plugs in a server's cards. The agent of the secondary's host plugs in the twin's in the same
way, by the same os-vif plugins: Nova does not know that the twin is there.
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
    """Network cards could not be plugged in."""


def prepare() -> None:
    """Load os-vif's plugins. To be called once, before there are threads: os-vif knows nothing of those."""
    os_vif.initialize()


class VifStore:
    """The record of the FT servers that Nova runs on this host, below an agent's state_path."""

    def __init__(self, state_path: str):
        self._folder = pathlib.Path(state_path) / "wiring"

    def get(self, server_id: str) -> dict[str, Any] | None:
        """Return how a server's cards are plugged in, or None when nothing is known of it."""
        return json_file.read(self._folder / f"{server_id}.json")

    def put(self, server: Any, vifs: Sequence[Any]) -> None:
        """Write down how a server's cards are plugged in.

        :param server: os_vif's InstanceInfo
        :param vifs: os_vif's VIFBase of each card
        """
        record = {"server": server.obj_to_primitive(), "vifs": [vif.obj_to_primitive() for vif in vifs]}
        json_file.write(self._folder / f"{server.uuid}.json", record)

    def add(self, server: Any, vif: Any) -> None:
        """Write down a card that was attached.

        :param server: os_vif's InstanceInfo
        :param vif: os_vif's VIFBase
        """
        self.put(server, [*self._others(server.uuid, vif.id), vif])

    def remove(self, server_id: str, port_id: str) -> None:
        """Forget a card that was detached; no error when nothing was known of it."""
        if record := self.get(server_id):
            self.put(_read(record["server"]), self._others(server_id, port_id))

    def unplug_others(self, server_id: str, port_ids: Collection[str]) -> None:
        """Unplug the cards of a server that was plugged in here, but for those of some ports."""
        record = self.get(server_id) or {"vifs": []}
        if others := [vif for vif in record["vifs"] if vif["versioned_object.data"]["id"] not in port_ids]:
            unplug(record | {"vifs": others})

    def _others(self, server_id: str, port_id: str) -> list[Any]:
        return [vif for _, vif in _each(self.get(server_id)) if vif.id != port_id]

    def delete(self, server_id: str) -> None:
        """Forget a server; no error when nothing was known of it."""
        (self._folder / f"{server_id}.json").unlink(missing_ok=True)


def plug(record: Mapping[str, Any] | None) -> None:
    """Plug in the cards of a server's twin on this host. May be repeated.

    :param record: what the VifStore of the primary's host holds; None: nothing is to be plugged in
    :raises VifPlugError: when that cannot be done here
    """
    try:
        for server, vif in _each(record):
            os_vif.plug(vif, server)
    except Exception as error:  # os-vif's own, its plugins', or those of objects of another release
        raise VifPlugError(str(error)) from error


def unplug(record: Mapping[str, Any] | None) -> None:
    """Undo plug(). What cannot be undone is logged: the twin has ended all the same."""
    try:
        for server, vif in _each(record):
            os_vif.unplug(vif, server)
    except Exception:
        LOG.exception("Network cards stay plugged in.")


def _each(record: Mapping[str, Any] | None) -> Iterator[tuple[Any, Any]]:
    if not record:
        return
    server = _read(record["server"])
    for vif in record["vifs"]:
        yield server, _read(vif)


def _read(primitive: Mapping[str, Any]) -> Any:
    return objects.base.VersionedObject.obj_from_primitive(primitive)
