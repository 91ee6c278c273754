# SPDX-License-Identifier: Apache-2.0
"""How what is ours in a QEMU is named, so that it is found again by looking: ``colo-``, what it is, and a number."""

PREFIX = "colo-"
#: What the sockets to the other replica are: a primary's two and a secondary's two, for each network card.
FAR = ("mirror", "answers", "in", "out")


def kind(name: str) -> str:
    """Return what something of ours is, by its name without the number; an empty string for what is not ours."""
    return name.removeprefix(PREFIX).rstrip("0123456789") if name.startswith(PREFIX) else ""
