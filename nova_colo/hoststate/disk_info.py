# SPDX-License-Identifier: Apache-2.0
"""Nova's record of the formats of a server's disks, the file ``disk.info`` in its folder.

Nova writes it when it creates a disk. For a disk that is not in it, nova.virt.libvirt.imagebackend determines
the format from what the disk contains, that is from what the guest has written: a guest could so make the
host open any file as a backing file (Nova bug 1221190). The disks of a secondary are created by its agent,
which therefore has to record their formats before any code of Nova can see them.
"""

import json
import pathlib
from collections.abc import Mapping

from lxml import etree

from nova_colo.hoststate import json_file

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)

NAME = "disk.info"
#: nova-compute reads the file, also where it runs as another user than the agent.
MODE = 0o644


def formats(xml: str) -> dict[str, str]:
    """Return the format of each file that a domain has as a disk, by its path."""
    disks = etree.fromstring(xml, _PARSER).iterfind("devices/disk[driver]")
    files = ((disk.find("source[@file]"), disk.find("driver").get("type")) for disk in disks)
    return {source.get("file"): kind for source, kind in files if source is not None and kind}


def record(formats: Mapping[str, str]) -> list[str]:
    """Record the formats of disks, in place of what was recorded of them before.

    :param formats: the format of each disk by the path of its file
    :returns: the paths of files that did not exist
    """
    created = []
    for folder in sorted({pathlib.Path(path).parent for path in formats}):
        file = folder / NAME
        known = _read(file)
        if known is None:
            created.append(str(file))
        ours = {path: kind for path, kind in formats.items() if pathlib.Path(path).parent == folder}
        if (known or {}) | ours != known:
            json_file.write(file, (known or {}) | ours, MODE)
    return created


def _read(file: pathlib.Path) -> dict[str, str] | None:
    """Return what a file has; Nova creates it empty."""
    try:
        known: dict[str, str] = json.loads(file.read_text() or "{}")
    except FileNotFoundError:
        return None
    return known
