# SPDX-License-Identifier: Apache-2.0
"""The configuration of a real compute host: nova-compute's and the agent's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cloud.config import colo, nova
from lab.cloud.config.ini import Sections, render
from lab.cloud.spec import Spec

if TYPE_CHECKING:
    from lab.machines.host import Host

#: A host's copy of the engines' public keys.
ENGINE_KEYS = "engine-keys.pem"
#: Seconds between two runs of nova-compute's periodic tasks that stop or delete unknown guests and images.
PERIODIC_S = 12


def plugin_files() -> dict[str, str]:
    """Return the files of a distribution, for PYTHONPATH, with an entry point for our os-vif plugin."""
    folder = "colo_lab_vif-0.dist-info"
    metadata = "Metadata-Version: 2.1\nName: colo-lab-vif\nVersion: 0\n"
    # Nova has no VIF type for third-party plugins; "ivs" is one whose own plugin no longer exists
    return {
        f"{folder}/METADATA": metadata,
        f"{folder}/entry_points.txt": render({"os_vif": {"ivs": "lab.hosts.real.vif:FlatBridge"}}),
    }


def compute_conf(spec: Spec, name: str, machine: Host, *, emulated: bool) -> Sections:
    """Return the nova.conf of a host.

    :param machine: the host as a machine
    :param emulated: without KVM
    """
    stock = nova.compute_conf(
        spec, name, "colo.ColoLibvirtDriver" if spec.state.colo else "libvirt.LibvirtDriver", {}
    )
    privsep = {"helper_command": machine.helper_command}
    return {
        **stock,
        "DEFAULT": {
            **stock["DEFAULT"],
            "my_ip": machine.management_address,
            "state_path": machine.nova_path,
            "instances_path": machine.instances,
            "reserved_host_memory_mb": 512,
            "shutdown_timeout": 5,  # the guests of the lab's image do not support ACPI
            "sync_power_state_interval": PERIODIC_S,
            "running_deleted_instance_poll_interval": PERIODIC_S,
            "default_log_levels": "oslo_service.periodic_task=DEBUG",  # logs each run of a periodic task
        },
        # unused images are removed early
        "image_cache": {
            "manager_interval": PERIODIC_S,
            "remove_unused_original_minimum_age_seconds": PERIODIC_S,
        },
        "libvirt": {
            "virt_type": "qemu" if emulated else "kvm",
            "cpu_mode": "custom",
            "cpu_models": "qemu64",
            "hw_machine_type": "x86_64=pc",
            "mem_stats_period_seconds": 0,
            "live_migration_scheme": "tcp",
            "live_migration_inbound_addr": machine.address,
        },
        # an emulated CPU may differ from this machine's
        "workarounds": {
            **stock["workarounds"],
            "skip_cpu_compare_at_startup": emulated,
            "skip_cpu_compare_on_dest": emulated,
        },
        "compute": {"live_migration_wait_for_vif_plug": False},
        "nova_sys_admin": privsep,
        "privsep_osbrick": privsep,
        **({"colo": {"agent_state_path": machine.state_path}} if spec.state.colo else {}),
    }


def agent_conf(spec: Spec, name: str, machine: Host, runtime_directory: str) -> Sections:
    """Return the configuration of a host's agent.

    :param machine: the host as a machine
    :param runtime_directory: folder for QEMU's sockets, as a path inside the host
    """
    common = colo.agent_conf(spec, name)
    return {
        "DEFAULT": {**common["DEFAULT"], "state_path": machine.state_path},
        "agent": {
            **common["agent"],
            "replication_backend": "qemu",
            "engine_keys_file": spec.layout.etc / "hosts" / name / ENGINE_KEYS,
        },
        "qemu": {
            "instances_path": machine.instances,
            "replication_address": machine.address,
            "runtime_directory": runtime_directory,
            # more frequent than in a cloud, so that they can be observed
            "checkpoint_delay": 2000 if spec.state.short_intervals else 5000,
            **colo.limits("qemu"),
        },
        "nova_colo_privileged": {"helper_command": machine.helper_command},
    }
