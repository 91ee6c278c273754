# SPDX-License-Identifier: Apache-2.0
"""The network filters of a pair. (QEMU: docs/COLO-FT.txt, docs/colo-proxy.txt)

The agent's objects have ids that begin with ``colo-``.

A primary's incoming packets are mirrored to the secondary. The replies of both are compared, and go out when
they are the same, or at the next checkpoint. A secondary's replies go to the primary only, until it is
promoted.
"""

import contextlib
from collections.abc import Iterable, Sequence
from typing import Any

from nova_colo.agent.qemu.domain_xml import Nic
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import PEER_SOCKETS, PREFIX, kind

IOTHREAD = f"{PREFIX}iothread"
#: Seconds between a secondary's attempts to connect to a primary that does not listen yet.
RECONNECT_S = 1
#: Microseconds for which egress is blocked: a bit more than an hour, the largest value that QEMU accepts.
HOLD_US = 2**32 - 1


#: Where a primary listens for its secondary, for each NIC: for the mirrored packets, and for the secondary's
#: replies.
Listening = Sequence[tuple[Endpoint, Endpoint]]


def _vnet(nic: Nic) -> dict[str, Any]:
    return {"vnet_hdr_support": True} if nic.vnet_hdr else {}


def _socket(guest: Guest, name: str, address: dict[str, Any], *, server: bool, **more: Any) -> None:
    data = {"addr": address, "server": server, **more} | ({"wait": False} if server else {})
    guest("chardev-add", {"id": name, "backend": {"type": "socket", "data": data}})


def _listen(guest: Guest, name: str, where: Endpoint) -> None:
    _socket(guest, name, {"type": "inet", "data": where.inet}, server=True, **where.listens)


def _connect(guest: Guest, name: str, where: Endpoint) -> None:
    _socket(
        guest,
        name,
        {"type": "inet", "data": where.inet},
        server=False,
        reconnect=RECONNECT_S,
        **where.connects,
    )


# --- the secondary


def connect_secondary(guest: Guest, nics: Sequence[Nic], primary: Listening) -> None:
    """Make a secondary's NICs receive the primary's packets, and reply to the primary only."""
    for number, (nic, (mirror, replies)) in enumerate(zip(nics, primary, strict=True)):
        _connect(guest, f"{PREFIX}in{number}", mirror)
        _connect(guest, f"{PREFIX}out{number}", replies)
        common = {"netdev": nic.netdev, **_vnet(nic)}
        redirector = {"qom-type": "filter-redirector", **common}
        guest(
            "object-add",
            {**redirector, "id": f"{PREFIX}from{number}", "queue": "tx", "indev": f"{PREFIX}in{number}"},
        )
        guest(
            "object-add",
            {**redirector, "id": f"{PREFIX}to{number}", "queue": "rx", "outdev": f"{PREFIX}out{number}"},
        )
        guest(
            "object-add",
            {"qom-type": "filter-rewriter", "id": f"{PREFIX}rewriter{number}", "queue": "all", **common},
        )


def discard_replies(guest: Guest, nics: Sequence[Nic], on: bool) -> None:
    """Discard a secondary's replies, or send them to the primary again.

    When they are discarded, the primary's replies wait for the next checkpoint. The filter that redirects
    them to the primary stays: without it, they would go out to the network.
    """
    if not on:
        _remove_objects(guest, ("discards",))
        _remove_chardevs(guest, [name for name in _chardevs(guest) if kind(name) == "nowhere"])
        return
    there = _objects(guest)
    for number, nic in enumerate(nics):
        name, nowhere = f"{PREFIX}discards{number}", f"{PREFIX}nowhere{number}"
        if name in there:
            continue
        guest("chardev-add", {"id": nowhere, "backend": {"type": "null", "data": {}}})
        # outgoing packets pass the filters from the last to the first: rewriter, this one, redirector to the
        # primary
        place = {"insert": "behind", "position": f"id={PREFIX}to{number}"}
        redirector = {
            "qom-type": "filter-redirector",
            "id": name,
            "netdev": nic.netdev,
            "queue": "rx",
            "outdev": nowhere,
        }
        guest("object-add", {**redirector, **place, **_vnet(nic)})


def remove_secondary_filters(guest: Guest) -> None:
    """Remove the filters of a promoted secondary, so that its NICs send to the network.

    The rewriters stay for connections that were opened before.
    """
    _remove_objects(guest, ("discards", "to", "from"))
    _remove_chardevs(guest, _chardevs(guest))


# --- the primary


def listen(guest: Guest, where: Listening, folder: str) -> None:
    """Listen for the secondary.

    :param folder: for the sockets that connect this QEMU with itself
    """
    for number, (mirror, replies) in enumerate(where):
        _listen(guest, f"{PREFIX}mirror{number}", mirror)
        _listen(guest, f"{PREFIX}answers{number}", replies)
        for inner in ("own", "agreed"):
            path = {"type": "unix", "data": {"path": f"{folder}/{inner}{number}"}}
            _socket(guest, f"{PREFIX}{inner}{number}", path, server=True)
            _socket(guest, f"{PREFIX}{inner}{number}-end", path, server=False)


