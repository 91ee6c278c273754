# SPDX-License-Identifier: Apache-2.0
"""Choose the TCP ports of a lab: the defaults, or the next free ones."""

import socket
from collections.abc import Callable, Iterable, Mapping

# All below 32768, where Linux's range for outgoing connections begins.
DEFAULTS: dict[str, int] = {
    "keystone": 15000,
    "placement": 18778,
    "glance": 19292,
    "neutron": 19696,
    "nova-api": 18774,
    "horizon": 18080,
    "rabbitmq": 15672,
    "rabbitmq-distribution": 15673,
    "epmd": 15674,
}
SEARCHED = 400


def is_free(port: int) -> bool:
    """Return whether no process listens on ``port`` of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(
    kept: Mapping[str, int], in_use_by_us: Iterable[str] = (), free: Callable[[int], bool] = is_free
) -> dict[str, int]:
    """Return a port for every service.

    :param kept: the ports of an earlier run; they are reused unless another process has taken them
    :param in_use_by_us: services that run now, and therefore use their ports
    :param free: returns whether a port is free
    :raises OSError: no free port was found
    """
    ours = set(in_use_by_us)
    chosen = {name: port for name, port in kept.items() if name in DEFAULTS and (name in ours or free(port))}
    for name, default in DEFAULTS.items():
        if name in chosen:
            continue
        for port in range(default, default + SEARCHED):
            if port not in chosen.values() and free(port):
                chosen[name] = port
                break
        else:
            raise OSError(f"no free port between {default} and {default + SEARCHED} for {name}")
    return chosen
