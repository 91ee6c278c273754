# SPDX-License-Identifier: Apache-2.0
"""Who speaks for a guest: the frames with its address that each host sends into the guests' network."""

import subprocess
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from lab.machines import Host
from tests.fixtures.cloud import wait_for

#: Seconds until a capture has begun.
BEGIN_S = 20.0


class Capture:
    """A capture on the switch for as long as it is open.

    :param machines: the hosts by their names
    :param mac: of the guest's network card
    :param folder: for what is captured
    """

    def __init__(self, machines: Mapping[str, Host], mac: str, folder: Path):
        self._said = {name: folder / f"{name}.txt" for name in machines}
        self._running = {
            name: subprocess.Popen(
                machine.guest_network.tcpdump("ether", "src", mac),
                stdout=self._said[name].open("w"),
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
        """Return what a host has sent so far, one line for each frame."""
        return self._said[host].read_text().splitlines()

    def speakers(self) -> set[str]:
        """Return the hosts that have sent anything."""
        return {host for host in self._said if self.frames(host)}

    def spoke(self, host: str) -> tuple[float, float]:
        """Return when a host has sent the first frame, and when the last: seconds since the epoch."""
        frames = self.frames(host)
        assert frames, f"{host} has sent nothing"
        return float(frames[0].split()[0]), float(frames[-1].split()[0])
