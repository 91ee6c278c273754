# SPDX-License-Identifier: Apache-2.0
"""Nova never takes what a guest has written to its raw disk for the header of another format."""

import subprocess
import sys

from nova_colo.agent.qemu import secondary

SERVER = "1f0f0c3e-0000-4000-8000-000000000001"
SIZE = 64 << 20
XML = """
<domain type='kvm'><devices>
 <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{path}'/></disk>
</devices></domain>
"""
#: Prints the format in which Nova opens a server's disk, with images_type=raw.
ASK_NOVA = """
import sys, types
import nova.conf
from oslo_concurrency import lockutils
CONF = nova.conf.CONF
CONF([], project="nova", default_config_files=[])
CONF.set_override("instances_path", sys.argv[1])
lockutils.set_defaults(sys.argv[1] + "/locks")
from nova.virt.libvirt import imagebackend
server = types.SimpleNamespace(uuid=sys.argv[2], name="x")
disk = {"bus": "virtio", "dev": "vda", "type": "disk"}
print(imagebackend.Backend(True).by_name(server, "disk", "raw", disk_info_mapping=disk).driver_format)
"""


def test_a_header_that_the_guest_has_written_to_its_raw_disk_is_data(tmp_path):
    path = tmp_path / SERVER / "disk"
    primary = {
        "xml": XML.format(path=path),
        "disks": [{"path": str(path), "format": "raw", "size": SIZE}],
        "media": [],
    }
    assert list(secondary.make_files(primary)) == [str(path.parent / "disk.info"), str(path)]
    header = tmp_path / "header"
    create = ["qemu-img", "create", "-q", "-f", "qcow2", "-b", "/etc/passwd", "-F", "raw", str(header), "64M"]
    subprocess.run(create, check=True)
    with path.open("r+b") as disk:
        disk.write(header.read_bytes())
    asked = subprocess.run(
        [sys.executable, "-c", ASK_NOVA, str(tmp_path), SERVER], capture_output=True, text=True, check=True
    )
    assert asked.stdout.split()[-1] == "raw"
