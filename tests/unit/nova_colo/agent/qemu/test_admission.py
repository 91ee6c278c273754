# SPDX-License-Identifier: Apache-2.0
"""A host runs as a secondary what Nova writes for a server, with that server's files, and nothing else."""

import pytest

from nova_colo.agent.qemu import admission, domain_xml
from nova_colo.agent.replication import ReplicationError

SERVER, OTHER = "21a5c3d0-5537-49db-9593-33e69d6019fe", "31a5c3d0-5537-49db-9593-33e69d6019fe"
NVRAM = "/var/lib/libvirt/qemu/nvram/instance-00000001_VARS.fd"
XML = """
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>instance-00000001</name><uuid>{server}</uuid>
  <metadata><nova:instance xmlns:nova="http://openstack.org/xmlns/libvirt/nova/1.1"/></metadata>
  <memory unit='KiB'>131072</memory><currentMemory unit='KiB'>131072</currentMemory>
  <vcpu placement='static'>1</vcpu><iothreads>1</iothreads>
  <sysinfo type='smbios'><system><entry name='product'>OpenStack Nova</entry></system></sysinfo>
  <os>
    <type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
    <loader readonly='yes' type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader>
    <nvram template='/usr/share/OVMF/OVMF_VARS.fd'>{nvram}</nvram>
    <boot dev='hd'/><smbios mode='sysinfo'/>
  </os>
  <features><acpi/><apic/></features><cpu mode='custom'><model>qemu64</model></cpu><clock offset='utc'/>
  <on_poweroff>destroy</on_poweroff><on_reboot>restart</on_reboot><on_crash>destroy</on_crash>
  <devices>
    <emulator>{emulator}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/><source file='{folder}/disk' index='1'/><target dev='vda'/>
    </disk>
    <disk type='file' device='cdrom'>
      <driver name='qemu' type='raw'/><source file='{folder}/disk.config'/><target dev='sda' bus='sata'/>
    </disk>
    <controller type='usb' index='0' model='none'/>
    <interface type='ethernet'>
      <script path=''/><mac address='fa:16:3e:4d:00:b4'/><target dev='tap8032d758-26'/>
    </interface>
    <serial type='pty'><log file='{folder}/console.log' append='off'/></serial>
    <console type='pty'><log file='{folder}/console.log' append='off'/></console>
    <channel type='unix'>
      <source mode='bind' path='/var/lib/libvirt/qemu/org.qemu.guest_agent.0.instance-00000001.sock'/>
    </channel>
    <input type='tablet' bus='usb'/><graphics type='vnc' port='-1' autoport='yes'/><audio id='1' type='none'/>
    <video><model type='virtio'/></video><watchdog model='i6300esb' action='reset'/>
    <memballoon model='virtio'/><rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
  </devices>
  <qemu:commandline>
    <qemu:arg value='-global'/><qemu:arg value='virtio-device.use-disabled-flag=false'/>
  </qemu:commandline>
</domain>
"""


@pytest.fixture
def description(tmp_path):
    """Return the description of a primary that Nova has built."""
    emulator = tmp_path / "qemu-system-x86_64"
    emulator.touch()
    folder = tmp_path / "instances" / SERVER
    folder.mkdir(parents=True)
    return {
        "xml": XML.format(server=SERVER, folder=folder, emulator=emulator, nvram=NVRAM),
        "disks": [{"path": f"{folder}/disk", "format": "qcow2", "size": 1}],
        "media": [{"path": f"{folder}/disk.config", "content": ""}],
    }


@pytest.fixture(autouse=True)
def owned_by_root(monkeypatch):
    monkeypatch.setattr(admission, "_belongs_to_root", lambda path: "mine" not in path)


def check(description, tmp_path):
    admission.check(description, SERVER, str(tmp_path / "instances"))


def refused(description, tmp_path, words):
    with pytest.raises(ReplicationError, match="asks for what no secondary may have") as error:
        check(description, tmp_path)
    assert words in str(error.value.reason)


def test_what_nova_writes_is_run(description, tmp_path):
    check(description, tmp_path)
    (tmp_path / "instances" / SERVER).rmdir()
    check(description, tmp_path)  # before its first secondary here


def test_the_images_below_a_primarys_disk_are_no_matter(description, tmp_path):
    """libvirt names them once it was restarted; a secondary's disk is copied in full."""
    below = "<backingStore type='file'><format type='raw'/><source file='/srv/_base/1'/></backingStore>"
    xml = description["xml"].replace("<target dev='vda'", f"{below}<target dev='vda'")
    check(description | {"xml": xml}, tmp_path)
    assert "_base" in xml and "_base" not in domain_xml.secondary_xml(xml)


