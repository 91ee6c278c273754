# SPDX-License-Identifier: Apache-2.0
"""The block graph of a pair. (QEMU: docs/block-replication.txt)

The agent's nodes have names that begin with ``colo-``, so that they are found again by querying QEMU.

A primary's device writes to a quorum over its own disk and, by the network, the secondary's. A secondary's
device writes to a quorum over a replication node, which keeps what was written since the last checkpoint
apart.
"""

import contextlib
import itertools
import json
import os
import pathlib
import subprocess
from collections.abc import Iterable, Sequence
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu.domain_xml import Disk
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import PREFIX
from nova_colo.agent.replication import ReplicationError
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

QUORUM = {"driver": "quorum", "vote-threshold": 1, "read-pattern": "fifo"}


class CopyError(ReplicationError):
    """The copy of a disk to the secondary's host has failed."""

    def __init__(self) -> None:
        super().__init__(reasons.COPY_FAILED())


def sizes(guest: Guest, disks: Sequence[Disk]) -> list[int]:
    """Return the virtual sizes of disks, in bytes."""
    return [_inserted(guest, disk)["image"]["virtual-size"] for disk in disks]


def _inserted(guest: Guest, disk: Disk) -> dict[str, Any]:
    for entry in guest("query-block"):
        # QEMU names a device by its id if it has one of its own, else by its path
        if entry.get("qdev") in (disk.qom, disk.qom.rpartition("/")[2]) and "inserted" in entry:
            return entry["inserted"]
    raise ReplicationError(reasons.DISK_NOT_SHOWN(disk=disk.target, path=disk.qom))


def top_node(guest: Guest, disk: Disk) -> str:
    """Return the node that a disk's device writes to."""
    return _inserted(guest, disk)["node-name"]


def make_file(path: str, kind: str, size: int) -> bool:
    """Create the file of a secondary's disk, unless one of the right size exists.

    :param kind: raw or qcow2
    :param size: virtual size in bytes
    :returns: whether it was created
    :raises ReplicationError: when a file of another size exists; it is never overwritten
    """
    file = pathlib.Path(path)
    if file.exists():
        actual = _virtual_size(path, kind)
        if actual != size:
            LOG.error("%s exists already, with %d bytes instead of %d.", path, actual, size)
            raise ReplicationError(reasons.DISK_IN_THE_WAY(found=actual, wanted=size))
        return False
    file.parent.mkdir(parents=True, exist_ok=True)
    _image(["create", "-q", "-f", kind, path, str(size)])
    return True


def _virtual_size(path: str, kind: str) -> int:
    return json.loads(_image(["info", "-U", "--output=json", "-f", kind, path]))["virtual-size"]


