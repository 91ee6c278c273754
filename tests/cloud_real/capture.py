# SPDX-License-Identifier: Apache-2.0
"""Capture which hosts send for a guest: frames with its MAC address in the guests' network."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from lab.machines import Host
from tests.fixtures.cloud import wait_for

#: Seconds until a capture has started.
BEGIN_S = 20.0


class Capture:
    """Context in which frames are captured on the switch.

    :param machines: the hosts by name
    :param mac: of the guest's NIC
    :param folder: where the captures are written
    """

    def __init__(self, machines: Mapping[str, Host], mac: str, folder: Path):
        self._files = {name: folder / f"{name}.txt" for name in machines}
        self._running = {
            name: subprocess.Popen(
                machine.guest_network.tcpdump("ether", "src", mac),
                stdout=self._files[name].open("w"),
                stderr=(folder / f"{name}.log").open("w"),
            )
            for name, machine in machines.items()
        }
        for name in machines:
            log = folder / f"{name}.log"
            wait_for(
                f"the capture of {name} has begun", BEGIN_S, lambda log=log: "listening on" in log.read_text()
            )

    def __enter__(self) -> "Capture":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in self._running.values():
            process.terminate()
            process.wait()

    def frames(self, host: str) -> list[str]:
        """Return the frames that a host has sent so far, one line each."""
        return self._files[host].read_text().splitlines()

    def senders(self) -> set[str]:
        """Return the hosts that have sent any frame."""
        return {host for host in self._files if self.frames(host)}

    def first_and_last(self, host: str) -> tuple[float, float]:
        """Return the times of a host's first and last frame, in seconds since the epoch."""
        frames = self.frames(host)
        assert frames, f"{host} has sent nothing"
        return float(frames[0].split()[0]), float(frames[-1].split()[0])
