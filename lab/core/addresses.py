# SPDX-License-Identifier: Apache-2.0
"""Addresses that several parts must agree on."""

LOOPBACK = "127.0.0.1"
#: The last number of this machine's own address in a management network.
OWN = 254


def management(network: int, number: int) -> str:
    """Return an address in a management network, which only this machine and a lab's real hosts are in.

    :param network: one of 256
    """
    return f"10.79.{network}.{number}"