def _image(arguments: list[str]) -> str:
    done = subprocess.run(["qemu-img", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = done.stderr.strip().splitlines()
        raise ReplicationError(reasons.IMAGE_TOOL_FAILED(text=errors[-1] if errors else "failed"))
    return done.stdout


# --- the secondary


def overlay_paths(disk_path: str) -> tuple[str, str]:
    """Return the files that hold what was written to a disk since the last checkpoint."""
    return f"{disk_path}.colo-hidden", f"{disk_path}.colo-active"


def make_overlays(disk: Disk, size: int, owner: tuple[int, int] | None) -> None:
    """Create the overlay files of a disk anew."""
    for path in overlay_paths(disk.path):
        pathlib.Path(path).unlink(missing_ok=True)
        _image(["create", "-q", "-f", "qcow2", path, str(size)])
        if owner:
            os.chown(path, *owner)


def remove_files(disk_paths: Iterable[str], created: Iterable[str]) -> None:
    """Remove the overlays of a replica that has ended, and the disks and logs that were created for it."""
    disk_paths, created = list(disk_paths), list(created)
    logs = (pathlib.Path(path) for path in created if path not in disk_paths)
    rotated = [str(old) for log in logs for old in log.parent.glob(f"{log.name}.[0-9]*")]
    for path in (*itertools.chain.from_iterable(map(overlay_paths, disk_paths)), *rotated, *created):
        with contextlib.suppress(OSError):
            pathlib.Path(path).unlink(missing_ok=True)
            pathlib.Path(path).parent.rmdir()  # if it is empty


def build_secondary(guest: Guest, disks: Sequence[Disk], where: Endpoint) -> None:
    """Insert replication nodes under the devices of a secondary, and export its disks to the primary."""
    guest("nbd-server-start", {"addr": {"type": "inet", "data": where.inet}, **where.listens})
    for number, disk in enumerate(disks):
        bottom = top_node(guest, disk)
        below = bottom
        for kind, path in zip(("hidden", "active"), overlay_paths(disk.path), strict=True):
            node = f"{PREFIX}{kind}{number}"
            file = {"driver": "file", "filename": path}
            guest("blockdev-add", {"driver": "qcow2", "node-name": node, "file": file, "backing": below})
            below = node
        child = f"{PREFIX}child{number}"
        quorum = f"{PREFIX}disk{number}"
        replication = {"driver": "replication", "mode": "secondary", "top-id": quorum, "file": below}
        guest("blockdev-add", {**replication, "node-name": child})
        guest("blockdev-add", {**QUORUM, "node-name": quorum, "children": [child]})
        guest("qom-set", {"path": disk.qom, "property": "drive", "value": quorum})
        export = {
            "type": "nbd",
            "id": f"{PREFIX}export{number}",
            "node-name": bottom,
            "name": f"disk{number}",
            "writable": True,
        }
        guest("block-export-add", export)


def stop_exports(guest: Guest) -> None:
    """Stop the export of a secondary's disks, before it is promoted."""
    with contextlib.suppress(MonitorError):  # no export is left
        guest("nbd-server-stop")


# --- the primary


def needs_quorum(guest: Guest, disks: Sequence[Disk]) -> bool:
    """Return whether any device of a primary writes to its disk without a quorum."""
    return any(not top_node(guest, disk).startswith(PREFIX) for disk in disks)


def insert_quorums(guest: Guest, disks: Sequence[Disk]) -> None:
    """Insert a quorum over each disk of a stopped guest.

    QEMU refuses a quorum over a node that a device still writes to: it is built over a placeholder, which is
    then exchanged.
    """
    for number, (disk, size) in enumerate(zip(disks, sizes(guest, disks), strict=True)):
        bottom = top_node(guest, disk)
        if bottom.startswith(PREFIX):
            continue
        placeholder, quorum = f"{PREFIX}placeholder{number}", f"{PREFIX}disk{number}"
        guest(
            "blockdev-add", {"driver": "null-co", "node-name": placeholder, "size": size, "read-zeroes": True}
        )
        guest("blockdev-add", {**QUORUM, "node-name": quorum, "children": [placeholder]})
        guest("qom-set", {"path": disk.qom, "property": "drive", "value": quorum})
        guest("x-blockdev-change", {"parent": quorum, "node": bottom})
        guest("x-blockdev-change", {"parent": quorum, "child": "children.0"})
        guest("blockdev-del", {"node-name": placeholder})


def remove_quorums(guest: Guest, disks: Sequence[Disk]) -> None:
    """Make the devices of a stopped guest write to their disks directly again.

    A former secondary keeps its nodes.
    """
    for number, (disk, size) in enumerate(zip(disks, sizes(guest, disks), strict=True)):
        quorum, placeholder = f"{PREFIX}disk{number}", f"{PREFIX}placeholder{number}"
        bottoms = [node for node, _ in _children(guest, quorum) if not node.startswith(PREFIX)]
        if top_node(guest, disk) != quorum or len(bottoms) != 1:
            continue
        guest(
            "blockdev-add", {"driver": "null-co", "node-name": placeholder, "size": size, "read-zeroes": True}
        )
        guest("x-blockdev-change", {"parent": quorum, "node": placeholder})
        _remove_child(guest, quorum, bottoms[0])
        guest("qom-set", {"path": disk.qom, "property": "drive", "value": bottoms[0]})
        guest("blockdev-del", {"node-name": quorum})
        guest("blockdev-del", {"node-name": placeholder})


def start_copies(guest: Guest, count: int, exports: Endpoint) -> None:
    """Start to copy the disks of a running guest to its secondary."""
    for number in range(count):
        node, server = _remote(number), {"type": "inet", **exports.inet}
        export = {"driver": "nbd", "node-name": node, "server": server, "export": f"disk{number}"}
        guest("blockdev-add", export | exports.connects)
        guest(
            "blockdev-mirror",
            {"job-id": node, "device": f"{PREFIX}disk{number}", "target": node, "sync": "full"},
        )


def copy_progress(guest: Guest, count: int) -> float | None:
    """Return the fraction of the disks that has been copied, from 0 to 1; None when both copies are equal.

    :raises CopyError: when a copy has failed
    """
    jobs = {job["device"]: job for job in guest("query-block-jobs")}
    mine = [jobs.get(_remote(number)) for number in range(count)]
    if any(job is None or job["io-status"] != "ok" for job in mine):
        raise CopyError
    if all(job["ready"] for job in mine if job):
        return None
    return sum(job["offset"] for job in mine if job) / max(sum(job["len"] for job in mine if job), 1)


def finish_copies(guest: Guest) -> bool:
    """End the copies of a stopped guest. Return whether they have ended, which leaves both disks equal."""
    jobs = [job for job in guest("query-block-jobs") if job["device"].startswith(_remote())]
    for job in jobs:
        if job["status"] == "ready":
            guest("block-job-cancel", {"device": job["device"]})
    return not jobs


def attach_remote(guest: Guest, count: int) -> None:
    """Add the secondary's disks to the quorums of a stopped guest.

    QEMU's documents put a replication node in between. It refuses writes until COLO has begun, so that the
    guest would be paused while its memory is sent; apart from that it passes writes on unchanged.
    """
    for number in range(count):
        guest("x-blockdev-change", {"parent": f"{PREFIX}disk{number}", "node": _remote(number)})


def detach_remote(guest: Guest) -> None:
    """Remove the secondary's disks from a primary's quorums; no error when they are not there."""
    for job in guest("query-block-jobs"):
        if job["device"].startswith(_remote()):
            guest("block-job-cancel", {"device": job["device"], "force": True})
    for node in _nodes(guest):
        if node.startswith(f"{PREFIX}disk"):
            _remove_child(guest, node, _remote(node.removeprefix(f"{PREFIX}disk")))


def remove_remote(guest: Guest) -> bool:
    """Remove a primary's nodes over its secondary's disks. Return whether none is left."""
    left = False
    for node in _nodes(guest):
        if node.startswith(_remote()):
            try:
                guest("blockdev-del", {"node-name": node})
            except MonitorError:
                left = True  # in use until the copy job has ended
    return not left


def _remote(number: int | str = "") -> str:
    """Return the name of a primary's node over a disk of its secondary, and of the job that copies to it."""
    return f"{PREFIX}remote{number}"


def _nodes(guest: Guest) -> list[str]:
    return [node["node-name"] for node in guest("query-named-block-nodes", {"flat": True})]


def _children(guest: Guest, parent: str) -> list[tuple[str, str]]:
    """Return the node and the name of each child of a node.

    QEMU does not return a child's name when the child is added.
    """
    graph = guest("x-debug-query-block-graph")
    names = {node["id"]: node["name"] for node in graph["nodes"]}
    edges = [edge for edge in graph["edges"] if names[edge["parent"]] == parent]
    return [(names[edge["child"]], edge["name"]) for edge in edges]


def _remove_child(guest: Guest, parent: str, node: str) -> None:
    for child, name in _children(guest, parent):
        if child == node:
            guest("x-blockdev-change", {"parent": parent, "child": name})
