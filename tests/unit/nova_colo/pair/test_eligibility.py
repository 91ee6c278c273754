# SPDX-License-Identifier: Apache-2.0
"""Reasons why a server cannot be fault tolerant."""

import pytest

from nova_colo.pair.eligibility import NEW_VOLUME, SNAPSHOT_VOLUME, VOLUME, Port, Server, problems

FT = {"ft:enabled": "true"}


def test_an_ordinary_server_has_no_problem():
    ordinary = Server(
        extra_specs=FT
        | {
            "hw:cpu_policy": "shared",
            "hw:mem_encryption": "false",
            "resources:VGPU": "0",
            "resources:CUSTOM_A": "1",
        },
        image={"hw_disk_bus": "virtio", "hw_cpu_policy": "shared", "hw_mem_encryption": False},
        ports=(Port("p"),),
    )
    assert problems(ordinary) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pci_passthrough:alias", "gpu:1"),
        ("accel:device_profile", "fpga"),
        ("hw:tpm_version", "2.0"),
        ("hw:tpm_model", "tpm-crb"),
        ("hw:mem_encryption", "True"),
        ("hw:ephemeral_encryption", "true"),
        ("hw:pmem", "6GB"),
        ("hw:numa_nodes", "1"),
        ("hw:numa_cpus.0", "0-1"),
        ("hw:mem_page_size", "small"),
        ("hw:cpu_policy", "mixed"),
        ("hw:cpu_dedicated_mask", "^0"),
        ("hw:cpu_realtime", "yes"),
        ("resources:VGPU", "1"),
        ("resources1:PCPU", "2"),
        ("resources_NIC:SRIOV_NET_VF", "1"),
    ],
)
def test_a_flavor_is_told_which_of_its_keys_to_take_off(key, value):
    (problem,) = problems(Server(extra_specs=FT | {key: value}))
    assert f"Remove {key} from the flavor." in str(problem)


@pytest.mark.parametrize(
    "key",
    [
        "hw_tpm_version",
        "hw_tpm_model",
        "hw_mem_encryption",
        "hw_numa_nodes",
        "hw_numa_mem.1",
        "hw_mem_page_size",
    ],
)
def test_an_image_is_told_which_of_its_properties_not_to_have(key):
    (problem,) = problems(Server(extra_specs=FT, image={key: "1"}))
    assert f"Use an image without {key}." in str(problem)


@pytest.mark.parametrize(
    ("server", "named"),
    [
        (Server(FT, boots_from=VOLUME(volume="v")), "boots from volume v"),
        (Server(FT, volumes=(NEW_VOLUME(),)), "It has a new volume"),
        (Server(FT, volumes=(SNAPSHOT_VOLUME(snapshot="v"),)), "a volume of snapshot v"),
        (Server(FT, shares=("s",)), "shares s"),
        (Server(FT, ports=(Port("p", "direct"),)), "Port p is of the type direct"),
        (Server(FT, ports=(Port("p", "accelerator-direct", device_profile="d"),)), "accelerator-direct"),
        (Server(FT, ports=(Port("p", guaranteed=True),)), "Port p has guaranteed resources"),
        (Server(FT, ports=(Port("p", device_profile="d"),)), "device profile d"),
    ],
)
def test_devices_are_named(server, named):
    (problem,) = problems(server)
    assert named in str(problem)
