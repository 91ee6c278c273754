# SPDX-License-Identifier: Apache-2.0
"""A client of a server that shows interruptions on the terminal."""

import sys
import time

from lab.cloud.lab import Lab
from lab.cloud.seed import connect
from lab.core.errors import LabError, RefusalError
from lab.machines.client import Stats

#: Seconds between two updates of the line.
INTERVAL = 0.5


def watch(lab: Lab, name: str) -> int:
    """Count on a server until interrupted, and show the statistics.

    :param name: name of the server, in any project
    :returns: the exit code: 1 if the connection or a count was lost
    """
    client = lab.testbed().client
    address = _address(lab, name)
    client.wait_for_answer(address)
    print(f"counting on {name} at {address} over one connection; stop with Ctrl-C")
    with client.count(address, "d") as counting:
        try:
            while (stats := counting.stats()).error is None:
                print(f"\r{_line(stats)}", end="", flush=True)
                time.sleep(INTERVAL)
        except KeyboardInterrupt:
            pass
    stats = counting.stats()
    print(f"\r{_line(stats)}")
    if stats.error is not None or not stats.contiguous:
        print(f"lost: {stats.error or 'a count is missing'}", file=sys.stderr)
        return 1
    return 0


def _line(stats: Stats) -> str:
    return (
        f"answers {stats.answers:>7}  no answer for {stats.gap_s:6.2f} s  longest {stats.max_gap_s:6.2f} s  "
        f"median {stats.p50_ms:5.1f} ms"
    )


def _address(lab: Lab, name: str) -> str:
    cloud = connect(lab.spec())
    servers = list(cloud.compute.servers(name=f"^{name}$", all_projects=True))
    if not servers:
        raise RefusalError(f"there is no server {name}")
    addresses = [address["addr"] for network in servers[0].addresses.values() for address in network]
    if not addresses:
        raise LabError(f"the server {name} has no address")
    return addresses[0]
