# SPDX-License-Identifier: Apache-2.0
"""Names of the objects that the agent creates in a QEMU.

Each is ``colo-``, a kind and a number, so that the agent finds its objects again by querying QEMU.
"""

PREFIX = "colo-"
#: Kinds of the sockets to the peer, one of each per NIC: a primary has the first two, a secondary the last
#: two.
PEER_SOCKETS = ("mirror", "answers", "in", "out")


def kind(name: str) -> str:
    """Return the kind of one of the agent's objects from its name; an empty string for any other object."""
    return name.removeprefix(PREFIX).rstrip("0123456789") if name.startswith(PREFIX) else ""
