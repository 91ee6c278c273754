# SPDX-License-Identifier: Apache-2.0
"""Eligibility of servers for fault tolerance: the features that exclude it, and their remedies."""

import dataclasses
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from oslo_utils import strutils

from nova_colo.pair.reason import Group, Kind, Reason, kind

_G = Group.PART
VOLUME = kind(_G, "volume", "volume %(volume)s", own="volume")
SNAPSHOT_VOLUME = kind(_G, "snapshot_volume", "a volume of snapshot %(snapshot)s", own="snapshot")
NEW_VOLUME = kind(_G, "new_volume", "a new volume")
ROOT_VOLUME = kind(_G, "root_volume", "a volume")

_G = Group.INELIGIBLE
BOOTS_FROM_VOLUME = kind(
    _G,
    "boots_from_volume",
    "It boots from %(volume)s, and volumes are not replicated. Boot it from an image.",
)
HAS_VOLUME = kind(
    _G, "has_volume", "It has %(volume)s, and volumes are not replicated. Omit or detach the volume."
)
HAS_SHARES = kind(
    _G,
    "has_shares",
    "It has the shares %(shares)s, which its other host has not mounted. Detach them.",
    own="shares",
)
PORT_NOT_NORMAL = kind(
    _G,
    "port_not_normal",
    "Port %(port)s is of the type %(type)s: its traffic passes by the hypervisor, which cannot compare it. "
    "Use a port of the type normal.",
    own="port type",
)
PORT_GUARANTEED = kind(
    _G,
    "port_guaranteed",
    "Port %(port)s has guaranteed resources, which its other host does not provide. Remove its QoS policy.",
    own="port",
)
PORT_DEVICE_PROFILE = kind(
    _G,
    "port_device_profile",
    "Port %(port)s has the device profile %(profile)s. Use a port without one.",
    own="port profile",
)
FLAVOR_RESOURCE = kind(
    _G,
    "flavor_resource",
    "Its flavor requests %(resource)s (%(key)s), which its other host does not provide. Remove %(key)s from "
    "the flavor.",
    own="resource key",
)
FLAVOR_FEATURE = kind(
    _G,
    "flavor_feature",
    "Its flavor requests %(feature)s (%(key)s=%(value)s). Remove %(key)s from the flavor.",
    own="key value",
)
IMAGE_FEATURE = kind(
    _G,
    "image_feature",
    "Its image requests %(feature)s (%(key)s=%(value)s). Use an image without %(key)s.",
    own="key value",
)
OTHER_FLAVOR = kind(_G, "other_flavor", "Or use a flavor without ft:enabled.")

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
    :param boots_from: the name of the volume it boots from; None when it boots from an image
    :param volumes: names of other volumes
    :param ports: its ports, as far as the request names them
    :param shares: shared file systems
    """

    extra_specs: Mapping[str, str]
    image: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    boots_from: Reason | None = None
    volumes: tuple[Reason, ...] = ()
    ports: tuple[Port, ...] = ()
    shares: tuple[str, ...] = ()


def problems(server: Server) -> list[Reason]:
    """Return all problems that exclude a server from fault tolerance, each with its remedy."""
    return [*_volumes(server), *_ports(server), *_specs(server.extra_specs), *_image(server.image)]


def _volumes(server: Server) -> Iterator[Reason]:
    if server.boots_from is not None:
        yield BOOTS_FROM_VOLUME(volume=server.boots_from)
    for volume in server.volumes:
        yield HAS_VOLUME(volume=volume)
    if server.shares:
        yield HAS_SHARES(shares=server.shares)


def _ports(server: Server) -> Iterator[Reason]:
    for port in server.ports:
        if port.vnic_type != "normal":
            yield PORT_NOT_NORMAL(port=port.id, type=port.vnic_type)
        if port.guaranteed:
            yield PORT_GUARANTEED(port=port.id)
        if port.device_profile and port.vnic_type == "normal":
            yield PORT_DEVICE_PROFILE(port=port.id, profile=port.device_profile)


@dataclasses.dataclass(frozen=True)
class _Feature:
    """A key of extra specs or image properties that requests a feature which a secondary cannot have.

    :param flavor: the key in a flavor's extra specs, as a pattern
    :param image: the key in an image's properties, as a pattern; empty when images cannot request it
    :param kind: the feature, as the end of a sentence with "requests"
    :param asks: whether a value requests the feature
    """

    flavor: str
    image: str
    kind: Kind
    asks: Callable[[str], bool] = lambda value: True


def _is_true(value: str) -> bool:
    return strutils.bool_from_string(value)


def _feature(code: str, text: str) -> Kind:
    return kind(Group.PART, f"feature_{code}", text)


_PCI = _feature("pci", "PCI devices of its host")
_ACCELERATORS = _feature("accelerators", "accelerators of its host")
_TPM = _feature("tpm", "a virtual TPM, whose state is not replicated")
_ENCRYPTED_MEMORY = _feature("encrypted_memory", "encrypted memory, which cannot be replicated")
_ENCRYPTED_DISKS = _feature("encrypted_disks", "encrypted local disks")
_PERSISTENT_MEMORY = _feature("persistent_memory", "persistent memory of its host")
_NUMA = _feature("numa", "a NUMA topology")
_PAGE_SIZE = _feature("page_size", "memory pages of a size of their own")
_DEDICATED_CPUS = _feature("dedicated_cpus", "dedicated CPUs")
_REALTIME_CPUS = _feature("realtime_cpus", "realtime CPUs")

_FEATURES = (
    _Feature(r"pci_passthrough:alias", "", _PCI),
    _Feature(r"accel:device_profile", "", _ACCELERATORS),
    _Feature(r"hw:tpm_(version|model)", r"hw_tpm_(version|model)", _TPM),
    _Feature(r"hw:mem_encryption", r"hw_mem_encryption", _ENCRYPTED_MEMORY, _is_true),
    _Feature(r"hw:ephemeral_encryption", r"hw_ephemeral_encryption", _ENCRYPTED_DISKS, _is_true),
    _Feature(r"hw:pmem", "", _PERSISTENT_MEMORY),
    _Feature(r"hw:numa_(nodes|cpus\..+|mem\..+)", r"hw_numa_(nodes|cpus\..+|mem\..+)", _NUMA),
    _Feature(r"hw:mem_page_size", r"hw_mem_page_size", _PAGE_SIZE),
    _Feature(
        r"hw:cpu_policy", r"hw_cpu_policy", _DEDICATED_CPUS, lambda value: value in ("dedicated", "mixed")
    ),
    _Feature(r"hw:cpu_dedicated_mask", "", _DEDICATED_CPUS),
    _Feature(r"hw:cpu_realtime", "", _REALTIME_CPUS, _is_true),
)


def _specs(extra_specs: Mapping[str, str]) -> Iterator[Reason]:
    for key, value in sorted(extra_specs.items()):
        resource = _RESOURCE.fullmatch(key)
        if resource and _HARDWARE.fullmatch(resource[1]) and str(value) != "0":
            yield FLAVOR_RESOURCE(resource=resource[1], key=key)
        for feature in _FEATURES:
            if re.fullmatch(feature.flavor, key) and feature.asks(str(value)):
                yield FLAVOR_FEATURE(feature=feature.kind(), key=key, value=str(value))


def _image(image: Mapping[str, Any]) -> Iterator[Reason]:
    for key, value in sorted(image.items()):
        for feature in _FEATURES:
            if feature.image and re.fullmatch(feature.image, key) and feature.asks(str(value)):
                yield IMAGE_FEATURE(feature=feature.kind(), key=key, value=str(value))
