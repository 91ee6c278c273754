# SPDX-License-Identifier: Apache-2.0
"""Eligibility of servers for fault tolerance: the features that exclude it, and their remedies."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oslo_utils import strutils

#: Resource classes that stand for hardware of one host.
_HARDWARE = re.compile(
    r"(VGPU|PGPU|FPGA|PCI_DEVICE|SRIOV_NET_VF|PCPU|MEM_ENCRYPTION_CONTEXT|NUMA_.*|IPV4_ADDRESS|NET_.*)",
    re.ASCII,
)
_RESOURCE = re.compile(r"resources[a-zA-Z0-9_-]{0,64}:(.+)", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Port:
    """A Neutron port of a server.

    :param guaranteed: whether it requests resources from Placement, such as guaranteed bandwidth
    :param device_profile: the device profile of its accelerator
    """

    id: str
    vnic_type: str = "normal"
    guaranteed: bool = False
    device_profile: str | None = None


@dataclasses.dataclass(frozen=True)
class Server:
    """The relevant properties of a server that exists or is to be created.

    :param extra_specs: the extra specs of its flavor
    :param image: the properties of its image
    :param boots_from: the volume it boots from; None when it boots from an image
    :param volumes: other volumes
    :param ports: its ports, as far as the request names them
    :param shares: shared file systems
    """

    extra_specs: Mapping[str, str]
    image: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    boots_from: str | None = None
    volumes: tuple[str, ...] = ()
    ports: tuple[Port, ...] = ()
    shares: tuple[str, ...] = ()


def problems(server: Server) -> list[str]:
    """Return all problems that exclude a server from fault tolerance, each with its remedy."""
    return [*_volumes(server), *_ports(server), *_specs(server.extra_specs), *_image(server.image)]


def _volumes(server: Server) -> Iterator[str]:
    if server.boots_from is not None:
        yield f"It boots from {server.boots_from}, and volumes are not replicated. Boot it from an image."
    if server.volumes:
        yield f"It has {' and '.join(server.volumes)}, and volumes are not replicated. Leave them out."
    if server.shares:
        yield (
            f"It has the shares {', '.join(server.shares)}, which its other host has not mounted. "
            "Detach them."
        )


def _ports(server: Server) -> Iterator[str]:
    for port in server.ports:
        if port.vnic_type != "normal":
            yield (
                f"Port {port.id} is of the type {port.vnic_type}: its traffic passes by the hypervisor, "
                "which cannot compare it. Use a port of the type normal."
            )
        if port.guaranteed:
            yield (
                f"Port {port.id} has guaranteed resources, which its other host has not. "
                "Take its QoS policy off."
            )
        if port.device_profile and port.vnic_type == "normal":
            yield f"Port {port.id} has the device profile {port.device_profile}. Use a port without one."


@dataclasses.dataclass(frozen=True)
class _Feature:
    """A key of extra specs or image properties that requests a feature which a secondary cannot have.

    :param flavor: the key in a flavor's extra specs, as a pattern
    :param image: the key in an image's properties, as a pattern; empty when images cannot request it
    :param what: the feature, as the end of a sentence with "asks for"
    :param asks: whether a value requests the feature
    """

    flavor: str
    image: str
    what: str
    asks: Callable[[str], bool] = lambda value: True


def _is_true(value: str) -> bool:
    return strutils.bool_from_string(value)


_FEATURES = (
    _Feature(r"pci_passthrough:alias", "", "PCI devices of its host"),
    _Feature(r"accel:device_profile", "", "accelerators of its host"),
    _Feature(
        r"hw:tpm_(version|model)", r"hw_tpm_(version|model)", "a virtual TPM, whose state is not replicated"
    ),
    _Feature(
        r"hw:mem_encryption", r"hw_mem_encryption", "encrypted memory, which cannot be replicated", _is_true
    ),
    _Feature(r"hw:ephemeral_encryption", r"hw_ephemeral_encryption", "encrypted local disks", _is_true),
    _Feature(r"hw:pmem", "", "persistent memory of its host"),
    _Feature(r"hw:numa_(nodes|cpus\..+|mem\..+)", r"hw_numa_(nodes|cpus\..+|mem\..+)", "a NUMA topology"),
    _Feature(r"hw:mem_page_size", r"hw_mem_page_size", "memory pages of a size of their own"),
    _Feature(
        r"hw:cpu_policy", r"hw_cpu_policy", "dedicated CPUs", lambda value: value in ("dedicated", "mixed")
    ),
    _Feature(r"hw:cpu_dedicated_mask", "", "dedicated CPUs"),
    _Feature(r"hw:cpu_realtime", "", "realtime CPUs", _is_true),
)


def _specs(extra_specs: Mapping[str, str]) -> Iterator[str]:
    for key, value in sorted(extra_specs.items()):
        resource = _RESOURCE.fullmatch(key)
        if resource and _HARDWARE.fullmatch(resource[1]) and str(value) != "0":
            yield (
                f"Its flavor asks for {resource[1]} ({key}), which its other host has not. "
                f"Take {key} off the flavor."
            )
        for feature in _FEATURES:
            if re.fullmatch(feature.flavor, key) and feature.asks(str(value)):
                yield f"Its flavor asks for {feature.what} ({key}={value}). Take {key} off the flavor."


def _image(image: Mapping[str, Any]) -> Iterator[str]:
    for key, value in sorted(image.items()):
        for feature in _FEATURES:
            if feature.image and re.fullmatch(feature.image, key) and feature.asks(str(value)):
                yield f"Its image asks for {feature.what} ({key}={value}). Use an image without {key}."
