# SPDX-License-Identifier: Apache-2.0
"""The block graph of a pair when disks fill up, and when a QEMU ends during the commit after a promotion.

Two QEMUs without a guest; qemu-io reads and writes what their devices would.
"""

import json
import pathlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from nova_colo.agent.qemu.domain_xml import Disk
from nova_colo.agent.qemu.endpoint import Endpoint
from nova_colo.agent.qemu.qmp import block
from nova_colo.agent.qemu.qmp.client import MonitorError
from nova_colo.pair import reasons
from tests.fixtures.cloud import wait_for

MIB = 1 << 20
SIZE = 64 * MIB


class Machine:
    """A QEMU with one disk and no guest, and its monitor.

    :param incoming: it waits for a migration, as a secondary does
    """

    def __init__(self, folder: pathlib.Path, disk: pathlib.Path, incoming: bool, throttled: bool = False):
        self.disk = Disk("vda", "/machine/peripheral/disk0/virtio-backend", str(disk), "raw")
        self.events: list[dict[str, Any]] = []
        self._folder = folder
        self.server: str | None = None  # what its NBD server exports
        (folder / "qmp").unlink(missing_ok=True)
        node = {"driver": "raw", "node-name": "libvirt-1-format", "discard": "unmap"}
        file: dict[str, Any] = {"driver": "file", "filename": str(disk), "discard": "unmap"}
        group = ["-object", f"throttle-group,id=slow,x-bps-write={20 * MIB}"]
        if throttled:
            file = {"driver": "throttle", "throttle-group": "slow", "file": file}
        self._process = subprocess.Popen(
            [
                *("qemu-system-x86_64", "-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S"),
                *("-qmp", f"unix:{folder}/qmp,server=on,wait=off", *group),
                *("-blockdev", json.dumps(node | {"file": file})),
                *("-device", "virtio-blk-pci,id=disk0,drive=libvirt-1-format,share-rw=on"),
                *(("-incoming", "defer") if incoming else ()),
            ]
        )
        self._socket = socket.socket(socket.AF_UNIX)
        wait_for("QEMU's monitor", 20, lambda: self._socket.connect_ex(f"{folder}/qmp") == 0)
        self._stream = self._socket.makefile("rw")
        self._stream.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, arguments: dict[str, Any] | None = None) -> Any:
        request = {"execute": command} | ({"arguments": arguments} if arguments else {})
        self._stream.write(json.dumps(request) + "\n")
        self._stream.flush()
        while True:
            message = json.loads(self._stream.readline())
            if "event" in message:
                self.events.append(message)
            elif "error" in message:
                text = message["error"]["desc"]
                raise MonitorError(reasons.QEMU_REFUSED(command=command, text=text))
            else:
                return message["return"]

    def nodes(self) -> list[str]:
        """Return the names of its block nodes."""
        return [node["node-name"] for node in self("query-named-block-nodes")]

    def saw(self, wanted: Callable[[str, dict[str, Any]], bool]) -> bool:
        """Return whether an event that is wanted has arrived."""
        self("query-status")
        return any(wanted(event["event"], event.get("data", {})) for event in self.events)

    def io(self, *commands: str) -> str:
        """Carry out commands of qemu-io on what the device writes to, and return what it says."""
        try:
            return qemu_io(self.export(), *commands)
        finally:
            self.unexport()

    def export(self) -> str:
        """Export what the device writes to, and return its address."""
        if self.server is None:
            self.server = f"nbd+unix:///test?socket={self._folder}/nbd"
            address = {"type": "unix", "data": {"path": f"{self._folder}/nbd"}}
            self("nbd-server-start", {"addr": address})
        export = {"type": "nbd", "id": "test", "node-name": block.top_node(self, self.disk), "name": "test"}
        self("block-export-add", export | {"writable": True})
        return self.server

    def unexport(self) -> None:
        """End the export."""
        self("block-export-del", {"id": "test", "mode": "hard"})

    def kill(self) -> None:
        """Kill it, as a power cut does."""
        self._process.kill()
        self._process.wait(20)
        self._socket.close()