def compare(guest: Guest, nics: Sequence[Nic]) -> None:
    """Hold a primary's replies back until the secondary has sent the same.

    The NIC of a former secondary has a rewriter, which comes after the comparison. Its number need not be
    that of the NIC: others may have been attached and detached since.
    """
    guest("object-add", {"qom-type": "iothread", "id": IOTHREAD})
    rewriters = {_netdev(guest, name): name for name in _objects(guest) if kind(name) == "rewriter"}
    for number, nic in enumerate(nics):
        rewriter = rewriters.get(nic.netdev)
        place = {"insert": "before", "position": f"id={rewriter}"} if rewriter else {}
        common = {"netdev": nic.netdev, **place, **_vnet(nic)}
        mirror = {"qom-type": "filter-mirror", "queue": "tx", "outdev": f"{PREFIX}mirror{number}"}
        guest("object-add", {**mirror, "id": f"{PREFIX}mirrors{number}", **common})
        redirector = {"qom-type": "filter-redirector", "queue": "rx", **common}
        guest(
            "object-add", {**redirector, "id": f"{PREFIX}agrees{number}", "indev": f"{PREFIX}agreed{number}"}
        )
        guest(
            "object-add", {**redirector, "id": f"{PREFIX}answers{number}", "outdev": f"{PREFIX}own{number}"}
        )
        ends = {"primary_in": f"{PREFIX}own{number}-end", "secondary_in": f"{PREFIX}answers{number}"}
        out = {"outdev": f"{PREFIX}agreed{number}-end", "iothread": IOTHREAD}
        guest(
            "object-add",
            {"qom-type": "colo-compare", "id": f"{PREFIX}compare{number}", **ends, **out, **_vnet(nic)},
        )


def block_egress(guest: Guest, on: bool) -> None:
    """Block or unblock egress of a primary's NICs.

    This includes packets that are not compared, such as ARP replies.
    """
    there = _objects(guest)
    for name in sorted(name for name in there if on and kind(name) == "agrees"):
        held = f"{PREFIX}held{name.removeprefix(f'{PREFIX}agrees')}"
        if held not in there:
            netdev = _netdev(guest, name)
            # outgoing packets pass the head last, so this also holds packets that are being compared right
            # now
            buffer = {
                "qom-type": "filter-buffer",
                "netdev": netdev,
                "queue": "rx",
                "position": "head",
                "interval": HOLD_US,
            }
            guest("object-add", {**buffer, "id": held})
    if not on:
        _remove_objects(guest, ("held",))


def remove_primary_filters(guest: Guest) -> None:
    """Remove a primary's filters, which releases the packets that they hold; no error when there are none."""
    _remove_objects(guest, ("held", "compare", "iothread", "mirrors", "agrees", "answers"))


def stop_listening(guest: Guest) -> None:
    """Stop listening for a secondary."""
    _remove_chardevs(guest, _chardevs(guest))


def announce(guest: Guest) -> None:
    """Announce the guest's addresses on its networks."""
    guest("announce-self", {"initial": 50, "max": 550, "rounds": 5, "step": 100})


def connections(guest: Guest) -> dict[str, bool]:
    """Return whether each of a replica's sockets to its peer is connected, by name."""
    to_peer = (chardev for chardev in guest("query-chardev") if kind(chardev["label"]) in PEER_SOCKETS)
    return {
        chardev["label"].removeprefix(PREFIX): not chardev["filename"].startswith("disconnected:")
        for chardev in to_peer
    }


# --- both


def _objects(guest: Guest) -> set[str]:
    return {
        entry["name"] for entry in guest("qom-list", {"path": "/objects"}) if entry["name"].startswith(PREFIX)
    }


def _netdev(guest: Guest, name: str) -> str:
    """Return the backend of the NIC that a filter belongs to."""
    return guest("qom-get", {"path": f"/objects/{name}", "property": "netdev"})


def _chardevs(guest: Guest) -> list[str]:
    return [chardev["label"] for chardev in guest("query-chardev") if chardev["label"].startswith(PREFIX)]


def _remove_objects(guest: Guest, kinds: Iterable[str]) -> None:
    """Remove objects, in the order of their kinds."""
    there = _objects(guest)
    for wanted in kinds:
        for name in sorted(there):
            if kind(name) == wanted:
                with contextlib.suppress(MonitorError):
                    guest("object-del", {"id": name})


def _remove_chardevs(guest: Guest, names: Iterable[str]) -> None:
    # clients before the servers that they are connected to
    for name in sorted(names, key=lambda name: not name.endswith("-end")):
        with contextlib.suppress(MonitorError):
            guest("chardev-remove", {"id": name})
