# SPDX-License-Identifier: Apache-2.0
"""Differences that a guest would see on its secondary's host."""

import pytest

from nova_colo.agent.qemu import domain_xml, read_only_media
from nova_colo.agent.replication import ReplicationError
from nova_colo.emulator_options import without_disabled_flag

XML = """\
<domain type='kvm'>
  <name>instance-00000001</name>
  <uuid>8a68d99d-63b7-45e9-bf2c-343776213a53</uuid>
  <memory unit='KiB'>131072</memory>
  <vcpu placement='static'>1</vcpu>
  <os><type arch='x86_64' machine='pc-i440fx-7.2'>hvm</type></os>
  <features><acpi/><apic/></features>
  <cpu mode='custom' match='exact'><model fallback='forbid'>qemu64</model></cpu>
  <clock offset='utc'/>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <disk type='file' device='disk'><source file='/disk'/><target dev='vda' bus='virtio'/></disk>
    <interface type='bridge'>
      <mac address='fa:16:3e:4d:00:10'/><source bridge='qbr-1'/><model type='virtio'/>
    </interface>
  </devices>
</domain>
"""


def test_a_secondary_looks_the_same_though_its_qemu_has_options_of_ours():
    secondary = domain_xml.secondary_xml(XML)
    assert "-incoming" in secondary
    assert domain_xml.differences(XML, secondary) == []


def test_options_of_ours_are_there_once_however_often_a_secondary_has_a_secondary():
    once = domain_xml.secondary_xml(XML)
    assert domain_xml.secondary_xml(once).count("<qemu:arg") == once.count("<qemu:arg") == 4
    assert without_disabled_flag(once).count("<qemu:arg") == 4
    alone = without_disabled_flag(XML)
    assert alone.count("<qemu:arg") == 2
    assert "-incoming" not in alone
    assert domain_xml.differences(XML, alone) == []


def test_what_is_the_hosts_own_is_no_difference():
    other = XML.replace("qbr-1", "qbr-2").replace("file='/disk'", "file='/other'").replace("/usr/bin", "/opt")
    assert domain_xml.differences(XML, other) == []


def test_the_files_of_a_guests_consoles_are_found_each_once():
    log = "<log file='/console.log' append='off'/>"
    consoles = f"<serial type='pty'>{log}</serial><console type='pty'>{log}</console>"
    consoles += "<serial type='file'><source path='/s'/></serial>"
    assert domain_xml.log_files(XML.replace("</devices>", f"{consoles}</devices>")) == ["/console.log", "/s"]
    assert domain_xml.log_files(XML) == []


CONFIG_DRIVE = (
    "<disk type='file' device='cdrom'><source file='{}'/><target dev='hda' bus='ide'/><readonly/></disk>"
)


def test_a_config_drive_is_copied_to_the_other_host_and_never_over_another_file(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there" / "instance" / "disk.config"
    here.write_bytes(b"user data" * 1000)
    xml = XML.replace("</devices>", f"{CONFIG_DRIVE.format(here)}</devices>")
    assert domain_xml.media_files(XML) == []
    assert domain_xml.media_files(xml) == [str(here)]
    (sent,) = read_only_media.read(domain_xml.media_files(xml))
    moved = [sent | {"path": str(there)}]
    assert list(read_only_media.make(moved)) == [str(there)]
    assert there.read_bytes() == here.read_bytes()
    assert list(read_only_media.make(moved)) == []  # the copy exists already
    there.write_bytes(b"somebody else's")
    with pytest.raises(ReplicationError, match="different file exists"):
        list(read_only_media.make(moved))
    assert there.read_bytes() == b"somebody else's"


def test_a_medium_that_is_not_there_or_too_large_is_named(tmp_path):
    missing, large = tmp_path / "missing.iso", tmp_path / "large.iso"
    with large.open("wb") as file:
        file.truncate(read_only_media.LARGEST + 1)
    with pytest.raises(ReplicationError, match=r"missing\.iso cannot be read: No such file"):
        read_only_media.read([str(missing)])
    with pytest.raises(ReplicationError, match=r"large\.iso: it is larger than 8 MiB"):
        read_only_media.read([str(large)])


@pytest.mark.parametrize(
    ("here", "there", "what"),
    [
        ("qemu64", "Nehalem", "cpu"),
        ("131072", "262144", "memory"),
        ("i440fx-7.2", "i440fx-8.0", "machine"),
        ("4d:00:10", "4d:00:11", "interface 1"),
        ("bus='virtio'", "bus='scsi'", "disk 1"),
    ],
)
def test_what_the_guest_sees_is_named(here, there, what):
    found = domain_xml.differences(XML, XML.replace(here, there))
    assert any(
        one.startswith(f"{what}: ") and here.strip("'") and there.split("'")[0] in one for one in found
    ), found


class Running:
    """A running domain, reduced to its XML."""

    def __init__(self, xml):
        self._xml = xml.replace("<model type='virtio'/>", "<model type='virtio'/><alias name='net0'/>")

    def XMLDesc(self, flags):  # noqa: N802
        return self._xml


QEMU = XML.replace("<model type='virtio'/>", "<model type='virtio'/><driver name='qemu'/>")


def test_a_card_that_qemu_serves_is_carried():
    (nic,) = domain_xml.nics(Running(QEMU))
    assert (nic.mac, nic.netdev) == ("fa:16:3e:4d:00:10", "hostnet0")
    assert domain_xml.nics(Running(XML.replace("type='kvm'", "type='qemu'"))) == [nic]


@pytest.mark.parametrize(
    ("xml", "why"),
    [
        (XML, "vhost"),
        (XML.replace("model type='virtio'", "model type='e1000'"), "e1000, bridge"),
        (QEMU.replace("interface type='bridge'", "interface type='hostdev'"), "virtio, hostdev"),
    ],
)
def test_a_card_that_is_not_carried_is_named_with_what_it_is(xml, why):
    with pytest.raises(ReplicationError, match=rf"fa:16:3e:4d:00:10 \({why}\)"):
        domain_xml.nics(Running(xml))
