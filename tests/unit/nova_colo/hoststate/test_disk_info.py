# SPDX-License-Identifier: Apache-2.0
"""The formats of a secondary's disks are recorded for Nova before Nova can see them."""

import json
import stat

from nova_colo.hoststate import disk_info

XML = """
<domain type='kvm'><devices>
 <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='{folder}/disk'/></disk>
 <disk type='file' device='cdrom'><driver name='qemu' type='raw'/><source file='{folder}/disk.config'/></disk>
 <disk type='network' device='disk'><driver name='qemu' type='raw'/><source protocol='rbd' name='p/d'/></disk>
 <disk type='file' device='cdrom'><driver name='qemu'/></disk>
</devices></domain>
"""


def test_the_formats_of_files_are_those_of_the_running_domain(tmp_path):
    found = disk_info.formats(XML.format(folder=tmp_path))
    assert found == {f"{tmp_path}/disk": "raw", f"{tmp_path}/disk.config": "raw"}


def test_what_is_recorded_replaces_what_nova_has_found_by_itself_and_nothing_else(tmp_path):
    disk, other = f"{tmp_path}/server/disk", f"{tmp_path}/server/disk.eph0"
    file = tmp_path / "server" / "disk.info"
    assert disk_info.record({disk: "raw"}) == [str(file)]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644, "nova-compute is another user"
    file.write_text(json.dumps({disk: "qcow2", other: "qcow2"}) + "\n")
    assert disk_info.record({disk: "raw"}) == []
    assert json.loads(file.read_text()) == {disk: "raw", other: "qcow2"}


def test_nothing_is_written_for_a_guest_without_files(tmp_path):
    assert disk_info.record({}) == []
    assert not list(tmp_path.iterdir())
