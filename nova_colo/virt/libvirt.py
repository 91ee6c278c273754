# SPDX-License-Identifier: Apache-2.0
"""Nova's libvirt driver with support for pairs.

Secondaries are run by the agent, and adopted here when promoted.
"""

from typing import Any

import nova.conf
from nova import exception, objects
from nova.network import os_vif_util
from nova.virt.libvirt import blockinfo
from nova.virt.libvirt import driver as libvirt_driver
from nova.virt.libvirt import vif as libvirt_vif

from nova_colo.emulator_options import without_disabled_flag
from nova_colo.hoststate import disk_info
from nova_colo.hoststate.vifs import VifStore
from nova_colo.pair.model import Role, is_fault_tolerant
from nova_colo.virt.mixin import ColoDriverMixin

CONF = nova.conf.CONF


def _is_fault_tolerant(instance: Any) -> bool:
    return is_fault_tolerant({"extra_specs": instance.flavor.extra_specs or {}})


class _VifDriver(libvirt_vif.LibvirtGenericVIFDriver):
    """Configures FT servers' NICs without vhost: COLO cannot compare packets that bypass QEMU."""

    def get_config(self, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Return libvirt's configuration of a NIC."""
        nic = super().get_config(instance, *args, **kwargs)
        if _is_fault_tolerant(instance):
            nic.driver_name = "qemu"
        return nic


class ColoLibvirtDriver(ColoDriverMixin, libvirt_driver.LibvirtDriver):
    """compute_driver = colo.ColoLibvirtDriver"""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.vif_driver = _VifDriver(self._host)
        self._vif_store = VifStore(CONF.colo.agent_state_path)

    def _get_guest_xml(self, context: Any, instance: Any, *args: Any, **kwargs: Any) -> str:
        """Return the XML of a guest. An FT server's QEMU must never disable devices: see emulator_options."""
        xml: str = super()._get_guest_xml(context, instance, *args, **kwargs)
        return without_disabled_flag(xml) if _is_fault_tolerant(instance) else xml

    def plug_vifs(self, instance: Any, network_info: Any) -> None:
        """Plug a server's VIFs, and record them for its secondary."""
        super().plug_vifs(instance, network_info)
        if _is_fault_tolerant(instance):
            vifs = [os_vif_util.nova_to_osvif_vif(vif) for vif in network_info]
            self._vif_store.put(
                os_vif_util.nova_to_osvif_instance(instance), [vif for vif in vifs if vif is not None]
            )

    def _unplug_vifs(self, instance: Any, network_info: Any, ignore_errors: bool) -> None:
        super()._unplug_vifs(instance, network_info, ignore_errors)
        # for a server that was deleted while its records were updated, Nova knows no VIFs: its ports are
        # deleted
        self._vif_store.unplug_others(instance.uuid, [vif["id"] for vif in network_info or ()])
        self._vif_store.delete(instance.uuid)

    def attach_interface(self, context: Any, instance: Any, image_meta: Any, vif: Any) -> None:
        """Attach a VIF, and record it for a later secondary."""
        super().attach_interface(context, instance, image_meta, vif)
        plugged = os_vif_util.nova_to_osvif_vif(vif) if _is_fault_tolerant(instance) else None
        if plugged is not None:
            self._vif_store.add(os_vif_util.nova_to_osvif_instance(instance), plugged)

    def detach_interface(self, context: Any, instance: Any, vif: Any) -> None:
        """Detach a VIF, and delete its record."""
        super().detach_interface(context, instance, vif)
        self._vif_store.remove(instance.uuid, vif["id"])

    def list_instances(self) -> list[str]:
        """Return the names of all guests except secondaries."""
        return [
            guest.name
            for guest in self._host.list_guests(only_running=False)
            if not self._is_hidden(guest.uuid)
        ]

    def _create_guest(self, context: Any, xml: str, instance: Any, *args: Any, **kwargs: Any) -> Any:
        """Start a guest, unless its peer may run. Every request that starts a guest calls this."""
        self._check_may_start(instance)
        return super()._create_guest(context, xml, instance, *args, **kwargs)

    def check_can_live_migrate_destination(
        self, context: Any, instance: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Skip the check for a promoted secondary: it runs here already, and nothing is moved."""
        if self._role(instance.uuid) == Role.PROMOTED:
            return objects.LibvirtLiveMigrateData(block_migration=False)
        return super().check_can_live_migrate_destination(context, instance, *args, **kwargs)

    def cleanup_live_migration_destination_check(self, context: Any, dest_check_data: Any) -> None:
        """Remove the file of the check at the destination, unless the check was skipped."""
        if "filename" in dest_check_data:
            super().cleanup_live_migration_destination_check(context, dest_check_data)

    def check_can_live_migrate_source(
        self, context: Any, instance: Any, dest_check_data: Any, *args: Any, **kwargs: Any
    ) -> Any:
        """Skip the check for a demoted primary, and make Nova remove its files after the migration."""
        if self._role(instance.uuid) == Role.DEMOTED:
            # see ComputeManager._live_migration_cleanup_flags
            dest_check_data.is_shared_instance_path = False
            dest_check_data.is_shared_block_storage = False
            return dest_check_data
        return super().check_can_live_migrate_source(context, instance, dest_check_data, *args, **kwargs)

    def pre_live_migration(
        self,
        context: Any,
        instance: Any,
        block_device_info: Any,
        network_info: Any,
        disk_info: Any,
        migrate_data: Any,
    ) -> Any:
        """Skip the preparation for a promoted secondary.

        Who skips a method must see to all of its effects, above all those that protect the host. Those of
        nova.virt.libvirt.driver:LibvirtDriver.pre_live_migration, and of spawn() in an evacuation:

        * the folder, ``disk.info``, the disks: made by the agent (agent/qemu/secondary.py:make_files)
        * kernel and ramdisk: the secondary's QEMU has loaded them; the agent refuses a host without them
        * VIFs: plugged by the agent (hoststate/vifs.py), and by _adopt() again
        * volumes, encrypted ones too, and secrets of a virtual TPM: pair/eligibility.py refuses such servers
        """
        if self._role(instance.uuid) == Role.PROMOTED:
            return migrate_data
        return super().pre_live_migration(
            context, instance, block_device_info, network_info, disk_info, migrate_data
        )

    def _adopt(self, context: Any, instance: Any, network_info: Any, block_device_info: Any) -> None:
        """Define Nova's configuration for the running domain: later reboots and attachments use it.

        :raises nova.exception.InvalidDiskInfo: when the guest's disks would be opened in another format then,
            which may make QEMU read what the guest has written as a header
        """
        self.plug_vifs(instance, network_info)
        image_meta = instance.image_meta
        disks = blockinfo.get_disk_info(CONF.libvirt.virt_type, instance, image_meta, block_device_info)
        xml = self._get_guest_xml(
            context, instance, network_info, disks, image_meta, block_device_info=block_device_info
        )
        self._check_formats(instance, xml)
        self._host.write_instance_config(xml)

    def _check_formats(self, instance: Any, xml: str) -> None:
        try:
            running = disk_info.formats(self._host.get_guest(instance).get_xml_desc())
        except exception.InstanceNotFound:
            return  # it has ended; the agent has recorded the formats of its disks
        for path, kind in disk_info.formats(xml).items():
            if running.get(path, kind) != kind:
                raise exception.InvalidDiskInfo(
                    reason=f"{path} is {running[path]}, and Nova on this host takes it for {kind}: its "
                    "[libvirt] images_type differs from that of the host where the server was built"
                )

    def _stop_demoted(self, instance: Any) -> None:
        try:
            self._host.get_guest(instance).poweroff()
        except exception.InstanceNotFound:
            pass
        except libvirt_driver.libvirt.libvirtError as error:
            if error.get_error_code() not in (
                libvirt_driver.libvirt.VIR_ERR_OPERATION_INVALID,  # it does not run
                libvirt_driver.libvirt.VIR_ERR_NO_DOMAIN,
            ):
                raise
