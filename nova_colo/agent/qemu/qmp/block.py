# SPDX-License-Identifier: Apache-2.0
"""The block graph of a pair. (QEMU: docs/block-replication.txt)

The agent's nodes have names that begin with ``colo-``, so that they are found again by querying QEMU.

A primary's device writes to its disk as without a pair. A mirror job copies each write to the secondary's
disk before QEMU completes it. It never ends by itself; an error of the secondary's disk or of the network
pauses it, which is an event and can be queried. Errors of the primary's own disk reach its guest.

A secondary's device writes to a replication node, which keeps what was written since the last checkpoint
apart. Below it, a quorum with one child makes QEMU emit an event when the disk fails. When a secondary is
promoted, QEMU commits what was kept apart in a job that is not shown; until it has ended the disk's file
lacks data.

Pairs that an agent of an earlier release has created have quorums above the devices' disks instead of the
mirror and of the quorum below; they can be disconnected and flattened as well.
"""

import contextlib
import json
import pathlib
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from oslo_log import log as logging

from nova_colo.agent.qemu.domain_xml import Disk
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp.client import Guest, MonitorError
from nova_colo.agent.qemu.qmp.names import PREFIX
from nova_colo.agent.replication import ReplicationError
from nova_colo.hoststate import json_file
from nova_colo.pair import reasons

LOG = logging.getLogger(__name__)

QUORUM = {"driver": "quorum", "vote-threshold": 1, "read-pattern": "fifo"}
#: Name of the node that a device has for some milliseconds, before that of the disk's node.
_PLACEHOLDER = f"{PREFIX}hold-"


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


def make_overlays(disk: Disk, size: int, share: Callable[[str], None]) -> None:
    """Create the overlay files of a disk; any that exist are replaced.

    :param share: gives QEMU access to a file
    """
    remove_overlays([disk.path])
    for path in overlay_paths(disk.path):
        _image(["create", "-q", "-f", "qcow2", path, str(size)])
        share(path)


def remove_overlays(disk_paths: Iterable[str]) -> None:
    """Remove the overlay files of disks. What they hold is lost, or was committed."""
    for hidden, active in map(overlay_paths, disk_paths):
        for path in (active, hidden):
            if pathlib.Path(path).exists():
                pathlib.Path(path).unlink(missing_ok=True)
                json_file.sync_folder(pathlib.Path(path).parent)


def remove_files(disk_paths: Iterable[str], created: Iterable[str]) -> None:
    """Remove the disks and logs that were created for a replica that has ended.

    :param disk_paths: the files of its disks
    """
    disk_paths, created = list(disk_paths), list(created)
    logs = (pathlib.Path(path) for path in created if path not in disk_paths)
    rotated = [str(old) for log in logs for old in log.parent.glob(f"{log.name}.[0-9]*")]
    for path in (*rotated, *created):
        with contextlib.suppress(OSError):
            pathlib.Path(path).unlink(missing_ok=True)
            pathlib.Path(path).parent.rmdir()  # if it is empty


def build_secondary(guest: Guest, disks: Sequence[Disk], where: Endpoint) -> None:
    """Insert replication nodes under the devices of a secondary, and export its disks to the primary."""
    guest("nbd-server-start", {"addr": {"type": "inet", "data": where.inet}, **where.listens})
    for number, disk in enumerate(disks):
        below, replication = _target(number), f"{PREFIX}child{number}"
        guest("blockdev-add", {**QUORUM, "node-name": below, "children": [top_node(guest, disk)]})
        for kind, path in zip(("hidden", "active"), overlay_paths(disk.path), strict=True):
            node = f"{PREFIX}{kind}{number}"
            file = {"driver": "file", "filename": path}
            guest("blockdev-add", {"driver": "qcow2", "node-name": node, "file": file, "backing": below})
            below = node
        parts = {"driver": "replication", "mode": "secondary", "top-id": replication, "file": below}
        guest("blockdev-add", {**parts, "node-name": replication})
        guest("qom-set", {"path": disk.qom, "property": "drive", "value": replication})
        export = {
            "type": "nbd",
            "id": f"{PREFIX}export{number}",
            "node-name": _target(number),
            "name": f"disk{number}",
            "writable": True,
        }
        guest("block-export-add", export)


def stop_exports(guest: Guest) -> None:
    """Stop the export of a secondary's disks, before it is promoted."""
    with contextlib.suppress(MonitorError):  # no export is left
        guest("nbd-server-stop")


def is_flat(guest: Guest, disks: Sequence[Disk]) -> bool:
    """Return whether the devices of a guest write to their disks directly."""
    return not any(top_node(guest, disk).startswith(PREFIX) for disk in disks)


def is_interrupted(guest: Guest) -> bool:
    """Return whether flatten() has begun and not ended: a device may write to a placeholder."""
    return any(node.startswith(_PLACEHOLDER) for node in _nodes(guest))


def is_committed(guest: Guest, disks: Sequence[Disk]) -> bool:
    """Return whether a promoted secondary's disks hold all that its guest has written."""
    graph = _Graph(guest)
    return not any(
        child.startswith(f"{PREFIX}active") for disk in disks for child in graph.below(top_node(guest, disk))
    )


