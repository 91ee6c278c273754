# SPDX-License-Identifier: Apache-2.0
"""Selection of a secondary's host, and the resources that it needs there."""

import dataclasses
from collections.abc import Collection, Mapping

from nova_colo.pair import reasons
from nova_colo.pair.reasons import Reason

#: COLO keeps a copy of the guest's RAM on the secondary's host, so a secondary needs the RAM twice.
RAM_FACTOR = 2


@dataclasses.dataclass(frozen=True)
class Size:
    """A flavor's resources. RAM in MiB, disk in GiB."""

    vcpus: int
    memory_mb: int
    disk_gb: int


def secondary_resources(size: Size) -> dict[str, int]:
    """Return the resource amounts of a secondary for Placement; classes with amount 0 are left out."""
    amounts = {"VCPU": size.vcpus, "MEMORY_MB": RAM_FACTOR * size.memory_mb, "DISK_GB": size.disk_gb}
    return {name: amount for name, amount in amounts.items() if amount}


def rank_hosts(
    candidates: Collection[str],
    primary_host: str,
    alive: Collection[str],
    secondaries: Mapping[str, int],
    preferred: str | None = None,
) -> list[str]:
    """Return the hosts that can take a secondary, best first.

    :param candidates: hosts with free capacity, from Placement
    :param alive: hosts whose agent answers
    :param secondaries: how many secondaries each host has already
    :param preferred: the host of this server's former secondary
    """
    usable = (set(candidates) & set(alive)) - {primary_host}
    return sorted(usable, key=lambda name: (name != preferred, secondaries.get(name, 0), name))


def required_traits(extra_specs: Mapping[str, str]) -> list[str]:
    """Return the traits that Placement must require of a secondary's host: the flavor's, and not disabled.

    :returns: trait names, forbidden ones with an exclamation mark before
    """
    signs = {"required": "", "forbidden": "!"}
    traits = [
        signs[value] + name.removeprefix("trait:")
        for name, value in extra_specs.items()
        if name.startswith("trait:") and value in signs
    ]
    return sorted({*traits, "!COMPUTE_STATUS_DISABLED"})


def no_host_reason(
    size: Size, candidates: Collection[str], primary_host: str, only: str | None = None
) -> Reason:
    """Return why no host was found.

    :param candidates: hosts with free capacity
    :param only: the requested host; None when any will do
    """
    memory_mb = RAM_FACTOR * size.memory_mb
    if only is not None:
        if only in candidates:
            return reasons.HOST_UNHEALTHY(host=only)
        return reasons.HOST_NO_CAPACITY(host=only, memory_mb=memory_mb)
    if set(candidates) - {primary_host}:
        return reasons.NO_HEALTHY_HOST()
    return reasons.NO_CAPACITY(memory_mb=memory_mb)