ATTACKS = [
    ("<console type='pty'>", "<console type='file'><source path='/etc/cron.d/x'/>", "/etc/cron.d/x"),
    ("<channel type='unix'>", "<channel type='unix'><log file='/etc/cron.d/x'/>", "/etc/cron.d/x"),
    ("<source mode='bind'", "<source mode='connect'", "connects to something"),
    ("<script path=''/>", "<rom file='/etc/shadow'/>", "/etc/shadow"),
    (
        "<graphics type='vnc'",
        "<graphics type='spice'><gl rendernode='/dev/dri/card0'/></graphics><graphics type='vnc'",
        "card0",
    ),
    ("type='raw'/>", "type='qcow2'/>", "the read-only media"),
    ("<nvram template", "<nvram type='block' template", "<nvram> that is no file"),
    ("{nvram}", "/var/lib/libvirt/qemu/nvram/other_VARS.fd", "to boot from"),
    ("<boot dev='hd'/>", "<kernel>/var/lib/libvirt/qemu/save/other.save</kernel>", "to boot from"),
    (
        "<source file='{folder}/disk.config'/>",
        "<source file='{folder}/disk.config' dev='/dev/sda'/>",
        "/dev/sda",
    ),
    ("{server}", OTHER, "the id"),
    ("{folder}/disk'", "/etc/shadow'", "/etc/shadow"),
    ("{folder}/disk'", "{folder}/../" + OTHER + "/disk'", "/disk"),
    ("{folder}/disk.config'", "/srv/secret'", "/srv/secret"),
    ("{folder}/console.log'", "/etc/cron.d/job'", "/etc/cron.d/job"),
    (
        "<driver name='qemu' type='qcow2'/><source file='{folder}/disk'",
        "<source file='/etc/shadow'",
        "/etc/shadow",
    ),
    ("<disk type='file' device='disk'>", "<disk type='block' device='disk'>", "<disk> of type block"),
    (" index='1'/>", "><reservations managed='no'/></source>", "a disk with more than a file"),
    ("<controller", "<hostdev type='pci'/><controller", "<hostdev>"),
    ("<controller", "<filesystem type='mount'/><controller", "<filesystem>"),
    ("<script path=''/>", "<script path='/tmp/x'/>", "/tmp/x"),
    ("type='ethernet'", "type='direct'", "<interface> of type direct"),
    ("<input type='tablet'", "<input type='evdev'", "<input> of type evdev"),
    ("<audio id='1' type='none'", "<audio id='1' type='file'", "<audio> of type file"),
    ("<serial type='pty'>", "<serial type='dev'>", "<serial> of type dev"),
    ("/var/lib/libvirt/qemu/org.", "/var/lib/libvirt/qemu/../../../../etc/org.", "/etc/org."),
    ("<graphics type='vnc'", "<graphics type='vnc' socket='/run/x'", "/run/x"),
    ("/dev/urandom", "/dev/sda", "random numbers"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/../../etc/shadow", "to boot from"),
    ("template='/usr/share", "template='/etc", "to boot from"),
    ("<boot dev='hd'/>", "<acpi><table type='slic'>/etc/shadow</table></acpi>", "<os> with acpi"),
    ("<sysinfo type='smbios'>", "<sysinfo type='fwcfg'>", "<sysinfo> of type fwcfg"),
    ("<on_crash>", "<launchSecurity type='sev'/><on_crash>", "<launchSecurity>"),
    ("value='-global'", "value='-chardev'", "the option -chardev"),
    ("<qemu:arg value='-global'/>", "<qemu:env name='LD_PRELOAD' value='x'/>", "LD_PRELOAD"),
    ("{emulator}", "/bin/sh", "the emulator /bin/sh"),
    ("{emulator}", "/tmp/mine/qemu-system-x86_64", "the emulator /tmp/mine"),
]


@pytest.mark.parametrize(("before", "after", "words"), ATTACKS, ids=[attack[1] for attack in ATTACKS])
def test_nothing_else_is(description, tmp_path, before, after, words):
    names = {"server": SERVER, "folder": f"{tmp_path}/instances/{SERVER}", "nvram": NVRAM}
    names["emulator"] = f"{tmp_path}/qemu-system-x86_64"
    for name, value in names.items():
        before, after = before.replace(f"{{{name}}}", value), after.replace(f"{{{name}}}", value)
    assert before in description["xml"]
    refused(description | {"xml": description["xml"].replace(before, after, 1)}, tmp_path, words)


def test_files_outside_of_the_xml_are_not_made_elsewhere(description, tmp_path):
    more = [*description["disks"], {"path": "/etc/x", "format": "raw", "size": 1}]
    refused(description | {"disks": more}, tmp_path, "/etc/x")
    refused(description | {"media": [{"path": "/etc/y", "content": ""}]}, tmp_path, "the read-only media")


def test_links_lead_nowhere(description, tmp_path):
    folder = tmp_path / "instances" / SERVER
    (folder / "disk").symlink_to("/etc/shadow")
    refused(description, tmp_path, "the file")
    (folder / "disk").unlink()
    folder.rmdir()
    folder.symlink_to("/etc")
    refused(description, tmp_path, "which is a link")


def test_a_disk_has_a_size_and_not_an_option(description, tmp_path):
    (disk,) = description["disks"]
    refused(description | {"disks": [disk | {"size": "-odata_file=/etc/x"}]}, tmp_path, "of size")


def test_every_disk_is_created_from_the_primary(description, tmp_path):
    refused(description | {"disks": []}, tmp_path, "the disks {}")
    refused(description | {"media": []}, tmp_path, "the read-only media")


def vif(**data):
    return {"versioned_object.data": {"id": "8032d758-269d-4b64-a9ef-64c854766b52", **data}}


def test_the_vifs_are_the_servers_own(description, tmp_path):
    server = {"versioned_object.data": {"uuid": SERVER}}
    check(description | {"wiring": {"server": server, "vifs": [vif(vif_name="tap8032d758-26")]}}, tmp_path)
    others = {"server": server, "vifs": [vif(vif_name="tap11111111-11")]}
    refused(description | {"wiring": others}, tmp_path, "the VIF tap11111111-11")
    wrong = {"server": {"versioned_object.data": {"uuid": OTHER}}, "vifs": []}
    refused(description | {"wiring": wrong}, tmp_path, "the VIFs of another server")