def flatten(guest: Guest, disks: Sequence[Disk]) -> None:
    """Make the devices of a stopped guest without a peer write to their disks directly again.

    What QEMU kept apart must be committed. May be repeated after an interruption at any point: the name of
    the placeholder tells the disk's node.
    """
    sizes_ = sizes(guest, disks)
    for number, (disk, size) in enumerate(zip(disks, sizes_, strict=True)):
        top = top_node(guest, disk)
        if not top.startswith(PREFIX):
            continue
        if top.startswith(_PLACEHOLDER):
            bottom = top.removeprefix(_PLACEHOLDER)
        else:
            bottom = next(node for node in _Graph(guest).below(top) if not _is_passed(node))
            null = {"driver": "null-co", "node-name": _PLACEHOLDER + bottom, "size": size}
            if null["node-name"] not in _nodes(guest):
                guest("blockdev-add", null | {"read-zeroes": True})
            guest("qom-set", {"path": disk.qom, "property": "drive", "value": null["node-name"]})
        present = _nodes(guest)
        for kind in ("disk", "child", "active", "hidden", "target"):  # QEMU refuses to delete a node in use
            if f"{PREFIX}{kind}{number}" in present:
                guest("blockdev-del", {"node-name": f"{PREFIX}{kind}{number}"})
        guest("qom-set", {"path": disk.qom, "property": "drive", "value": bottom})
        guest("blockdev-del", {"node-name": _PLACEHOLDER + bottom})


def commit_overlays(disk: str, kind: str) -> None:
    """Write what a disk's overlays hold to the disk, when no QEMU has it open. May be repeated.

    :param kind: raw or qcow2
    :raises ReplicationError: when that fails; nothing is lost
    """
    hidden, active = overlay_paths(disk)
    if not pathlib.Path(active).exists():  # the first file that is removed
        return
    chain: dict[str, Any] = {"driver": kind, "file": {"driver": "file", "filename": disk}}
    for path in (hidden, active):
        chain = {"driver": "qcow2", "file": {"driver": "file", "filename": path}, "backing": chain}
    # each commit writes to the image below
    _image(["commit", "-q", f"json:{json.dumps(chain)}"])
    _image(["commit", "-q", f"json:{json.dumps(chain['backing'])}"])


def has_failed(name: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event of a secondary's QEMU reports a failure of its disk or of an overlay.

    Other devices, such as one for read-only media, do not count.
    """
    match name:
        case "BLOCK_IO_ERROR":
            return data.get("node-name", "").startswith(PREFIX)
        case "QUORUM_FAILURE":
            return data["reference"].startswith(_target())
    return False


# --- the primary


def start_copies(guest: Guest, disks: Sequence[Disk], exports: Endpoint) -> None:
    """Start to copy the disks of a running guest to its secondary, and each write from then on.

    A job that ends while the guest writes corrupts QEMU's memory: mirror_run frees the bitmap that the write
    will change (block/mirror.c: active_write_settle). So no error ends a job: it pauses, which is an event
    and can be queried, and it is cancelled while the guest is stopped.
    """
    for number, disk in enumerate(disks):
        node, server = _remote(number), {"type": "inet", **exports.inet}
        export = {"driver": "nbd", "node-name": node, "server": server, "export": f"disk{number}"}
        guest("blockdev-add", export | exports.connects)
        mirror = {
            "job-id": node,
            "device": top_node(guest, disk),
            "target": node,
            "sync": "full",
            "copy-mode": "write-blocking",
            "on-source-error": "stop",
            "on-target-error": "stop",
            "filter-node-name": f"{PREFIX}mirror{number}",
        }
        guest("blockdev-mirror", mirror)


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


def copies_run(guest: Guest, count: int) -> bool:
    """Return whether each write is being copied to the secondary's disks."""
    try:
        return copy_progress(guest, count) is None
    except CopyError:
        return False


def copy_has_ended(name: str, data: Mapping[str, Any]) -> bool:
    """Return whether an event of a primary's QEMU reports that a copy to the secondary's disk has stopped.

    That is an error, or the replica was disconnected.
    """
    ends = ("BLOCK_JOB_ERROR", "BLOCK_JOB_CANCELLED", "BLOCK_JOB_COMPLETED")
    return name in ends and data["device"].startswith(_remote())


def has_remote(guest: Guest) -> bool:
    """Return whether a primary has nodes over its secondary's disks."""
    return any(node.startswith(_remote()) for node in _nodes(guest))


def detach_remote(guest: Guest) -> None:
    """End the copies of a stopped guest to the secondary's disks; no error when there are none."""
    for job in guest("query-block-jobs"):
        if job["device"].startswith(_remote()):
            with contextlib.suppress(MonitorError):  # it has just failed
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


def _target(number: int | str = "") -> str:
    """Return the name of a secondary's node over a disk that the primary writes to."""
    return f"{PREFIX}target{number}"


def _nodes(guest: Guest) -> list[str]:
    return [node["node-name"] for node in guest("query-named-block-nodes", {"flat": True})]


def _is_passed(node: str) -> bool:
    """Return whether a node is the agent's, or one that QEMU has inserted for a job of its own."""
    return node.startswith((PREFIX, "#"))


class _Graph:
    """The block graph of a guest, as of its creation."""

    def __init__(self, guest: Guest):
        graph = guest("x-debug-query-block-graph")
        names = {node["id"]: node["name"] for node in graph["nodes"]}
        self._edges = [(names[edge["parent"]], names[edge["child"]], edge["name"]) for edge in graph["edges"]]

    def children(self, parent: str) -> list[tuple[str, str]]:
        """Return the node and the name of each child of a node.

        QEMU does not return a child's name when the child is added.
        """
        return [(child, name) for above, child, name in self._edges if above == parent]

    def below(self, top: str) -> list[str]:
        """Return a node and those below it, down to libvirt's, nearest first."""
        found = [top]
        for node in found:
            if _is_passed(node):
                found += [child for child, _ in self.children(node) if child not in found]
        return found


def _remove_child(guest: Guest, parent: str, node: str) -> None:
    for child, name in _Graph(guest).children(parent):
        if child == node:
            guest("x-blockdev-change", {"parent": parent, "child": name})
