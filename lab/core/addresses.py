# SPDX-License-Identifier: Apache-2.0
"""Addresses that several parts of the lab share."""

LOOPBACK = "127.0.0.1"
#: Last number of this machine's address in a management network.
OWN = 254


def management(network: int, number: int) -> str:
    """Return an address in a management network, which connects this machine and a lab's real hosts.

    :param network: number of the network, 0 to 255
    """
    return f"10.79.{network}.{number}"