def qemu_io(image: str, *commands: str) -> str:
    options = [option for command in commands for option in ("-c", command)]
    done = subprocess.run(
        ["qemu-io", "-f", "raw", *options, image], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


class Pair:
    """A primary's and a secondary's QEMU, connected as in a pair that is in sync.

    :ivar full: a file system of 4 MiB
    """

    def __init__(self, folder: pathlib.Path, full: pathlib.Path):
        self.full = full
        self._folder = folder
        self.primary: Machine
        self.secondary: Machine

    def start(self, on_full: str, throttled: bool = False, as_before: bool = False) -> None:
        """Start both, with equal disks full of 0x11 if they are large enough.

        :param on_full: what is on the file system that is too small: own, disk, hidden, active or nothing
        :param as_before: build their graphs as an earlier release did
        """
        paths = []
        for name in ("own", "disk"):
            (self._folder / name).mkdir()
            paths.append((self.full if on_full == name else self._folder / name) / name)
            with paths[-1].open("wb") as file:
                file.truncate(SIZE)
            if on_full not in ("own", "disk"):
                qemu_io(str(paths[-1]), f"write -P 0x11 0 {SIZE}")
        self.primary = Machine(self._folder / "own", paths[0], incoming=False)
        self.secondary = Machine(self._folder / "disk", paths[1], incoming=True, throttled=throttled)
        block.make_overlays(self.secondary.disk, SIZE, lambda path: None)
        overlays = [pathlib.Path(path) for path in block.overlay_paths(str(paths[1]))]
        for kind, overlay in zip(("hidden", "active"), overlays, strict=True):
            if kind == on_full:
                (self.full / kind).write_bytes(overlay.read_bytes())
                overlay.unlink()
                overlay.symlink_to(self.full / kind)
        exports = Endpoint("127.0.0.1", free_port(), False)
        if as_before:
            build_as_before(self)
            self._activate()
        else:
            block.build_secondary(self.secondary, [self.secondary.disk], exports)
            self.secondary.server = f"nbd://127.0.0.1:{exports.port}/test"
            self._activate()
            block.start_copies(self.primary, [self.primary.disk], exports)
            wait_for("a copy", 60, lambda: block.copies_run(self.primary, 1))
        self.secondary("xen-set-replication", {"enable": True, "primary": False})

    def _activate(self) -> None:
        """Activate the secondary's devices, by a migration of nothing."""
        state = self._folder / "state"
        for machine, command, uri in (
            (self.primary, "migrate", f"exec:cat > {state}"),
            (self.secondary, "migrate-incoming", f"exec:cat {state}"),
        ):
            machine(command, {"uri": uri})
            wait_for(command, 60, lambda m=machine: m("query-migrate").get("status") == "completed")
            machine("cont")
            machine("stop")

    def promote(self) -> None:
        """Promote the secondary."""
        block.stop_exports(self.secondary)
        self.secondary.server = None
        self.secondary("xen-set-replication", {"enable": False, "primary": False, "failover": True})

    def kill(self) -> None:
        """Kill both."""
        for machine in (getattr(self, "primary", None), getattr(self, "secondary", None)):
            if machine is not None:
                machine.kill()


def build_as_before(pair: Pair) -> None:
    """Connect two QEMUs as the releases did that put a quorum over the disk of each."""
    primary, secondary = pair.primary, pair.secondary
    quorum = {"driver": "quorum", "vote-threshold": 1, "read-pattern": "fifo", "node-name": "colo-disk0"}
    below = "libvirt-1-format"
    for kind, path in zip(("hidden", "active"), block.overlay_paths(secondary.disk.path), strict=True):
        file = {"driver": "file", "filename": path}
        overlay = {"driver": "qcow2", "node-name": f"colo-{kind}0", "file": file, "backing": below}
        secondary("blockdev-add", overlay)
        below = f"colo-{kind}0"
    child = {"driver": "replication", "mode": "secondary", "top-id": "colo-disk0", "file": below}
    secondary("blockdev-add", child | {"node-name": "colo-child0"})
    secondary("blockdev-add", quorum | {"children": ["colo-child0"]})
    secondary("qom-set", {"path": secondary.disk.qom, "property": "drive", "value": "colo-disk0"})
    port = free_port()
    secondary.server = f"nbd://127.0.0.1:{port}/test"
    address = {"host": "127.0.0.1", "port": str(port)}
    secondary("nbd-server-start", {"addr": {"type": "inet", "data": address}})
    export = {"type": "nbd", "id": "colo-export0", "node-name": "libvirt-1-format", "name": "disk0"}
    secondary("block-export-add", export | {"writable": True})

    server = {"type": "inet", **address}
    placeholder = {"driver": "null-co", "node-name": "colo-placeholder0", "size": SIZE}
    primary(
        "blockdev-add", {"driver": "nbd", "node-name": "colo-remote0", "server": server, "export": "disk0"}
    )
    primary("blockdev-add", placeholder)
    primary("blockdev-add", quorum | {"children": ["colo-placeholder0"]})
    primary("qom-set", {"path": primary.disk.qom, "property": "drive", "value": "colo-disk0"})
    primary("x-blockdev-change", {"parent": "colo-disk0", "node": "libvirt-1-format"})
    primary("x-blockdev-change", {"parent": "colo-disk0", "child": "children.0"})
    primary("blockdev-del", {"node-name": "colo-placeholder0"})
    primary("x-blockdev-change", {"parent": "colo-disk0", "node": "colo-remote0"})


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@pytest.fixture
def pair(tmp_path: pathlib.Path) -> Iterator[Pair]:
    full = tmp_path / "full"
    full.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", full], check=True)
    pair = Pair(tmp_path, full)
    yield pair
    pair.kill()
    subprocess.run(["umount", full], check=True)


def test_each_write_is_on_both_disks(pair: Pair):
    pair.start("nothing")
    assert "wrote" in pair.primary.io("write -P 0x77 0 16M", "flush")
    pair.kill()
    assert "read 16777216/16777216" in qemu_io(pair.secondary.disk.path, "read -P 0x77 0 16M")
    assert "read 16777216/16777216" in qemu_io(pair.primary.disk.path, "read -P 0x77 0 16M")


def test_an_error_of_the_primarys_own_disk_reaches_its_guest(pair: Pair):
    pair.start("own")
    assert "No space left on device" in pair.primary.io("write -P 0x77 0 16M")
    assert block.copies_run(pair.primary, 1), "the copy to the secondary has ended"


@pytest.mark.parametrize("what", ["disk", "hidden"])
def test_a_write_that_does_not_reach_the_secondary_ends_the_copy_and_not_the_guest(pair: Pair, what: str):
    pair.start(what)
    assert "wrote" in pair.primary.io("write -P 0x77 0 16M", "flush")
    assert "Pattern" not in pair.primary.io("read -P 0x77 0 16M")
    assert pair.primary.saw(block.copy_has_ended)
    wait_for("the end of the copy", 10, lambda: not block.copies_run(pair.primary, 1))
    assert pair.secondary.saw(block.has_failed) == (what == "disk")
    block.detach_remote(pair.primary)
    wait_for("no node of the pair", 10, lambda: block.remove_remote(pair.primary))
    assert block.is_flat(pair.primary, [pair.primary.disk])


def test_a_primary_that_writes_survives_the_losses_of_its_secondary(tmp_path: pathlib.Path):
    """Bits of the first blocks are at the beginning of what QEMU would free too early: malloc notices."""
    for name in ("own", "other"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(SIZE)
    primary = Machine(tmp_path, tmp_path / "own", incoming=False, throttled=True)  # writes take their time
    exports = Endpoint("127.0.0.1", free_port(), False)
    secondary = ["qemu-nbd", "-p", str(exports.port), "-x", "disk0", "-f", "raw", str(tmp_path / "other")]
    writes = [f"aio_write -P 0x{number % 255:x} {number % 64 * 64}k 64k" for number in range(500)]
    try:
        for _ in range(5):
            with subprocess.Popen(secondary) as server, ThreadPoolExecutor(1) as pool:
                wait_for("qemu-nbd", 20, lambda: socket.socket().connect_ex(("127.0.0.1", exports.port)) == 0)
                block.start_copies(primary, [primary.disk], exports)
                wait_for("a copy", 60, lambda: block.copies_run(primary, 1))
                writing = pool.submit(qemu_io, primary.export(), *writes, "aio_flush")
                wait_for("a write", 30, lambda: primary("query-block-jobs")[0]["len"] > SIZE)
                server.kill()
                said = writing.result(60)
            assert "failed" not in said and said.count("wrote ") == len(writes), said[-1000:]
            assert primary.saw(block.copy_has_ended)
            primary.unexport()
            block.detach_remote(primary)
            wait_for("no node of the pair", 10, lambda: block.remove_remote(primary))
            assert block.is_flat(primary, [primary.disk])
    finally:
        primary.kill()


def test_a_promoted_secondary_is_complete_when_its_graph_is_plain(pair: Pair):
    pair.start("nothing")
    secondary = pair.secondary
    assert "wrote" in secondary.io("write -P 0x88 32M 16M", "flush")
    pair.promote()
    wait_for("the commit", 60, lambda: block.is_committed(secondary, [secondary.disk]))
    block.flatten(secondary, [secondary.disk])
    assert block.top_node(secondary, secondary.disk) == "libvirt-1-format"
    assert [name for name in secondary.nodes() if name.startswith("colo-")] == []
    assert "wrote" in secondary.io("write -P 0x99 8M 1M", "flush")
    pair.kill()
    seen = qemu_io(secondary.disk.path, "read -P 0x88 32M 16M", "read -P 0x99 8M 1M")
    assert "Pattern" not in seen and seen.count("read ") == 2, seen


def test_flattening_can_be_repeated_after_an_interruption_at_any_command(pair: Pair):
    pair.start("nothing")
    secondary = pair.secondary
    pair.promote()
    wait_for("the commit", 60, lambda: block.is_committed(secondary, [secondary.disk]))
    total = 0

    class InterruptedCallError(Exception):
        pass

    def interrupted_after(count: int) -> Callable[..., Any]:
        done = iter(range(count))

        def call(command: str, arguments: dict[str, Any] | None = None) -> Any:
            if not command.startswith(("query", "x-debug")) and next(done, None) is None:
                raise InterruptedCallError
            return secondary(command, arguments)

        return call

    while not block.is_flat(secondary, [secondary.disk]):
        try:  # one command more each time
            block.flatten(interrupted_after(1), [secondary.disk])
        except InterruptedCallError:
            total += 1
    assert total >= 6
    assert block.top_node(secondary, secondary.disk) == "libvirt-1-format"


def test_a_pair_that_an_earlier_release_has_made_is_taken_apart(pair: Pair):
    pair.start("nothing", as_before=True)
    primary, secondary = pair.primary, pair.secondary
    assert "wrote" in primary.io("write -P 0x77 0 1M", "flush")
    assert "wrote" in secondary.io("write -P 0x88 32M 16M", "flush")
    pair.promote()
    block.detach_remote(primary)
    wait_for("no node of the secondary", 10, lambda: block.remove_remote(primary))
    wait_for("the commit", 60, lambda: block.is_committed(secondary, [secondary.disk]))
    for machine in (primary, secondary):
        block.flatten(machine, [machine.disk])
        assert block.top_node(machine, machine.disk) == "libvirt-1-format"
        assert "wrote" in machine.io("write -P 0x99 8M 1M", "flush")
        assert [name for name in machine.nodes() if name.startswith("colo-")] == []
    pair.kill()
    # the secondary is as it was at the last checkpoint, and has what it has written since
    for machine, *reads in (
        (primary, "read -P 0x77 0 1M", "read -P 0x11 32M 16M"),
        (secondary, "read -P 0x11 0 1M", "read -P 0x88 32M 16M"),
    ):
        seen = qemu_io(machine.disk.path, "read -P 0x99 8M 1M", *reads)
        assert "Pattern" not in seen and seen.count("read ") == 3, seen


@pytest.mark.parametrize("kind", ["killed", "ended"])
def test_a_qemu_that_ends_during_the_commit_loses_nothing(pair: Pair, kind: str):
    pair.start("nothing", throttled=True)
    secondary = pair.secondary
    assert "wrote" in secondary.io("write -P 0x88 0 48M", "flush")
    pair.promote()
    assert "wrote" in secondary.io("write -P 0x99 60M 1M", "flush")
    assert not block.is_committed(secondary, [secondary.disk]), "the commit was too quick for this test"
    if kind == "ended":
        secondary("quit")
    pair.kill()
    wanted = ("read -P 0x88 0 48M", "read -P 0x99 60M 1M", "read -P 0x11 48M 12M")
    assert "Pattern" in qemu_io(secondary.disk.path, *wanted), "the disk was complete without its overlays"
    block.commit_overlays(secondary.disk.path, "raw")
    block.commit_overlays(secondary.disk.path, "raw")  # it may be repeated
    assert "Pattern" not in qemu_io(secondary.disk.path, *wanted)
    block.remove_overlays([secondary.disk.path])
    block.commit_overlays(secondary.disk.path, "raw")
    assert "Pattern" not in qemu_io(secondary.disk.path, *wanted)
