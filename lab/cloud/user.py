# SPDX-License-Identifier: Apache-2.0
"""A user of a server, whose line on the terminal shows whether a failover was noticed."""

import sys
import time

from lab.cloud.lab import Lab
from lab.cloud.seed import connect
from lab.core.errors import LabError, RefusalError
from lab.machines.client import Stats

#: Seconds between two looks.
INTERVAL = 0.5


def watch(lab: Lab, name: str) -> int:
    """Count on a server until that is interrupted, and show how it goes.

    :param name: of the server, in any project
    :returns: an exit code: 1 when the connection was lost, or a count was
    """
    client = lab.rack().client
    address = _address(lab, name)
    client.wait_for_answer(address)
    print(f"counting on {name} at {address}, over one connection; end it with Ctrl-C")
    with client.count(address, "d") as counting:
        try:
            while (seen := counting.stats()).error is None:
                print(f"\r{_line(seen)}", end="", flush=True)
                time.sleep(INTERVAL)
        except KeyboardInterrupt:
            pass
    seen = counting.stats()
    print(f"\r{_line(seen)}")
    if seen.error is not None or not seen.contiguous:
        print(f"lost: {seen.error or 'a count is missing'}", file=sys.stderr)
        return 1
    return 0


def _line(seen: Stats) -> str:
    return (
        f"answers {seen.answers:>7}  no answer for {seen.gap_s:6.2f} s  longest {seen.max_gap_s:6.2f} s  "
        f"median {seen.p50_ms:5.1f} ms"
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
